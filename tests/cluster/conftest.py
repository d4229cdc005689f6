"""A real standalone cluster on loopback: a master and two workers of one core each."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pyspark
import pytest
from pyspark.sql import SparkSession

from tests.operations import Finished, ended, finished_once, started

LOOPBACK = "127.0.0.1"
SPARK_CLASS = Path(str(pyspark.__file__)).parent / "bin" / "spark-class"
DEPLOY = "org.apache.spark.deploy"


@dataclass
class Cluster:
    """The processes of the cluster and where its master listens."""

    url: str
    processes: list[subprocess.Popen[str]] = field(default_factory=list)
    listening: set[str] = field(default_factory=set)
    executors: set[int] = field(default_factory=set)

    def look(self) -> None:
        """Note the executors, and the addresses on which any process accepts connections."""
        for process in self.processes:
            root = psutil.Process(process.pid)
            for one in (root, *root.children(recursive=True)):
                # A process may end while it is looked at.
                with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError):
                    self.look_at(one)

    def look_at(self, process: psutil.Process) -> None:
        found = [c for c in process.net_connections(kind="inet") if c.status == psutil.CONN_LISTEN]
        self.listening |= {c.laddr.ip.removeprefix("::ffff:") for c in found}
        if found and any("ExecutorBackend" in word for word in process.cmdline()):
            self.executors.add(process.pid)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def cluster_environment() -> dict[str, str]:
    """Nothing of ours: no PYTHONPATH, no settings of the surrounding session."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYSPARK_", "CLV_SPARK"))}
    kept.pop("PYTHONPATH", None)
    return {**kept, "SPARK_LOCAL_IP": LOOPBACK}


def connects(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    port = free_port()
    found = Cluster(f"spark://{LOOPBACK}:{port}")

    def start(name: str, *command: str) -> Path:
        log = folder / f"{name}.log"
        with log.open("w") as file:
            found.processes.append(
                started(
                    [str(SPARK_CLASS), *command],
                    cwd=folder,
                    env=cluster_environment(),
                    stdout=file,
                    stderr=file,
                )
            )
        return log

    def wait_for(text: str, log: Path) -> None:
        deadline = time.monotonic() + 90
        while text not in log.read_text():
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)

    try:
        place = ("--host", LOOPBACK, "--port", str(port), "--webui-port", str(free_port()))
        log = start("master", f"{DEPLOY}.master.Master", *place)
        wait_for("I have been elected leader", log)
        for number in (1, 2):
            log = start(
                *(f"worker{number}", f"{DEPLOY}.worker.Worker", "--host", LOOPBACK),
                *("--port", str(free_port()), "--webui-port", str(free_port())),
                *("--cores", "1", "--memory", "1g", "--work-dir", str(folder / f"work{number}")),
                found.url,
            )
            wait_for("Successfully registered with master", log)
        yield found
    finally:
        for process in reversed(found.processes):
            stop_all(process)
    assert not connects(port)


def stop_all(process: subprocess.Popen[str]) -> None:
    """A worker's executors are its children."""
    try:
        below = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        below = []
    ended(process)
    for one in below:
        try:
            one.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(below, timeout=30)


@pytest.fixture(scope="session")
def finished(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return finished_once(spark, tmp_path_factory)


# Python of the executors: it refuses every clv_spark but the shipped one, and notes what it took.
_HOOK = """
import sys
from importlib.machinery import PathFinder


class OnlyShipped:
    def find_spec(name, path=None, target=None):
        if name != "clv_spark":
            return None
        for entry in sys.path:
            spec = PathFinder.find_spec(name, [entry])
            if spec is not None:
                with open({log!r}, "a") as log:
                    log.write(str(spec.origin) + "\\n")
                if ".zip" in str(spec.origin):
                    return spec
        raise ImportError("clv_spark was not shipped to this executor")


sys.meta_path.insert(0, OnlyShipped)
"""


@dataclass(frozen=True)
class ExecutorPython:
    """A Python for the executors, and where it writes what clv_spark it imported."""

    program: Path
    log: Path


@pytest.fixture(scope="module")
def executor_python(tmp_path_factory: pytest.TempPathFactory) -> ExecutorPython:
    folder = tmp_path_factory.mktemp("python")
    log, program = folder / "imported", folder / "python"
    (folder / "sitecustomize.py").write_text(_HOOK.format(log=str(log)))
    program.write_text(
        f'#!/bin/sh\nPYTHONPATH="{folder}:$PYTHONPATH" exec "{sys.executable}" "$@"\n'
    )
    program.chmod(0o755)
    return ExecutorPython(program, log)
