"""What Spark alone needs to read the lines, to fold them, and to write what our tables hold.

And what the bytes alone take: the lines' files read once, the tables' files copied once. Runs in a
process of its own, beside ``bench.py``, on a lake that our job has just filled, and ends with one
JSON line: seconds by step.

    python benchmarks/limits.py --data LINES --lake LAKE --work FOLDER
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from pyspark.sql import DataFrame, functions

from clv_spark.config import Config
from clv_spark.session import get_session

TABLES = ("customer_days", "customer_features", "clv_scores", "clv_scores_latest")
# A fold with nothing that makes it ours: no check, no reason, no margin, no refund.
COLUMNS = ("customer_id", "event_time", "amount", "currency", "country")
BLOCK = 1 << 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="directory of Parquet files")
    parser.add_argument("--lake", required=True, help="lake of a finished run on them")
    parser.add_argument("--work", required=True, help="directory for what is written")
    options = parser.parse_args()
    # As our job starts Spark when it is told nothing else.
    spark = get_session(Config())
    lines = spark.read.parquet(options.data).select(*COLUMNS)
    date = functions.col("event_time").cast("date").alias("event_date")

    def fold(rows: DataFrame) -> None:
        days = rows.groupBy("customer_id", date)
        noop(days.agg(functions.sum("amount"), functions.min("country")))

    def copy(name: str) -> None:
        rows = spark.read.format("delta").load(f"{options.lake}/{name}")
        rows.write.mode("overwrite").parquet(f"{options.work}/{name}")

    def copy_bytes(name: str) -> None:
        shutil.copytree(
            f"{options.lake}/{name}",
            f"{options.work}/bytes/{name}",
            copy_function=shutil.copyfile,
        )

    # The first query of a session pays for what Java has not compiled yet.
    fold(lines.limit(1000))
    steps: dict[str, Callable[[], None]] = {
        "lines, read": lambda: noop(lines),
        "lines, read and folded to customers' days": lambda: fold(lines),
        **{f"{name}, read and written again": partial(copy, name) for name in TABLES},
        "lines, bytes read": lambda: read_bytes(Path(options.data)),
        **{f"{name}, bytes copied": partial(copy_bytes, name) for name in TABLES},
    }
    seconds = {step: timed(work) for step, work in steps.items()}
    sys.stdout.write(json.dumps(seconds) + "\n")


def noop(rows: DataFrame) -> None:
    """Work out all rows and keep none."""
    rows.write.format("noop").mode("overwrite").save()


def read_bytes(folder: Path) -> None:
    """Read all bytes of the files of a folder and keep none."""
    block = bytearray(BLOCK)
    for path in folder.glob("*.parquet"):
        with path.open("rb", buffering=0) as file:
            while file.readinto(block):
                pass


def timed(work: Callable[[], None]) -> float:
    """The seconds that some work takes."""
    began = time.perf_counter()
    work()
    return round(time.perf_counter() - began, 3)


if __name__ == "__main__":
    main()
