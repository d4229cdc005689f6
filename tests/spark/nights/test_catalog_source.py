"""A table of a catalog that is no Delta table, followed within one session."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from pyspark.sql import SparkSession

from tests.nights import FIRST
from tests.operations import read_table
from tests.spark.nights.conftest import Follower

pytestmark = pytest.mark.slow


def test_files_that_come_and_go_while_the_session_lives(
    follow: Callable[..., Follower], spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spark remembers which files a table has; another program adds and removes some."""
    shop = follow("parquet", seed=25)
    files = shop.files
    for number in range(4):
        files.put(f"day {number}", files.lines.of(FIRST + dt.timedelta(days=number), 12))
    table = "followed_table"
    spark.sql(f'CREATE TABLE {table} USING parquet LOCATION "{files.folder}"')
    try:
        monkeypatch.setattr(files, "source", lambda: {"format": "table", "table": table})
        shop.days()
        late = FIRST + dt.timedelta(days=9)
        files.put("late", [{**line, "day": str(late)} for line in files.lines.of(late, 12)])
        files.remove("day 1")
        shop.days()
        days = read_table(shop.folder / "lake" / "customer_days")["event_date"].to_pylist()
        assert late in days
        shop.check_days()
    finally:
        spark.sql(f"DROP TABLE {table}")
