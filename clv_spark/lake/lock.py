"""One writer per lake: a file lock on a local path, a lease in a Delta table anywhere else."""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from delta.tables import DeltaTable
from filelock import FileLock, Timeout
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from clv_spark.config import Config
from clv_spark.errors import LockedError
from clv_spark.lake.place import lake_folder, local_folder
from clv_spark.lake.spark_errors import SPARK_ERRORS

LEASE_SECONDS = 300
_BUSY = (
    "another run is working on this lake; wait for it, or give this run another lake. A lock "
    "whose holder died frees itself"
)


@contextmanager
def lake_lock(spark: SparkSession, config: Config) -> Iterator[None]:
    """Hold the lake for one writer.

    Raises:
        LockedError: another living run holds it.
    """
    folder = local_folder(config)
    if folder is None:
        with _lease(spark, config):
            yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    # The operating system frees this lock when its holder dies, however it dies.
    lock = FileLock(folder / ".clv_spark.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise LockedError(_BUSY) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _lease(spark: SparkSession, config: Config) -> Iterator[None]:
    """A row with an expiry in a small Delta table; Delta lets one of two writers win."""
    place = config.lake
    if place.path is not None:
        builder = DeltaTable.createIfNotExists(spark).location(f"{lake_folder(config)}/lake_lease")
    else:
        schema = ".".join(f"`{part}`" for part in (place.catalog, place.schema_) if part)
        spark.sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        builder = DeltaTable.createIfNotExists(spark).tableName(f"{schema}.`lake_lease`")
    table = (
        builder.comment("Who may write to this lake, and until when.")
        .addColumn("name", "STRING", comment="always 'lake'; text")
        .addColumn("holder", "STRING", comment="the run that writes, NULL = free; identifier")
        .addColumn("expires_at", "TIMESTAMP", comment="end of the lease unless renewed; UTC")
        .execute()
    )
    holder = uuid.uuid4().hex
    if not _take(table, holder):
        raise LockedError(_BUSY)
    stop = threading.Event()
    renewal = threading.Thread(target=_renew, args=(table, holder, stop), daemon=True)
    renewal.start()
    try:
        yield
    finally:
        stop.set()
        renewal.join()
        table.update(F.col("holder") == F.lit(holder), {"holder": F.lit(None).cast("string")})


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
        if "DELTA_CONCURRENT" in str(error):
            return False
        raise
    return table.toDF().where(F.col("holder") == F.lit(holder)).count() == 1


def _renew(table: DeltaTable, holder: str, stop: threading.Event) -> None:
    while not stop.wait(LEASE_SECONDS / 3):
        until = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=LEASE_SECONDS)
        table.update(F.col("holder") == F.lit(holder), {"expires_at": F.lit(until)})
