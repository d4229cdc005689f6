"""`./spark-submit.sh` on a real cluster: the package is shipped, every bit is as in a local run."""

from __future__ import annotations

import json
import subprocess
import threading
from pathlib import Path

import pytest
import yaml

from tests.cluster.conftest import LOOPBACK, Cluster, ExecutorPython, cluster_environment
from tests.operations import AS_OF, ROOT, Finished, contents, runs, sections
from tests.operations import finished as to_the_end

SPARK_OPTIONS = (
    *("--driver-memory", "1g", "--executor-memory", "512m", "--total-executor-cores", "2"),
    *("--conf", f"spark.driver.host={LOOPBACK}", "--conf", f"spark.driver.bindAddress={LOOPBACK}"),
    *("--conf", "spark.ui.enabled=false", "--conf", "spark.sql.shuffle.partitions=3"),
    *("--conf", "spark.databricks.delta.snapshotPartitions=1"),
)


def submit(
    cluster: Cluster,
    executor_python: ExecutorPython,
    folder: Path,
    *arguments: str | Path,
    timeout: float = 400,
) -> subprocess.CompletedProcess[str]:
    env = {**cluster_environment(), "PYSPARK_PYTHON": str(executor_python.program)}
    env["PYSPARK_DRIVER_PYTHON"] = str(ROOT / ".venv" / "bin" / "python")
    options = ("--", "--master", cluster.url, *SPARK_OPTIONS)
    command = [str(ROOT / "spark-submit.sh"), "run", *map(str, arguments), *options]
    return to_the_end(command, timeout=timeout, cwd=folder, env=env)


# Two submissions, each with a driver and two executors beside the cluster's own three processes.
@pytest.mark.timeout(900)
@pytest.mark.faults
@pytest.mark.long
def test_a_run_on_a_cluster_equals_the_local_run(
    cluster: Cluster, executor_python: ExecutorPython, finished: Finished, tmp_path: Path
) -> None:
    lake, conf = tmp_path / "lake", tmp_path / "conf.yml"
    warehouse = {"conf": {"spark.sql.warehouse.dir": str(tmp_path / "warehouse")}}
    values = {"lake": {"path": str(lake)}, "spark": warehouse, **sections(finished.source)}
    conf.write_text(yaml.safe_dump(values))
    over = threading.Event()

    def watch() -> None:
        while not over.wait(2):
            cluster.look()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        file = tmp_path / "outcome.json"
        result = submit(
            *(cluster, executor_python, tmp_path, "--conf", conf),
            *("--as-of", AS_OF.isoformat(), "--result-file", file),
        )
    finally:
        over.set()
        watcher.join()
    assert result.returncode == 0, result.stderr
    last = json.loads(file.read_text())
    assert last == json.loads(result.stdout.splitlines()[-1])
    assert (last["job"], last["status"]) == ("run", "done")
    tables = [name for name in contents(finished.lake) if name != "pipeline_runs"]
    found, expected = contents(lake, tables), contents(finished.lake, tables)
    for name in tables:
        assert found[name] == expected[name], name
    assert {row["run_id"] for row in runs(lake)} == {last["run_id"]}

    # The executors had the package from the zip that was shipped, and from nowhere else.
    origins = executor_python.log.read_text().split("\n")[:-1]
    assert origins
    assert all(origin.endswith("clv_spark.zip/clv_spark/__init__.py") for origin in origins)
    assert all(str(ROOT) not in origin for origin in origins)
    assert len(cluster.executors) >= 2
    assert cluster.listening == {LOOPBACK}

    missing = submit(
        *(cluster, executor_python, tmp_path, "--conf", conf, "--as-of", AS_OF.isoformat()),
        *("--set", f"source.transactions.path={tmp_path / 'nowhere'}"),
    )
    assert missing.returncode == 11, missing.stderr
    assert json.loads(missing.stdout.splitlines()[-1])["exit_code"] == 11


@pytest.mark.timeout(700)
@pytest.mark.faults
@pytest.mark.long
def test_the_template_for_clusters_runs_as_it_stands(
    cluster: Cluster, executor_python: ExecutorPython, tmp_path: Path
) -> None:
    """In a folder with what the repository brings, as somebody types it who has just cloned it."""
    for name in ("conf", "data"):
        (tmp_path / name).symlink_to(ROOT / name)
    result = submit(
        *(cluster, executor_python, tmp_path, "--conf", "conf/prod.yml", "--as-of", "2011-12-09"),
        timeout=600,
    )
    assert result.returncode == 0, result.stderr
    last = json.loads(result.stdout.splitlines()[-1])
    assert (last["status"], last["rows"]) == ("done", 5853)
    (days,) = (row for row in runs(tmp_path / "lake_prod") if row["stage"] == "customer_days")
    # The lines and the money of the demo, see README.
    assert (days["rows_used"], str(days["amount_used"])) == (794_242, "16358040.84")
