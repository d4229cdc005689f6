"""Settings of Spark for small data, so that a test does not wait for what large data needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Compiling a query, and planning it again on the way, takes longer than running it on small data.
# Real data is run as in production: the demo's lake, the commands, the cluster.
NOT_COMPILED = {
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}
JAVA_OPTIONS = "spark.driver.extraJavaOptions"
# Short jobs: compile little, collect garbage on one thread. The room for compiled code is as large
# as usual: the little that this compiler has by itself fills up, and is swept for ever.
SHORT_JOBS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:ReservedCodeCacheSize=240m"
# Small data: a few partitions are faster than many.
TEST_SPARK = {
    **NOT_COMPILED,
    "spark.driver.memory": "3g",
    # What a run leaves behind is garbage soon: the more room it has, the less is copied.
    JAVA_OPTIONS: f"{SHORT_JOBS} -Xmn1g -XX:MetaspaceSize=256m",
    "spark.sql.shuffle.partitions": "2",
    "spark.default.parallelism": "2",
    "spark.databricks.delta.snapshotPartitions": "1",
    "spark.sql.warehouse.dir": "",
    # Hadoop's checksums of local files stand in files of their own, and for each of these it starts
    # chmod and readlink: an eighth of a run. Child processes keep them, as users do.
    "spark.hadoop.fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
    "spark.hadoop.fs.AbstractFileSystem.file.impl": "org.apache.hadoop.fs.local.RawLocalFs",
}


@contextmanager
def compiled(spark: SparkSession) -> Iterator[None]:
    """Queries are compiled, as in production: for real data, and for many rows."""
    for key in NOT_COMPILED:
        spark.conf.unset(key)
    try:
        yield
    finally:
        for key, value in NOT_COMPILED.items():
            spark.conf.set(key, value)
