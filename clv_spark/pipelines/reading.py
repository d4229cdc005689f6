"""What one run reads of the source, and what it writes down so that the next can go on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from clv_spark.lake import Range
from clv_spark.pipelines.known_files import Days


@dataclass(frozen=True)
class Reading:
    """What one run reads of the source.

    Attributes:
        rows: the source, without files that hold nothing of what is read.
        read_id: number of this read in ``source_files``.
        base: the oldest read that still counts: the last one of everything.
        days: what is derived again, None for everything.
        late: changed dates that are too old to be derived again.
        changed_by: the last run that derived anything, None for this one.
        files: rows for ``source_files``; none for a source without files.
        seen_undated: so many of its lines without a date were there at the last read.
    """

    rows: DataFrame
    read_id: int
    base: int
    days: Days | None = None
    late: frozenset[dt.date] = frozenset()
    changed_by: str | None = None
    files: tuple[tuple[Any, ...], ...] = ()
    seen_undated: int = 0

    def of_its_days(self, lines: DataFrame) -> DataFrame:
        """Only the conformed lines that this reading is about."""
        if self.days is None:
            return lines
        date = F.col("event_date")
        wanted = F.when(date.isNull(), F.lit(self.days.undated))
        return lines.where(wanted.otherwise(date.isin(sorted(self.days.dates))))

    def condition(self, *, months: bool = False) -> str | None:
        """What of a table is replaced, None for all of it.

        Args:
            months: name the months as well, which are the partitions of customer_days.
        """
        if self.days is None:
            return None
        spans = [f"event_date BETWEEN {_sql(a)} AND {_sql(b)}" for a, b in _spans(self.days.dates)]
        if months:
            firsts = sorted({day.replace(day=1) for day in self.days.dates})
            named = ", ".join(_sql(first) for first in firsts)
            return f"event_month IN ({named}) AND ({' OR '.join(spans)})" if firsts else "false"
        undated = ["event_date IS NULL"] if self.days.undated else []
        return " OR ".join(spans + undated)

    def range_after(self, before: Range | None, found: Range | None) -> Range | None:
        """First and last day of the table once it holds this reading; None where it can't be told.

        A first or last day that is derived again may be gone; the table alone knows the next one.

        Args:
            before: of the table as it is, None without rows.
            found: of the lines that are used, None without one.
        """
        kept = () if self.days is None or before is None else before
        days = [*kept, *(found or ())]
        gone = self.days is not None and any(
            day in self.days.dates and day not in (found or ()) for day in kept
        )
        return None if gone or not days else (min(days), max(days))

    def figures(self, run_id: str) -> dict[str, Any]:
        """What the commit says, so that the next run can go on from it."""
        return {
            "changed_by": self.changed_by or run_id,
            "read_id": self.read_id,
            "base": self.base,
            "dates": None if self.days is None else _iso(self.days.dates),
            "undated": self.days is None or self.days.undated,
            "types": dict(self.rows.dtypes),
            "late": _iso(self.late),
        }


def _spans(dates: Iterable[dt.date]) -> list[tuple[dt.date, dt.date]]:
    """Days in a row as first and last.

    Example:
        >>> day = dt.date(2024, 1, 30)
        >>> [(a.day, b.day) for a, b in _spans([day, day + dt.timedelta(1), day + dt.timedelta(4)])]
        [(30, 31), (3, 3)]
    """
    spans: list[tuple[dt.date, dt.date]] = []
    for day in sorted(dates):
        if spans and day - spans[-1][1] == dt.timedelta(days=1):
            spans[-1] = (spans[-1][0], day)
        else:
            spans.append((day, day))
    return spans


def _sql(day: dt.date) -> str:
    return f"DATE'{day.isoformat()}'"


def _iso(dates: Iterable[dt.date]) -> list[str]:
    return [day.isoformat() for day in sorted(dates)]
