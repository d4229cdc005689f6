"""Conformed lines -> one row per customer and day; the only shuffle of raw lines is here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from clv_spark.transforms.money import money
from clv_spark.transforms.segments import decode, encode


def customer_days(
    lines: DataFrame,
    segment_values: Mapping[str, Sequence[str]],
    *,
    by_transaction: bool,
    with_margin: bool,
) -> DataFrame:
    """Sum the used lines of each customer and local day, exactly.

    Args:
        lines: conformed lines; those with a reason are left out.
        segment_values: all values of each segment key, sorted. A customer with several values on
            one day gets the smallest.
        by_transaction: count distinct transaction_id; otherwise each sale line is a transaction.
        with_margin: whether the source maps a margin.

    Returns:
        Rows of ``customer_days``.
    """
    used = lines.where(F.col("reason").isNull())
    for key, values in segment_values.items():
        used = encode(used, key, values)
    sale = ~F.col("is_refund")
    amount = F.col("amount_cents")
    used = used.select(
        "customer_id",
        "event_date",
        *(["transaction_id"] if by_transaction else []),
        sale.cast("bigint").alias("sales"),
        F.lit(1).cast("bigint").alias("line_count"),
        F.when(sale, amount).otherwise(0).alias("gross"),
        F.when(sale, 0).otherwise(-amount).alias("refund"),
        *(["margin_cents"] if with_margin else []),
        *(f"{key}_code" for key in segment_values),
    )
    sums = [
        *(F.sum(name).alias(name) for name in ("line_count", "gross", "refund")),
        *([F.sum("margin_cents").alias("margin_cents")] if with_margin else []),
        *(F.min(f"{key}_code").alias(f"{key}_code") for key in segment_values),
    ]
    if by_transaction:
        keys = ("customer_id", "event_date", "transaction_id")
        used = used.groupBy(*keys).agg(F.max("sales").alias("sales"), *sums)
    days = used.groupBy("customer_id", "event_date").agg(F.sum("sales").alias("sales"), *sums)
    margin = money(F.col("margin_cents"), 18) if with_margin else F.lit(None).cast("decimal(18,2)")
    return days.select(
        F.trunc("event_date", "MM").alias("event_month"),
        "event_date",
        "customer_id",
        *(decode(key, values) for key, values in segment_values.items()),
        F.col("sales").alias("transactions"),
        "line_count",
        money(F.col("gross"), 18).alias("gross_amount"),
        money(F.col("refund"), 18).alias("refund_amount"),
        margin.alias("margin_amount"),
    )


def rejected_transactions(lines: DataFrame) -> DataFrame:
    """The refused lines, each with its reason and its content as JSON."""
    return lines.where(F.col("reason").isNotNull()).select(
        "reason", "event_date", money(F.col("amount_cents"), 18).alias("amount"), "line"
    )


def totals_by_reason(lines: DataFrame, segments: tuple[str, ...]) -> DataFrame:
    """Lines, cents and dates by reason (NULL = used) and segment: a handful of rows."""
    return lines.groupBy("reason", *segments).agg(
        F.count(F.lit(1)).alias("line_count"),
        F.sum("amount_cents").alias("cents"),
        F.min("event_date").alias("first_date"),
        F.max("event_date").alias("last_date"),
    )


def totals_of_days(days: DataFrame) -> DataFrame:
    """What went into customer_days, in one row, to hold against what was read."""
    net = F.col("gross_amount") - F.col("refund_amount")
    return days.agg(
        F.sum("line_count").alias("line_count"),
        (F.sum(net) * 100).cast("decimal(38,0)").alias("cents"),
        F.count(F.lit(1)).alias("rows"),
    )
