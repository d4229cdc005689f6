"""customer_days and who is in which cohort -> what each cohort did, month by month."""

from __future__ import annotations

import datetime as dt
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from clv_spark.transforms.money import cents, money
from clv_spark.transforms.segments import segment_name

_COHORT = ("segment", "cohort_month")
_CELL = (*_COHORT, "month")
# Whole numbers, so that what one customer did can be taken from a sum again, exactly.
_COUNTS = ("customers", "active_customers", "purchase_days", "margin_days")
_MONEY = ("gross", "refund", "margin")


def members(features: DataFrame, keys: tuple[str, ...]) -> DataFrame:
    """Who is in which cohort: customer_id, segment (the leaf), cohort_month, first_purchase_date.

    Args:
        features: A slice of ``customer_features``.
        keys: Names of the segment keys.
    """
    return features.select(
        "customer_id",
        segment_name(keys).alias("segment"),
        F.trunc("first_purchase_date", "MM").alias("cohort_month"),
        "first_purchase_date",
    )


def cohort_cells(days: DataFrame, who: DataFrame, as_of: dt.date) -> DataFrame:
    """What each cohort did in each month with a line.

    Args:
        days: Rows of ``customer_days``.
        who: See ``members``; days of anybody else do not count.
        as_of: Last day that counts.

    Returns:
        segment, cohort_month, month; customers (with a line in the month), active_customers,
        purchase_days and margin_days (with a recorded margin); gross, refund and margin in cents.
    """
    seen = days.where(F.col("event_date") <= F.lit(as_of)).select(
        "customer_id",
        F.col("event_month").alias("month"),
        (F.col("transactions") > 0).cast("bigint").alias("purchase_days"),
        *(cents(F.col(f"{name}_amount")).alias(name) for name in _MONEY),
    )
    # One shuffle for the sums of a customer and for the join, and before it, where rows are many,
    # nothing but numbers: who is in which cohort comes after.
    customers = (
        seen.repartition("customer_id")
        .groupBy("customer_id", "month")
        .agg(
            F.count("margin").alias("margin_days"),
            *(F.sum(name).alias(name) for name in ("purchase_days", *_MONEY)),
        )
    )
    return (
        customers.join(who.select("customer_id", *_COHORT), "customer_id")
        .groupBy(*_CELL)
        .agg(
            F.count(F.lit(1)).alias("customers"),
            F.sum((F.col("purchase_days") > 0).cast("bigint")).alias("active_customers"),
            *(F.sum(name).alias(name) for name in ("purchase_days", "margin_days", *_MONEY)),
        )
    )


def rows_of_cells(cells: DataFrame) -> DataFrame:
    """Cells, with money as ``cohort_history`` has it."""
    return cells.select(
        *_CELL, *_COUNTS, *(money(F.col(name), 28).alias(f"{name}_amount") for name in _MONEY)
    )


def cells_of_rows(history: DataFrame) -> DataFrame:
    """Rows of ``cohort_history`` as cells, with money in cents."""
    return history.select(
        *_CELL, *_COUNTS, *(cents(F.col(f"{name}_amount")).alias(name) for name in _MONEY)
    )


def add_up(added: list[DataFrame], taken: DataFrame | None = None) -> DataFrame:
    """Cells together, less those of customers who are no longer in them."""
    parts = list(added)
    if taken is not None:
        parts.append(taken.select(*_CELL, *((-F.col(n)).alias(n) for n in (*_COUNTS, *_MONEY))))
    sums = (
        reduce(DataFrame.unionByName, parts)
        .groupBy(*_CELL)
        .agg(*(F.sum(name).alias(name) for name in (*_COUNTS, *_MONEY)))
    )
    # What is left of a margin that was recorded for nobody is nothing, not zero.
    margin = F.when(F.col("margin_days") > 0, F.col("margin"))
    return sums.where(F.col("customers") > 0).withColumn("margin", margin)


def cohorts_that_differ(before: DataFrame, now: DataFrame) -> DataFrame:
    """The cohorts without the same customers: segment, cohort_month.

    Two sets of ids are the same when their number and their hashes together are, so that nobody
    has to be held against anybody.

    Args:
        before: See ``members``.
        now: likewise.
    """
    sides = [
        who.groupBy(*_COHORT).agg(
            F.count(F.lit(1)).alias("number"), F.bit_xor(F.xxhash64("customer_id")).alias("hashes")
        )
        for who in (before, now)
    ]
    return _in_one_alone(sides).select(*_COHORT).distinct()


def who_moved(before: DataFrame, now: DataFrame, differing: DataFrame) -> DataFrame:
    """Ids of the customers of these cohorts who came, went or are in another one.

    Args:
        before: See ``members``.
        now: likewise.
        differing: See ``cohorts_that_differ``.
    """
    sides = [
        who.select("customer_id", *_COHORT).join(F.broadcast(differing), list(_COHORT), "left_semi")
        for who in (before, now)
    ]
    return _in_one_alone(sides).select("customer_id").distinct()


def _in_one_alone(sides: list[DataFrame]) -> DataFrame:
    """The rows that stand in one of two tables alone, each without a row twice."""
    rows = reduce(DataFrame.unionByName, sides)
    return rows.groupBy(*rows.columns).count().where(F.col("count") == 1)
