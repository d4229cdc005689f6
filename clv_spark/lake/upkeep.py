"""Upkeep of a table's files: put small ones together, remove those that no version needs."""

from __future__ import annotations

import posixpath
from collections import Counter
from contextlib import AbstractContextManager

from pyspark.sql import functions as F

from clv_spark.lake.lock import lease_name
from clv_spark.lake.parquet import file_settings
from clv_spark.lake.place import local_folder
from clv_spark.lake.session_settings import settings
from clv_spark.lake.tables import Lake
from clv_spark.schemas import TableSpec

# To open a file costs two milliseconds, whatever it holds.
_MANY_FILES = 500
_SMALL_FILE = 1_000_000


def has_many_small_files(lake: Lake, spec: TableSpec) -> bool:
    """Whether most of the time of reading a table goes into opening its files."""
    detail = lake.spark.sql(f"DESCRIBE DETAIL {lake.identifier(spec)}")
    row = detail.select("numFiles", "sizeInBytes").first()
    if row is None:
        return False
    number, size = int(row[0]), int(row[1])
    return number > _MANY_FILES and size < number * _SMALL_FILE


def scattered_files(lake: Lake, spec: TableSpec, condition: str) -> int:
    """Files in partitions that consist of more than one."""
    files = lake.read(spec).where(condition).inputFiles()
    by_partition = Counter(posixpath.dirname(file) for file in files)
    return sum(count for count in by_partition.values() if count > 1)


def compact(lake: Lake, spec: TableSpec, condition: str) -> int:
    """Put the files of each partition together; the rows stay as they are.

    Args:
        lake: the lake.
        spec: the table.
        condition: SQL over the partition columns, ``true`` for all.

    Returns:
        How many files fewer there are.
    """
    lake.may_write()
    which = "" if condition == "true" else f" WHERE {condition}"
    with settings(lake.spark, file_settings(spec)):
        done = lake.spark.sql(f"OPTIMIZE {lake.identifier(spec)}{which}")
    row = done.select("metrics.*").first()
    return 0 if row is None else int(row["numFilesRemoved"]) - int(row["numFilesAdded"])


def unneeded_files(lake: Lake, spec: TableSpec) -> int:
    """Files that :func:`vacuum` would remove: of replaced rows, older than they are kept."""
    hours = 24 * lake.config.retention.deleted_file_days
    # Delta refuses fewer hours than the table says, which may be an older setting.
    unchecked = {"spark.databricks.delta.retentionDurationCheck.enabled": "false"}
    with _few_tasks(lake), settings(lake.spark, unchecked):
        found = lake.spark.sql(f"VACUUM {lake.identifier(spec)} RETAIN {hours} HOURS DRY RUN")
        return found.where(F.col("path").isNotNull()).count()


def vacuum(lake: Lake, spec: TableSpec) -> None:
    """Remove the files that no version within ``retention.deleted_file_days`` needs."""
    lake.may_write()
    with _few_tasks(lake):
        lake.spark.sql(f"VACUUM {lake.identifier(spec)}")


def vacuum_lease(lake: Lake) -> None:
    """Remove the files of leases that are over: every renewal leaves one.

    Nothing to do for a lake in a local folder, whose lock is a file.
    """
    if local_folder(lake.spark, lake.config) is None:
        with _few_tasks(lake):
            lake.spark.sql(f"VACUUM {lease_name(lake.config)}")


def _few_tasks(lake: Lake) -> AbstractContextManager[None]:
    """Delta lists folders in thousands of tasks, which is meant for thousands of cores."""
    key = "spark.sql.sources.parallelPartitionDiscovery.parallelism"
    return settings(lake.spark, {key: str(4 * lake.spark.sparkContext.defaultParallelism)})
