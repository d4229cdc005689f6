"""The page about speed, written from the recorded results."""

from __future__ import annotations

import json
import os
import platform
import sys
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
from report_contracts import contracts_section
from report_job import table, words
from report_models import (
    circumstances,
    fits_section,
    parts_section,
    scoring_section,
    scoring_words,
)

ROOT = Path(__file__).resolve().parent.parent
BENCHMARKS = ROOT / "benchmarks"
PAGE = ROOT / "docs" / "performance.md"
PACKAGES = ("pyspark", "delta-spark", "pandas", "numpy", "scipy", "duckdb", "lifetimes")

INTRODUCTION = """# Speed

`make bench` brings this page up to date: the whole job beside what a user would do without us, the
fits beside `lifetimes`, scoring alone and in parts, and contracts. Skew, Three years and Workers it
leaves as they are: `benchmarks/skew.py`, `scale.py` and `workers.py` bring those up to date. The
page holds the last result of each size. Every comparison is within one run on one machine; the load
is that of the minute before the run, by whoever else used the machine, so ratios say more than
seconds.
"""

JOB = """## The whole job

`benchmarks/bench.py` runs our whole job `run` into an empty lake and, on the same files in the same
run, what a user would do without us: DuckDB makes the features, `lifetimes` fits BG/NBD and
gamma-gamma, scores every customer and writes one Parquet file (`benchmarks/peer.py`).

How to read it:

- The ratio is our seconds over the peer's: below one we are faster.
- We read, check and fold the lines in one step, customer-days. That of the peer and of Spark alone
  holds the reading as well, that of bytes alone does not.
- Our features hold the months so far (`revenue_history`, `cohort_history`); our score holds
  summary, forecast, cohorts and the write of `clv_scores`; our write is `clv_scores_latest`.
- Spark alone (`benchmarks/limits.py`) is what plain Spark needs without a check, a fit or a score:
  to read the lines, to fold them to days, to read a table of the first run and write it again. In
  its total reading counts once, as part of the fold.
- Bytes alone is plain file access: to read the files of the lines once, to copy those of a table
  and of its log once. No write waits for the disk; what is read is mostly in the system's cache.
- Where there is a `-`, there is nothing to measure, or it was not measured.
- Both sides run in processes of their own, alternating; of several rounds each keeps its fastest.
- The two do not do the same work. Ours checks and reconciles every line, keeps customer-days for
  the next run, writes transactional tables with history, publishes after gates, and adds tiers,
  actions, intervals, summary, forecast and, in the first run, cohorts; the peer keeps nothing but
  its scores. Both fit BG/NBD and gamma-gamma by country; ours the global model too.
- Our stages include their Delta commits. Starting and stopping Spark, or Python for the peer,
  stands apart. Our total also holds the lock, the retention and the record of the run.
- Memory is the largest sum of resident memory over all processes of a side, sampled five times a
  second; pages shared by processes count once for each.
- The lines come from `clv-spark generate`'s world of eight countries, in files sorted by time.
"""


def machine() -> dict[str, Any]:
    """Return the date, the machine, its load so far and the versions behind a result."""
    return {
        "load": round(os.getloadavg()[0], 1),
        "date": date.today().isoformat(),
        "machine": f"{_processor()}, {os.cpu_count()} cores, "
        f"{psutil.virtual_memory().total / 1e9:.0f} GB, {platform.system()}",
        "versions": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
    }


def command() -> str:
    """Return how the running script was called, without folders of this machine."""
    words = [word for word in sys.argv[1:] if not word.startswith("--work=")]
    if "--work" in words:
        place = words.index("--work")
        del words[place : place + 2]
    return " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *words])


def publish(file: str, entry: dict[str, Any], key: tuple[str, ...]) -> None:
    """Keep the entry in place of an older one of the same key, and write the page anew."""
    kept = [one for one in _results(file) if any(one[name] != entry[name] for name in key)]
    kept = sorted([*kept, entry], key=lambda one: [one[name] for name in key])
    (BENCHMARKS / file).write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """Return the page with all results that are recorded."""
    jobs = [_job(entry) for entry in _results("results.json")]
    parts = [INTRODUCTION, JOB, *jobs]
    parts += [parts_section(entry) for entry in _results("results_stages.json")]
    parts += [_tried(entry) for entry in _results("results_tried.json")]
    parts += [_skew(entry) for entry in _results("results_skew.json")]
    parts += [_scale(entry) for entry in _results("results_scale.json")]
    parts += [_workers(entry) for entry in _results("results_workers.json")]
    parts += [fits_section(entry) for entry in _results("results_fits.json")]
    parts += [
        scoring_words(),
        *(scoring_section(entry) for entry in _results("results_scoring.json")),
    ]
    held = _results("results_contracts.json")
    return "\n".join([*parts, *([contracts_section(held)] if held else [])])


def _results(file: str) -> list[dict[str, Any]]:
    path = BENCHMARKS / file
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def _night(entry: dict[str, Any]) -> str:
    """What the next night costs, one day later."""
    if "night" not in entry:
        return ""
    night = entry["night"]
    detail = _detail(night["ours"])
    return (
        "The night after, with one more day of lines and the parameters of the first run; the peer "
        f"starts over:\n\n{table(night)}\n\n{words(night)}\n\nOur stages in seconds: {detail}.\n\n"
    )


def _detail(ours: dict[str, Any]) -> str:
    return ", ".join(f"{name} {seconds:.1f}" for name, seconds in ours["stages"].items())


def _job(entry: dict[str, Any]) -> str:
    detail = _detail(entry["ours"])
    return (
        f"### {entry['lines'] / 1e6:.1f} million lines, {entry['customers']:,} customers, "
        f"{entry['ids']} ids, peer with {entry['peer']}\n\n"
        f"{table(entry)}\n\n"
        f"{words(entry)}\n\n"
        f"Our stages in seconds: {detail}.{_memory(entry['ours'])} "
        f"Input: {entry['megabytes']} MB of Parquet{_times(entry)}. Rounds: {entry['rounds']}.\n\n"
        f"{_note(entry)}"
        f"{_night(entry)}"
        f"{circumstances(entry)}"
    )


def _note(entry: dict[str, Any]) -> str:
    """What became known of a result after its run."""
    return f"{entry['note']}\n\n" if "note" in entry else ""


def _times(entry: dict[str, Any]) -> str:
    times = entry.get("times", 1)
    return f", every file read {times} times" if times > 1 else ""


def _tried(entry: dict[str, Any]) -> str:
    ways = {name: found["s"] for name, found in entry["ways"].items()}
    (_, plain), *_ = ways.items()
    rows = (f"| {name} | {found:.1f} | {found / plain:.2f} |\n" for name, found in ways.items())
    return (
        f"### From lines to customers' days, tried: {_size(entry)}\n\n"
        "Spark alone folds the lines by customer and day, sums the amount and takes the smallest "
        "country, each way in a process of its own. The ratio is to the fold as it stands.\n\n"
        f"| way | s | ratio |\n|---|--:|--:|\n{''.join(rows)}\n{circumstances(entry)}"
    )


def _skew(entry: dict[str, Any]) -> str:
    ratio, files = entry["skewed"]["total"] / entry["even"]["total"], entry["files"]
    about = (
        "These days fall into 3,286 months, each a folder and a file of `customer_days`; for each "
        "Hadoop's local file system starts `chmod` nine times. Other stores have no such thing."
    )
    if files:
        about = f"Local files by {files}, which starts no `chmod` for each file and folder."
    return (
        f"### Skew: {_size(entry)}{', files without chmod' if files else ''}\n\n"
        "One guest id has 5% of all lines, one country 95% of the customers, and one customer buys "
        f"on 100,000 days: {ratio:.2f} times the time of even lines. {about}\n\n"
        f"{_beside(entry, {'even': 'even', 'skewed': 'skewed'})}"
        f"{circumstances(entry)}"
    )


def _scale(entry: dict[str, Any]) -> str:
    small, large, copies = entry["small"], entry["large"], entry["copies"]
    ratio = large["total"] / small["total"] / copies
    return (
        f"### Three years: {_size(entry)}, and {copies} times as many of both\n\n"
        f"First runs with `spark.driver.memory: {entry['memory']}` and `spark.sql.shuffle."
        f"partitions: {entry['partitions']}`. The {copies * entry['lines'] / 1e6:,.0f} million "
        f"lines are the small input {copies} times, each time of other customers. One of them "
        f"costs {ratio:.2f} times as much as a line of the small input.\n\n"
        f"{_beside(entry, {'small': 'small', 'large': 'large'})}"
        f"The small one:{_memory(small)} The large one:{_memory(large)}\n\n"
        f"{_note(entry)}"
        f"{circumstances(entry)}"
    )


def _workers(entry: dict[str, Any]) -> str:
    ratio = entry["one"]["total"] / entry["two"]["total"]
    return (
        f"### Workers: {_size(entry)}\n\n"
        "The first run on a standalone cluster on loopback, by `spark-submit.sh`, with workers of "
        f"one core: two are {ratio:.2f} times as fast as one. The driver is a process beside them "
        "and takes of the same two cores.\n\n"
        f"{_beside(entry, {'one': 'one worker', 'two': 'two workers'})}"
        f"{circumstances(entry)}"
    )


def _size(entry: dict[str, Any]) -> str:
    return f"{entry['lines'] / 1e6:.1f} million lines, {entry['customers']:,} customers"


def _beside(entry: dict[str, Any], titles: dict[str, str]) -> str:
    """Two runs of our job, stage by stage."""
    first, second = (entry[name] for name in titles)
    heads = " | ".join(f"{title}, s" for title in titles.values())
    stages = {**first["stages"], "**total**": first["total"]}
    others = {**second["stages"], "**total**": second["total"]}
    rows = [f"| {name} | {stages[name]:.1f} | {others[name]:.1f} |" for name in stages]
    return "\n".join([f"| stage | {heads} |", "|---|--:|--:|", *rows]) + "\n\n"


def _memory(ours: dict[str, Any]) -> str:
    if "peak_java_mb" not in ours:
        return ""
    return (
        f" Peak memory: Java {ours['peak_java_mb']} MB, Python with its workers "
        f"{ours['peak_python_mb']} MB."
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.processor()
