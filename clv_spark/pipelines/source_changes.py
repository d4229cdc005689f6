"""What of the source has to be read: all of it, or the days that changed since the last read."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from clv_spark import __version__
from clv_spark.config import TransactionsSource
from clv_spark.errors import InputError
from clv_spark.lake import SPARK_ERRORS, Commit, Mark, Source
from clv_spark.pipelines.known_files import (
    Days,
    FileDays,
    KnownFiles,
    cut_off_read,
    file_days,
)
from clv_spark.pipelines.line_totals import reading
from clv_spark.pipelines.local_rows import local_rows
from clv_spark.pipelines.reading import Reading
from clv_spark.pipelines.run_context import Run
from clv_spark.schemas import CUSTOMER_DAYS, LATE_CHANGES, SOURCE_FILES
from clv_spark.transforms.survey import dates_of_lines, days_of_files, file_hash

log = logging.getLogger(__name__)

# A file with lines of more days than this is not split by date.
_MANY_DAYS = 62


def has_become_due(run: Run, last: Commit | None) -> bool:
    """Whether the source need not have changed for something to be left to do.

    A change that once came too late is within the limit now, or a read was cut off after it had
    replaced other tables than customer_days.
    """
    if last is None:
        return False
    late = _late_so_far(last)
    return cut_off_read(run.lake, last) is not None or bool(late and late - _too_late(run, late))


def find_reading(
    run: Run,
    config: TransactionsSource,
    source: Source,
    last: Commit | None,
    planned: Commit,
) -> Reading:
    """Compare the source with what the last read saw of it, whose commit is given.

    Everything is read when the last read is not on record, when settings or package were others
    then, when the source can't tell what changed, and when that is most of its files. Days that
    are too old are then derived again like all others.

    Raises:
        InputError: Spark failed while it read the dates of new files.
    """
    read_id = 1 if last is None else int(last.figures.get("read_id", 0)) + 1
    if source.files is None:
        return Reading(source.rows, read_id, read_id)
    changes = _changes_since(run, config, source, last, planned)
    if isinstance(changes, _Changes):
        return _changes_only(run, config, source, changes)
    survey = _survey(source, config, source.files)
    if run.lake.exists(CUSTOMER_DAYS):
        log.warning(
            "everything is read again, since %s; gates.max_late_days does not apply to such a "
            "read: changes of any age are taken over",
            changes,
        )
        _say_wide({path: len(days.dates) for path, days in survey.items()})
    rows = tuple(_row(read_id, path, source.files, survey) for path in sorted(source.files))
    return Reading(source.rows, read_id, read_id, files=rows)


def record_files(run: Run, reading: Reading, commit: Commit) -> None:
    """Write down what this reading saw; it counts once customer_days names it in a commit."""
    spark, lake = run.spark, run.lake
    names = [f"{c.name} {c.type}" for c in SOURCE_FILES.columns]
    schema = ", ".join(names).replace("modification_time TIMESTAMP", "modification_us BIGINT")
    rows = local_rows(spark, reading.files, schema)
    rows = rows.withColumn("modification_time", F.timestamp_micros("modification_us"))
    # Also without a row: what a read that was cut off left must not count with the commit of this
    # one, and the next run must know of this one, should it be cut off.
    lake.replace(SOURCE_FILES, rows, commit, where=f"read_id >= {reading.read_id}")
    held = lake.read(LATE_CHANGES).collect() if lake.exists(LATE_CHANGES) else []
    lake.ensure(LATE_CHANGES)
    before = {row["event_date"]: row["read_id"] for row in held}
    late = {day: before.get(day, reading.read_id) for day in sorted(reading.late)}
    if late != before:
        found = local_rows(spark, late.items(), "event_date DATE, read_id BIGINT")
        lake.replace(LATE_CHANGES, found, commit)


@dataclass(frozen=True)
class _Changes:
    """What of the source is another than at the last read.

    Attributes:
        last: the commit of the last read.
        known: the files as it saw them.
        marks: their marks.
        changed: files that came, went or changed since.
        touched: the days whose lines did, None where no change data tells them.
        cut_off: the days of a read that was cut off.
    """

    last: Commit
    known: KnownFiles
    marks: Mapping[str, Mark]
    changed: frozenset[str]
    touched: Days | None
    cut_off: Days


def _changes_since(
    run: Run, config: TransactionsSource, source: Source, last: Commit | None, planned: Commit
) -> _Changes | str:
    """What changed since the last read, or why everything is read instead."""
    if last is None:
        return "the last read is not on record"
    if last.package_version != __version__:
        return f"version {last.package_version} of this package made what is there"
    if last.config_hash != planned.config_hash:
        return "settings or margins are others than at the last read"
    if "base" not in last.figures or not run.lake.exists(SOURCE_FILES):
        return "the files of the last read are not on record"
    types = last.figures.get("types", {})
    retyped = _retyped(types, source.rows)
    if retyped:
        return f"the columns {retyped} have other types than at the last read"
    named = _named_otherwise(types, source, config)
    if named:
        return f"the columns {named} came or went since the last read"
    cut_off = cut_off_read(run.lake, last)
    if cut_off is not None and cut_off["dates"] is None:
        return "a read of everything was cut off"
    known = KnownFiles(run.lake, last.figures["base"], last.figures["read_id"])
    marks = known.marks()
    if not marks:
        return "the last read saw no files"
    changed = _changed_files(source, marks, last)
    if changed is None:
        return (
            "the table's log since the last read has been cleaned, or the table was made anew or "
            "put back from a backup"
        )
    touched = _days_in_change_data(source, config, last)
    count = len(changed & marks.keys())
    # A source that has lost all its files is an error, and found as one when everything is read.
    if (touched is None or not source.files) and 2 * count > len(marks):
        return f"{count} of the {len(marks)} known files changed"
    return _Changes(last, known, marks, changed, touched, _days_of_read(cut_off))


def _retyped(before: Mapping[str, str], rows: DataFrame) -> list[str]:
    """Columns whose inferred type is no longer what it was: their values read otherwise."""
    return sorted(name for name, kind in rows.dtypes if before.get(name, kind) != kind)


def _named_otherwise(
    before: Mapping[str, str], source: Source, config: TransactionsSource
) -> list[str]:
    """Columns without which lines of before are others, and with which they may be.

    Lines that were told apart by a column that is gone are duplicates now. A new column matters
    where lines are compared by all of them: old files may have values in it, since Spark takes the
    columns of Parquet from one file. Of a Delta table they have none, which leaves the order of
    versions of a line as it was.
    """
    gone, new = before.keys() - set(source.rows.columns), set(source.rows.columns) - before.keys()
    compared = config.deduplicate == "all_columns" or (
        config.deduplicate == "line_id" and source.delta is None
    )
    return sorted(gone | new if compared else gone)


def _days_of_read(figures: Mapping[str, Any] | None) -> Days:
    """What a read derived again, by what it wrote down; its days may be replaced in part."""
    if figures is None:
        return Days()
    return Days(frozenset(map(dt.date.fromisoformat, figures["dates"])), figures["undated"])


def _changed_files(
    source: Source, known: Mapping[str, Mark], last: Commit
) -> frozenset[str] | None:
    """Files that came, went or changed; None when it can't be told."""
    now = source.files or {}
    paths = now.keys() | known.keys()
    if source.delta is None:
        same = {path for path in now.keys() & known.keys() if now[path] == known[path]}
        return frozenset(paths - same)
    before = source.delta.version_in(last.source_version)
    in_log = None if before is None else source.delta.files_in_log(before)
    if in_log is None:
        return None
    # Writers spell addresses in their own ways.
    spelled = {unquote(path): path for path in paths}
    named = [(spelled.get(unquote(path), path), is_change) for path, is_change in in_log.items()]
    other = now.keys() ^ known.keys()
    # Where a table was put back from a backup and moved on, the log of then is gone: it names some
    # of the files that are others now, but not all.
    if not other <= {path for path, _ in named}:
        return None
    changed = {path for path, is_change in named if is_change}
    if changed <= paths:
        return frozenset(changed)
    # A file came and went in between: its rows may be in any of those put together since.
    return frozenset((changed & paths) | other)


def _changes_only(
    run: Run, config: TransactionsSource, source: Source, changes: _Changes
) -> Reading:
    now, last, changed = source.files or {}, changes.last, changes.changed
    marks, known = changes.marks, changes.known
    gone = marks.keys() - now.keys()
    # Of files that were only put together anew the days must be known, though nothing changed.
    survey = _survey(source, config, (changed & now.keys()) | (now.keys() - marks.keys()))
    held = known.days_of((changed & marks.keys()) | gone)
    touched = changes.touched
    if touched is None:
        both = (*survey.items(), *held.items())
        touched = Days.of(days for path, days in both if path in changed)
    dates = touched.dates | _late_so_far(last)
    again = Days(dates - _too_late(run, dates), touched.undated) | changes.cut_off
    absent = {path: days for path, days in held.items() if path not in now}
    read_id = int(last.figures["read_id"]) + 1
    rows = [_row(read_id, path, now, survey) for path in sorted(survey)]
    rows += [_row(read_id, path, now, absent) for path in sorted(absent)]
    held_days = {path: len(days.dates) for path, days in survey.items() if again.meet(days)}
    holding = known.holding(again).items()
    unchanged = {path: n for path, n in holding if path not in changed and path not in gone}
    held_days |= {path: dates for path, (dates, _) in unchanged.items()}
    late = dates - again.dates
    _say(again, late)
    _say_wide(held_days)
    return Reading(
        source.of_files(held_days),
        read_id,
        last.figures["base"],
        again,
        late,
        changed_by=None if again else last.figures["changed_by"],
        files=tuple(rows),
        seen_undated=_seen_undated(unchanged, survey, held) if again.undated else 0,
    )


def _seen_undated(
    unchanged: Mapping[str, tuple[int, int]],
    survey: Mapping[str, FileDays],
    held: Mapping[str, FileDays],
) -> int:
    """How many lines without a date were there before: of unchanged files all, of changed some.

    One such line that is new brings in those of all the past, beside the lines of few days.
    """
    now, before = (
        sum(days.undated_line_count for days in files.values()) for files in (survey, held)
    )
    return sum(undated for _, undated in unchanged.values()) + min(now, before)


def _survey(
    source: Source, config: TransactionsSource, paths: Iterable[str]
) -> dict[str, FileDays]:
    """The days that some of the files hold now; a file without lines holds none."""
    paths = set(paths)
    if not paths:
        return {}
    rows = source.of_files(paths)
    names = local_rows(rows.sparkSession, ([path] for path in sorted(paths)), "path STRING")
    names = names.withColumn("file", file_hash(F.col("path")))
    with reading(config, "dates"):
        found = file_days(days_of_files(rows, config).join(names, on="file", how="left"))
    strange = found.keys() - paths
    if strange:
        raise InputError(
            "source.transactions: files have other addresses when they are read than when they are "
            "listed, so that changes can't be told. Please report this; every table is as it was"
        )
    return {path: found.get(path, FileDays()) for path in paths}


def _days_in_change_data(source: Source, config: TransactionsSource, last: Commit) -> Days | None:
    """The days whose lines came, went or changed, where the source keeps change data."""
    before = None if source.delta is None else source.delta.version_in(last.source_version)
    if source.delta is None or before is None:
        return None
    changes = source.delta.changed_rows(before)
    if changes is None:
        return None
    try:
        found = {row[0] for row in dates_of_lines(changes, config).collect()}
    except SPARK_ERRORS:
        # Change data of that time has been cleaned; the files tell less exactly.
        return None
    return Days(frozenset(found - {None}), None in found)


def _late_so_far(last: Commit) -> frozenset[dt.date]:
    return frozenset(map(dt.date.fromisoformat, last.figures.get("late", ())))


def _too_late(run: Run, dates: Iterable[dt.date]) -> frozenset[dt.date]:
    limit = run.config.gates.max_late_days
    held = None if limit is None else run.lake.date_range(CUSTOMER_DAYS)
    if limit is None or held is None:
        return frozenset()
    # A mistyped year in a line must not make every other day look old.
    oldest = min(held[1], dt.date.today()) - dt.timedelta(days=limit)
    return frozenset(day for day in dates if day < oldest)


def _row(
    read_id: int, path: str, now: Mapping[str, Mark], held: Mapping[str, FileDays]
) -> tuple[Any, ...]:
    days, mark = held[path], now.get(path)
    size, modified = mark or (None, None)
    counts = (days.line_count, days.undated_line_count)
    return (read_id, path, path in now, size, modified, *counts, sorted(days.dates))


def _say(again: Days, late: Iterable[dt.date]) -> None:
    log.info("%d changed days are derived again", len(again.dates))
    late = sorted(late)
    if late:
        log.warning(
            "%d changed days from %s on are older than gates.max_late_days and were left as they "
            "are; they stand in late_changes. A run with a wider limit applies them",
            len(late),
            late[0],
        )


def _say_wide(held_days: Mapping[str, int]) -> None:
    """Name files that cost more than their changed days, by the number of days they hold."""
    wide = sum(days > _MANY_DAYS for days in held_days.values())
    if wide:
        log.warning(
            "%d files are read whole, though they hold more than %d days each; a source that is "
            "split by date costs only its changed days",
            wide,
            _MANY_DAYS,
        )
