"""Night by night, what changed is derived again, and the tables are as if made from nothing."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from clv_spark.config import Config
from clv_spark.errors import InputError
from clv_spark.pipelines import build_customer_days, fold_customers
from clv_spark.transforms.segments import Codes
from tests.nights import FIRST, SCHEMA, Delta, Files, Line
from tests.operations import read_table, rows_of
from tests.spark.nights.conftest import Follower, old_and_new

NIGHTS = 200
POINTS = (
    *(f"customer_days:{at}" for at in ("read", "files_written", "rejected_written", "committed")),
    *(f"customer_features:{at}" for at in ("read", "features_written", "committed")),
    *(
        f"{table}:{at}"
        for table in ("revenue_history", "cohort_history")
        for at in ("read", "committed")
    ),
)


# What follows a Parquet source has its own tests below.
@pytest.mark.parametrize(
    "kind", [pytest.param("parquet", marks=pytest.mark.long), "change data feed"]
)
def test_a_few_nights_end_as_a_rebuild(
    follow: Callable[..., Follower], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    # Which countries there are stands in the commits.
    monkeypatch.setattr(fold_customers, "segment_codes", pytest.fail)
    shop = follow(kind, seed=11)
    for number in range(2):
        day = shop.night(number)
    shop.check(day)


@pytest.mark.slow
def test_countries_are_looked_for_after_somebody_else_wrote(
    follow: Callable[..., Follower], spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, look = [], fold_customers.segment_codes

    def looked(rows: DataFrame, keys: tuple[str, ...]) -> dict[str, Codes]:
        looks.append(keys)
        return look(rows, keys)

    monkeypatch.setattr(fold_customers, "segment_codes", looked)
    shop = follow("parquet", seed=5)
    files = shop.files
    files.put("first", files.lines.of(FIRST, 30))
    shop.build(shop.config(), FIRST)
    # The day before is gone, and with it who was there alone; a country comes for the first time.
    files.remove("first")
    day = FIRST + dt.timedelta(days=1)
    files.put("second", [{**line, "place": "Bolivia"} for line in files.lines.of(day, 30)])
    shop.build(shop.config(), day)
    shop.check(day)
    assert not looks

    table = f"delta.`{shop.folder / 'lake' / 'customer_days'}`"
    theirs = spark.table(table).where("transactions > 0").limit(1)
    days = theirs.withColumns({"country": F.lit("Ecuador"), "customer_id": F.lit("e1")})
    days.write.format("delta").mode("append").save(str(shop.folder / "lake" / "customer_days"))
    day += dt.timedelta(days=1)
    files.put("third", files.lines.of(day, 5))
    shop.build(shop.config(), day)
    assert looks == [("country",)]
    countries = read_table(shop.folder / "lake" / "customer_features")["country"].to_pylist()
    assert "Ecuador" in countries


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize(
    ("kind", "deduplicate"),
    [
        ("parquet", "all_columns"),
        ("csv", "line_id"),
        ("delta", "all_columns"),
        ("change data feed", "line_id"),
    ],
)
def test_two_hundred_nights_with_faults_end_as_a_rebuild(
    follow: Callable[..., Follower], kind: str, deduplicate: str
) -> None:
    shop = follow(kind, seed=23, deduplicate=deduplicate, months=True)
    faults = random.Random(29)
    for number in range(NIGHTS):
        # Cut off, the lake is behind when the source moves on: nobody repeats the run that night.
        point = faults.choice([*POINTS, *[None] * 9])
        day = shop.night(number, point)
        if point is None and number % 20 > 15:
            shop.check(day)


def test_a_new_day_adds_files_and_rewrites_none(follow: Callable[..., Follower]) -> None:
    shop = follow("parquet", seed=1)
    files = shop.files
    for number in range(2):
        day = FIRST + dt.timedelta(days=number)
        files.put(f"day {day}", files.lines.of(day, 20))
        features = shop.build(shop.config(), day)
    commit = shop.last_commit("customer_days")
    assert commit["numFiles"] != "0"
    assert (commit["numRemovedFiles"], commit["numCopiedRows"]) == ("0", "0")
    assert f"days after {FIRST} folded" in shop.message(features["run_id"])


@pytest.mark.long
def test_only_customers_with_changed_days_are_folded_again(
    follow: Callable[..., Follower],
) -> None:
    shop = follow("parquet", seed=2)
    files = shop.files
    days = [FIRST + dt.timedelta(days=number) for number in range(2)]
    for day in days:
        files.put(f"day {day}", files.lines.of(day, 20))
        shop.build(shop.config(), day)

    # One customer vanishes from the last day, another one comes to it late.
    last = files.held[f"day {day}"]
    there = {line["who"] for line in last if line["day"] == str(day)} - {None}
    gone = min(there)
    files.put(f"day {day}", [line for line in last if line["who"] != gone])
    files.put("late", [{**files.lines.of(day, 1)[0], "who": "late", "day": str(day)}])
    hit = len(there | {"late"})
    # The first slice has not seen that day.
    assert shop.how(day) == f"days after {day} folded, {hit} customers from {days[0]}"
    shop.check(day)


@pytest.mark.long
def test_who_cannot_be_told_apart_is_folded_with_all(
    follow: Callable[..., Follower], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = follow("parquet", seed=2)
    files = shop.files
    for number in range(2):
        day = FIRST + dt.timedelta(days=number)
        files.put(f"day {day}", files.lines.of(day, 20))
        shop.build(shop.config(), day)

    # Nobody's days: the slice is as it was.
    files.put("tomorrow", files.lines.of(day + dt.timedelta(days=1), 3))
    assert shop.how(day) == f"days after {day} folded"
    shop.check(day)

    # Of the first day only all days tell; what it held before cannot be told once its files are
    # gone, and too many customers would not fit into memory.
    files.put("later", files.lines.of(FIRST, 1))
    assert shop.how(day).endswith("customers from all their days")
    shop.check(day)
    files.put("latest", files.lines.of(FIRST, 1))
    shop.days()
    shop.remove_old_files("customer_days")
    assert shop.how(day) == "all days folded"
    monkeypatch.setattr(fold_customers, "MOST_TOUCHED", 0)
    files.put("the end", files.lines.of(FIRST, 1))
    assert shop.how(day) == "all days folded"
    shop.check(day)


@pytest.mark.long
def test_a_compacted_delta_source_is_no_change(follow: Callable[..., Follower]) -> None:
    shop = follow("delta", seed=5)
    source = shop.table
    for number in range(2):
        source.append(source.lines.of(FIRST + dt.timedelta(days=number), 10))
    shop.days()
    DeltaTable(str(source.folder)).optimize.compact()
    shop.days()
    assert shop.last_commit("customer_days")["operation"] == "SET TBLPROPERTIES"
    source.append(source.lines.of(FIRST, 1))
    shop.days()
    shop.check_days()


@pytest.mark.long
@pytest.mark.parametrize(
    "feature",
    [
        "'delta.enableDeletionVectors' = 'true'",
        pytest.param("'delta.columnMapping.mode' = 'name'", marks=pytest.mark.long),
    ],
)
def test_a_delta_source_whose_files_do_not_hold_what_it_holds(
    follow: Callable[..., Follower],
    spark: SparkSession,
    caplog: pytest.LogCaptureFixture,
    feature: str,
) -> None:
    shop = follow("delta", seed=7)
    source = shop.table
    table = f"delta.`{source.folder}`"
    for number in range(2):
        source.append(_lines_of(source, *[FIRST + dt.timedelta(days=number)] * 9))
    spark.sql(f"ALTER TABLE {table} SET TBLPROPERTIES ({feature})")
    shop.days()

    _append(spark, source, FIRST + dt.timedelta(days=2))
    shop.days()
    files = set(source.folder.rglob("*.parquet"))
    spark.sql(f"DELETE FROM {table} WHERE line = 1")
    # Only a deletion vector leaves the file as it is.
    assert (set(source.folder.rglob("*.parquet")) == files) == ("Vectors" in feature)
    shop.days()
    shop.check_days()

    # Switched off for new files, the old ones have theirs still.
    spark.sql(f"ALTER TABLE {table} SET TBLPROPERTIES ('delta.enableDeletionVectors' = 'false')")
    _append(spark, source, FIRST)
    shop.days()
    shop.check_days()
    assert "everything is read" not in caplog.text


@pytest.mark.long
def test_change_data_tells_the_days_also_where_most_files_were_rewritten(
    follow: Callable[..., Follower],
) -> None:
    shop = follow("change data feed", seed=8)
    source = shop.table
    old, new = FIRST, FIRST + dt.timedelta(days=500)
    for day in (old, new):
        source.append(_lines_of(source, day, day + dt.timedelta(days=1)))
    shop.days()

    table = DeltaTable(str(source.folder))
    table.update(updates={"amount": "7.77"}, predicate=f"day IN ('{old}', '{new}')")
    shop.days()
    # Each file holds a day more, and a read of everything knows no limit.
    (late,) = read_table(shop.folder / "lake" / "late_changes").to_pylist()
    assert late["event_date"] == old
    shop.days(max_late_days=None)
    shop.check_days()

    table.delete()
    with pytest.raises(InputError, match="the source has no line"):
        shop.days()


@pytest.mark.slow
def test_what_comes_too_late_is_reported_until_the_limit_is_wider(
    follow: Callable[..., Follower], caplog: pytest.LogCaptureFixture
) -> None:
    shop = follow("parquet", seed=3)
    files, old, _ = old_and_new(shop)
    before = read_table(shop.folder / "lake" / "customer_days").num_rows

    files.put("older still", files.lines.of(old - dt.timedelta(days=1), 20))
    shop.days()
    assert read_table(shop.folder / "lake" / "customer_days").num_rows == before
    (late,) = read_table(shop.folder / "lake" / "late_changes").to_pylist()
    assert late == {"event_date": old - dt.timedelta(days=1), "read_id": 2}
    assert "late_changes" in caplog.text

    shop.days(max_late_days=None)
    assert read_table(shop.folder / "lake" / "late_changes").num_rows == 0
    shop.check_days()


@pytest.mark.long
def test_a_read_of_everything_says_why_and_names_files_that_are_not_split_by_date(
    follow: Callable[..., Follower], caplog: pytest.LogCaptureFixture
) -> None:
    shop = follow("csv", seed=9)
    files = shop.files
    wide = "1 files are read whole, though they hold more than 62 days each"
    # The first of them are too old to change.
    days = [FIRST + dt.timedelta(days=8 * number) for number in range(63)]
    lines = _lines_of(files, *days)
    files.put("all", lines)
    shop.days()
    assert "read" not in caplog.text

    files.put("all", lines + _lines_of(files, FIRST))
    shop.days()
    assert wide in caplog.text
    assert (
        "everything is read again, since 1 of the 1 known files changed; gates.max_late_days does "
        "not apply to such a read: changes of any age are taken over"
    ) in caplog.text
    shop.check_days()

    # It is also read because of one of its days, and left alone where none of them is touched.
    caplog.clear()
    files.put("one of its days", _lines_of(files, days[-1]))
    shop.days()
    assert wide in caplog.text
    assert "everything" not in caplog.text
    caplog.clear()
    files.put("a new day", _lines_of(files, days[-1] + dt.timedelta(days=1)))
    shop.days()
    assert "read" not in caplog.text

    shop.deduplicate = "line_id"
    shop.days()
    assert "since settings or margins are others than at the last read" in caplog.text


@pytest.mark.long
def test_an_empty_file_is_no_obstacle_and_is_read_once_it_has_lines(
    follow: Callable[..., Follower],
) -> None:
    shop = follow("csv", seed=6)
    files = shop.files
    for name in ("first", "second"):
        files.put(name, files.lines.of(FIRST, 10))
    (files.folder / "third.csv").touch()
    shop.days()
    files.put("third", files.lines.of(FIRST, 5))
    shop.days()
    shop.check_days()


@pytest.mark.long
def test_a_column_of_another_type_is_read_anew_in_all_files(
    spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a folder's name Spark infers a number, until one of them is none."""
    columns = {"customer_id": "who", "event_time": "day", "amount": "amount", "country": "shop"}

    def days(lake: str) -> list[Any]:
        source = {"path": str(tmp_path / "lines"), "columns": columns}
        values = {"source": {"transactions": source}, "segments": ["country"]}
        config = Config.model_validate({**values, "lake": {"path": str(tmp_path / lake)}})
        build_customer_days(spark, config)
        return rows_of(read_table(tmp_path / lake / "customer_days"))

    for number, shop in enumerate(["01", "02", "03", "2A"]):
        folder = tmp_path / "lines" / f"shop={shop}"
        folder.mkdir(parents=True)
        line = {"who": f"c{number}", "day": FIRST + dt.timedelta(days=number), "amount": 5.0}
        pq.write_table(pa.Table.from_pylist([line]), folder / "part.parquet")
        if shop in ("03", "2A"):
            found = days("lake")
    assert "the columns ['shop'] have other types than at the last read" in caplog.text
    assert found == days("fresh")


def _lines_of(source: Files | Delta, *days: dt.date) -> list[Line]:
    """A line of each day."""
    return [{**line, "day": str(day)} for day in days for line in source.lines.of(day, 1)]


def _append(spark: SparkSession, source: Delta, day: dt.date) -> None:
    """Add lines of a day in one file, by Spark: delta-rs does not write every kind of table."""
    table = pa.Table.from_pylist(_lines_of(source, *[day] * 9), SCHEMA)
    rows = spark.createDataFrame(table).coalesce(1)
    rows.write.format("delta").mode("append").save(str(source.folder))
