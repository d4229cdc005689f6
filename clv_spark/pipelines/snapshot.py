"""The slice that a new date starts from, so that history is not folded again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from clv_spark.lake import Commit
from clv_spark.pipelines.run_context import Run
from clv_spark.schemas import CUSTOMER_DAYS, TableSpec


@dataclass(frozen=True)
class Snapshot:
    """An earlier slice that was made in the same way.

    Attributes:
        date: of the slice.
        version: of customer_days, as the slice has seen it.
        changed: the days up to its date that have been derived again since.
    """

    date: dt.date
    version: int
    changed: frozenset[dt.date]


def state_of_days(upstream: Commit) -> list[str]:
    """What tables made of customer_days depend on: a read without a changed line is no change."""
    changed_by = upstream.figures.get("changed_by", upstream.fingerprint)
    return [upstream.config_hash, str(changed_by)]


def newest_snapshot(
    run: Run, planned: Commit, spec: TableSpec, beside: TableSpec | None = None
) -> Snapshot | None:
    """The newest slice up to the run's date, whatever has changed since.

    Args:
        run: the run; its date is the last that counts.
        planned: the commit to come; a slice made with other settings or another package is not
            comparable.
        spec: the table of the slices.
        beside: a table whose slices are written with them.
    """
    return next(snapshots(run, planned, spec, beside), None)


def snapshots(
    run: Run, planned: Commit, spec: TableSpec, beside: TableSpec | None = None
) -> Iterator[Snapshot]:
    """The same with all older slices, newest first."""
    found = _comparable(run, planned, spec)
    return (one for one in found if is_whole(run, spec, beside, one.date))


def unchanged_snapshot(
    run: Run, planned: Commit, spec: TableSpec, beside: TableSpec | None = None
) -> dt.date | None:
    """The newest slice whose days are still what they were.

    A late, corrected or deleted event can't be subtracted from a minimum, so only a slice that has
    seen none of them is of use for the customers they hit.

    Args:
        run: as for :func:`newest_snapshot`.
        planned: likewise.
        spec: likewise.
        beside: likewise.
    """
    found = (one.date for one in _comparable(run, planned, spec) if not one.changed)
    return next((date for date in found if is_whole(run, spec, beside, date)), None)


def _comparable(run: Run, planned: Commit, spec: TableSpec) -> Iterator[Snapshot]:
    """Slices up to the run's date that were made in the same way, newest first."""
    made = (planned.config_hash, planned.package_version)
    for date, commit in sorted(run.lake.slices(spec).items(), reverse=True):
        version = commit.figures.get("days_version")
        if date > run.date or version is None:
            continue
        if (commit.config_hash, commit.package_version) != made:
            continue
        changed = _days_since(run, version)
        if changed is None:
            # Slices that are older still have seen no more of the days.
            return
        yield Snapshot(date, version, frozenset(day for day in changed if day <= date))


def _days_since(run: Run, version: int) -> set[dt.date] | None:
    """The days derived again since a version of customer_days; None for all or unknown."""
    commits = run.lake.commits_after(CUSTOMER_DAYS, version)
    if commits is None:
        return None
    days: set[dt.date] = set()
    for commit in commits:
        dates = commit.figures.get("dates")
        if dates is None:
            return None
        days.update(map(dt.date.fromisoformat, dates))
    return days


def is_whole(run: Run, spec: TableSpec, beside: TableSpec | None, date: dt.date) -> bool:
    """Whether all tables of the slice are there, from the same run."""
    commit = run.lake.last_commit(spec, date)
    other = commit if beside is None else run.lake.last_commit(beside, date)
    if commit is None or other is None or other.fingerprint != commit.fingerprint:
        return False
    return not run.lake.is_empty(spec, date)
