"""What was tried to fold lines to customers' days faster than Spark does it by itself.

    python benchmarks/tried.py --lines 20000000 --customers 600000

Each way runs in a process of its own, after a small fold that starts Spark up, twice; the faster
one counts. Results stand in ``results_tried.json``, and ``docs/performance.md`` is written from it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable

from bench import lines_for, measured, say, sizes
from limits import COLUMNS, noop, timed
from pyspark.sql import DataFrame
from pyspark.sql import functions as sf
from report import command, machine, publish

from clv_spark.config import Config
from clv_spark.session import get_session

PLAIN = "as it stands"
ROUNDS = 2
DAY = sf.col("event_time").cast("date")
NUMBER = sf.datediff(DAY, sf.lit("1970-01-01"))
MONEY, COUNTRY = sf.sum("amount"), sf.min("country")
CENTS = sf.sum((sf.col("amount") * 100).cast("bigint"))
CODE = sf.min(sf.xxhash64("country").cast("int"))

Fold = Callable[[DataFrame], DataFrame]
# Other ways to write the fold.
FOLDS: dict[str, Fold] = {
    PLAIN: lambda rows: rows.groupBy("customer_id", DAY).agg(MONEY, COUNTRY),
    "days as whole numbers": lambda rows: rows.groupBy("customer_id", NUMBER).agg(MONEY, COUNTRY),
    "customer and day packed into one number": lambda rows: rows.groupBy(
        sf.shiftleft("customer_id", 16) + NUMBER
    ).agg(MONEY, COUNTRY),
    "customer and day hashed into one number": lambda rows: rows.groupBy(
        sf.xxhash64("customer_id", NUMBER)
    ).agg(sf.min("customer_id"), sf.min(NUMBER), MONEY, COUNTRY),
    "cents, and countries as whole numbers": lambda rows: rows.groupBy("customer_id", DAY).agg(
        CENTS, CODE
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
        size = ("--lines", options.lines, "--customers", options.customers)
        done = measured(["benchmarks/tried.py", *size, "--work", options.work, "--way", way])
        found[way] = json.loads(done["stdout"].splitlines()[-1])
        say(f"{way}: {json.dumps(found[way])}")
    entry = {**made_of(made), "ways": found, "command": command(), **surroundings}
    publish("results_tried.json", entry, ("lines", "customers"))


def made_of(made: dict[str, int]) -> dict[str, int]:
    """The size of the lines."""
    return {name: made[name] for name in ("lines", "customers")}


def seconds_of(way: str, lines: str) -> None:
    """Fold the lines one way and print its seconds as JSON."""
    conf = SETTINGS.get(way, {})
    spark = get_session(Config.model_validate({"spark": {"conf": conf}}))
    rows = spark.read.parquet(lines).select(*COLUMNS)
    fold = FOLDS.get(way, FOLDS[PLAIN])
    noop(fold(rows.limit(1000)))
    seconds = min(timed(lambda: noop(fold(rows))) for _ in range(ROUNDS))
    sys.stdout.write(json.dumps({"s": seconds}) + "\n")


if __name__ == "__main__":
    main()
