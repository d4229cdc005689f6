"""customer_days -> customer_features: sums, minima and maxima only, never a rescan of lines."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from clv_spark.config import Config
from clv_spark.schemas import CUSTOMER_FEATURES, Shape
from clv_spark.transforms.money import cents, money
from clv_spark.transforms.segments import decode, encode


def fold_days(
    days: DataFrame,
    segment_values: Mapping[str, Sequence[str]],
    config: Config,
    as_of: dt.date,
) -> DataFrame:
    """Fold the days of each customer up to ``as_of``, that day included.

    Args:
        days: rows of ``customer_days``.
        segment_values: all values of each segment key, sorted.
        config: says whether a key takes its latest or its first value.
        as_of: last day that counts.

    Returns:
        One row per customer with sums in cents; first_purchase_date is NULL for a customer
        without a purchase day.
    """
    folded = days.where(F.col("event_date") <= F.lit(as_of))
    for key, values in segment_values.items():
        folded = encode(folded, key, values)
    purchase_date = F.when(F.col("transactions") > 0, F.col("event_date"))
    gross = cents(F.col("gross_amount"))
    assigned = []
    for key in segment_values:
        pick = F.max_by if config.assignment(key) == "latest" else F.min_by
        assigned.append(pick(f"{key}_code", purchase_date).alias(f"{key}_code"))
    folded = folded.groupBy("customer_id").agg(
        F.min(purchase_date).alias("first_purchase_date"),
        F.max(purchase_date).alias("last_purchase_date"),
        F.count(purchase_date).alias("purchase_days"),
        F.min_by(gross, purchase_date).alias("first_day"),
        F.sum("transactions").alias("transactions"),
        F.sum(gross).alias("gross"),
        F.sum(cents(F.col("refund_amount"))).alias("refund"),
        F.sum(cents(F.col("margin_amount"))).alias("margin"),
        *assigned,
    )
    names = [name for name in folded.columns if not name.endswith("_code")]
    return folded.select(*names, *(decode(k, values) for k, values in segment_values.items()))


def customer_features(folded: DataFrame, shape: Shape, as_of: dt.date) -> DataFrame:
    """Folded customers as rows of ``customer_features``; those without a purchase are left out."""
    folded = folded.where(F.col("first_purchase_date").isNotNull())
    frequency = (F.col("purchase_days") - 1).cast("int")
    first, last = F.col("first_purchase_date"), F.col("last_purchase_date")
    repeat = F.col("gross") - F.col("first_day")
    # Cents are whole numbers below 2^53, so this division is the only rounding.
    mean = (repeat.cast("double") / 100) / frequency
    return folded.select(
        F.lit(as_of).alias("as_of_date"),
        "customer_id",
        *shape.segment_keys,
        first.alias("first_purchase_date"),
        last.alias("last_purchase_date"),
        frequency.alias("frequency"),
        F.datediff(last, first).alias("recency"),
        F.datediff(F.lit(as_of), first).alias("T"),
        F.datediff(F.lit(as_of), last).alias("days_since_last_purchase"),
        money(F.col("first_day"), 28).alias("first_day_amount"),
        money(repeat, 28).alias("repeat_amount"),
        F.when(frequency > 0, mean).alias("monetary_value"),
        "transactions",
        money(F.col("gross"), 28).alias("gross_amount"),
        money(F.col("refund"), 28).alias("refund_amount"),
        money(F.col("margin"), 28).alias("margin_amount"),
    ).select(*CUSTOMER_FEATURES.of(shape).column_names)
