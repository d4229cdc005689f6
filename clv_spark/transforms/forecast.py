"""customer_days -> revenue by month and segment; customer_features -> new customers by segment."""

from __future__ import annotations

import datetime as dt

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from clv_spark.transforms.money import cents, exact_sum
from clv_spark.transforms.segments import level_columns, segment_name, with_segments


def monthly_revenue(
    days: DataFrame, keys: tuple[str, ...], as_of: dt.date, *, keeps_refunds: bool
) -> DataFrame:
    """Revenue of each month and leaf segment, as the days name it.

    Args:
        days: Rows of ``customer_days``.
        keys: Names of the segment keys.
        as_of: Last day that counts.
        keeps_refunds: Whether refunds are left out.

    Returns:
        The names of the segments by level, event_month, first_date (the first day with a line),
        cents, and square: the sum of the squares of the days' amounts in money.
    """
    net = cents(F.col("gross_amount"))
    if not keeps_refunds:
        net = net - cents(F.col("refund_amount"))
    names = level_columns(keys)
    money = net.cast("double") / 100
    square = money * money
    wanted = with_segments(days.where(F.col("event_date") <= F.lit(as_of)), keys)
    rows = wanted.select(
        *names, "event_month", "event_date", net.alias("cents"), square.alias("square")
    )
    return rows.groupBy(*names, "event_month").agg(
        F.min("event_date").alias("first_date"),
        F.sum("cents").alias("cents"),
        exact_sum(F.col("square")).cast("double").alias("square"),
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
