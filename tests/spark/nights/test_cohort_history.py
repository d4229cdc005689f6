"""cohort_history: a later date goes on from an earlier one, and ends as one made from nothing."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable

import pytest
from pyspark.sql import DataFrame

from clv_spark.lake import upkeep
from clv_spark.pipelines import build_customer_days, cohort_history
from clv_spark.pipelines.build_features import features_stage
from clv_spark.pipelines.cohort_history import cohort_history_stage
from clv_spark.pipelines.run_context import Run, open_run
from clv_spark.pipelines.summarise_revenue import history_stage
from tests.nights import FIRST, Line
from tests.operations import read_table
from tests.spark.nights.conftest import Follower


def said(shop: Follower, day: dt.date) -> str:
    """What the newest run of a date says of its cohorts."""
    rows = read_table(shop.folder / "lake" / "pipeline_runs").to_pylist()
    ours = [r for r in rows if (r["stage"], r["as_of_date"]) == ("cohort_history", day)]
    return str(max(ours, key=lambda row: row["finished_at"])["message"])


def moved(shop: Follower, day: dt.date, start: dt.date) -> int:
    """How many changed their cohort since the slice that a date went on from."""
    how = re.fullmatch(
        rf"starts from the slice of {start}; (\d+) customers changed their cohort", said(shop, day)
    )
    assert how, said(shop, day)
    return int(how[1])


@pytest.mark.slow
def test_who_changes_the_country_is_taken_along_with_all_months(
    follow: Callable[..., Follower], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = follow("parquet", seed=31, months=True)
    files = shop.files
    first, second = FIRST.replace(day=1), (FIRST + dt.timedelta(days=70)).replace(day=1)

    def line(who: str, day: dt.date, amount: float, place: str) -> Line:
        (made,) = files.lines.of(day, 1)
        return {**made, "who": who, "day": str(day), "amount": amount, "place": place}

    refund = line("returns first", first, -3.0, "Chile")
    files.put(
        "first",
        [
            line("stays", first, 10.0, "Chile"),
            line("moves", first, 20.0, "Chile"),
            line("goes", first, 40.0, "Peru"),
            refund,
        ],
    )
    shop.build(shop.config(), first)
    assert said(shop, first) == "all months"

    # Nobody moves: only the month since is added up.
    day = second
    files.put("second", [line("stays", day, 5.0, "Chile"), line("new", day, 1.0, "Peru")])
    with monkeypatch.context() as patch:
        patch.setattr(cohort_history, "_all_months", pytest.fail)
        shop.build(shop.config(), day)
    assert moved(shop, day, first) == 0
    shop.check(day)

    # One buys elsewhere, one has bought earlier, one is gone, one with refunds buys.
    start, day = day, day + dt.timedelta(days=40)
    files.put(
        "first",
        [
            line("stays", first, 10.0, "Chile"),
            line("moves", first, 20.0, "Chile"),
            refund,
        ],
    )
    files.put("late", [line("new", second - dt.timedelta(days=1), 2.0, "Peru")])
    files.put("third", [line("moves", day, 7.0, "Peru"), line("returns first", day, 9.0, "Peru")])
    shop.build(shop.config(max_late_days=None), day)
    assert moved(shop, day, start) == 4
    shop.check(day)


@pytest.mark.long
def test_months_of_nights_with_anything_end_as_made_from_nothing(
    follow: Callable[..., Follower],
) -> None:
    shop = follow("parquet", seed=37, months=True)
    before, numbers = None, []
    for number in (3, 20, 33, 34, 64, 95):
        day = shop.night(number)
        if before is not None:
            numbers.append(moved(shop, day, before))
        shop.check(day)
        before = day
    assert max(numbers) > 0


@pytest.mark.slow
def test_without_the_features_of_the_earlier_date_all_days_are_added_up(
    follow: Callable[..., Follower], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = follow("parquet", seed=41, months=True)
    days = [shop.night(number) for number in (3, 20)]
    assert said(shop, days[0]) == "all months"
    # The features of the first date are made again, after a change that the cohorts have not seen.
    files = shop.files
    files.put("late", files.lines.of(days[0], 5))
    shop.build(shop.config(), days[0])
    day = shop.night(25)
    shop.check(day)
    # With more customers than fit into memory nobody is told apart.
    monkeypatch.setattr(cohort_history, "MOST_TOUCHED", -1)
    day = shop.night(28)
    assert said(shop, day) == "all months"
    shop.check(day)


@pytest.mark.slow
def test_many_small_files_are_opened_once_in_a_run(
    follow: Callable[..., Follower], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = follow("parquet", seed=43, months=True)
    day = FIRST + dt.timedelta(days=3)
    shop.source.night(day)
    build_customer_days(shop.spark, shop.config())
    read: list[DataFrame] = []

    def all_days(run: Run) -> DataFrame:
        read.append(whole(run))
        return read[-1]

    whole = Run.all_days
    monkeypatch.setattr(Run, "all_days", all_days)
    with monkeypatch.context() as patch:
        patch.setattr(upkeep, "_MANY_FILES", 0)
        with open_run(shop.spark, shop.config(), "run", day) as run:
            features_stage(run)
            history_stage(run)
            cohort_history_stage(run)
            assert read[0].storageLevel.useDisk
            assert len(read) == 3
            assert read[0] is read[1] is read[2]
    assert not read[0].storageLevel.useDisk
    shop.check(day)
    assert not read[-1].storageLevel.useDisk
