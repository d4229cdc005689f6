"""Delta tables of the lake, read: whole, by slice, as they were, and what their logs tell."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from clv_spark.config import Config
from clv_spark.errors import InputError
from clv_spark.lake.commit import (
    KEEPS_ROWS,
    Commit,
    Range,
    as_range,
    by_others,
    days_held,
    slices_held,
    took_expired,
)
from clv_spark.lake.commit_log import CommitLog
from clv_spark.lake.place import lake_folder, quoted, schema_name
from clv_spark.schemas import TableSpec

HISTORY_ROWS = 1000
RECENT_ROWS = 50


class ReadableLake:
    """The tables of one lake, a folder or a catalog schema, as they are."""

    def __init__(self, spark: SparkSession, config: Config) -> None:
        """Name the place; nothing is read or made yet."""
        self.spark = spark
        self.config = config
        self._log = CommitLog(spark)
        # First and last value of a date column, by table, column and version.
        self._ranges: dict[tuple[str, str, int], Range | None] = {}
        # Tables that were found to exist, by name.
        self._existing: set[str] = set()

    def identifier(self, spec: TableSpec) -> str:
        """The table in SQL, quoted."""
        if self.config.lake.path is not None:
            return f"delta.{quoted(self.path(spec))}"
        return f"{schema_name(self.config)}.{quoted(spec.name)}"

    def path(self, spec: TableSpec) -> str:
        """The folder of the table, for a lake that is a folder."""
        return f"{lake_folder(self.config)}/{spec.name}"

    def exists(self, spec: TableSpec) -> bool:
        """Whether the table has been made; once it has, it stays."""
        if spec.name not in self._existing and self._is_table(spec):
            self._existing.add(spec.name)
        return spec.name in self._existing

    def _is_table(self, spec: TableSpec) -> bool:
        if self.config.lake.path is not None:
            return DeltaTable.isDeltaTable(self.spark, self.path(spec))
        return self.spark.catalog.tableExists(self.identifier(spec))

    def read(self, spec: TableSpec, slice_date: dt.date | None = None) -> DataFrame:
        """The table, or one dated slice of it.

        Raises:
            InputError: the table does not exist yet.
        """
        if not self.exists(spec):
            raise InputError(
                f"{spec.name} does not exist in the lake; run the job that writes it first"
            )
        table = self.spark.table(self.identifier(spec))
        if slice_date is None or spec.slice_column is None:
            return table
        return table.where(F.col(spec.slice_column) == F.lit(slice_date))

    def read_version(self, spec: TableSpec, version: int) -> DataFrame:
        """The table as it was; its files may be gone, which shows when they are read.

        Raises:
            PySparkException: the log no longer tells that version, or Delta refuses it because it
                was superseded longer ago than ``retention.deleted_file_days``.
        """
        return self.spark.sql(f"SELECT * FROM {self.identifier(spec)} VERSION AS OF {version}")

    def count(self, spec: TableSpec, slice_date: dt.date) -> int:
        """The rows of a slice, as its commit says; counted where it does not."""
        commit = self.last_commit(spec, slice_date)
        if commit is None or commit.rows_written is None:
            return self.read(spec, slice_date).count()
        return commit.rows_written

    def newest_slice(self, spec: TableSpec, up_to: dt.date | None = None) -> dt.date | None:
        """The newest date the table holds, at most ``up_to``; read from the log, not the rows."""
        column = spec.slice_column
        if column is None or not self.exists(spec):
            return None
        held = self._range(spec, column)
        if held is None or up_to is None or held[1] <= up_to:
            return None if held is None else held[1]
        if up_to < held[0]:
            return None
        row = self.read(spec).where(F.col(column) <= F.lit(up_to)).agg(F.max(column)).first()
        return row[0] if row else None

    def oldest_slice(self, spec: TableSpec, since: dt.date) -> dt.date | None:
        """The oldest date the table holds, at least ``since``; as :meth:`newest_slice`."""
        column = spec.slice_column
        held = self._range(spec, column) if column and self.exists(spec) else None
        if column is None or held is None or held[1] < since:
            return None
        if since <= held[0]:
            return held[0]
        row = self.read(spec).where(F.col(column) >= F.lit(since)).agg(F.min(column)).first()
        return row[0] if row else None

    def date_range(self, spec: TableSpec) -> Range | None:
        """First and last event_date, None without rows; read from the log, not the rows."""
        told = days_held(self._history(spec, RECENT_ROWS)) if self.exists(spec) else None
        return told or self._range(spec, "event_date")

    def holds(self, spec: TableSpec, slice_date: dt.date) -> bool:
        """Whether a dated table holds a row of that date."""
        held = self._range(spec, str(spec.slice_column))
        if held is None or not held[0] <= slice_date <= held[1]:
            return False
        return not self.is_empty(spec, slice_date)

    def _range(self, spec: TableSpec, column: str) -> Range | None:
        """First and last date of a column, asked once for each version of the table."""
        if column == spec.slice_column:
            known = slices_held(self._history(spec, RECENT_ROWS))
            if known is not None:
                return as_range(known)
        key = (spec.name, column, self._version(spec))
        if key not in self._ranges:
            row = self.read(spec).agg(F.min(column), F.max(column)).first()
            self._ranges[key] = None if row is None or row[0] is None else (row[0], row[1])
        return self._ranges[key]

    def slices(self, spec: TableSpec) -> dict[dt.date, Commit]:
        """The newest commit of this package for each dated slice on record."""
        found: dict[dt.date, Commit] = {}
        for row in self._history(spec, HISTORY_ROWS) if self.exists(spec) else ():
            commit = Commit.from_history(row)
            if commit is not None and commit.slice is not None:
                found.setdefault(dt.date.fromisoformat(commit.slice), commit)
            elif commit is None and by_others(row):
                break
        return found

    def commits_after(self, spec: TableSpec, version: int) -> list[Commit] | None:
        """Our commits after a version, newest first; None when the log does not tell them all."""
        found: list[Commit] = []
        for row in self._history(spec, HISTORY_ROWS):
            if row["version"] == version:
                return found
            commit = Commit.from_history(row)
            if commit is not None:
                found.append(commit)
            elif row["operation"] not in KEEPS_ROWS and not took_expired(row):
                return None
        return None

    def last_commit(self, spec: TableSpec, slice_date: dt.date | None = None) -> Commit | None:
        """The newest commit of this package for a slice, None when there is none on record."""
        if not self.exists(spec):
            return None
        wanted = None if slice_date is None else slice_date.isoformat()
        for row in self._history(spec, HISTORY_ROWS):
            commit = Commit.from_history(row)
            if commit is not None and commit.slice == wanted:
                return commit
            if by_others(row):
                # Somebody else deleted, restored or changed rows since: ours can't be relied on.
                return None
        return None

    def is_empty(self, spec: TableSpec, slice_date: dt.date | None = None) -> bool:
        """Whether the table or slice holds no row, whatever its log says."""
        return self.read(spec, slice_date).isEmpty()

    def _history(self, spec: TableSpec, limit: int) -> Iterable[dict[str, Any]]:
        if self.config.lake.path is not None:
            return self._log.commits(self.path(spec), limit)
        # A catalog may keep the log where only Delta finds it.
        rows = self._delta(spec).history(limit)
        rows = rows.select("version", "operation", "userMetadata", "operationMetrics")
        return [row.asDict() for row in rows.collect()]

    def _version(self, spec: TableSpec) -> int:
        if self.config.lake.path is not None:
            return self._log.versions(self.path(spec))[0]
        row = self._delta(spec).history(1).select("version").first()
        return int(row[0]) if row else 0

    def _delta(self, spec: TableSpec) -> DeltaTable:
        if self.config.lake.path is not None:
            return DeltaTable.forPath(self.spark, self.path(spec))
        return DeltaTable.forName(self.spark, self.identifier(spec))
