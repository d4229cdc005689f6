"""A run again does what changed and nothing else, with equal values bit by bit."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.sql import SparkSession

from clv_spark import pipelines
from clv_spark.config import Config
from tests.operations import (
    AS_OF,
    EARLIER,
    OF_THE_RUN,
    Finished,
    contents,
    read_table,
    runs,
    shop,
    slice_of,
    versions,
    write_lines,
)

Configured = Callable[..., Config]
STAGES = (
    "customer_days",
    "customer_features",
    "model_parameters",
    "clv_scores",
    "clv_scores_latest",
)


def redone(outcome: dict[str, Any]) -> tuple[str, ...]:
    assert [stage["stage"] for stage in outcome["stages"]] == list(STAGES)
    return tuple(s["stage"] for s in outcome["stages"] if s["status"] == "done")


def test_the_second_run_does_nothing_and_later_changes_do_what_depends_on_them(
    spark: SparkSession, lake: Path, configured: Configured, finished: Finished, tmp_path: Path
) -> None:
    before = versions(lake)
    again = pipelines.run(spark, configured(), AS_OF)
    assert again["status"] == "already_done"
    assert redone(again) == ()
    assert versions(lake) == before
    assert contents(lake) == contents(finished.lake)

    horizon = pipelines.run(spark, configured(value={"horizon_days": 90}), AS_OF)
    assert redone(horizon) == STAGES[3:]
    assert set(read_table(lake / "clv_scores_latest")["horizon_days"].to_pylist()) == {90}


@pytest.mark.faults
@pytest.mark.long
def test_other_settings_of_the_fit_redo_fit_and_scores(
    spark: SparkSession, lake: Path, configured: Configured
) -> None:
    fit = {"min_customers": 5000, "max_failed_share": 1}
    assert redone(pipelines.run(spark, configured(fit=fit), AS_OF)) == STAGES[2:]


def test_files_and_partitions_and_batches_change_no_bit(
    spark: SparkSession, lake: Path, configured: Configured, finished: Finished, tmp_path: Path
) -> None:
    lines = shop()
    mixed = lines.take(np.random.default_rng(3).permutation(lines.num_rows))
    split = write_lines(mixed, tmp_path / "split otherwise", files=5)
    settings = {
        "spark.sql.shuffle.partitions": "5",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "97",
        "spark.sql.files.maxPartitionBytes": "30000",
    }
    old = {key: spark.conf.get(key) for key in settings}
    for key, value in settings.items():
        spark.conf.set(key, value)
    try:
        outcome = pipelines.run(spark, configured(split), AS_OF)
    finally:
        for key, value in old.items():
            spark.conf.set(key, str(value))
    # Another source, so all is done again, on top of the first run's tables.
    assert outcome["status"] == "done"
    assert redone(outcome) == STAGES
    # The files are others, and are listed.
    others = ("pipeline_runs", "source_files")
    tables = [name for name in versions(lake) if name not in others]
    found, expected = contents(lake, tables), contents(finished.lake, tables)
    for name in tables:
        assert found[name] == expected[name], name
    first, second = runs(lake)[:5], runs(lake)[5:]
    assert len(second) == len(STAGES)
    assert {row["run_id"] for row in first}.isdisjoint({row["run_id"] for row in second})
    own = {*OF_THE_RUN, "config_hash"}
    for stage in STAGES:
        pair = [
            {k: v for k, v in row.items() if k not in own}
            for row in (*first, *second)
            if row["stage"] == stage
        ]
        assert pair[0] == pair[1]


@pytest.mark.faults
@pytest.mark.long
def test_another_version_of_the_package_redoes_all(
    spark: SparkSession, lake: Path, configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("run_context", "fit_models", "fit_of_date"):
        module = importlib.import_module(f"clv_spark.pipelines.{name}")
        monkeypatch.setattr(module, "__version__", "99.0")
    assert redone(pipelines.run(spark, configured(), AS_OF)) == STAGES
    assert {row["package_version"] for row in runs(lake)[5:]} == {"99.0"}


@pytest.mark.faults
@pytest.mark.long
def test_a_source_file_written_again_redoes_all(
    spark: SparkSession, lake: Path, configured: Configured, tmp_path: Path
) -> None:
    own = write_lines(shop(), tmp_path / "own")
    assert redone(pipelines.run(spark, configured(own), AS_OF)) == STAGES
    assert redone(pipelines.run(spark, configured(own), AS_OF)) == ()
    file = own / "part-0.parquet"
    content = file.read_bytes()
    time.sleep(1.1)
    file.write_bytes(content)
    assert redone(pipelines.run(spark, configured(own), AS_OF)) == STAGES


@pytest.mark.faults
@pytest.mark.long
def test_a_backfill_leaves_later_dates_and_latest_as_they_were(
    spark: SparkSession, lake: Path, configured: Configured, finished: Finished
) -> None:
    before = versions(lake)
    outcome = pipelines.run(spark, configured(), EARLIER)
    assert redone(outcome) == STAGES[1:4]
    for name in ("customer_features", "model_parameters", "clv_scores"):
        assert slice_of(lake, name, AS_OF) == slice_of(finished.lake, name, AS_OF)
        assert slice_of(lake, name, EARLIER)
    unchanged = ("clv_scores_latest", "customer_days", "rejected_transactions")
    assert contents(lake, unchanged) == contents(finished.lake, unchanged)
    assert {name: versions(lake)[name] for name in unchanged} == {
        name: before[name] for name in unchanged
    }
