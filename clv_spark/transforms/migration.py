"""Which tiers customers moved between, and with how much value."""

from __future__ import annotations

import datetime as dt

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from clv_spark.schemas.migration import GONE, NEW
from clv_spark.transforms.earlier import earlier_values
from clv_spark.transforms.money import summand
from clv_spark.transforms.segments import UNKNOWN

_EXACT, _SUM = "decimal(28,6)", "decimal(38,6)"
_SUMS = ("customers", "clv_before", "clv_after")


def tier_migration(
    scores: DataFrame,
    previous: DataFrame,
    definition: str,
    dates: tuple[dt.date, dt.date],
) -> DataFrame:
    """Customers and their value by the tier they were in and the tier they are in.

    Who is gone is what the earlier slice holds beyond those who are still there, so that nobody has
    to be looked up again.

    Args:
        scores: The slice of clv_scores, whose rows know their earlier value and tier.
        previous: The earlier slice.
        definition: What clv counts now, see :func:`earlier_values`.
        dates: Date of the slice and of the earlier one.

    Returns:
        Rows of tier_migration.
    """
    as_of, previous_date = dates
    earlier, now = F.col("previous_clv_tier"), F.col("clv_tier")
    moved = _summed(
        scores.select(
            "relationship",
            F.coalesce(earlier, F.lit(NEW)).alias("from_tier"),
            F.coalesce(now, F.lit(UNKNOWN)).alias("to_tier"),
            F.lit(1).alias("customers"),
            _exact("previous_clv").alias("clv_before"),
            _exact("clv").alias("clv_after"),
        )
    )
    held = earlier_values(previous, definition).select(
        "relationship",
        F.col("clv_tier").alias("from_tier"),
        F.lit(GONE).alias("to_tier"),
        F.lit(1).alias("customers"),
        _exact("clv").alias("clv_before"),
        F.lit(0).cast(_EXACT).alias("clv_after"),
    )
    rows = _summed(_with_found_again(moved).unionByName(_summed(held)))
    return rows.where("customers > 0").select(
        F.lit(as_of).alias("as_of_date"),
        F.lit(previous_date).alias("previous_date"),
        "relationship",
        "from_tier",
        "to_tier",
        "customers",
        *(F.col(name).cast("double").alias(name) for name in _SUMS[1:]),
    )


def _with_found_again(moved: DataFrame) -> DataFrame:
    """Each move, and beside it the same customers as fewer who are gone."""
    was_there = F.col("from_tier") != NEW
    fewer = {name: F.when(was_there, -F.col(name)).otherwise(0) for name in _SUMS[:2]}
    both = F.array(
        F.struct("to_tier", *_SUMS),
        F.struct(
            F.lit(GONE).alias("to_tier"),
            *(column.alias(name) for name, column in fewer.items()),
            F.lit(0).cast(_SUM).alias("clv_after"),
        ),
    )
    return moved.select("relationship", "from_tier", F.inline(both))


def _summed(rows: DataFrame) -> DataFrame:
    sums = [F.sum(name).alias(name) for name in _SUMS]
    return rows.groupBy("relationship", "from_tier", "to_tier").agg(*sums)


def _exact(name: str) -> Column:
    """Money that adds up in any order; nothing where there is none."""
    return summand(F.coalesce(F.col(name), F.lit(0.0)))
