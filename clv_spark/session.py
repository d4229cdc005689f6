"""A SparkSession with Delta: our settings where we start Spark, a cluster's own where it does."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from delta import configure_spark_with_delta_pip
from pyspark import SparkConf, SparkContext
from pyspark.sql import SparkSession

from clv_spark.config import Config
from clv_spark.errors import ClvError, ConfigError, without_secrets
from clv_spark.java_home import (
    class_archive_options,
    compiler_options,
    process_options,
    use_chosen_java,
)

_DELTA_EXTENSION = "io.delta.sql.DeltaSparkSessionExtension"
_DELTA_CATALOG = "org.apache.spark.sql.delta.catalog.DeltaCatalog"

# Spark brings these itself; without the list Delta's packages are 87 MB instead of 20.
SPARK_BRINGS = (
    "org.apache.hadoop:hadoop-client-api",
    "org.apache.hadoop:hadoop-client-runtime",
    "org.apache.parquet:parquet-hadoop",
    "com.github.luben:zstd-jni",
)
JAVA_OPTIONS = "spark.driver.defaultJavaOptions"

_EVERYWHERE = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    # A nullable BIGINT would reach pandas as float64, and ids above 2^53 would change.
    "spark.sql.execution.pythonUDF.pandas.preferIntExtensionDtype": "true",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "50000",
    # No limit in bytes: to keep one, Spark adds up the size of all columns before every row, a
    # quarter of what handing customers to Python costs.
    "spark.sql.execution.arrow.maxBytesPerBatch": str(2**31 - 1),
    # What is kept on disk for a moment is read once or twice: to find the best encoding of every
    # column costs three times as much as to write them plainly, and LZ4 saves half of the disk.
    "spark.sql.inMemoryColumnarStorage.compressed": "false",
    "spark.rdd.compress": "true",
    # To name the Python line in an error, PySpark asks Java five times more for every expression:
    # a tenth of a run on little data. Our errors name what was found instead.
    "spark.python.sql.dataFrameDebugging.enabled": "false",
    # A join of customers with what is known of them sorts neither side where one fits into memory
    # part by part, as adaptive execution finds out.
    "spark.sql.adaptive.maxShuffledHashJoinLocalMapThreshold": "64m",
    # Java never compiles a method of more than 8,000 bytes of code, so that a row of many columns
    # would be judged by its interpreter, for half of the time of a night. Spark then generates
    # smaller methods for each step instead of one for all.
    "spark.sql.codegen.hugeMethodLimit": "8000",
    # What is kept is put into as many parts as its size needs, not as many as a shuffle has.
    "spark.sql.optimizer.canChangeCachedPlanOutputPartitioning": "true",
    # A dated slice is one partition: without a file open for each value Spark would sort all rows
    # by the date they share.
    "spark.sql.maxConcurrentOutputFileWriters": "2",
    # Delta would note in the checksum of a commit which files a small table has, and starts a job
    # for each new table to find none; every reader takes them from the log.
    "spark.databricks.delta.allFilesInCrc.enabled": "false",
    # A worker that hangs is ended and its stack printed, instead of a job that never ends.
    "spark.sql.execution.pyspark.udf.idleTimeoutSeconds": "600",
    "spark.sql.execution.pyspark.udf.killOnIdleTimeout": "true",
    "spark.sql.execution.pyspark.udf.faulthandler.enabled": "true",
    # One Python worker per core: threads inside a worker would only compete.
    "spark.executorEnv.OPENBLAS_NUM_THREADS": "1",
    "spark.executorEnv.MKL_NUM_THREADS": "1",
    "spark.executorEnv.NUMEXPR_NUM_THREADS": "1",
}

_ON_THIS_MACHINE = {
    "spark.driver.memory": "4g",
    # Nothing listens on a public interface.
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.shuffle.partitions": "16",
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.jars.excludes": ",".join(SPARK_BRINGS),
}


def get_session(config: Config, app_name: str = "clv_spark") -> SparkSession:
    """Start Spark with Delta, or join the one that spark-submit started.

    Under spark-submit a setting of the cluster wins over the configuration; elsewhere the
    configuration wins over the defaults here.

    Raises:
        ConfigError: a setting of Spark SQL has a value that Spark can't read.
        ClvError: Spark did not start; the message names its log.
    """
    if _under_spark_submit():
        SparkContext._ensure_initialized()
        given = dict(SparkConf().getAll())
        builder = _builder(app_name, {**_EVERYWHERE, **config.spark.conf, **given})
        _require_known_values(builder, config.spark.conf)
        return builder.getOrCreate()
    use_chosen_java()
    settings = {**_EVERYWHERE, **config.spark.conf}
    master = config.spark.master or "local[*]"
    if master.startswith("local"):
        settings = {**_ON_THIS_MACHINE, **settings}
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    # Before the user's own options, wherever these are set.
    options = f"{compiler_options()} {process_options()} {class_archive_options()}"
    settings = {JAVA_OPTIONS: options.strip(), **settings}
    builder = _builder(app_name, settings).master(master)
    more = [p for p in settings.get("spark.jars.packages", "").split(",") if p]

    def start() -> SparkSession:
        whole = configure_spark_with_delta_pip(builder, extra_packages=more)
        _require_known_values(whole, config.spark.conf)
        return whole.getOrCreate()

    if SparkContext._gateway is not None:
        return start()
    # Spark's own lines may quote values of rows, so only this user may read them.
    handle, name = tempfile.mkstemp(prefix="clv_spark-", suffix="-spark.log")
    os.close(handle)
    log = Path(name)
    try:
        with _java_output_to(log):
            session = start()
        # Of use only where Spark did not start.
        atexit.register(log.unlink, missing_ok=True)
        return session
    except ConfigError:
        log.unlink(missing_ok=True)
        raise
    except Exception as error:
        raise ClvError(
            f"Spark did not start ({type(error).__name__}). Run `clv-spark doctor`; Spark's own "
            f"log is {log}"
        ) from error


def _require_known_values(builder: SparkSession.Builder, given: Mapping[str, str]) -> None:
    """Refuse a setting of Spark SQL with a value that Spark can't read, before there is a session.

    In a session with such a setting every look at a setting fails, that of PySpark at how errors
    are to be shown included: it would look again, for ever.

    Raises:
        ConfigError: there is one.
    """
    # Java is started as for the session, which finds it there.
    conf = SparkConf()
    for key, value in builder._options.items():
        conf.set(key, value)
    SparkContext._ensure_initialized(conf=conf)
    jvm: Any = SparkContext._jvm
    probe = jvm.org.apache.spark.sql.internal.SQLConf()
    for key, value in given.items():
        try:
            probe.setConfString(key, value)
        except Exception as error:
            raise ConfigError(
                f"spark.conf: {without_secrets(f'{key}={value}')} is no value that Spark can read; "
                "give one of the kind that its documentation names, such as '16', 'true' or '10s'"
            ) from error


def _builder(app_name: str, settings: dict[str, str]) -> SparkSession.Builder:
    extensions = [e for e in settings.get("spark.sql.extensions", "").split(",") if e]
    if _DELTA_EXTENSION not in extensions:
        extensions.append(_DELTA_EXTENSION)
    builder = SparkSession.builder.appName(app_name)
    builder = builder.config("spark.sql.catalog.spark_catalog", _DELTA_CATALOG)
    for key, value in {**settings, "spark.sql.extensions": ",".join(extensions)}.items():
        builder = builder.config(key, value)
    return builder


def _under_spark_submit() -> bool:
    return "PYSPARK_GATEWAY_PORT" in os.environ


@contextlib.contextmanager
def _java_output_to(log: Path) -> Iterator[None]:
    """Let the Java process that starts here inherit a log file as its standard error.

    What Spark says while it starts (a page of package resolution) would bury our own lines.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    try:
        with log.open("ab") as file:
            os.dup2(file.fileno(), 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
