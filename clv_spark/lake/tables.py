"""Delta tables of the lake, written: made from a TableSpec, replaced slice by slice."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable
from dataclasses import replace

from pyspark.sql import Column, DataFrame, DataFrameWriter, SparkSession
from pyspark.sql import functions as F

from clv_spark.config import Config
from clv_spark.errors import ConflictError, GateError
from clv_spark.lake.commit import (
    EXPIRED,
    Commit,
    Held,
    slices_held,
)
from clv_spark.lake.ddl import create_table, pairs
from clv_spark.lake.leftover import remove_leftover
from clv_spark.lake.parquet import file_settings
from clv_spark.lake.place import ensure_schema
from clv_spark.lake.readable import RECENT_ROWS, ReadableLake
from clv_spark.lake.rows_to_write import OUTSIDE, adding, replacing
from clv_spark.lake.session_settings import settings
from clv_spark.lake.spark_errors import SPARK_ERRORS, is_conflict, violation
from clv_spark.lake.up_to_date import bring_up_to_date, keep_as_configured, properties_of_version
from clv_spark.schemas import TableSpec

_WRITE_ATTEMPTS = 3
_USER_METADATA = "spark.databricks.delta.commitInfo.userMetadata"


class Lake(ReadableLake):
    """The tables of one lake, to be read and written."""

    def __init__(self, spark: SparkSession, config: Config) -> None:
        """Name the place; nothing is read or made yet."""
        super().__init__(spark, config)
        #: Asked before every write; raises when the lake is no longer this writer's.
        self.may_write: Callable[[], None] = lambda: None
        # Tables that were found to be as their specification says, by name.
        self._ensured: dict[str, TableSpec] = {}
        # Properties that were read and not yet brought up to date, by table name.
        self._properties: dict[str, dict[str, str]] = {}

    def replace(
        self,
        spec: TableSpec,
        rows: DataFrame,
        commit: Commit,
        slice_date: dt.date | None = None,
        where: str | None = None,
    ) -> Commit:
        """Replace one slice, what meets a condition, or the whole table, in one atomic commit.

        Where the log tells that nothing is to be replaced, the rows are added. A write is tried
        again after a conflict, but not when its commit is there and only the answer was lost.

        Returns:
            The commit as the log now holds it.

        Raises:
            ConflictError: another writer kept changing the same slice.
            GateError: a row breaks a CHECK or NOT NULL of the table; nothing was written.
        """
        self.ensure(spec)
        before = self._version(spec)
        commit = self._with_slices(spec, commit, before)
        if slice_date is not None:
            where = f"{spec.slice_column} = DATE'{slice_date.isoformat()}'"
        self.may_write()
        if self._holds_none_of(spec, commit):
            self._write(spec, adding(spec, rows, commit, where), commit, before)
            now = self._version(spec)
            if now <= before + 1:
                return self._committed(spec, commit, before, now)
            # Another writer came between, and may have added the same slice.
            before = now
        self._write(spec, replacing(spec, rows, commit, where), commit, before)
        return self._committed(spec, commit, before, self._version(spec))

    def _holds_none_of(self, spec: TableSpec, commit: Commit) -> bool:
        """Whether the table is known to hold nothing that a commit could replace."""
        if commit.slice is None:
            return slices_held(self._history(spec, RECENT_ROWS)) == ()
        if commit.held is None:
            return False
        dates = commit.held.dates
        return not dates or not dates[0] <= commit.slice <= dates[-1]

    def _write(self, spec: TableSpec, writer: DataFrameWriter, commit: Commit, before: int) -> None:
        self._with_retries(
            spec,
            lambda: self._save(spec, writer),
            lambda: self._find(spec, commit, before) is not None,
        )

    def _find(self, spec: TableSpec, commit: Commit, before: int) -> Commit | None:
        """A commit as the log holds it, after a version."""
        for row in self._history(spec, RECENT_ROWS):
            if row["version"] <= before:
                return None
            found = Commit.from_history(row)
            if found and (found.run_id, found.slice) == (commit.run_id, commit.slice):
                return found
        return None

    def _committed(self, spec: TableSpec, commit: Commit, before: int, now: int) -> Commit:
        if now == before:
            # No row before and none after: Delta makes no commit, but the run must be on record.
            return self.record(spec, commit)
        return self._found(spec, commit, before)

    def _found(self, spec: TableSpec, commit: Commit, before: int) -> Commit:
        found = self._find(spec, commit, before)
        if found is None:
            raise ConflictError(
                f"{spec.name}: the commit of this run is not in the table's log; another writer "
                "took its place. Run this again"
            )
        return found

    def _with_slices(self, spec: TableSpec, commit: Commit, version: int) -> Commit:
        """The commit, with the slices that a dated table holds before it."""
        if commit.slice is None or spec.slice_column is None:
            return commit
        held = self._range(spec, spec.slice_column) or ()
        return replace(commit, held=Held(version, tuple(day.isoformat() for day in held)))

    def record(self, spec: TableSpec, commit: Commit) -> Commit:
        """A commit without rows: what a run found out where there was nothing to replace."""
        self.may_write()
        before = self._version(spec)
        commit = self._with_slices(spec, commit, before)
        with settings(self.spark, {_USER_METADATA: commit.to_json()}):
            pair = pairs({"clv_spark.lastRun": commit.run_id})
            self.spark.sql(f"ALTER TABLE {self.identifier(spec)} SET TBLPROPERTIES ({pair})")
        return self._found(spec, commit, before)

    def append(self, spec: TableSpec, rows: DataFrame) -> None:
        """Add rows to a table that is a log."""
        self.ensure(spec)
        writer = rows.select(*spec.column_names).write.format("delta").mode("append")
        self._with_retries(spec, lambda: self._save(spec, writer))

    def expire(self, spec: TableSpec, before: dt.date) -> None:
        """Remove slices older than a date; only metadata is written, as dates are partitions."""
        held = self._range(spec, str(spec.slice_column))
        if held is not None and held[0] < before:
            self.remove(spec, F.col(str(spec.slice_column)) < F.lit(before))

    def remove(self, spec: TableSpec, which: Column) -> None:
        """Delete rows that nothing reads any more; the slices that stay count as untouched."""
        self.may_write()
        with settings(self.spark, {_USER_METADATA: EXPIRED, **file_settings(spec)}):
            self._with_retries(spec, lambda: self._delta(spec).delete(which))

    def _save(self, spec: TableSpec, writer: DataFrameWriter) -> None:
        with settings(self.spark, file_settings(spec)):
            if self.config.lake.path is not None:
                writer.save(self.path(spec))
            else:
                writer.saveAsTable(self.identifier(spec))

    def _with_retries(
        self,
        spec: TableSpec,
        write: Callable[[], None],
        landed: Callable[[], bool] = lambda: False,
    ) -> None:
        for attempt in range(1, _WRITE_ATTEMPTS + 1):
            if attempt > 1 and landed():
                return
            try:
                write()
                return
            except SPARK_ERRORS as error:
                text = str(error)
                if re.search(rf"DELTA_(VIOLATE_CONSTRAINT|NOT_NULL_CONSTRAINT)|{OUTSIDE}", text):
                    raise GateError(violation(spec.name, text)) from error
                if not is_conflict(error):
                    raise
                if attempt == _WRITE_ATTEMPTS:
                    raise ConflictError(
                        f"{spec.name}: another writer changed the same slice {attempt} times; "
                        "let it finish, then run this again"
                    ) from error

    def keep_as_configured(self, spec: TableSpec) -> None:
        """Bring ``retention`` of an existing table up to date, for jobs that write no rows."""
        self.may_write()
        keep_as_configured(self.spark, self.identifier(spec), self.config.retention)

    def require_versions(self, specs: Iterable[TableSpec]) -> None:
        """Stop where one of the tables that exist was made by a package of another schema version.

        Raises:
            InputError: there is one.
        """
        for spec in specs:
            if spec.name not in self._properties and self.exists(spec):
                found = properties_of_version(self.spark, self.identifier(spec), spec)
                self._properties[spec.name] = found

    def ensure(self, spec: TableSpec) -> None:
        """Make the table if it is missing; bring settings and segment columns up to date."""
        if self._ensured.get(spec.name) == spec:
            return
        name, retention = self.identifier(spec), self.config.retention
        if self.exists(spec):
            self.require_versions((spec,))
            have = self._properties.pop(spec.name)
            bring_up_to_date(self.spark, name, spec, retention, have)
        else:
            if self.config.lake.path is None:
                ensure_schema(self.spark, self.config)
            else:
                remove_leftover(self.spark, self.path(spec))
            self.spark.sql(create_table(name, spec, retention))
        self._ensured[spec.name] = spec
