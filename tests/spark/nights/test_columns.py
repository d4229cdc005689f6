"""A column of the source that is dropped or added between two nights."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from pyspark.sql import SparkSession

from tests.nights import FIRST
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
