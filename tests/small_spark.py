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
# Small data: a few partitions are faster than many.
TEST_SPARK = {
    **NOT_COMPILED,
    "spark.driver.memory": "3g",
    # Short jobs: compile little, collect garbage on one thread. The room for compiled code is as
    # large as usual: the little that this compiler has by itself fills up, and is swept for ever.
    JAVA_OPTIONS: "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:ReservedCodeCacheSize=240m",
    "spark.sql.shuffle.partitions": "2",
    "spark.default.parallelism": "2",
    "spark.databricks.delta.snapshotPartitions": "1",
    "spark.sql.warehouse.dir": "",
    # For every local file, and for its checksum in another one, Hadoop starts chmod, and for a
    # commit readlink. Without checksums, and with Delta's way to commit from one process alone,
    # that is less than half as often. Tests of child processes commit as users do.
    "spark.hadoop.fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
    "spark.hadoop.fs.AbstractFileSystem.file.impl": "org.apache.hadoop.fs.local.RawLocalFs",
    "spark.delta.logStore.file.impl": "io.delta.storage.LocalLogStore",
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
