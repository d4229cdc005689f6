"""Python workers of Spark: what a task leaves behind must not make the next one dear."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from zipimport import zipimporter

import pyarrow as pa
from pyspark.sql import SparkSession

from clv_spark.kernels.worker import in_worker

SEEN = "worker BIGINT, archives BIGINT, frozen BIGINT"


def _look(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """What this worker would read again before its next task, and need not look through after."""
    for _ in batches:
        pass
    finders = sys.path_importer_cache.values()
    archives = sum(isinstance(finder, zipimporter) for finder in finders)
    found = {"worker": os.getpid(), "archives": archives, "frozen": gc.get_freeze_count()}
    yield pa.RecordBatch.from_pylist([found])


def test_a_worker_reads_no_archive_again_and_looks_through_no_import(spark: SparkSession) -> None:
    rows = spark.range(4).repartition(4)
    after = rows.mapInArrow(in_worker(_look), SEEN).collect()
    again = rows.mapInArrow(in_worker(_look), SEEN).collect()
    assert all(row["archives"] == 0 and row["frozen"] > 0 for row in (*after, *again))
    # Frozen once: what a task left since then is still looked through.
    first = {row["worker"]: row["frozen"] for row in after}
    assert all(row["frozen"] <= first.get(row["worker"], row["frozen"]) for row in again)
