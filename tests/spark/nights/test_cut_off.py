"""A read that was cut off between two tables, and a source or a setting that moves on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from tests.nights import FIRST
from tests.operations import read_table
from tests.spark.nights.conftest import Follower, cut_off_at, old_and_new

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "point", [pytest.param("files_written", marks=pytest.mark.long), "rejected_written"]
)
def test_cut_off_between_two_tables_and_the_source_moves_on(
    follow: Callable[..., Follower], point: str
) -> None:
    """What the cut off run had replaced already must not stay when its file is gone."""
    shop = follow("parquet", seed=4)
    files = shop.files
    day = FIRST + dt.timedelta(days=1)
    files.put("first", files.lines.of(FIRST, 30))
    files.put("second", files.lines.of(day, 30))
    shop.days()
    files.put("third", [{**line, "who": None} for line in files.lines.of(FIRST, 5)])

    with cut_off_at(f"customer_days:{point}") as points:
        shop.days()
    assert points[-1] == f"customer_days:{point}"
    files.remove("third")
    files.put("fourth", files.lines.of(day, 2))
    shop.days()
    shop.check_days()


def test_cut_off_and_a_file_goes_and_comes_back(follow: Callable[..., Follower]) -> None:
    """What the cut off run wrote of the file must not count with the commit of the next."""
    shop = follow("parquet", seed=4)
    files = shop.files
    files.put("first", files.lines.of(FIRST, 30))
    files.put("second", files.lines.of(FIRST + dt.timedelta(days=1), 30))
    shop.days()
    files.put("third", files.lines.of(FIRST, 5))
    with cut_off_at("customer_days:rejected_written"):
        shop.days()
    third = files.folder / "third.parquet"
    away = third.rename(shop.folder / "third.parquet")
    shop.days()
    away.rename(third)
    shop.days()
    shop.check_days()


@pytest.mark.long
def test_cut_off_a_read_of_a_view_and_the_files_are_configured_again(
    follow: Callable[..., Follower], spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = follow("parquet", seed=4)
    files = shop.files
    files.put("first", files.lines.of(FIRST, 30))
    shop.days()
    lines = spark.read.parquet(str(files.folder)).withColumn(
        "who", F.when(F.col("line") % 4 > 0, F.col("who"))
    )
    lines.createOrReplaceTempView("many_of_nobody")
    with monkeypatch.context() as patch, cut_off_at("customer_days:rejected_written"):
        patch.setattr(files, "source", lambda: {"format": "table", "table": "many_of_nobody"})
        shop.days()
    shop.days()
    shop.check_days()


@pytest.mark.long
@pytest.mark.parametrize("what", ["a file", pytest.param("a setting", marks=pytest.mark.long)])
def test_cut_off_and_the_source_is_again_as_it_was(
    follow: Callable[..., Follower], what: str
) -> None:
    shop = follow("parquet", seed=4)
    files = shop.files
    lines = files.lines.of(FIRST, 30)
    files.put("first", lines + [dict(line) for line in lines[:5]])
    shop.days()
    with cut_off_at("customer_days:rejected_written"):
        if what == "a file":
            files.put("second", [{**line, "who": None} for line in files.lines.of(FIRST, 5)])
        else:
            shop.deduplicate = "none"
        shop.days()
    if what == "a file":
        files.remove("second")
    shop.deduplicate = "all_columns"
    shop.days()
    shop.check_days()


@pytest.mark.long
def test_cut_off_a_run_holds_back_what_is_too_late_all_the_same(
    follow: Callable[..., Follower],
) -> None:
    shop = follow("parquet", seed=3)
    files, old, new = old_and_new(shop)
    older = old - dt.timedelta(days=1)
    files.put("both", files.lines.of(older, 9) + files.lines.of(new, 9))
    with cut_off_at("customer_days:files_written"):
        shop.days()
    shop.days()
    (late,) = read_table(shop.folder / "lake" / "late_changes").to_pylist()
    assert late == {"event_date": older, "read_id": 2}
    days = read_table(shop.folder / "lake" / "customer_days")["event_date"].to_pylist()
    assert older not in days
    shop.days(max_late_days=None)
    shop.check_days()
