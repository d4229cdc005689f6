"""Job maintain: few files per table, no slice beyond retention, no file that nothing needs."""

from __future__ import annotations

import logging
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from clv_spark.config import Config
from clv_spark.errors import ConfigError, InputError
from clv_spark.lake import SPARK_ERRORS, Lake, condition, lake_folder, schema_name
from clv_spark.lake.upkeep import (
    compact,
    scattered_files,
    unneeded_files,
    vacuum,
    vacuum_lease,
)
from clv_spark.pipelines.run import DATED, expire_slices, kept_from, oldest_kept
from clv_spark.pipelines.run_context import Run, open_run
from clv_spark.schemas import CUSTOMER_DAYS, SOURCE_FILES, TABLES, TableSpec

log = logging.getLogger(__name__)


def maintain(spark: SparkSession, config: Config, *, dry_run: bool = False) -> dict[str, Any]:
    """Remove old slices, put small files together, remove files that are no longer needed.

    Values never change. The newest month of days and the newest slice of dated tables are
    left alone, since the next run works on them.

    Args:
        spark: a session with Delta.
        config: ``retention`` says what is kept.
        dry_run: only say what would be done.

    Returns:
        The outcome; ``tables`` has for each table slices_removed, files_put_together and
        files_removed: counts, in a dry run of what would be done.

    Raises:
        ConfigError: the lake cannot be reached.
        InputError: there is no table.
        LockedError: a run is at work on this lake.
    """
    _require_tables(spark, config)
    with open_run(spark, config, "maintain") as run:
        tables = [spec for spec in TABLES if run.lake.exists(spec)]
        found = {spec.name: _look(run, spec) for spec in tables}
        if not dry_run:
            for spec in tables:
                run.lake.keep_as_configured(spec)
            expire_slices(run)
            _forget_reads(run)
            for spec in tables:
                condition = _closed(run.lake, spec)
                if condition is not None and found[spec.name]["files_put_together"]:
                    compact(run.lake, spec, condition)
                # What is replaced here is kept for a while, as after any other write.
                if found[spec.name]["files_removed"]:
                    vacuum(run.lake, spec)
            vacuum_lease(run.lake)
        for name, what in found.items():
            log.info("%-24s %s", name, ", ".join(f"{key} {n}" for key, n in what.items()))
        status = "dry_run" if dry_run else "done"
        return {**run.outcome(), "status": status, "tables": found}


def _require_tables(spark: SparkSession, config: Config) -> None:
    lake = Lake(spark, config)
    place = schema_name(config) if config.lake.path is None else lake_folder(config)
    try:
        holds_any = any(lake.exists(spec) for spec in TABLES)
    except SPARK_ERRORS as error:
        raise ConfigError(
            f"the lake {place} cannot be used ({condition(error)}). Check lake.path, or "
            "lake.catalog and lake.schema; for an object store the session needs its connector "
            "and credentials"
        ) from error
    if not holds_any:
        raise InputError(
            f"the lake {place} holds no table of this package; check lake.path, or "
            "lake.catalog and lake.schema"
        )


def _look(run: Run, spec: TableSpec) -> dict[str, int]:
    oldest = oldest_kept(run) if spec in DATED else None
    slices = 0
    if oldest is not None:
        dates = run.lake.read(spec).select(str(spec.slice_column)).distinct()
        first = kept_from(run, spec, oldest)
        slices = dates.where(F.col(str(spec.slice_column)) < F.lit(first)).count()
    condition = _closed(run.lake, spec)
    return {
        "slices_removed": slices,
        "files_put_together": 0
        if condition is None
        else scattered_files(run.lake, spec, condition),
        "files_removed": unneeded_files(run.lake, spec),
    }


def _forget_reads(run: Run) -> None:
    """What was seen of the source's files before everything was read anew is of no use."""
    last = run.lake.last_commit(CUSTOMER_DAYS)
    if last is not None and run.lake.exists(SOURCE_FILES):
        run.lake.remove(SOURCE_FILES, F.col("read_id") < last.figures.get("base", 0))


def _closed(lake: Lake, spec: TableSpec) -> str | None:
    """What no longer changes from night to night, None for a table without rows."""
    if "event_month" in spec.partition_by:
        held = lake.date_range(spec)
        return None if held is None else f"event_month < DATE'{held[1].replace(day=1)}'"
    if spec.slice_column is None:
        return "true"
    newest = lake.newest_slice(spec)
    return None if newest is None else f"{spec.slice_column} < DATE'{newest}'"
