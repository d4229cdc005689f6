"""The slice of features that a new date starts from, so that history is not folded again."""

from __future__ import annotations

import datetime as dt

from clv_spark.lake import Commit
from clv_spark.pipelines.run_context import Run
from clv_spark.schemas import CUSTOMER_DAYS, CUSTOMER_FEATURES, REFUND_ONLY_CUSTOMERS


def usable_snapshot(run: Run, planned: Commit) -> dt.date | None:
    """The newest slice up to the run's date whose days are still what they were.

    A late, corrected or deleted event can't be subtracted from a minimum, so a slice is of use
    only if no day up to its date has been derived again since; an older one may be.

    Args:
        run: the run; its date is the last that counts.
        planned: the commit to come; a slice made with other settings or another package is not
            comparable.
    """
    for slice_date, commit in sorted(run.lake.slices(CUSTOMER_FEATURES).items(), reverse=True):
        comparable = (commit.config_hash, commit.package_version) == (
            planned.config_hash,
            planned.package_version,
        )
        if slice_date > run.date or not comparable or "days_version" not in commit.figures:
            continue
        first = _first_day_since(run, commit.figures["days_version"])
        if first is None:
            # Slices that are older still have seen no more of the days.
            return None
        if slice_date < first and _is_whole(run, slice_date, commit):
            return slice_date
    return None


def _first_day_since(run: Run, version: int) -> dt.date | None:
    """The first day derived again since a version of customer_days; None for all or unknown."""
    commits = run.lake.commits_after(CUSTOMER_DAYS, version)
    if commits is None:
        return None
    first = dt.date.max
    for commit in commits:
        dates = commit.figures.get("dates")
        if dates is None:
            return None
        first = min([first, *map(dt.date.fromisoformat, dates)])
    return first


def _is_whole(run: Run, slice_date: dt.date, commit: Commit) -> bool:
    """Whether both tables of the slice are there, from the same run."""
    beside = run.lake.last_commit(REFUND_ONLY_CUSTOMERS, slice_date)
    same = beside is not None and beside.fingerprint == commit.fingerprint
    return same and not run.lake.is_empty(CUSTOMER_FEATURES, slice_date)
