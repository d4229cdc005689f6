"""Hadoop's view of a path: files on disks and in object stores alike."""

from __future__ import annotations

from typing import Any

from pyspark.sql import SparkSession


def java_class(spark: SparkSession, name: str) -> Any:
    """A class of the JVM by its whole name: asked part by part, all JARs are searched."""
    return getattr(spark.sparkContext._jvm, name)


def path_and_files(spark: SparkSession, name: str) -> tuple[Any, Any]:
    """Hadoop's ``Path`` of a name, and the ``FileSystem`` it is in."""
    path = java_class(spark, "org.apache.hadoop.fs.Path")(name)
    return path, path.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration())
