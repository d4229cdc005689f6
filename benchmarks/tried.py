"""What was tried to fold lines to customers' days faster than Spark does it by itself.

    python benchmarks/tried.py --lines 20000000 --customers 600000

Each way runs in a process of its own, after a small fold that starts Spark up, twice; the faster
one counts. Results stand in ``results_tried.json``, and ``docs/performance.md`` is written from it.
"""

from __future__ import annotations

import argparse
import json
import sys

from bench import lines_for, measured, say, sizes
from limits import COLUMNS, noop, timed
from report import command, machine, publish

from clv_spark.config import Config
from clv_spark.session import get_session

PLAIN = "as it stands"
ROUNDS = 2
DAY = "CAST(event_time AS DATE)"
NUMBER = f"datediff({DAY}, DATE '1970-01-01')"
SUMS = "sum(amount), min(country)"
# Other ways to write the fold.
FOLDS = {
    PLAIN: f"SELECT customer_id, {DAY}, {SUMS} FROM lines GROUP BY 1, 2",
    "days as whole numbers": f"SELECT customer_id, {NUMBER}, {SUMS} FROM lines GROUP BY 1, 2",
    "customer and day packed into one number": (
        f"SELECT shiftleft(customer_id, 16) + {NUMBER}, {SUMS} FROM lines GROUP BY 1"
    ),
    "customer and day hashed into one number": (
        f"SELECT xxhash64(customer_id, {NUMBER}), min(customer_id), min({NUMBER}), {SUMS} "
        "FROM lines GROUP BY 1"
    ),
    "cents, and countries as whole numbers": (
        f"SELECT customer_id, {DAY}, sum(CAST(amount * 100 AS BIGINT)), "
        "min(CASE country WHEN 'Germany' THEN 0 WHEN 'France' THEN 1 ELSE 2 END) "
        "FROM lines GROUP BY 1, 2"
    ),
}
# Other settings for the same fold.
SETTINGS: dict[str, dict[str, str]] = {
    "memory off the heap": {
        "spark.memory.offHeap.enabled": "true",
        "spark.memory.offHeap.size": "2g",
        "spark.driver.memory": "3g",
    },
    "no code for whole stages": {"spark.sql.codegen.wholeStage": "false"},
    "no second map of code for sums": {"spark.sql.codegen.aggregate.map.twolevel.enabled": "false"},
    "shuffle by zstd": {"spark.io.compression.codec": "zstd"},
    "rows read 16,384 at a time": {"spark.sql.parquet.columnarReaderBatchSize": "16384"},
    "garbage by all threads at once": {"spark.driver.extraJavaOptions": "-XX:+UseParallelGC"},
}


def main() -> None:
    parser = sizes(__doc__)
    parser.add_argument("--ids", choices=("int",), default="int")
    parser.add_argument("--way", choices=(*FOLDS, *SETTINGS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.work = options.work.resolve()
    surroundings = machine()
    lines, made = lines_for(options)
    if options.way is not None:
        return seconds_of(options.way, str(lines))
    found: dict[str, dict[str, float]] = {}
    for way in (*FOLDS, *SETTINGS):
        again = ["--lines", options.lines, "--customers", options.customers, "--way", way]
        done = measured(["benchmarks/tried.py", *again, "--work", options.work])
        found[way] = json.loads(done["stdout"].splitlines()[-1])
        say(f"{way}: {json.dumps(found[way])}")
    size = {name: made[name] for name in ("lines", "customers")}
    entry = {**size, "ways": found, "command": command(), **surroundings}
    publish("results_tried.json", entry, ("lines", "customers"))


def seconds_of(way: str, lines: str) -> None:
    """Fold the lines one way and print its seconds as JSON."""
    conf = SETTINGS.get(way, {})
    spark = get_session(Config.model_validate({"spark": {"conf": conf}}))
    rows = spark.read.parquet(lines).select(*COLUMNS)
    fold = FOLDS.get(way, FOLDS[PLAIN])
    rows.limit(1000).createOrReplaceTempView("lines")
    noop(spark.sql(fold))
    rows.createOrReplaceTempView("lines")
    seconds = min(timed(lambda: noop(spark.sql(fold))) for _ in range(ROUNDS))
    sys.stdout.write(json.dumps({"s": seconds}) + "\n")


if __name__ == "__main__":
    main()
