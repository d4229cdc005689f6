"""Job ``generate``: transactions or contracts of a known world as Parquet files, of any size."""

from __future__ import annotations

import logging
import math
import time
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from pyspark.errors import PythonException
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
from clv_spark.kernels.generate_contracts import block_contracts, contracts
from clv_spark.kernels.worker import in_worker
from clv_spark.lake import SPARK_ERRORS, condition, literal

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
    _write(made, out, mode, compression)
    written = spark.read.parquet(literal(out))
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


def generate_contracts(
    spark: SparkSession,
    *,
    out: str,
    customers: int,
    start: date,
    end: date,
    ids: Ids = "int",
    seed: int = 0,
    files: int | None = None,
) -> dict[str, Any]:
    """Write the contracts of ``customers`` customers to ``out`` and return what was written.

    Customers have the same ids as in :func:`generate`, so both together make customers who buy and
    hold contracts.
    """
    if customers < 1 or (files is not None and files < 1):
        raise ConfigError(f"generate was asked for contracts of {customers} customers; at least 1.")
    began = time.monotonic()
    mode = _save_mode(out)
    arguments: dict[str, Any] = {"start": start, "end": end, "ids": ids, "seed": seed}
    contracts(0, 0, **arguments)  # a wrong argument fails here, not in a worker
    if files is None:
        large = math.ceil(customers / LINES_PER_FILE)
        files = max(large, min(TASKS_AT_LEAST, blocks(customers)))
    customer_id = "STRING" if ids == "string" else "BIGINT"
    schema = (
        f"customer_id {customer_id}, contract_id BIGINT, start_date DATE, end_date DATE, "
        "period STRING, periodic_amount DOUBLE, periodic_margin DOUBLE, currency STRING, "
        "plan STRING"
    )
    work = partial(block_contracts, customers=customers, arguments=arguments)
    made = spark.range(0, blocks(customers), 1, files).mapInArrow(in_worker(work), schema)
    _write(made, out, mode, "zstd")
    written = spark.read.parquet(literal(out))
    result: dict[str, Any] = {
        "customers": customers,
        "lines": written.count(),
        "paths": [out],
        "files": len(written.inputFiles()),
        "seconds": round(time.monotonic() - began, 3),
    }
    logger.info("generate: %s contracts of %s customers in %s", result["lines"], customers, out)
    return result


def _write(made: DataFrame, out: str, mode: str, compression: str) -> None:
    try:
        made.write.mode(mode).option("compression", compression).parquet(out)
    except PythonException:
        # Not the folder's fault but a worker's.
        raise
    except SPARK_ERRORS as error:
        if condition(error) == "PATH_ALREADY_EXISTS":
            raise _occupied(out) from error
        raise ConfigError(
            f"--out {out} cannot be written ({condition(error)}); name a folder that can be made"
        ) from error


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
    lines = partial(block_lines, customers=customers, arguments=arguments)
    return ranges.mapInArrow(in_worker(lines), schema)


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
