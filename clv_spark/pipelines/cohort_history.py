"""Part of jobs run and score-customers: customer_days and features -> cohort_history."""

from __future__ import annotations

import datetime as dt
from contextlib import ExitStack
from dataclasses import dataclass, replace

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from clv_spark.lake import Commit
from clv_spark.pipelines.fold_customers import MOST_TOUCHED
from clv_spark.pipelines.run_context import Run, cached, reached
from clv_spark.pipelines.snapshot import Snapshot, is_whole, snapshots, state_of_days
from clv_spark.schemas import (
    COHORT_HISTORY,
    COHORT_SUMMARY,
    CUSTOMER_DAYS,
    CUSTOMER_FEATURES,
    REFUND_ONLY_CUSTOMERS,
)
from clv_spark.transforms.cohort_history import (
    add_up,
    cells_of_rows,
    cohort_cells,
    cohorts_that_differ,
    members,
    rows_of_cells,
    who_moved,
)

# Among the figures of a commit: which features say who is in which cohort.
_FEATURES = "features_fingerprint"


def cohorts_are_due(run: Run) -> bool:
    """Whether the date has cohorts; monthly for the first and for ends of months.

    A date that has them gets them anew.
    """
    when = run.config.reports.cohorts
    if not run.config.has_purchases or when == "never":
        return False
    if when == "daily":
        return True
    ends_month = (run.date + dt.timedelta(days=1)).day == 1
    newest = run.lake.newest_slice(COHORT_SUMMARY)
    return ends_month or newest is None or not run.lake.is_empty(COHORT_SUMMARY, run.date)


def cohort_history_stage(run: Run) -> Commit:
    """Take the months of an earlier slice that are what they were, add up the others -> publish."""
    days = run.upstream(CUSTOMER_DAYS, "build-customer-days")
    features = run.upstream(CUSTOMER_FEATURES, "build-features", run.date)
    return run.stage(
        COHORT_HISTORY,
        [*state_of_days(days), features.fingerprint],
        lambda commit: _write(run, days, features, commit),
        source_version=days.source_version,
        slice_date=run.date,
    )


def _write(run: Run, days: Commit, features: Commit, commit: Commit) -> Commit:
    run.input_accepted = True
    run.lake.ensure(COHORT_HISTORY)
    with ExitStack() as kept:
        start = _start(run, commit, kept)
        cells = _all_months(run) if start is None else _from(run, start, kept)
        same = {"as_of_date": F.lit(run.date), "relationship": F.lit("purchases")}
        currency = F.lit(run.config.currency).cast("string").alias("currency")
        rows = rows_of_cells(cells).withColumns(same).select("*", currency)
        reached("cohort_history:read")
        # Who is a customer at all is as the features have it, which may have seen fewer changes.
        seen = features.figures.get("days_version", 0), days.table_version
        figures = {
            "message": "all months" if start is None else start.in_words(),
            "days_version": min(seen),
            _FEATURES: features.fingerprint,
        }
        return run.lake.replace(
            COHORT_HISTORY,
            rows.select(*COHORT_HISTORY.column_names).coalesce(1),
            replace(commit, figures=figures),
            run.date,
        )


@dataclass(frozen=True)
class _Start:
    """An earlier slice to go on from.

    Attributes:
        date: of the slice.
        since: the first month that it does not hold to its end.
        changed: earlier months with days that were derived again.
        moved: ids of the customers who are not in the cohort they were in.
        number: how many they are.
    """

    date: dt.date
    since: dt.date
    changed: tuple[dt.date, ...]
    moved: DataFrame
    number: int

    def in_words(self) -> str:
        """For the record of the run."""
        return f"starts from the slice of {self.date}; {self.number} customers changed their cohort"


def _start(run: Run, commit: Commit, kept: ExitStack) -> _Start | None:
    """The newest slice that can be gone on from; None where all days must be added up.

    Of a date that is run again, whose features were made again, that is an earlier one.
    """
    found = snapshots(run, commit, COHORT_HISTORY)
    snapshot = next((one for one in found if _knows_members(run, one.date)), None)
    if snapshot is None:
        return None
    since = (snapshot.date + dt.timedelta(days=1)).replace(day=1)
    moved = kept.enter_context(cached(_moved(run, snapshot, kept)))
    number = moved.count()
    if number > MOST_TOUCHED:
        return None
    changed = sorted({day.replace(day=1) for day in snapshot.changed} - {since})
    return _Start(snapshot.date, since, tuple(changed), moved, number)


def _knows_members(run: Run, date: dt.date) -> bool:
    """Whether the features that the slice of a date was made with are still there."""
    made = run.lake.last_commit(COHORT_HISTORY, date)
    there = run.lake.last_commit(CUSTOMER_FEATURES, date)
    if made is None or there is None or made.figures.get(_FEATURES) != there.fingerprint:
        return False
    return is_whole(run, CUSTOMER_FEATURES, REFUND_ONLY_CUSTOMERS, date)


def _moved(run: Run, snapshot: Snapshot, kept: ExitStack) -> DataFrame:
    """Ids of whoever has days up to the slice and is not in the cohort they were in."""
    before, now = _members(run, snapshot.date), _members(run, run.date)
    is_new = F.col("first_purchase_date") > F.lit(snapshot.date)
    differing = kept.enter_context(cached(cohorts_that_differ(before, now.where(~is_new))))
    # Whose first purchase is new can have refunds from before.
    others = run.lake.read(REFUND_ONLY_CUSTOMERS, snapshot.date).select("customer_id")
    bought = now.where(is_new).select("customer_id")
    late = bought.join(others, "customer_id", "left_semi")
    if differing.isEmpty():
        return late
    return late.union(who_moved(before, now.where(~is_new), differing)).distinct()


def _members(run: Run, date: dt.date) -> DataFrame:
    return members(run.lake.read(CUSTOMER_FEATURES, date), run.config.segments)


def _all_months(run: Run) -> DataFrame:
    return cohort_cells(run.all_days(), _members(run, run.date), run.date)


def _from(run: Run, start: _Start, kept: ExitStack) -> DataFrame:
    """The months of a slice, as its customers are now, and the months since."""
    days, now = run.lake.read(CUSTOMER_DAYS), _members(run, run.date)
    month, of_days = F.col("month"), F.col("event_month")
    before = run.lake.read(COHORT_HISTORY, start.date)
    over = before.where((month < F.lit(start.since)) & ~month.isin(*start.changed))
    is_again = (of_days >= F.lit(start.since)) | of_days.isin(*start.changed)
    added = [cells_of_rows(over), cohort_cells(days.where(is_again), now, run.date)]
    if not start.number:
        return add_up(added)
    moved = F.broadcast(start.moved)
    theirs = days.where(~is_again).join(moved, "customer_id", "left_semi")
    theirs = kept.enter_context(cached(theirs))
    were = _members(run, start.date).join(moved, "customer_id", "left_semi")
    added.append(cohort_cells(theirs, now, run.date))
    return add_up(added, taken=cohort_cells(theirs, were, run.date))
