"""customer_days -> revenue_history; what forecasts need of it and of customer_features."""

from __future__ import annotations

import datetime as dt

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from clv_spark.transforms.money import cents, exact_sum, money
from clv_spark.transforms.segments import level_columns, segment_above, segment_name


def monthly_revenue(days: DataFrame, keys: tuple[str, ...], as_of: dt.date) -> DataFrame:
    """What was bought in each month, by leaf segment as the days name it.

    Args:
        days: Rows of ``customer_days``.
        keys: Names of the segment keys.
        as_of: Last day that counts.

    Returns:
        segment, month, first_date (the first day with a line), purchases, gross_amount,
        refund_amount, and the sums of the squares of the days' amounts before and after refunds.
    """
    gross, refund = cents(F.col("gross_amount")), cents(F.col("refund_amount"))
    rows = days.where(F.col("event_date") <= F.lit(as_of)).select(
        segment_name(keys).alias("segment"),
        F.col("event_month").alias("month"),
        "event_date",
        (F.col("transactions") > 0).cast("bigint").alias("purchases"),
        gross.alias("gross"),
        refund.alias("refund"),
        (gross.cast("double") / 100).alias("gross_money"),
        ((gross - refund).cast("double") / 100).alias("net_money"),
    )

    def square(name: str) -> Column:
        return exact_sum(F.col(name) * F.col(name), squares=True).cast("double")

    return rows.groupBy("segment", "month").agg(
        F.min("event_date").alias("first_date"),
        F.sum("purchases").alias("purchases"),
        money(F.sum("gross"), 28).alias("gross_amount"),
        money(F.sum("refund"), 28).alias("refund_amount"),
        square("gross_money").alias("gross_square"),
        square("net_money").alias("net_square"),
    )


def season_months(history: DataFrame, keys: tuple[str, ...], *, keeps_refunds: bool) -> DataFrame:
    """Rows of ``revenue_history`` as a season is estimated from them.

    Args:
        history: A slice of ``revenue_history``.
        keys: Names of the segment keys.
        keeps_refunds: Whether refunds are left out.

    Returns:
        The names of the segments by level, event_month, first_date, cents, square.
    """
    revenue = cents(F.col("gross_amount"))
    if not keeps_refunds:
        revenue = revenue - cents(F.col("refund_amount"))
    levels = (
        segment_above(keys, depth).alias(name) for depth, name in enumerate(level_columns(keys))
    )
    return history.select(
        *levels,
        F.col("month").alias("event_month"),
        "first_date",
        revenue.alias("cents"),
        F.col("gross_square" if keeps_refunds else "net_square").alias("square"),
    )


def newcomers(features: DataFrame, keys: tuple[str, ...], days: int) -> DataFrame:
    """Customers by leaf segment whose first purchase lies in the last days, and the oldest's age.

    Args:
        features: A slice of ``customer_features``.
        keys: Names of the segment keys.
        days: How many days up to as_of, that day included.

    Returns:
        segment, arrived, oldest (days).
    """
    return features.groupBy(segment_name(keys).alias("segment")).agg(
        F.sum((F.col("T") < days).cast("bigint")).alias("arrived"), F.max("T").alias("oldest")
    )
