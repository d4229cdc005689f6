"""What a commit of this package says about itself, kept in the commit's userMetadata."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

# What Delta may do to a table without touching its rows.
KEEPS_ROWS = (
    "ADD COLUMNS",
    "CHANGE COLUMN",
    "CREATE TABLE",
    "OPTIMIZE",
    "SET TBLPROPERTIES",
    "UPGRADE PROTOCOL",
    "VACUUM END",
    "VACUUM START",
)
_CHANGES_ROWS = ("DELETE", "RESTORE", "UPDATE", "MERGE", "TRUNCATE")
# What the commit says that removes slices which retention does not keep.
EXPIRED = "clv_spark: dated slices beyond retention"
# Among the figures of a commit: the first and last event_date of the table with it, ISO.
DAYS_HELD = "days_held"

Range = tuple[dt.date, dt.date]


@dataclass(frozen=True)
class Held:
    """The slices that one version of a table holds.

    Attributes:
        version: of the table.
        dates: the first and the last, ISO; empty without a slice.
    """

    version: int
    dates: tuple[str, ...]


@dataclass(frozen=True)
class Commit:
    """Lineage and figures of one write, stored in the same commit as the rows.

    Attributes:
        run_id: the run that wrote.
        slice: the date that was replaced, ISO; None = the whole table.
        fingerprint: equal fingerprints mean equal input, settings and package: already done.
        source_version: version of the source the rows come from.
        config_hash: hash of the settings the rows depend on.
        package_version: version of clv_spark.
        figures: counts and sums of the stage, as they go to ``pipeline_runs``.
        held: which slices the table held before, so that nobody need look; None where unknown.
        table_version: Delta version, known once committed.
        rows_written: rows of the commit, as Delta counted them, without those of other slices that
            stood in a file which was written anew.
    """

    run_id: str
    slice: str | None
    fingerprint: str
    source_version: str
    config_hash: str
    package_version: str
    figures: dict[str, Any] = field(default_factory=dict)
    held: Held | None = None
    table_version: int | None = None
    rows_written: int | None = None

    def to_json(self) -> str:
        """Text for userMetadata; what only the commit itself knows is left out."""
        values = asdict(self)
        del values["table_version"], values["rows_written"]
        return json.dumps({"clv_spark": values}, sort_keys=True)

    @staticmethod
    def from_history(row: dict[str, Any]) -> Commit | None:
        """The commit of a row of DESCRIBE HISTORY, None when another program wrote it."""
        try:
            values = json.loads(row["userMetadata"] or "")["clv_spark"]
            metrics = row["operationMetrics"] or {}
            # Of a write without files Delta does not count the rows.
            none = "0" if metrics.get("numFiles") == "0" else None
            written = metrics.get("numOutputRows", none)
            if written is not None:
                written = int(written) - int(metrics.get("numCopiedRows", 0))
            held = values.pop("held", None)
            return Commit(
                **values,
                held=held and Held(int(held["version"]), tuple(held["dates"])),
                table_version=int(row["version"]),
                rows_written=written,
            )
        except (ValueError, KeyError, TypeError):
            return None


def by_others(row: dict[str, Any]) -> bool:
    """Whether somebody else deleted, restored or changed rows, by a row of DESCRIBE HISTORY."""
    return row["operation"] in _CHANGES_ROWS and not took_expired(row)


def took_expired(row: dict[str, Any]) -> bool:
    """Whether we removed rows that nothing reads any more; all others are as they were."""
    return EXPIRED in (row["userMetadata"] or "")


def as_range(dates: Sequence[str]) -> Range | None:
    """ISO dates in order as the first and the last."""
    days = [dt.date.fromisoformat(date) for date in dates]
    return (days[0], days[-1]) if days else None


def days_held(log: Iterable[dict[str, Any]]) -> Range | None:
    """First and last event_date of a table, from what its commits say; None when they do not tell.

    Args:
        log: the commits, newest first.
    """
    for row in log:
        commit = Commit.from_history(row)
        if commit is not None:
            return as_range(commit.figures.get(DAYS_HELD, ()))
        if row["operation"] not in KEEPS_ROWS:
            return None
    return None


def slices_held(log: Iterable[dict[str, Any]]) -> tuple[str, ...] | None:
    """First and last slice of a table, from what its commits say; None when they do not tell.

    Args:
        log: the commits, newest first.
    """
    for row in log:
        commit = Commit.from_history(row)
        if commit is not None:
            return _held_after(commit, wrote=row["operation"] not in KEEPS_ROWS)
        if row["operation"] == "CREATE TABLE":
            return ()
        if row["operation"] not in KEEPS_ROWS:
            return None
    return None


def _held_after(commit: Commit, *, wrote: bool) -> tuple[str, ...] | None:
    before = commit.held
    if before is None or commit.slice is None or commit.table_version != before.version + 1:
        return None
    if not wrote:
        return before.dates
    if commit.rows_written:
        dates = (*before.dates, commit.slice)
        return (min(dates), max(dates))
    # Of an empty first or last slice only the table knows which one is next to it.
    return None if commit.rows_written is None or commit.slice in before.dates else before.dates
