"""Which tiers customers moved between, and with how much value."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from clv_spark.schemas.migration import GONE, NEW
from clv_spark.transforms.earlier import earlier_values
from clv_spark.transforms.money import exact_sum
from clv_spark.transforms.segments import UNKNOWN

MOVES = ("relationship", "from_tier", "to_tier")
_SUMS = ("customers", "clv_before", "clv_after")
_TYPES = {
    **dict.fromkeys(MOVES, "string"),
    "customers": "bigint",
    **dict.fromkeys(_SUMS[1:], "decimal(38,6)"),
}
MOVED_TYPES = ", ".join(f"{name} {kind}" for name, kind in _TYPES.items())


def moves(sums: DataFrame) -> DataFrame:
    """Customers and their value by the tier they were in and the tier they are in.

    Args:
        sums: What ``transforms.segment_sums.leaf_sums`` gives, or any rows of its columns
            relationship, from_tier, clv_tier, customers, clv_before and clv.

    Returns:
        A handful of rows with ``MOVED_TYPES``.
    """
    named = sums.select(
        "relationship",
        F.coalesce("from_tier", F.lit(NEW)).alias("from_tier"),
        F.coalesce("clv_tier", F.lit(UNKNOWN)).alias("to_tier"),
        "customers",
        F.coalesce("clv_before", F.lit(0)).alias("clv_before"),
        F.coalesce("clv", F.lit(0)).alias("clv_after"),
    )
    return _as_typed(_summed(named))


def tier_migration(
    moved: DataFrame,
    previous: DataFrame,
    counted: Mapping[str, str | float | None],
    dates: tuple[dt.date, dt.date],
) -> DataFrame:
    """Adds who is gone: what the earlier slice holds beyond those who are still there.

    So nobody has to be looked up again.

    Args:
        moved: What :func:`moves` gives.
        previous: The earlier slice of clv_scores.
        counted: What clv depends on now, see :func:`earlier_values`.
        dates: Date of the slice and of the earlier one.

    Returns:
        Rows of tier_migration.
    """
    as_of, previous_date = dates
    earlier = earlier_values(previous, counted).withColumnRenamed("clv_tier", "from_tier")
    held = earlier.groupBy("relationship", "from_tier").agg(
        F.lit(GONE).alias("to_tier"),
        F.count(F.lit(1)).alias("customers"),
        F.coalesce(exact_sum(F.col("clv")), F.lit(0)).alias("clv_before"),
        F.lit(0).alias("clv_after"),
    )
    rows = _summed(_with_found_again(moved).unionByName(_as_typed(held)))
    return rows.where("customers > 0").select(
        F.lit(as_of).alias("as_of_date"),
        F.lit(previous_date).alias("previous_date"),
        *MOVES,
        "customers",
        *(F.col(name).cast("double").alias(name) for name in _SUMS[1:]),
    )


def _with_found_again(moved: DataFrame) -> DataFrame:
    """Each move, and beside it the same customers as fewer who are gone."""
    fewer = moved.where(F.col("from_tier") != NEW).withColumns(
        {
            "to_tier": F.lit(GONE),
            "customers": -F.col("customers"),
            "clv_before": -F.col("clv_before"),
            "clv_after": F.lit(0),
        }
    )
    return moved.unionByName(_as_typed(fewer))


def _summed(rows: DataFrame) -> DataFrame:
    return rows.groupBy(*MOVES).agg(*(F.sum(name).alias(name) for name in _SUMS))


def _as_typed(rows: DataFrame) -> DataFrame:
    return rows.select(*(F.col(name).cast(kind).alias(name) for name, kind in _TYPES.items()))
