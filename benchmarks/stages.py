"""What each stage of our job costs Spark: time, bytes read, shuffled, spilled and written, memory.

    python benchmarks/stages.py --lines 20000000 --customers 600000

Runs the first run, the night after it and the end of a month with Spark's event log, and adds up
the tasks of the jobs that each stage of the pipeline started. With the month comes a file with a
day of a month before, late, for which customers change their cohort. What the parts of scoring cost
stands in ``results_stages.json``, and ``docs/performance.md`` is written from it.
"""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench import AS_OF, NIGHT, add_day, add_later, lines_for, linked, run_ours, say, sizes
from report import command, machine, publish

BETWEEN = "between stages"
# Scoring, and what the forecast and the cohorts go on from.
SCORING = ("clv_scores", "revenue_history", "cohort_history")
END_OF_MONTH = "2024-01-31"
COLUMNS = ("tasks", "task s", "cpu s", "GC s", "read MB", "shuffled MB", "spilled MB", "written MB")


def main() -> None:
    parser = sizes(__doc__)
    parser.add_argument("--ids", choices=("int", "string"), default="int")
    options = parser.parse_args()
    options.work = options.work.resolve()
    log = options.work / "events"
    options.set = [
        f"spark.conf={{spark.eventLog.enabled: 'true', spark.eventLog.dir: 'file:{log}', "
        "spark.eventLog.rolling.enabled: 'false', spark.eventLog.compress: 'false'}"
    ]
    surroundings = machine()
    lines, made = lines_for(options)
    parts: dict[str, dict[str, dict[str, float]]] = {}
    source = linked(lines, options.work / "source")
    shutil.rmtree(options.work / "lake", ignore_errors=True)
    for as_of, when in ((AS_OF, "first"), (NIGHT, "night"), (END_OF_MONTH, "month")):
        if as_of == NIGHT:
            add_day(source)
        if as_of == END_OF_MONTH:
            # As many lines as December has.
            add_later(source, "month", "2023-12-02", 31)
            # The lines of a day of December, as those of one in November that were not there yet.
            add_later(source, "late", AS_OF, -35)
        shutil.rmtree(log, ignore_errors=True)
        log.mkdir(parents=True)
        done = run_ours(source, as_of, options)
        (events,) = log.iterdir()
        found = costs(events, tuple(done["stages"]))
        say(f"as of {as_of}: {json.dumps(done)}\n\n{table(found)}\n")
        for title, sums in found.items():
            if title.split(".")[0] in SCORING:
                cost = {name: round(sums[name], 1) for name in ("task s", "cpu s")}
                parts.setdefault(title, {})[when] = cost
    entry = {
        **{"lines": made["lines"], "customers": made["customers"], "parts": parts},
        "command": command(),
        **surroundings,
    }
    publish("results_stages.json", entry, ("lines", "customers"))


def costs(events: Path, stages: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """The sums of each stage of the pipeline, in their order."""
    titles: dict[int, str] = {}
    sums = {name: new_sums() for name in (*stages, BETWEEN)}
    for event in read(events):
        if event["Event"] == "SparkListenerJobStart":
            # Delta puts words of its own around ours.
            words = event.get("Properties", {}).get("spark.job.description", "").split()
            # A part of a stage is named after it: clv_scores.ranks.
            names = (word.rstrip(":") for word in words)
            title = next((name for name in names if name.split(".")[0] in stages), BETWEEN)
            titles |= dict.fromkeys(event["Stage IDs"], title)
        elif event["Event"] == "SparkListenerTaskEnd" and "Task Metrics" in event:
            for name, amount in measures(event["Task Metrics"]).items():
                sums.setdefault(titles[event["Stage ID"]], new_sums())[name] += amount
    return sums


def new_sums() -> dict[str, float]:
    """Nothing yet, of every column."""
    return defaultdict(float)


def measures(task: dict[str, Any]) -> dict[str, float]:
    """What one task took, by column."""
    return {
        "tasks": 1,
        "task s": task["Executor Run Time"] / 1e3,
        "cpu s": task["Executor CPU Time"] / 1e9,
        "GC s": task["JVM GC Time"] / 1e3,
        "read MB": task["Input Metrics"]["Bytes Read"] / 1e6,
        "shuffled MB": task["Shuffle Write Metrics"]["Shuffle Bytes Written"] / 1e6,
        "spilled MB": task["Disk Bytes Spilled"] / 1e6,
        "written MB": task["Output Metrics"]["Bytes Written"] / 1e6,
    }


def read(events: Path) -> Iterator[dict[str, Any]]:
    """The events of a log, in order."""
    with events.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def table(sums: dict[str, dict[str, float]]) -> str:
    """The sums as a Markdown table."""
    rows = [f"| stage | {' | '.join(COLUMNS)} |", f"|---{'|--:' * len(COLUMNS)}|"]
    for title, found in sums.items():
        values = " | ".join(f"{found[name]:,.0f}" for name in COLUMNS)
        rows.append(f"| {title} | {values} |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
