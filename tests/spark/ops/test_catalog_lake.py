"""A lake that is a schema of the catalog: the same values, and a lease as its lock."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import Row, SparkSession

from clv_spark import pipelines
from clv_spark.config import Config
from clv_spark.doctor import _lake_finding
from clv_spark.errors import ConfigError, LockedError
from clv_spark.lake import Lake, lake_lock, lock
from clv_spark.lake.upkeep import vacuum_lease
from tests.operations import AS_OF, Finished, contents, runs, sections, versions

Configured = Callable[..., Config]


def lake_in(schema: str) -> Config:
    return Config.model_validate({"lake": {"catalog": "spark_catalog", "schema": schema}})


@pytest.mark.faults
@pytest.mark.long
def test_a_whole_run_in_a_catalog_schema(spark: SparkSession, finished: Finished) -> None:
    place = {"lake": {"catalog": "spark_catalog", "schema": "clv_ops"}}
    config = Config.model_validate({**sections(finished.source), **place})
    try:
        assert pipelines.run(spark, config, AS_OF)["status"] == "done"
        folder = Path(str(spark.conf.get("spark.sql.warehouse.dir")).removeprefix("file:"))
        folder = folder / "clv_ops.db"
        assert contents(folder) == contents(finished.lake)
        before = versions(folder)
        again = pipelines.run(spark, config, AS_OF)
        assert again["status"] == "already_done"
        assert versions(folder) == before
        assert len(runs(folder)) == 5
        (lease,) = spark.table("clv_ops.lake_lease").collect()
        assert lease["holder"] is None
        latest = spark.sql("SELECT count(*) FROM spark_catalog.clv_ops.clv_scores_latest")
        assert latest.first() == Row(len(contents(finished.lake)["clv_scores"]))
        _keeps_nothing(spark, "clv_ops.lake_lease")
        assert pipelines.maintain(spark, config)["status"] == "done"
        # The newest, and those of the job itself: taken and given back.
        assert len([*(folder / "lake_lease").glob("*.parquet")]) <= 3
        assert spark.table("clv_ops.lake_lease").count() == 1
    finally:
        spark.sql("DROP SCHEMA IF EXISTS clv_ops CASCADE")


def test_the_lease_lets_one_work(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    config = lake_in("clv_lease")

    def lease() -> Row:
        (row,) = spark.table("clv_lease.lake_lease").collect()
        return row

    try:
        with lake_lock(spark, config):
            holder = lease()["holder"]
            assert holder
            with pytest.raises(LockedError) as caught, lake_lock(spark, config):
                pass
            assert caught.value.exit_code == 21
            assert lease()["holder"] == holder
        assert lease()["holder"] is None

        # A holder that was killed renews no more: its lease ends by itself.
        for minutes, free in ((-1, True), (5, False)):
            spark.sql(
                "UPDATE clv_lease.lake_lease SET holder = 'killed', "
                f"expires_at = current_timestamp() + INTERVAL '{minutes}' MINUTE"
            )
            if free:
                with lake_lock(spark, config):
                    assert lease()["holder"] not in (None, "killed")
            else:
                with pytest.raises(LockedError), lake_lock(spark, config):
                    pass
        spark.sql("UPDATE clv_lease.lake_lease SET holder = NULL")

        monkeypatch.setattr(lock, "LEASE_SECONDS", 3)
        with lake_lock(spark, config):
            first, deadline = lease()["expires_at"], time.monotonic() + 60
            while lease()["expires_at"] == first:
                assert time.monotonic() < deadline, "the lease was not renewed"
                time.sleep(0.2)
    finally:
        spark.sql("DROP SCHEMA IF EXISTS clv_lease CASCADE")


def _keeps_nothing(spark: SparkSession, table: str) -> None:
    """From now on a file that was replaced is kept for no time at all."""
    gone = "'delta.deletedFileRetentionDuration' = 'interval 0 seconds'"
    spark.sql(f"ALTER TABLE {table} SET TBLPROPERTIES ({gone})")


@pytest.mark.slow
def test_files_of_leases_that_are_over_are_removed(spark: SparkSession) -> None:
    config = lake_in("clv_tidy")
    try:
        for _ in range(2):
            with lake_lock(spark, config):
                pass
        folder = Path(str(spark.conf.get("spark.sql.warehouse.dir")).removeprefix("file:"))
        lease = folder / "clv_tidy.db" / "lake_lease"
        assert len([*lease.glob("*.parquet")]) > 2
        _keeps_nothing(spark, "clv_tidy.lake_lease")
        vacuum_lease(Lake(spark, config))
        assert len([*lease.glob("*.parquet")]) == 1
        with lake_lock(spark, config):
            assert spark.table("clv_tidy.lake_lease").count() == 1
    finally:
        spark.sql("DROP SCHEMA IF EXISTS clv_tidy CASCADE")


@pytest.mark.slow
def test_a_run_whose_lease_was_taken_writes_nothing_more(
    spark: SparkSession, finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run stands still until its lease has ended, and another run has taken the lake."""
    place = {"lake": {"catalog": "spark_catalog", "schema": "clv_lost"}}
    config = Config.model_validate({**sections(finished.source), **place})

    def overtaken(name: str) -> None:
        if name == "customer_days:read":
            spark.sql("UPDATE clv_lost.lake_lease SET holder = 'the other run'")

    stage = importlib.import_module("clv_spark.pipelines.build_customer_days")
    monkeypatch.setattr(stage, "reached", overtaken)
    try:
        with pytest.raises(LockedError, match="lease of this lake ended"):
            pipelines.build_customer_days(spark, config)
        assert spark.table("clv_lost.customer_days").isEmpty()
        assert spark.table("clv_lost.lake_lease").first()["holder"] == "the other run"
    finally:
        spark.sql("DROP SCHEMA IF EXISTS clv_lost CASCADE")


def test_a_schema_that_the_catalog_refuses_is_an_error_of_the_configuration(
    spark: SparkSession, finished: Finished
) -> None:
    place = {"lake": {"catalog": "spark_catalog", "schema": "two words"}}
    config = Config.model_validate({**sections(finished.source), **place})
    with pytest.raises(ConfigError, match="two words"):
        pipelines.run(spark, config, AS_OF)


def test_a_schema_whose_tables_the_catalog_forgot_is_an_error_of_the_configuration(
    spark: SparkSession,
) -> None:
    """As the second run finds it where there is no metastore."""
    place = lake_in("clv_forgotten")
    warehouse = Path(str(spark.conf.get("spark.sql.warehouse.dir")).removeprefix("file:"))
    left = warehouse / "clv_forgotten.db" / "lake_lease"
    left.mkdir(parents=True)
    (left / "part-0.parquet").touch()
    try:
        said = r"`clv_forgotten` .*LOCATION.*metastore"
        with pytest.raises(ConfigError, match=said), lake_lock(spark, place):
            pass
    finally:
        spark.sql("DROP SCHEMA IF EXISTS clv_forgotten CASCADE")


def test_doctor_tries_a_schema_that_is_not_there_and_leaves_no_trace(spark: SparkSession) -> None:
    finding = _lake_finding(spark, lake_in("clv_not_yet"))
    assert finding.status == "ok", finding
    assert not spark.catalog.databaseExists("clv_not_yet")
