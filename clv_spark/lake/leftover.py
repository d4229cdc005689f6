"""What a process leaves that is killed while it makes a table: a log without a commit."""

from __future__ import annotations

from pyspark.sql import SparkSession

from clv_spark.lake.hadoop import path_and_files


def remove_leftover(spark: SparkSession, folder: str) -> None:
    """Remove the folder of a table that was never made; whatever else is in it stays untouched.

    Delta takes such a folder neither for a table nor for room for one. Only a log with nothing but
    temporary files (.name) and marks (_name) goes away: a table has a commit, which is neither.
    """
    path, files = path_and_files(spark, folder)
    log, _ = path_and_files(spark, f"{folder}/_delta_log")
    if not files.exists(log):
        return
    beside = [entry.getPath().getName() for entry in files.listStatus(path)]
    inside = [entry.getPath().getName() for entry in files.listStatus(log)]
    if beside == ["_delta_log"] and all(name.startswith((".", "_")) for name in inside):
        files.delete(path, True)
