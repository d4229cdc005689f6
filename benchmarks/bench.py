"""Run our whole job and its peer on the same files in the same run, and compare them by stage.

    python benchmarks/bench.py --lines 20000000 --customers 600000

The peer is ``peer.py``: DuckDB and lifetimes, what a user would do without us. Both run in
processes of their own, alternating: the first run, then a night later with one more day, for which
the peer starts over. Of several rounds each side keeps its fastest. Beside them ``limits.py`` says
what Spark alone needs for the same lines and tables, and what their bytes alone take. Results of
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

import duckdb
import psutil
import yaml
from report import PAGE, ROOT, command, machine, publish
from report_job import table

AS_OF, NIGHT = "2023-12-31", "2024-01-01"
# The lines of the last days again, so many days later.
LATER = """
COPY (
    SELECT * REPLACE (event_time + INTERVAL ({days}) DAY AS event_time)
    FROM read_parquet($files)
    WHERE CAST(event_time AS DATE) BETWEEN DATE '{since}' AND DATE '2023-12-31'
) TO '{out}' (FORMAT parquet)
"""
COLUMNS = ("customer_id", "event_time", "amount", "country", "currency")
SAMPLE_SECONDS = 0.2


def main() -> None:
    parser = sizes(__doc__)
    parser.add_argument("--ids", choices=("int", "string"), default="int")
    parser.add_argument("--rounds", type=int, default=2, help="each side keeps its fastest")
    parser.add_argument("--global-peer", action="store_true", help="one model for all countries")
    parser.add_argument("--only", choices=("ours", "peer"), help="run one side, record nothing")
    parser.add_argument(
        "--times",
        type=int,
        default=1,
        help="read every file so many times: as many more lines of the same purchases and "
        "customers, without the step of what Spark alone and bytes alone need",
    )
    parser.add_argument("--set", action="append", default=[], help="override a key of our job")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that children are ended too

    options.work = options.work.resolve()
    surroundings = machine()
    lines, made = lines_for(options)
    results: dict[str, list[dict[str, Any]]] = {}
    limits: dict[str, float] = {}
    for number in range(1, options.rounds + 1):
        shutil.rmtree(options.work / "lake", ignore_errors=True)
        source = linked(lines, options.work / "source", options.times)
        for as_of, when in ((AS_OF, "first"), (NIGHT, "night")):
            if as_of == NIGHT:
                add_day(source)
            for side, work in (("ours", run_ours), ("peer", run_peer)):
                if options.only in (None, side):
                    found = work(source, as_of, options)
                    results.setdefault(f"{side} {when}", []).append(found)
                    say(f"round {number} {side} {when}: {json.dumps(found)}")
            ends_first = when == "first" and number == options.rounds
            if ends_first and options.only is None and options.times == 1:
                limits = run_limits(source, options)
                say(f"Spark alone, bytes alone: {json.dumps(limits)}")
    if options.only is not None:
        return

    best = {name: min(rounds, key=lambda one: one["total"]) for name, rounds in results.items()}
    for when in ("first", "night"):
        if best[f"ours {when}"]["customers"] != best[f"peer {when}"]["customers"]:
            sys.exit(f"the sides scored different customers: there is nothing to compare: {best}")
    size = sum(file.stat().st_size for file in lines.glob("*.parquet"))
    entry = {
        **{"lines": made["lines"] * options.times, "customers": made["customers"]},
        "ids": options.ids,
        "times": options.times,
        "megabytes": round(size * options.times / 1e6),
        "peer": "one model for all" if options.global_peer else "one model per country",
        "rounds": options.rounds,
        "command": command(),
        **surroundings,
        "ours": best["ours first"],
        "peer_result": best["peer first"],
        **({"limits": limits} if limits else {}),
        "night": {"ours": best["ours night"], "peer_result": best["peer night"]},
    }
    say(table(entry))
    publish("results.json", entry, ("lines", "ids", "peer", "customers"))
    say(f"wrote {PAGE.relative_to(ROOT)}")


def sizes(description: str | None) -> argparse.ArgumentParser:
    """The options that all runs of our job on generated lines have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--lines", type=int, default=20_000_000)
    parser.add_argument("--customers", type=int, default=600_000)
    parser.add_argument("--work", type=Path, default=ROOT / "benchmarks" / "work")
    return parser


def lines_for(options: argparse.Namespace, start: str | None = None) -> tuple[Path, dict[str, Any]]:
    """Return the directory of the lines, generated unless an earlier run left them."""
    since = f"-{start}" if start else ""
    out = options.work / f"lines-{options.lines}-{options.customers}-{options.ids}{since}"
    made = out.with_suffix(".json")
    if not made.exists():
        shutil.rmtree(out, ignore_errors=True)  # half written by a run that was stopped
        out.parent.mkdir(parents=True, exist_ok=True)
        command = ["benchmarks/make_lines.py", "--out", out, "--ids", options.ids]
        command += ["--customers", options.customers, "--lines", options.lines]
        command += ["--start", start] if start else []
        done = measured(command)
        made.write_text(done["stdout"].splitlines()[-1], encoding="utf-8")
        say(f"generated {made.read_text(encoding='utf-8')} in {done['wall']:.1f} s")
    return out, json.loads(made.read_text(encoding="utf-8"))


def linked(lines: Path, source: Path, times: int = 1) -> Path:
    """A directory with the same files, or each several times; it may grow without touching them."""
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir(parents=True)
    for file in lines.glob("*.parquet"):
        for number in range(times):
            os.link(file, source / (f"{number}-{file.name}" if number else file.name))
    return source


def add_day(source: Path) -> None:
    """One more file with one more day: as many lines as the last day has, of the same customers."""
    add_later(source, "night", AS_OF, 1)


def add_later(source: Path, name: str, since: str, days: int) -> None:
    """One more file with the lines from a day of 2023 to its end, so many days later."""
    query = LATER.format(out=source / f"{name}.parquet", since=since, days=days)
    duckdb.connect().execute(query, {"files": f"{source}/*.parquet"})


def run_ours(lines: Path, as_of: str, options: argparse.Namespace) -> dict[str, Any]:
    """Run our job on the lake as it stands and return its seconds by stage."""
    conf, result = write_conf(lines, options), options.work / "result.json"
    result.unlink(missing_ok=True)
    command = ["jobs/run.py", "--conf", conf, "--as-of", as_of, "--result-file", result]
    for override in options.set:
        command += ["--set", override]
    done = measured(command)
    outcome = json.loads(result.read_text(encoding="utf-8"))
    return {
        "stages": stages_of(outcome),
        "total": outcome["seconds"],
        "start": round(done["wall"] - outcome["seconds"], 3),
        "peak_mb": done["peak_mb"],
        "peak_java_mb": done["peak_java_mb"],
        "peak_python_mb": done["peak_python_mb"],
        "customers": outcome["rows"],
    }


def write_conf(lines: Path, options: argparse.Namespace) -> Path:
    """The configuration of our job, as a file."""
    transactions = {
        "format": "parquet",
        "path": str(lines),
        "timezone": "UTC",
        "deduplicate": "none",
        "columns": {name: name for name in COLUMNS},
    }
    settings = {
        "lake": {"path": str(options.work / "lake")},
        "source": {"transactions": transactions},
        "currency": "EUR",
        "segments": ["country"],
        # What the peer fits.
        "models": {"transactions": "bg_nbd"},
        # So that the night after the first run uses its parameters.
        "fit": {"refit_every": 7},
    }
    conf: Path = options.work / "bench.yml"
    conf.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    return conf


def stages_of(outcome: dict[str, Any]) -> dict[str, float]:
    """Seconds by stage, of what a job prints at its end."""
    return {stage["stage"]: stage["seconds"] for stage in outcome["stages"]}


def run_peer(lines: Path, as_of: str, options: argparse.Namespace) -> dict[str, Any]:
    """Run the peer and return its seconds by stage, and apart those of its features in parts."""
    out = options.work / "peer.parquet"
    given = ["--data", lines, "--as-of", as_of]
    models = [] if options.global_peer else ["--per-country"]
    done = measured(["benchmarks/peer.py", *given, "--out", out, *models])
    outcome = json.loads(done["stdout"].splitlines()[-1])
    apart = measured(["benchmarks/peer_apart.py", *given])
    return {
        "stages": outcome["seconds"],
        "apart": json.loads(apart["stdout"].splitlines()[-1]),
        "total": outcome["total"],
        "start": round(done["wall"] - outcome["total"], 3),
        "peak_mb": done["peak_mb"],
        "customers": outcome["customers"],
    }


def run_limits(lines: Path, options: argparse.Namespace) -> dict[str, float]:
    """What Spark alone, and bytes alone, need for the lines and the tables of the lake as it is."""
    copies = options.work / "copies"
    command = ["benchmarks/limits.py", "--data", lines, "--lake", options.work / "lake"]
    done = measured([*command, "--work", copies])
    shutil.rmtree(copies)
    found: dict[str, float] = json.loads(done["stdout"].splitlines()[-1])
    return found


def measured(command: list[Any]) -> dict[str, Any]:
    """Run a Python script of this repository; return stdout, seconds, memory, processor time."""
    began = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, *map(str, command)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    peak = dict.fromkeys(("all", "java", "python"), 0)
    spent: dict[int, float] = {}
    watcher = threading.Thread(target=watch, args=(child.pid, peak, spent), daemon=True)
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
    megabytes = {kind: round(most / 1e6) for kind, most in peak.items()}
    return {
        "stdout": stdout,
        "wall": wall,
        "processor_s": sum(spent.values()),
        "peak_mb": megabytes["all"],
        "peak_java_mb": megabytes["java"],
        "peak_python_mb": megabytes["python"],
    }


def end(pid: int) -> None:
    """End a process that we started, with its children: Java and Python workers outlive it."""
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        for process in [*root.children(recursive=True), root]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def watch(pid: int, peak: dict[str, int], spent: dict[int, float]) -> None:
    """Keep the largest resident memory of a process and all its children until it ends.

    Of each process the processor seconds when it was last seen are kept as well.
    """
    try:
        root = psutil.Process(pid)
        while root.is_running() and root.status() != psutil.STATUS_ZOMBIE:
            now = dict.fromkeys(peak, 0)
            for process in [root, *root.children(recursive=True)]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    kind = process.name().rstrip("0123456789.")
                    if kind not in now:
                        # A helper such as chmod, which has Java's pages until it is itself.
                        continue
                    held, times = process.memory_info().rss, process.cpu_times()
                    now[kind] += held
                    now["all"] += held
                    spent[process.pid] = times.user + times.system
            for kind, held in now.items():
                peak[kind] = max(peak[kind], held)
            time.sleep(SAMPLE_SECONDS)
    except psutil.NoSuchProcess:
        return


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
