"""A column of the source that is dropped or added between two nights."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from tests.nights import FIRST, SCHEMA
from tests.spark.nights.conftest import Follower

pytestmark = pytest.mark.slow

MAPPED = "'delta.columnMapping.mode' = 'name'"


def test_lines_that_a_dropped_column_told_apart(
    follow: Callable[..., Follower], spark: SparkSession, caplog: pytest.LogCaptureFixture
) -> None:
    shop = follow("delta", seed=5)
    source = shop.table
    table = f"delta.`{source.folder}`"
    line, *others = source.lines.of(FIRST, 9)
    bought = {**line, "who": "c1", "day": str(FIRST), "amount": 5.0}
    source.append([{**bought, "line": 1}, {**bought, "line": 2}, *others])
    source.append(source.lines.of(FIRST + dt.timedelta(days=1), 9))
    spark.sql(f"ALTER TABLE {table} SET TBLPROPERTIES ({MAPPED})")
    # Two lines that nothing but the note tells apart.
    spark.sql(f"ALTER TABLE {table} ADD COLUMN note STRING")
    spark.sql(f"UPDATE {table} SET note = 'line ' || line, line = 1 WHERE line IN (1, 2)")
    shop.days()

    spark.sql(f"ALTER TABLE {table} DROP COLUMN note")
    shop.days()
    assert "the columns ['note'] came or went since the last read" in caplog.text
    shop.check_days()


def test_versions_of_a_line_whose_order_a_column_of_old_files_decides(
    follow: Callable[..., Follower], caplog: pytest.LogCaptureFixture
) -> None:
    """Spark takes the columns of Parquet from one file; once that is gone, there are more."""
    shop = follow("parquet", seed=24, deduplicate="line_id")
    files = shop.files
    files.put("first", files.lines.of(FIRST, 9))
    day = FIRST + dt.timedelta(days=1)
    line = {**files.lines.of(day, 1)[0], "who": "c1", "day": str(day)}
    versions = [{**line, "batch": "1", "amount": 9.0}, {**line, "batch": "2", "amount": 5.0}]
    with_batch = pa.schema([("batch", pa.string()), *SCHEMA])
    pq.write_table(pa.Table.from_pylist(versions, with_batch), files.folder / "second.parquet")
    files.put("third", files.lines.of(FIRST, 9))
    shop.days()

    files.remove("first")
    shop.days()
    assert "the columns ['batch'] came or went since the last read" in caplog.text
    shop.check_days()
