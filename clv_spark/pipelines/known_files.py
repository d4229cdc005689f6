"""What earlier reads saw of the source's files, from table source_files."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from clv_spark.lake import Commit, Lake, Mark
from clv_spark.schemas import SOURCE_FILES

_HELD = ("path", "event_dates", "line_count", "undated_line_count")


@dataclass(frozen=True)
class FileDays:
    """The lines of one file, by what their date is."""

    dates: frozenset[dt.date] = frozenset()
    line_count: int = 0
    undated_line_count: int = 0


@dataclass(frozen=True)
class Days:
    """Days that hold lines, and whether there are lines without a date."""

    dates: frozenset[dt.date] = frozenset()
    undated: bool = False

    @staticmethod
    def of(files: Iterable[FileDays]) -> Days:
        """The days of some files together."""
        files = list(files)
        dates = frozenset().union(*(file.dates for file in files))
        return Days(dates, any(file.undated_line_count for file in files))

    def meet(self, file: FileDays) -> bool:
        """Whether a file holds lines of one of these days."""
        undated = self.undated and file.undated_line_count > 0
        return undated or not self.dates.isdisjoint(file.dates)

    def __or__(self, other: Days) -> Days:
        """The days of both."""
        return Days(self.dates | other.dates, self.undated or other.undated)

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self.dates) or self.undated


class KnownFiles:
    """The files as the last committed read left them."""

    def __init__(self, lake: Lake, base: int, read_id: int) -> None:
        """Take the reads from ``base`` to ``read_id``; later ones were cut off.

        Args:
            lake: holds source_files.
            base: the last read of everything.
            read_id: the last read whose result was committed.
        """
        rows = lake.read(SOURCE_FILES).where(F.col("read_id") >= base)
        newest = rows.where(F.col("read_id") <= read_id).groupBy("path")
        row = F.struct(*(name for name in SOURCE_FILES.column_names if name != "path"))
        self._files = newest.agg(F.max_by(row, "read_id").alias("row")).select("path", "row.*")
        self._files = self._files.where("is_present")

    def marks(self) -> dict[str, Mark]:
        """Mark of each file that was present."""
        rows = self._files.selectExpr("path", "size", "unix_micros(modification_time)").collect()
        return {path: None if size is None else (size, time) for path, size, time in rows}

    def days_of(self, paths: Collection[str]) -> dict[str, FileDays]:
        """What some of the files held."""
        return file_days(self._files.where(F.col("path").isin(list(paths)))) if paths else {}

    def holding(self, days: Days) -> dict[str, tuple[int, int]]:
        """The files with lines of one of the days: number of all its days, lines without one."""
        dates = F.array(*(F.lit(day) for day in sorted(days.dates))).cast("array<date>")
        undated = F.lit(days.undated) & (F.col("undated_line_count") > 0)
        wanted = self._files.where(F.arrays_overlap("event_dates", dates) | undated)
        found = wanted.select("path", F.size("event_dates"), "undated_line_count").collect()
        return {path: (dates, undated) for path, dates, undated in found}


def cut_off_read(lake: Lake, last: Commit) -> Mapping[str, Any] | None:
    """What a read after the one of a commit of customer_days wrote down before it was cut off."""
    newest = lake.last_commit(SOURCE_FILES)
    if newest is None or newest.figures["read_id"] <= last.figures.get("read_id", 0):
        return None
    return newest.figures


def file_days(rows: DataFrame) -> dict[str, FileDays]:
    """Collected rows of a survey or of source_files, by path."""
    found = rows.select(*_HELD).collect()
    return {path: FileDays(frozenset(dates), *counts) for path, dates, *counts in found}
