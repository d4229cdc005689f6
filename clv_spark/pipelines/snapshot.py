"""The slice that a new date starts from, so that history is not folded again."""

from __future__ import annotations

import datetime as dt

from clv_spark.lake import Commit
from clv_spark.pipelines.run_context import Run
from clv_spark.schemas import CUSTOMER_DAYS, TableSpec


def usable_snapshot(
    run: Run,
    planned: Commit,
    spec: TableSpec,
    beside: TableSpec | None = None,
) -> dt.date | None:
    """The newest slice up to the run's date whose days are still what they were.

    A late, corrected or deleted event can't be subtracted from a minimum, so a slice is of use
    only if no day up to its date has been derived again since; an older one may be.

    Args:
        run: the run; its date is the last that counts.
        planned: the commit to come; a slice made with other settings or another package is not
            comparable.
        spec: the table of the slices.
        beside: a table whose slices are written with them.
    """
    for slice_date, commit in sorted(run.lake.slices(spec).items(), reverse=True):
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
        if slice_date < first and _is_whole(run, spec, beside, slice_date, commit):
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


def _is_whole(
    run: Run, spec: TableSpec, beside: TableSpec | None, slice_date: dt.date, commit: Commit
) -> bool:
    """Whether all tables of the slice are there, from the same run."""
    if beside is not None:
        other = run.lake.last_commit(beside, slice_date)
        if other is None or other.fingerprint != commit.fingerprint:
            return False
    return not run.lake.is_empty(spec, slice_date)
