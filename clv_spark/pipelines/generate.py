"""Job ``generate``: transactions of a known world as Parquet files, of any size."""

from __future__ import annotations

import logging
import math
import time
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession

from clv_spark.errors import ConfigError
from clv_spark.kernels.generate import (
    WORLD,
    Ids,
    blocks,
    lines_per_purchase_for,
    transactions,
)
from clv_spark.kernels.generate_blocks import block_lines

logger = logging.getLogger(__name__)

LINES_PER_PURCHASE = 3.0
LINES_PER_CUSTOMER = 12  # about what three lines a purchase day make; sets the number of files only
LINES_PER_FILE = 5_000_000
TASKS_AT_LEAST = 4  # where there are so many blocks


def generate(
    spark: SparkSession,
    *,
    out: str,
    customers: int,
    lines: int | None = None,
    start: date,
    end: date,
    ids: Ids = "int",
    seed: int = 0,
    countries: int = len(WORLD),
    files: int | None = None,
    by_time: bool = False,
    compression: str = "zstd",
) -> dict[str, Any]:
    """Write the transactions of ``customers`` customers to ``out`` and return what was written.

    ``lines`` is the total to aim at, three lines a purchase day when left out; ``countries`` takes
    the first few of the world. Files hold blocks of customers, or slices of time with ``by_time``,
    as a shop's own exports do (at the price of a shuffle). Lines depend on the arguments up to
    ``countries`` only, so neither machine nor number of files changes any of them.
    """
    if customers < 1 or not 1 <= countries <= len(WORLD) or (files is not None and files < 1):
        raise ConfigError(
            f"generate was asked for {customers} customers of {countries} countries in "
            f"{files} files; customers and files are at least 1, countries 1 to {len(WORLD)}."
        )
    began = time.monotonic()
    world = WORLD[:countries]
    mode = _save_mode(out)
    mean = LINES_PER_PURCHASE
    if lines is not None:
        mean = lines_per_purchase_for(lines, customers, world=world, start=start, end=end)
    arguments: dict[str, Any] = {
        "world": world,
        "start": start,
        "end": end,
        "lines_per_purchase": mean,
        "ids": ids,
        "seed": seed,
    }
    next(transactions(0, 0, **arguments), None)  # a wrong argument fails here, not in a worker
    if files is None:
        large = math.ceil((lines or customers * LINES_PER_CUSTOMER) / LINES_PER_FILE)
        files = max(large, min(TASKS_AT_LEAST, blocks(customers)))
    made = _lines(spark, customers, files, arguments)
    if by_time:
        made = made.repartitionByRange(files, "event_time")
        made = made.sortWithinPartitions("event_time", "line_id")
    try:
        made.write.mode(mode).option("compression", compression).parquet(out)
    except AnalysisException as error:
        if error.getCondition() != "PATH_ALREADY_EXISTS":
            raise
        raise _occupied(out) from error
    written = spark.read.parquet(out)
    result: dict[str, Any] = {
        "customers": customers,
        "lines": written.count(),
        "paths": [out],
        "files": len(written.inputFiles()),
        "lines_per_purchase": mean,
        "seconds": round(time.monotonic() - began, 3),
    }
    logger.info("generate: %s lines of %s customers in %s", result["lines"], customers, out)
    return result


def _lines(
    spark: SparkSession, customers: int, partitions: int, arguments: dict[str, Any]
) -> DataFrame:
    """Return the lines, one block of customers after the other."""
    customer_id = "STRING" if arguments["ids"] == "string" else "BIGINT"
    schema = (
        f"customer_id {customer_id}, transaction_id BIGINT, line_id BIGINT, "
        "event_time TIMESTAMP_NTZ, amount DOUBLE, currency STRING, country STRING, product STRING"
    )
    ranges = spark.range(0, blocks(customers), 1, partitions)
    return ranges.mapInArrow(partial(block_lines, customers=customers, arguments=arguments), schema)


def _save_mode(out: str) -> str:
    """Refuse a local target that holds anything; an empty directory is welcome."""
    if "://" in out:
        return "errorifexists"
    target = Path(out.removeprefix("file:"))
    if not target.exists():
        return "errorifexists"
    if not target.is_dir() or any(target.iterdir()):
        raise _occupied(out)
    return "append"


def _occupied(out: str) -> ConfigError:
    return ConfigError(
        f"{out} already holds something, and generated lines are never mixed with other files; "
        "remove it or choose another directory."
    )
