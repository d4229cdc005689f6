"""cohort_history: a later date goes on from an earlier one, and ends as one made from nothing."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable

import pytest
from pyspark.sql import DataFrame

from clv_spark import pipelines
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


def day_of(month: int, day: int) -> dt.date:
    return dt.date(2024, month, day)


def line(shop: Follower, who: str, day: dt.date, amount: float, place: str) -> Line:
    (made,) = shop.files.lines.of(day, 1)
    return {**made, "who": who, "day": str(day), "amount": amount, "place": place}


def only_days(shop: Follower) -> None:
    """The source is followed, but nobody's features."""
    build_customer_days(shop.spark, shop.config(max_late_days=None))


def only_cohorts(shop: Follower, day: dt.date) -> None:
    """The cohorts of features that are there."""
    with open_run(shop.spark, shop.config(), "score-customers", day) as run:
        history_stage(run)
        cohort_history_stage(run)


@pytest.mark.slow
def test_who_changes_the_cohort_is_taken_along_with_all_months(
    follow: Callable[..., Follower], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = follow("parquet", seed=31, months=True)
    files = shop.files
    january, february = day_of(1, 15), day_of(2, 10)
    # A file that stays as it is, of a month that is taken over: with refunds from before buying.
    names = ("moves", "goes", "buys earlier", "returns first")
    files.put(
        "january",
        [
            line(shop, "stays", january, 10.0, "Chile"),
            line(shop, "moves", january, 20.0, "Chile"),
            *(line(shop, who, january, -number, "Chile") for number, who in enumerate(names, 1)),
        ],
    )
    files.put("february", [line(shop, "goes", february, 40.0, "Peru")])
    start = day_of(2, 20)
    shop.build(shop.config(), start)
    assert said(shop, start) == "all months"

    # One who had refunds buys at last: the months since are added up, and that customer's.
    files.put(
        "march",
        [
            line(shop, "stays", day_of(3, 20), 5.0, "Chile"),
            line(shop, "buys earlier", day_of(3, 20), 6.0, "Peru"),
        ],
    )
    day = day_of(3, 31)
    with monkeypatch.context() as patch:
        patch.setattr(cohort_history, "_all_months", pytest.fail)
        shop.build(shop.config(), day)
        assert moved(shop, day, start) == 1
    shop.check(day)

    # One buys elsewhere, one is left with refunds, one has bought earlier, another buys at last.
    files.put("february", [line(shop, "buys earlier", february, 7.0, "Peru")])
    files.put(
        "may",
        [
            line(shop, "moves", day_of(5, 2), 8.0, "Peru"),
            line(shop, "returns first", day_of(5, 3), 9.0, "Peru"),
        ],
    )
    start, day = day, day_of(5, 10)
    with monkeypatch.context() as patch:
        patch.setattr(cohort_history, "_all_months", pytest.fail)
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
def test_a_slice_whose_features_are_others_now_is_passed_over(
    follow: Callable[..., Follower], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = follow("parquet", seed=41, months=True)
    files = shop.files
    first, second, third = (shop.night(number) for number in (3, 20, 45))
    files.put("late", [line(shop, "late", first, 3.0, "Peru")])
    only_days(shop)
    pipelines.build_features(shop.spark, shop.config(), third)
    only_cohorts(shop, third)
    moved(shop, third, second)
    shop.check(third)
    pipelines.build_features(shop.spark, shop.config(), second)
    only_cohorts(shop, third)
    # Nor is it done again: its own features are the same.
    moved(shop, third, second)
    day = shop.night(60)
    moved(shop, day, third)

    # With more customers than fit into memory nobody is told apart.
    monkeypatch.setattr(cohort_history, "MOST_TOUCHED", -1)
    day = shop.night(62)
    assert said(shop, day) == "all months"
    shop.check(day)


@pytest.mark.slow
def test_cohorts_made_of_newer_days_than_their_features(follow: Callable[..., Follower]) -> None:
    """Step by step, the days can be ahead: whom nobody knew yet is not lost."""
    shop = follow("parquet", seed=47, months=True)
    files = shop.files
    files.put("january", [line(shop, "stays", day_of(1, 15), 10.0, "Chile")])
    start = day_of(2, 29)
    only_days(shop)
    pipelines.build_features(shop.spark, shop.config(), start)
    files.put("late", [line(shop, "unknown", day_of(1, 16), -4.0, "Chile")])
    only_days(shop)
    only_cohorts(shop, start)
    assert said(shop, start) == "all months"

    files.put("march", [line(shop, "unknown", day_of(3, 3), 5.0, "Chile")])
    day = day_of(3, 31)
    shop.build(shop.config(), day)
    moved(shop, day, start)
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
