"""One run: its stages, what each did, whether it was done already, and the rows that record it."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import logging
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.storagelevel import StorageLevel

from clv_spark import __version__
from clv_spark.config import Config
from clv_spark.errors import ClvError, ConfigError, InputError
from clv_spark.lake import (
    UNVERSIONED,
    Commit,
    Lake,
    has_many_small_files,
    lake_lock,
    trusted_session,
)
from clv_spark.pipelines.local_rows import table_rows
from clv_spark.pipelines.run_rows import failed_row, row_of
from clv_spark.schemas import CUSTOMER_DAYS, PIPELINE_RUNS, TableSpec
from clv_spark.schemas.spec import Shape

log = logging.getLogger(__name__)

# What a stage depends on, its own settings and those of the stages before it.
_SOURCE_SECTIONS = (
    "source.transactions",
    "currency",
    "segments",
    "report_by",
    "value.margins",
    "products.enabled",
)
_CONTRACT_SECTIONS = ("source.contracts", "currency", "contract_segments")
_PRODUCT_SECTIONS = ("products.min_purchase_days", "products.mean_weight")
_FEATURE_SECTIONS = (*_SOURCE_SECTIONS, "segment_assignment")
_FIT_SECTIONS = (*_FEATURE_SECTIONS, *_CONTRACT_SECTIONS, "models", "fit")
_VALUE_SECTIONS = ("value", "costs", "ranks", "lifecycle", "actions", "products", "what_if")
SECTIONS = {
    "customer_days": _SOURCE_SECTIONS,
    "customer_features": _FEATURE_SECTIONS,
    "revenue_history": _SOURCE_SECTIONS,
    "cohort_history": _FEATURE_SECTIONS,
    "customer_products": (*_FEATURE_SECTIONS, *_PRODUCT_SECTIONS),
    "contracts": _CONTRACT_SECTIONS,
    "contract_features": _CONTRACT_SECTIONS,
    "customer_costs": (*_FEATURE_SECTIONS, *_CONTRACT_SECTIONS, "costs"),
    "model_parameters": _FIT_SECTIONS,
    "clv_scores": (*_FIT_SECTIONS, "refunds", *_VALUE_SECTIONS, "forecast", "reports"),
}


@dataclass(frozen=True)
class StageResult:
    """What one stage of a run did."""

    stage: str
    status: str
    seconds: float
    commit: Commit
    message: str | None = None

    def summary(self) -> dict[str, Any]:
        """The stage as it stands in the outcome."""
        figures = self.commit.figures
        return {
            "stage": self.stage,
            "status": self.status,
            "seconds": round(self.seconds, 3),
            **{key: figures.get(key) for key in ("rows_read", "rows_used", "rows_rejected")},
            "rows_written": self.commit.rows_written,
            "table_version": self.commit.table_version,
        }


@dataclass
class Run:
    """The state that the stages of one run share."""

    spark: SparkSession
    config: Config
    job: str
    as_of: dt.date | None = None
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    results: list[StageResult] = field(default_factory=list)
    input_accepted: bool = False
    current_stage: str = "start"

    def __post_init__(self) -> None:
        """Bind the lake and start the clock."""
        self.lake = Lake(self.spark, self.config)
        self.started = time.monotonic()
        # What is kept on local disks until the run ends.
        self.kept = ExitStack()
        self._days: DataFrame | None = None

    @property
    def date(self) -> dt.date:
        """The as-of date of a job that has one."""
        if self.as_of is None:
            raise ConfigError(f"{self.job} needs --as-of YYYY-MM-DD: the last day that counts")
        return self.as_of

    def stage(
        self,
        spec: TableSpec,
        inputs: list[str],
        work: Callable[[Commit], Commit],
        *,
        source_version: str,
        slice_date: dt.date | None = None,
        sections: tuple[str, ...] | None = None,
        beside: tuple[TableSpec, ...] = (),
        due: bool = False,
    ) -> Commit:
        """Do one stage, unless its last commit says that it is done already.

        Args:
            spec: the table the stage ends with.
            inputs: fingerprints of what the stage reads.
            work: writes the table with the commit it is given, and returns it as committed.
            source_version: version of the source behind the inputs.
            slice_date: the dated slice to replace, None for a whole table.
            sections: settings the stage depends on; those of the table by default.
            beside: tables whose slices the work writes too, with the same commit: the stage is
                done only when all are.
            due: do it whatever the last commit says.
        """
        self.current_stage = spec.name
        reached(f"{spec.name}:start")
        begin = time.monotonic()
        config_hash = self.config_hash(
            SECTIONS.get(spec.name, ()) if sections is None else sections
        )
        when = None if slice_date is None else slice_date.isoformat()
        # Whose next state can't be told from this one is another at every run.
        told = (one.replace(UNVERSIONED, self.run_id) for one in inputs)
        fingerprint = _digest([*told, config_hash, __version__, when])
        planned = Commit(self.run_id, when, fingerprint, source_version, config_hash, __version__)
        done = self.lake.last_commit(spec, slice_date)
        whole = all(self._has_commit(other, slice_date, planned.fingerprint) for other in beside)
        if (
            not due
            and done is not None
            and whole
            and self._still_holds(spec, slice_date, done, planned)
        ):
            self._finish(StageResult(spec.name, "already_done", time.monotonic() - begin, done))
            return done
        log.info("%s ...", _title(spec, slice_date))
        with described(self.spark, _title(spec, slice_date)):
            commit = work(planned)
        reached(f"{spec.name}:committed")
        self._finish(StageResult(spec.name, "done", time.monotonic() - begin, commit))
        return commit

    def all_days(self) -> DataFrame:
        """All of customer_days; files that are many and small are opened once in a run."""
        if self._days is None:
            rows = self.lake.read(CUSTOMER_DAYS)
            small = has_many_small_files(self.lake, CUSTOMER_DAYS)
            self._days = self.kept.enter_context(cached(rows)) if small else rows
        return self._days

    def part(self, name: str) -> AbstractContextManager[None]:
        """A part of the stage at work, which Spark's own pages name."""
        return described(self.spark, f"{self.current_stage}.{name} {self.date}")

    def reuse(self, spec: TableSpec, commit: Commit, message: str) -> Commit:
        """Pass a stage whose earlier result is good enough, and say why."""
        self.current_stage = spec.name
        log.info("%s: %s", spec.name, message)
        self._finish(StageResult(spec.name, "already_done", 0.0, commit, message))
        return commit

    def _has_commit(self, spec: TableSpec, slice_date: dt.date | None, fingerprint: str) -> bool:
        commit = self.lake.last_commit(spec, slice_date)
        return commit is not None and commit.fingerprint == fingerprint

    def _still_holds(
        self, spec: TableSpec, slice_date: dt.date | None, done: Commit, planned: Commit
    ) -> bool:
        same = done.fingerprint == planned.fingerprint
        return same and not self.lake.is_empty(spec, slice_date)

    def upstream(self, spec: TableSpec, job: str, slice_date: dt.date | None = None) -> Commit:
        """The commit of a table or slice that a stage goes on from.

        Args:
            spec: the table.
            job: the job that builds it.
            slice_date: the dated slice, None for the whole table.

        Raises:
            InputError: there is none on record, or the settings the table depends on have changed
                since it was built.
        """
        upstream = self.lake.last_commit(spec, slice_date)
        if upstream is None and slice_date is None:
            raise InputError(f"{spec.name} has no commit on record; run {job} again")
        if upstream is None:
            raise InputError(
                f"{spec.name} holds no slice {slice_date}; run {job} for that date first"
            )
        if upstream.config_hash != self.config_hash(SECTIONS[spec.name]):
            raise InputError(
                f"{spec.name} was built with other settings than those in force "
                f"({', '.join(SECTIONS[spec.name])}); run {job} again"
            )
        return upstream

    def config_hash(self, sections: tuple[str, ...]) -> str:
        """Hash of the settings that decide the rows of a stage; a.b names a part of a section."""
        include: dict[str, Any] = {}
        for section, _, part in (name.partition(".") for name in sections):
            include[section] = {part: True, **include.get(section, {})} if part else True
        values = self.config.model_dump(mode="json", include=include)
        if "segment_assignment" in values:
            # Also what follows from the keys that acquisition spend is split by.
            values["segment_assignment"] = self.config.assignments
        return _digest([values])

    def _finish(self, result: StageResult) -> None:
        self.results.append(result)
        self.input_accepted = True
        written = result.commit.rows_written
        log.info(
            "%-24s %-12s %12s rows  version %-4s %6.1f s",
            result.stage,
            result.status.replace("_", " "),
            "" if written is None else f"{written:,}",
            result.commit.table_version,
            result.seconds,
        )

    @property
    def status(self) -> str:
        """done, or already_done when no stage had anything to do."""
        return "done" if any(r.status == "done" for r in self.results) else "already_done"

    def outcome(self) -> dict[str, Any]:
        """What the run did, as printed in the last line and written to --result-file."""
        return {
            "job": self.job,
            "status": self.status,
            "run_id": self.run_id,
            "as_of_date": None if self.as_of is None else self.as_of.isoformat(),
            "rows": self.results[-1].commit.rows_written if self.results else None,
            "seconds": round(time.monotonic() - self.started, 3),
            "tables": {
                r.stage: {"version": r.commit.table_version, "rows": r.commit.rows_written}
                for r in self.results
            },
            "stages": [r.summary() for r in self.results],
        }


def reached(point: str) -> None:
    """A named point of a stage; tests kill the process here to prove that a retry heals it."""
    log.debug("reached %s", point)


@contextmanager
def open_run(
    spark: SparkSession, config: Config, job: str, as_of: dt.date | None = None
) -> Iterator[Run]:
    """Hold the lake for one run and record its stages in ``pipeline_runs``.

    A run that is stopped by its input, its settings or the lock leaves every table as it was, this
    one included; later failures are recorded.

    Raises:
        ConfigError: ``as_of`` lies in the future.
    """
    if as_of is not None:
        require_past(as_of)
    run = Run(spark, config, job, as_of)
    with trusted_session(spark), lake_lock(spark, config) as still_held, run.kept:
        run.lake.may_write = still_held
        try:
            yield run
        except Exception as error:
            if isinstance(error, ClvError):
                error.run_id = run.run_id
            stopped_early = isinstance(error, InputError | ConfigError)
            if run.status == "done" or (run.input_accepted and not stopped_early):
                _record_failure(run, error)
            raise
        if run.status == "done":
            reached("pipeline_runs:start")
            _record(run, [])
            reached("pipeline_runs:committed")
        elif run.results:
            _record_if_missing(run)


def require_past(as_of: dt.date) -> None:
    """Refuse a date that is not over.

    Raises:
        ConfigError: it lies in the future.
    """
    if as_of > dt.date.today():
        raise ConfigError(f"--as-of {as_of} lies in the future; give the last day of the data")


def _record(run: Run, more: list[dict[str, Any]]) -> None:
    _append(run, [row_of(run, result) for result in run.results] + more)


def _append(run: Run, rows: list[dict[str, Any]]) -> None:
    run.lake.append(PIPELINE_RUNS, table_rows(run.spark, PIPELINE_RUNS, rows))


def _record_failure(run: Run, error: Exception) -> None:
    try:
        _record(run, [failed_row(run, error)])
    except Exception as second:
        # The first error is the one to report; a lake that refuses this write has caused it.
        log.warning("the failure could not be recorded in pipeline_runs: %s", type(second).__name__)


def _record_if_missing(run: Run) -> None:
    """A process killed after its last commit left no record: make it up from the commits."""
    known = set()
    if run.lake.exists(PIPELINE_RUNS):
        rows = run.lake.read(PIPELINE_RUNS).select("stage", "table_version").distinct().collect()
        known = {(row["stage"], row["table_version"]) for row in rows}
    message = "recorded by a later run: the first was cut off"
    missing = [
        row_of(run, replace(result, status="done", message=message))
        | {"run_id": result.commit.run_id}
        for result in run.results
        if (result.stage, result.commit.table_version) not in known
    ]
    if missing:
        _append(run, missing)


@contextmanager
def cached(rows: DataFrame) -> Iterator[DataFrame]:
    """Keep a result on local disks while it is used more than once."""
    kept = rows.persist(StorageLevel.DISK_ONLY)
    try:
        yield kept
    finally:
        kept.unpersist()


def shape_of(rows: DataFrame, keys: tuple[str, ...]) -> Shape:
    """The shape a table was written with: its id type, and the configured segment keys."""
    id_type = rows.schema["customer_id"].dataType.simpleString()
    return Shape("BIGINT" if id_type == "bigint" else "STRING", keys)


@contextmanager
def described(spark: SparkSession, title: str) -> Iterator[None]:
    """Spark's own pages and its event log name the stage, or the part of it, of each job."""
    java: Any = spark.sparkContext._jsc
    before = java.getLocalProperty("spark.job.description")
    java.setLocalProperty("spark.job.description", title)
    try:
        yield
    finally:
        java.setLocalProperty("spark.job.description", before)


def _title(spec: TableSpec, slice_date: dt.date | None) -> str:
    return spec.name if slice_date is None else f"{spec.name} {slice_date.isoformat()}"


def _digest(values: list[Any]) -> str:
    # In the given order: of several reject rules the first that applies gives the reason.
    text = json.dumps(values, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
