"""Run our whole job on even lines and on the same number of skewed ones, and compare.

    python benchmarks/skew.py --lines 20000000 --customers 600000

Skewed means: one guest id has 5% of all lines, one country has 95% of the customers, and one
customer buys on 100,000 days. These fall into 3,286 months, each a folder and a file of
customer_days; for each Hadoop's local file system starts chmod nine times. With ``--bare JAR``
local files are read and written without, as on other stores: the JAR is that of
com.globalmentor:hadoop-bare-naked-local-fs.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import duckdb
from bench import AS_OF, lines_for, linked, run_ours, say, sizes
from report import command, machine, publish

BARE = "com.globalmentor.apache.hadoop.fs.BareLocalFileSystem"
GUEST, LOYAL, DAYS = 0, 1, 100_000
SKEWED = """
COPY (
    SELECT * REPLACE (
        CASE WHEN hash(line_id) % 20 = 0 THEN {guest} ELSE customer_id END AS customer_id,
        CASE WHEN hash(customer_id) % 20 < 19 THEN 'Germany' ELSE country END AS country
    )
    FROM read_parquet('{file}')
) TO '{out}' (FORMAT parquet, COMPRESSION zstd)
"""
LOYAL_LINES = """
COPY (
    SELECT * REPLACE (
        CAST({loyal} AS BIGINT) AS customer_id,
        TIMESTAMP '2023-12-31 12:00:00' - to_days(CAST(number AS INTEGER)) AS event_time
    )
    FROM (SELECT * FROM read_parquet('{file}') LIMIT 1), range({days}) AS days(number)
) TO '{out}' (FORMAT parquet, COMPRESSION zstd)
"""


def main() -> None:
    parser = sizes(__doc__)
    parser.add_argument("--bare", type=Path, help="JAR of a local file system without chmod")
    options = parser.parse_args()
    options.work, options.ids, options.set = options.work.resolve(), "int", []
    if options.bare:
        options.set = [
            f"spark.conf.spark.driver.extraClassPath={options.bare.resolve()}",
            f"spark.conf.spark.hadoop.fs.file.impl={BARE}",
        ]
    surroundings = machine()
    lines, made = lines_for(options)
    found: dict[str, Any] = {}
    for name, source in (
        ("even", linked(lines, options.work / "source")),
        ("skewed", skewed(lines, options.work / "skewed")),
    ):
        shutil.rmtree(options.work / "lake", ignore_errors=True)
        found[name] = run_ours(source, AS_OF, options)
        say(f"{name}: {json.dumps(found[name])}")
    ratio = found["skewed"]["total"] / found["even"]["total"]
    say(f"skewed lines take {ratio:.2f} times as long as even ones")
    entry = {
        **{"lines": made["lines"], "customers": made["customers"], **found, **surroundings},
        "files": options.bare.stem if options.bare else "",
        "command": command(),
    }
    publish("results_skew.json", entry, ("lines", "customers", "files"))


def skewed(lines: Path, out: Path) -> Path:
    """The same lines, most of them of one country, many of one guest, and a loyal customer's."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    files = sorted(lines.glob("*.parquet"))
    database = duckdb.connect()
    for file in files:
        database.execute(SKEWED.format(file=file, out=out / file.name, guest=GUEST))
    loyal = {"file": files[0], "out": out / "loyal.parquet", "loyal": LOYAL, "days": DAYS}
    database.execute(LOYAL_LINES.format(**loyal))
    return out


if __name__ == "__main__":
    main()
