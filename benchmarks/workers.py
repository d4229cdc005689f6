"""Run our whole job on a standalone cluster on loopback: one worker of one core, then two.

    python benchmarks/workers.py --lines 67000000 --customers 2000000

Master, workers and executors are real processes; the job goes through ``spark-submit.sh``. The
driver needs a core as well now and then, which on a machine of two cores the workers miss.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyspark
from bench import AS_OF, end, lines_for, linked, say, sizes, stages_of, write_conf
from report import ROOT, command, machine, publish

LOOPBACK = "127.0.0.1"
SPARK_CLASS = Path(str(pyspark.__file__)).parent / "bin" / "spark-class"
DEPLOY = "org.apache.spark.deploy"
WORKER = ("--cores", "1", "--memory", "5g")
SETTINGS = {
    "spark.executor.memory": "4g",
    "spark.driver.memory": "2g",
    "spark.driver.host": LOOPBACK,
    "spark.driver.bindAddress": LOOPBACK,
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "16",
    "spark.databricks.delta.snapshotPartitions": "2",
}
READY_SECONDS, JOB_SECONDS = 90, 3600


def main() -> None:
    options = sizes(__doc__).parse_args()
    options.work, options.ids = options.work.resolve(), "int"
    surroundings = machine()
    lines, made = lines_for(options)
    source = linked(lines, options.work / "source")
    found: dict[str, dict[str, Any]] = {}
    for name, workers in (("one", 1), ("two", 2)):
        shutil.rmtree(options.work / "lake", ignore_errors=True)
        with cluster(options.work / "cluster", workers) as master:
            found[name] = submitted(master, source, options)
        say(f"{name}: {json.dumps(found[name])}")
    say(f"two workers are {found['one']['total'] / found['two']['total']:.2f} times faster")
    entry = {
        **{"lines": made["lines"], "customers": made["customers"], **found, **surroundings},
        "command": command(),
    }
    publish("results_workers.json", entry, ("lines", "customers"))


def submitted(master: str, lines: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Run the job on the cluster and return its seconds by stage."""
    conf, result = write_conf(lines, options), options.work / "result.json"
    command = [ROOT / "spark-submit.sh", "run", "--conf", conf, "--as-of", AS_OF]
    command += ["--result-file", result, "--", "--master", master]
    for key, value in SETTINGS.items():
        command += ["--conf", f"{key}={value}"]
    words = [str(word) for word in command]
    run = subprocess.run(words, cwd=ROOT, env=environment(), timeout=JOB_SECONDS, check=False)
    if run.returncode != 0:
        sys.exit(f"the job ended with exit code {run.returncode}; its log is above")
    outcome = json.loads(result.read_text(encoding="utf-8"))
    return {"stages": stages_of(outcome), "total": outcome["seconds"]}


@contextlib.contextmanager
def cluster(folder: Path, workers: int) -> Iterator[str]:
    """A master and workers that end with the block; gives the address of the master."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    port = free_port()
    master = f"spark://{LOOPBACK}:{port}"
    place = ("--host", LOOPBACK, "--port", str(port), "--webui-port", str(free_port()))
    ours = ("--host", LOOPBACK, "--webui-port", "0", *WORKER, "--work-dir", str(folder), master)
    processes: list[subprocess.Popen[bytes]] = []
    try:
        start(processes, folder, "I have been elected leader", f"{DEPLOY}.master.Master", *place)
        for _ in range(workers):
            known = "Successfully registered with master"
            start(processes, folder, known, f"{DEPLOY}.worker.Worker", *ours)
        yield master
    finally:
        for process in reversed(processes):
            end(process.pid)
            process.wait()


def start(processes: list[subprocess.Popen[bytes]], folder: Path, known: str, *words: str) -> None:
    """Start a process of the cluster and wait until its log says that it is ready."""
    log = folder / f"{len(processes)}.log"
    with log.open("wb") as file:
        command = [str(SPARK_CLASS), *words]
        processes.append(
            subprocess.Popen(command, cwd=folder, env=environment(), stdout=file, stderr=file)
        )
    deadline = time.monotonic() + READY_SECONDS
    while known not in log.read_text(encoding="utf-8"):
        if time.monotonic() > deadline:
            sys.exit(f"{words[0]} was not ready after {READY_SECONDS} s; its log is {log}")
        time.sleep(0.2)


def environment() -> dict[str, str]:
    """As a shell has it: the package is shipped, not found here."""
    return {**os.environ, "SPARK_LOCAL_IP": LOOPBACK}


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
