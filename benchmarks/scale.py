"""Run our whole job on three years of lines, then on many times the lines, customers and all.

    python benchmarks/scale.py --lines 67000000 --customers 2000000 --copies 15

The large input is the small one again and again, each time of other customers: 15 times 67 million
lines are a billion, of 30 million customers. Both runs have the same settings and an empty lake.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import duckdb
from bench import AS_OF, lines_for, linked, run_ours, say, sizes
from report import command, machine, publish

START = "2021-01-01"
MEMORY, PARTITIONS = "8g", 128
SETTINGS = (
    f"spark.conf={{spark.driver.memory: {MEMORY}, spark.sql.shuffle.partitions: '{PARTITIONS}'}}"
)
# Above every id of the small input.
NEXT_CUSTOMERS = 1_000_000_000
COPIED = """
COPY (
    SELECT * REPLACE (customer_id + copy * {apart} AS customer_id)
    FROM read_parquet('{file}'), range({copies}) AS copies(copy)
) TO '{out}' (FORMAT parquet, COMPRESSION zstd)
"""


def main() -> None:
    parser = sizes(__doc__)
    parser.add_argument("--copies", type=int, default=15)
    options = parser.parse_args()
    options.work, options.ids, options.set = options.work.resolve(), "int", [SETTINGS]
    surroundings = machine()
    lines, made = lines_for(options, START)
    found: dict[str, Any] = {}
    for name, times in (("small", 1), ("large", options.copies)):
        shutil.rmtree(options.work / "lake", ignore_errors=True)
        source = linked(lines, options.work / "source")
        if times > 1:
            copy(lines, source, times)
        found[name] = run_ours(source, AS_OF, options)
        say(f"{name}: {json.dumps(found[name])}")
    per_line = found["large"]["total"] / found["small"]["total"] / options.copies
    say(f"of {options.copies} times the lines each costs {per_line:.2f} times as much")
    entry = {
        **{"lines": made["lines"], "customers": made["customers"], "copies": options.copies},
        **{**found, **surroundings, "memory": MEMORY, "partitions": PARTITIONS},
        "command": command(),
    }
    publish("results_scale.json", entry, ("lines", "customers", "copies"))
    shutil.rmtree(options.work / "lake")
    shutil.rmtree(options.work / "source")


def copy(lines: Path, source: Path, times: int) -> None:
    """Write the lines of so many times the customers, in files of the same slices of time."""
    database = duckdb.connect()
    for file in sorted(lines.glob("*.parquet")):
        out = source / file.name
        out.unlink()
        database.execute(COPIED.format(file=file, out=out, copies=times, apart=NEXT_CUSTOMERS))


if __name__ == "__main__":
    main()
