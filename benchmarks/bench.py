"""Run our whole job and its peer on the same files in the same run, and compare them by stage.

    python benchmarks/bench.py --lines 20000000 --customers 600000

The peer is ``peer.py``: DuckDB and lifetimes, what a user would do without us. Both run in
processes of their own, alternating, and of several rounds each side keeps its fastest. Results of
every size are kept in ``results.json``, and ``docs/performance.md`` is written from them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import yaml
from report import PAGE, ROOT, machine, publish, table

AS_OF = "2023-12-31"
COLUMNS = ("customer_id", "event_time", "amount", "country", "currency")
SAMPLE_SECONDS = 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=20_000_000)
    parser.add_argument("--customers", type=int, default=600_000)
    parser.add_argument("--ids", choices=("int", "string"), default="int")
    parser.add_argument("--work", type=Path, default=ROOT / "benchmarks" / "work")
    parser.add_argument("--rounds", type=int, default=2, help="each side keeps its fastest")
    parser.add_argument("--global-peer", action="store_true", help="one model for all countries")
    parser.add_argument("--only", choices=("ours", "peer"), help="run one side, record nothing")
    parser.add_argument("--set", action="append", default=[], help="override a key of our job")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that children are ended too

    options.work = options.work.resolve()
    surroundings = machine()
    lines, made = lines_for(options)
    sides: dict[str, list[dict[str, Any]]] = {"ours": [], "peer": []}
    for number in range(1, options.rounds + 1):
        for side, work in (("ours", run_ours), ("peer", run_peer)):
            if options.only in (None, side):
                sides[side].append(work(lines, options))
                say(f"round {number} {side}: {json.dumps(sides[side][-1])}")
    if options.only is not None:
        return

    best = {side: min(rounds, key=lambda one: one["total"]) for side, rounds in sides.items()}
    if best["ours"]["customers"] != best["peer"]["customers"]:
        sys.exit(f"the sides scored different customers, so there is nothing to compare: {best}")
    entry = {
        **{"lines": made["lines"], "customers": made["customers"], "ids": options.ids},
        "megabytes": round(sum(file.stat().st_size for file in lines.glob("*.parquet")) / 1e6),
        "peer": "one model for all" if options.global_peer else "one model per country",
        "rounds": options.rounds,
        "command": " ".join(["python", "benchmarks/bench.py", *sys.argv[1:]]),
        **surroundings,
        "ours": best["ours"],
        "peer_result": best["peer"],
    }
    say(table(entry))
    publish("results.json", entry, ("lines", "ids", "peer", "customers"))
    say(f"wrote {PAGE.relative_to(ROOT)}")


def lines_for(options: argparse.Namespace) -> tuple[Path, dict[str, Any]]:
    """Return the directory of the lines, generated unless an earlier run left them."""
    out = options.work / f"lines-{options.lines}-{options.customers}-{options.ids}"
    made = out.with_suffix(".json")
    if not made.exists():
        shutil.rmtree(out, ignore_errors=True)  # half written by a run that was stopped
        out.parent.mkdir(parents=True, exist_ok=True)
        command = ["benchmarks/make_lines.py", "--out", out, "--ids", options.ids]
        command += ["--customers", options.customers, "--lines", options.lines]
        done = measured(command)
        made.write_text(done["stdout"].splitlines()[-1], encoding="utf-8")
        say(f"generated {made.read_text(encoding='utf-8')} in {done['wall']:.1f} s")
    return out, json.loads(made.read_text(encoding="utf-8"))


def run_ours(lines: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Run our job into an empty lake and return its seconds by stage."""
    lake, conf = options.work / "lake", options.work / "bench.yml"
    result = options.work / "result.json"
    shutil.rmtree(lake, ignore_errors=True)
    result.unlink(missing_ok=True)
    transactions = {
        "format": "parquet",
        "path": str(lines),
        "timezone": "UTC",
        "deduplicate": "none",
        "columns": {name: name for name in COLUMNS},
    }
    settings = {
        "lake": {"path": str(lake)},
        "source": {"transactions": transactions},
        "currency": "EUR",
        "segments": ["country"],
    }
    conf.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    command = ["jobs/run.py", "--conf", conf, "--as-of", AS_OF, "--result-file", result]
    for override in options.set:
        command += ["--set", override]
    done = measured(command)
    outcome = json.loads(result.read_text(encoding="utf-8"))
    stages = {stage["stage"]: stage["seconds"] for stage in outcome["stages"]}
    return {
        "stages": stages,
        "total": outcome["seconds"],
        "start": round(done["wall"] - outcome["seconds"], 3),
        "peak_mb": done["peak_mb"],
        "customers": outcome["rows"],
    }


def run_peer(lines: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Run the peer and return its seconds by stage."""
    out = options.work / "peer.parquet"
    command = ["benchmarks/peer.py", "--data", lines, "--as-of", AS_OF, "--out", out]
    if not options.global_peer:
        command.append("--per-country")
    done = measured(command)
    outcome = json.loads(done["stdout"].splitlines()[-1])
    return {
        "stages": outcome["seconds"],
        "total": outcome["total"],
        "start": round(done["wall"] - outcome["total"], 3),
        "peak_mb": done["peak_mb"],
        "customers": outcome["customers"],
    }


def measured(command: list[Any]) -> dict[str, Any]:
    """Run a Python script of this repository; return stdout, wall seconds and peak memory."""
    began = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, *map(str, command)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    peak: list[int] = [0]
    watcher = threading.Thread(target=watch, args=(child.pid, peak), daemon=True)
    watcher.start()
    try:
        stdout, _ = child.communicate()
    except BaseException:
        end(child.pid)
        raise
    wall = time.perf_counter() - began
    watcher.join()
    if child.returncode != 0:
        sys.exit(
            f"{command[0]} ended with exit code {child.returncode}; its log is above.\n{stdout}"
        )
    return {"stdout": stdout, "wall": wall, "peak_mb": round(peak[0] / 1e6)}


def end(pid: int) -> None:
    """End a process that we started, with its children: Java and Python workers outlive it."""
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        for process in [*root.children(recursive=True), root]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def watch(pid: int, peak: list[int]) -> None:
    """Keep the largest resident memory of a process and all its children until it ends."""
    try:
        root = psutil.Process(pid)
        while root.is_running() and root.status() != psutil.STATUS_ZOMBIE:
            peak[0] = max(peak[0], sum(map(resident, [root, *root.children(recursive=True)])))
            time.sleep(SAMPLE_SECONDS)
    except psutil.NoSuchProcess:
        return


def resident(process: psutil.Process) -> int:
    """Return the bytes that a process holds, shared ones included; 0 when it has just ended."""
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
