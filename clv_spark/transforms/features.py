"""customer_days, or a snapshot and the days after it -> customer_features."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from clv_spark.config import Config
from clv_spark.schemas import CUSTOMER_FEATURES, Shape
from clv_spark.transforms.money import cents, money
from clv_spark.transforms.segments import Codes, code_of, decode, encode


def pieces_of_days(
    days: DataFrame, keys: tuple[str, ...], as_of: dt.date, after: dt.date | None = None
) -> DataFrame:
    """Each customer-day as the features of that day alone, ready to be folded.

    Args:
        days: rows of ``customer_days``.
        keys: names of the segment keys.
        as_of: last day that counts.
        after: only later days; all by default.
    """
    wanted = days.where(F.col("event_date") <= F.lit(as_of))
    if after is not None:
        wanted = wanted.where(F.col("event_date") > F.lit(after))
    sold = F.col("transactions") > 0
    date = F.when(sold, F.col("event_date"))
    gross = cents(F.col("gross_amount"))
    return wanted.select(
        "customer_id",
        *keys,
        date.alias("first_purchase_date"),
        date.alias("last_purchase_date"),
        sold.cast("bigint").alias("purchase_days"),
        gross.alias("first_day"),
        "transactions",
        gross.alias("gross"),
        cents(F.col("refund_amount")).alias("refund"),
        cents(F.col("margin_amount")).alias("margin"),
    )


def pieces_of_snapshot(
    features: DataFrame, refund_only: DataFrame, keys: tuple[str, ...]
) -> DataFrame:
    """What earlier days of each customer come to, from one slice of the features.

    Args:
        features: a slice of ``customer_features``.
        refund_only: the same slice of ``refund_only_customers``.
        keys: names of the segment keys.
    """
    buyers = features.select(
        "customer_id",
        *keys,
        "first_purchase_date",
        "last_purchase_date",
        (F.col("frequency") + 1).cast("bigint").alias("purchase_days"),
        cents(F.col("first_day_amount")).alias("first_day"),
        "transactions",
        cents(F.col("gross_amount")).alias("gross"),
        cents(F.col("refund_amount")).alias("refund"),
        cents(F.col("margin_amount")).alias("margin"),
    )
    # What they lack is NULL, which neither sums nor minima count.
    others = refund_only.select(
        "customer_id",
        cents(F.col("refund_amount")).alias("refund"),
        cents(F.col("margin_amount")).alias("margin"),
    )
    return buyers.unionByName(others, allowMissingColumns=True)


def fold(pieces: DataFrame, codes: Mapping[str, Codes], config: Config) -> DataFrame:
    """Put the pieces of each customer together: sums, minima and maxima, in any order.

    Args:
        pieces: of days, of a snapshot and the days after it, or of anything that is folded already.
        codes: of each segment key.
        config: says whether a key takes its latest or its first value.

    Returns:
        One row per customer with sums in cents; first_purchase_date is NULL for a customer
        without a purchase day.
    """
    folded = pieces
    assigned = []
    for key, one in codes.items():
        folded = encode(folded, key, one, code_of(key))
        latest = config.assignment(key) == "latest"
        pick = F.max_by if latest else F.min_by
        date = "last_purchase_date" if latest else "first_purchase_date"
        assigned.append(pick(code_of(key), date).alias(code_of(key)))
    sums = ("purchase_days", "transactions", "gross", "refund", "margin")
    folded = folded.groupBy("customer_id").agg(
        F.min("first_purchase_date").alias("first_purchase_date"),
        F.max("last_purchase_date").alias("last_purchase_date"),
        F.min_by("first_day", "first_purchase_date").alias("first_day"),
        *(F.sum(name).alias(name) for name in sums),
        *assigned,
    )
    coded = set(map(code_of, codes))
    names = [name for name in folded.columns if name not in coded]
    return folded.select(
        *names, *(decode(code_of(key), one).alias(key) for key, one in codes.items())
    )


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
        money(F.col("first_day"), 18).alias("first_day_amount"),
        money(repeat, 18).alias("repeat_amount"),
        F.when(frequency > 0, mean).alias("monetary_value"),
        "transactions",
        money(F.col("gross"), 18).alias("gross_amount"),
        money(F.col("refund"), 18).alias("refund_amount"),
        money(F.col("margin"), 18).alias("margin_amount"),
    ).select(*CUSTOMER_FEATURES.of(shape).column_names)


def refund_only_customers(folded: DataFrame, as_of: dt.date) -> DataFrame:
    """Folded customers without a purchase as rows of ``refund_only_customers``."""
    return folded.where(F.col("first_purchase_date").isNull()).select(
        F.lit(as_of).alias("as_of_date"),
        "customer_id",
        money(F.col("refund"), 28).alias("refund_amount"),
        money(F.col("margin"), 28).alias("margin_amount"),
    )
