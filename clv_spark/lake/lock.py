"""One writer per lake: a file lock on a local path, a lease in a Delta table anywhere else."""

from __future__ import annotations

import datetime as dt
import logging
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from delta.tables import DeltaTable
from filelock import FileLock, Timeout
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

from clv_spark.config import Config
from clv_spark.errors import ConfigError, LockedError
from clv_spark.lake.place import ensure_schema, lake_folder, local_folder, quoted, schema_name
from clv_spark.lake.spark_errors import SPARK_ERRORS, condition, is_conflict

log = logging.getLogger(__name__)

LEASE_SECONDS = 300
_LOCK = ".clv_spark.lock"
_BUSY = (
    "another run is working on this lake; wait for it, or give this run another lake. A lock "
    "whose holder died frees itself"
)


@contextmanager
def lake_lock(spark: SparkSession, config: Config) -> Iterator[Callable[[], None]]:
    """Hold the lake for one writer.

    Yields:
        A function to call before each write: it raises LockedError when the lake is no longer
        held, as after a pause in which the lease ended and another run took it.

    Raises:
        LockedError: another living run holds it.
    """
    folder = _folder(spark, config)
    if folder is None:
        with _lease(spark, config) as still_held:
            yield still_held
        return
    # The operating system frees this lock when its holder dies, however it dies.
    lock = FileLock(folder / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise LockedError(_BUSY) from error
    try:
        # The operating system takes this lock from nobody who lives.
        yield lambda: None
    finally:
        lock.release()


def _folder(spark: SparkSession, config: Config) -> Path | None:
    """The lake's folder, made where it is missing; None for a lake elsewhere.

    Raises:
        ConfigError: it can't be.
    """
    try:
        folder = local_folder(spark, config)
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / _LOCK).touch()
    except (OSError, *SPARK_ERRORS) as error:
        raise _unusable(config, error) from error
    return folder


def _unusable(config: Config, error: Exception) -> ConfigError:
    said = error.strerror if isinstance(error, OSError) else condition(error)
    if config.lake.path is None:
        return ConfigError(
            f"lake: the schema {schema_name(config)} cannot be used ({said}). Tables must be "
            "allowed in it, and its catalog must last: without a metastore Spark forgets the "
            "tables of each run, whose files are then in the way of the next. Name a metastore "
            "under spark.conf, such as spark.sql.catalogImplementation: hive, or use lake.path"
        )
    return ConfigError(
        f"lake.path {config.lake.path} cannot be used ({said}). Name a folder that can be made and "
        "written to; for an object store the session needs its connector and credentials"
    )


@contextmanager
def _lease(spark: SparkSession, config: Config) -> Iterator[Callable[[], None]]:
    """A row with an expiry in a small Delta table; Delta lets one of two writers win."""
    try:
        table = _lease_table(spark, config)
    except SPARK_ERRORS as error:
        raise _unusable(config, error) from error
    holder = uuid.uuid4().hex
    if not _take(table, holder):
        raise LockedError(_BUSY)
    stop = threading.Event()
    renewal = threading.Thread(target=_renew, args=(table, holder, stop), daemon=True)
    renewal.start()
    try:
        yield lambda: _require_held(table, holder)
    finally:
        stop.set()
        renewal.join()
        # What the run has published stands: a lease that is not given back ends by itself.
        _update(table, holder, {"holder": F.lit(None).cast("string")})


def lease_name(config: Config) -> str:
    """The table of the lease, as SQL names it."""
    if config.lake.path is not None:
        return f"delta.{quoted(f'{lake_folder(config)}/lake_lease')}"
    return f"{schema_name(config)}.lake_lease"


def _lease_table(spark: SparkSession, config: Config) -> DeltaTable:
    if config.lake.path is None:
        ensure_schema(spark, config)
    name = lease_name(config)
    create = f"""CREATE TABLE IF NOT EXISTS {name} (
            name STRING COMMENT 'always lake; text',
            holder STRING COMMENT 'the run that writes, NULL = free; identifier',
            expires_at TIMESTAMP COMMENT 'end of the lease unless renewed; UTC'
        ) USING delta COMMENT 'Who may write to this lake, and until when.'
        TBLPROPERTIES ('delta.enableDeletionVectors' = 'false')"""
    try:
        spark.sql(create)
    except SPARK_ERRORS as error:
        # Another run has made it at the same moment.
        if not is_conflict(error):
            raise
    return DeltaTable.forName(spark, name)


def _take(table: DeltaTable, holder: str) -> bool:
    now = dt.datetime.now(dt.UTC)
    until = now + dt.timedelta(seconds=LEASE_SECONDS)
    wanted = table.toDF().sparkSession.createDataFrame(
        [("lake", holder, until)], "name string, holder string, expires_at timestamp"
    )
    free = "lease.holder IS NULL OR lease.expires_at < current_timestamp()"
    try:
        (
            table.alias("lease")
            .merge(wanted.alias("wanted"), "lease.name = wanted.name")
            .whenMatchedUpdateAll(condition=free)
            .whenNotMatchedInsertAll()
            .execute()
        )
    except SPARK_ERRORS as error:
        if is_conflict(error):
            return False
        raise
    return table.toDF().where(F.col("holder") == F.lit(holder)).count() == 1


def _require_held(table: DeltaTable, holder: str) -> None:
    ours = F.col("holder") == F.lit(holder)
    if table.toDF().where(ours & (F.col("expires_at") > F.current_timestamp())).isEmpty():
        raise LockedError(
            "the lease of this lake ended while the run stood still, and another run may have "
            "taken it; nothing more was written. Run this again"
        )


def _renew(table: DeltaTable, holder: str, stop: threading.Event) -> None:
    while not stop.wait(LEASE_SECONDS / 3):
        until = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=LEASE_SECONDS)
        _update(table, holder, {"expires_at": F.lit(until)})


def _update(table: DeltaTable, holder: str, values: dict[str, str | Column]) -> None:
    """Change our own row; a store that fails for a moment is asked again at the next renewal."""
    try:
        table.update(F.col("holder") == F.lit(holder), values)
    except SPARK_ERRORS as error:
        log.warning("the lease of the lake could not be updated: %s", condition(error))
