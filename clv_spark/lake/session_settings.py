"""Settings that the results depend on, held for the time of a job whatever session it is given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pyspark.logger import PySparkLogger
from pyspark.sql import SparkSession

from clv_spark.errors import ConfigError

# Half the rows would vanish without a word with one of these.
_LOSES_ROWS = ("spark.sql.files.ignoreCorruptFiles", "spark.sql.files.ignoreMissingFiles")

RUNTIME_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    # INT96, the default, has no footer statistics.
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    # A commit that landed while its answer was lost is recognised, not repeated.
    "spark.databricks.delta.commit.idempotencyCheck.enabled": "true",
}
# PySpark writes each error to standard error before it is handled, and Spark's words may quote a
# row.
_QUOTES_ROWS = ("DataFrameQueryContextLogger", "SQLQueryContextLogger")


@contextmanager
def trusted_session(spark: SparkSession) -> Iterator[SparkSession]:
    """Hold the settings that values depend on, and put the caller's own back afterwards.

    What PySpark itself would write about an error is left out as well: errors are ours to tell.

    Raises:
        ConfigError: the session skips corrupt or missing files, which loses rows in silence.
    """
    for key in _LOSES_ROWS:
        if str(spark.conf.get(key, "false")).lower() == "true":
            raise ConfigError(f"{key} is true, which loses rows in silence; set it to false")
    loggers = [PySparkLogger.getLogger(name) for name in _QUOTES_ROWS]
    spoke = [logger.disabled for logger in loggers]
    try:
        for logger in loggers:
            logger.disabled = True
        with settings(spark, RUNTIME_SETTINGS):
            yield spark
    finally:
        for logger, was in zip(loggers, spoke, strict=True):
            logger.disabled = was


@contextmanager
def settings(spark: SparkSession, values: Mapping[str, str]) -> Iterator[None]:
    """Hold some settings of a session, and put back what stood there before."""
    before = {key: spark.conf.get(key, None) for key in values}
    try:
        for key, value in values.items():
            spark.conf.set(key, value)
        yield
    finally:
        for key, old in before.items():
            if old is None:
                spark.conf.unset(key)
            else:
                spark.conf.set(key, old)
