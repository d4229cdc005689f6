"""Hadoop's view of a path: files on disks and in object stores alike."""

from __future__ import annotations

from typing import Any

from pyspark.sql import SparkSession


def path_and_files(spark: SparkSession, name: str) -> tuple[Any, Any]:
    """Hadoop's ``Path`` of a name, and the ``FileSystem`` it is in."""
    jvm: Any = spark.sparkContext._jvm
    path = jvm.org.apache.hadoop.fs.Path(name)
    return path, path.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration())
