"""A real process is killed at every named point, and the run after it ends as a clean run does."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from clv_spark import pipelines
from clv_spark.config import Config, load_config
from tests.operations import (
    AS_OF,
    Finished,
    clv_spark,
    contents,
    copied,
    ended,
    environment,
    outcome,
    runs,
    sections,
    started,
    write_conf,
)

CHILD = Path(__file__).parent / "child.py"
STAGES = (
    "customer_days",
    "customer_features",
    "model_parameters",
    "clv_scores",
    "clv_scores_latest",
)
POINTS = (
    *(f"{stage}:{end}" for stage in STAGES for end in ("start", "committed")),
    "customer_days:read",
    "customer_days:files_written",
    "customer_features:read",
    "customer_features:features_written",
    "model_parameters:fitted",
    "clv_scores:scored",
    "clv_scores:clv_scores_written",
    "clv_scores:tier_migration_written",
    "clv_scores:segment_summary_written",
    "pipeline_runs:start",
    "pipeline_runs:committed",
)
# With tests of their own.
BETWEEN_TWO_TABLES = "customer_days:rejected_written"
BEFORE_THE_EXPORT = "export:read"


def child(conf: Path, *arguments: str | Path, log: Path) -> subprocess.Popen[str]:
    command = [sys.executable, str(CHILD), str(conf), AS_OF.isoformat(), *map(str, arguments)]
    # Into a file: a pipe would be held open by a JVM that outlives its parent for a moment.
    with log.open("w") as file:
        return started(command, env=environment(), cwd=log.parent, stdout=file, stderr=file)


def killed_at(conf: Path, point: str, log: Path) -> None:
    process = child(conf, point, log=log)
    try:
        assert process.wait(200) == -signal.SIGKILL, log.read_text()
    finally:
        ended(process)


def check_healed(
    spark: SparkSession,
    conf: Path,
    lake: Path,
    finished: Finished,
    stages: tuple[str, ...] = STAGES,
) -> None:
    """The same job again: then every table is as after one clean run."""
    again = pipelines.run(spark, load_config(conf), AS_OF)
    assert [stage["stage"] for stage in again["stages"]] == list(stages)
    tables = [name for name in contents(finished.lake) if name != "pipeline_runs"]
    found, expected = contents(lake, tables), contents(finished.lake, tables)
    for name in tables:
        assert found[name] == expected[name], name
    rows, clean = runs(lake), runs(finished.lake)
    assert len({row["run_id"] for row in rows}) == 1
    facts = ("stage", "job", "as_of_date", "rows_read", "rows_used", "rows_written", "amount_used")
    assert sorted(tuple(row[fact] for fact in facts) for row in rows) == sorted(
        tuple(row[fact] for fact in facts) for row in clean
    )
    assert {row["status"] for row in rows} <= {"done", "already_done"}
    third = pipelines.run(spark, load_config(conf), AS_OF)
    assert third["status"] == "already_done"
    assert len(runs(lake)) == len(stages)


def test_killed_twice_and_the_lock_dies_with_its_holder(
    spark: SparkSession, finished: Finished, tmp_path: Path
) -> None:
    """First between the two tables of the first stage.

    The next one holds the lock where it stands between those of the features, and is killed there.
    """
    lake, marker = tmp_path / "lake", tmp_path / "there"
    conf = write_conf(tmp_path, finished.source, lake, compiled=False)
    killed_at(conf, BETWEEN_TWO_TABLES, tmp_path / "log")
    assert contents(lake, ["rejected_transactions"]) == contents(
        finished.lake, ["rejected_transactions"]
    )
    point = "customer_features:features_written"
    holder = child(conf, point, marker, log=tmp_path / "log")
    try:
        deadline = time.monotonic() + 200
        while not marker.exists():
            assert holder.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        second = clv_spark("run", "--conf", conf, "--as-of", AS_OF.isoformat(), cwd=tmp_path)
        assert second.returncode == 21, second.stderr
        last = outcome(second)
        assert (last["job"], last["status"], last["exit_code"]) == ("run", "failed", 21)
        assert holder.poll() is None
        assert not (lake / "clv_scores").exists()
        assert not (lake / "pipeline_runs").exists()
    finally:
        ended(holder)
    check_healed(spark, conf, lake, finished)


@pytest.mark.long
@pytest.mark.parametrize("point", POINTS)
def test_killed_at_a_named_point(
    spark: SparkSession, finished: Finished, tmp_path: Path, point: str
) -> None:
    lake = tmp_path / "lake"
    conf = write_conf(tmp_path, finished.source, lake, compiled=False)
    killed_at(conf, point, tmp_path / "log")
    check_healed(spark, conf, lake, finished)


@pytest.mark.long
def test_an_export_that_is_killed_leaves_the_old_one_until_the_next(
    spark: SparkSession, finished: Finished, tmp_path: Path
) -> None:
    lake, files = copied(finished.lake, tmp_path / "lake"), tmp_path / "crm"
    export = {"path": str(files / "scores.csv"), "columns": ["customer_id", "clv"]}
    all_of_them = Config.model_validate(
        {"lake": {"path": str(lake)}, **sections(finished.source, export=export)}
    )
    pipelines.export(spark, all_of_them)
    before = {file.name: file.read_bytes() for file in files.iterdir()}
    few = {**export, "where": "clv > 50"}
    conf = write_conf(tmp_path, finished.source, lake, compiled=False, export=few)
    killed_at(conf, BEFORE_THE_EXPORT, tmp_path / "log")
    assert {file.name: file.read_bytes() for file in files.iterdir()} == before

    clean = tmp_path / "clean" / "scores.csv"
    pipelines.export(spark, load_config(conf, [f"export.path={clean}"]))
    assert pipelines.export(spark, load_config(conf))["status"] == "done"
    healed = (files / "scores.csv").read_bytes()
    assert healed == clean.read_bytes() != before["scores.csv"]
    assert {file.name for file in files.iterdir()} == set(before)


@pytest.mark.long
@pytest.mark.parametrize("stage", ["customer_days", "customer_features", "clv_scores"])
@pytest.mark.parametrize("seed", [1, 2])
def test_killed_with_its_jvm_at_a_random_moment(
    spark: SparkSession, finished: Finished, tmp_path: Path, stage: str, seed: int
) -> None:
    """As when the machine is lost: no process gets to end what it was writing."""
    lake = tmp_path / "lake"
    conf = write_conf(tmp_path, finished.source, lake, compiled=False)
    process = child(conf, "never", log=tmp_path / "log")
    try:
        deadline = time.monotonic() + 200
        while not (lake / stage).exists():
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(random.Random(f"{stage}{seed}").uniform(0, 4))
    finally:
        ended(process)
    check_healed(spark, conf, lake, finished)
