"""customer_features -> the small weighted patterns that the models are fitted on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import reduce
from typing import Literal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from clv_spark.transforms.money import cents
from clv_spark.transforms.segments import on_every_level

# A step of 0.2% in the mean: 1,000,000 rows become about 24,000, parameters agree to 2e-4.
BUCKET_WIDTH = 0.002
# Sums of logarithms are kept as whole billionths, so that they do not depend on the order.
_LOG_UNIT = 1e9

Basis = Literal["repeat", "all"]


def entering_fit(features: DataFrame, cohort_start: dt.date | None) -> DataFrame:
    """Customers that enter a fit: with ``cohort_start``, those first seen on that day or later.

    Who was first seen earlier may have bought before the data begins, so their age is not known.
    """
    if cohort_start is None:
        return features
    return features.where(F.col("first_purchase_date") >= F.lit(cohort_start))


def customers_by_class(features: DataFrame) -> DataFrame:
    """Customers by how often they came back and how long they have been away: class, customers.

    The classes end at 0, 1, 2, 4, 8 and 16 repeat purchase days, and at 30, 90, 180 and 365 days.
    """
    often = _position(F.col("frequency"), (0, 1, 2, 4, 8, 16))
    away = _position(F.col("days_since_last_purchase"), (30, 90, 180, 365))
    name = F.concat_ws("/", often, away).alias("class")
    return features.groupBy(name).agg(F.count(F.lit(1)).alias("customers"))


def _position(number: Column, ends: Sequence[int]) -> Column:
    """How many of the ends a number lies beyond."""
    return reduce(lambda total, end: total + (number > end).cast("int"), ends, F.lit(0))


def segment_totals(named: DataFrame, levels: Sequence[str], basis: Basis) -> DataFrame:
    """Per leaf segment: its names by level, customers, who enters the spend fit, money in cents."""
    spends = _spent(basis) > 0
    buys = _purchases(basis) > 0
    return named.groupBy(*levels).agg(
        F.count(F.lit(1)).alias("customers"),
        F.sum((buys & spends).cast("bigint")).alias("spenders"),
        F.sum((buys & ~spends).cast("bigint")).alias("without_spend"),
        F.sum(cents(F.col("gross_amount"))).alias("gross"),
        F.sum(cents(F.col("refund_amount"))).alias("refund"),
        F.sum(cents(F.col("margin_amount"))).alias("margin"),
    )


def purchase_patterns(named: DataFrame, levels: Sequence[str]) -> DataFrame:
    """Customers by (frequency, recency, T) in every segment of every level.

    Args:
        named: customers with the names of their segments.
        levels: the columns of these names, the root's first.

    Returns:
        level, segment, frequency, recency, T, customers; monetary_value and mean_log are NULL.
    """
    pattern = ("frequency", "recency", "T")
    leaf = named.groupBy(*levels, *pattern).agg(F.count(F.lit(1)).alias("customers"))
    none = F.lit(None).cast("double")
    counted = on_every_level(leaf, levels).groupBy("level", "segment", *pattern)
    return counted.agg(F.sum("customers").alias("customers")).select(
        "level",
        "segment",
        *pattern,
        none.alias("monetary_value"),
        none.alias("mean_log"),
        "customers",
    )


def spend_patterns(
    named: DataFrame, levels: Sequence[str], basis: Basis, bucketed: frozenset[str]
) -> DataFrame:
    """Customers by (purchases behind the mean, mean spend) in every segment of every level.

    Args:
        named: customers with the names of their segments.
        levels: the columns of these names, the root's first.
        basis: repeat: the mean leaves the first purchase day out, so only repeaters have one;
            all: it is taken over all purchase days.
        bucketed: segments so large that their means are put into buckets of 0.2%.

    Returns:
        As :func:`purchase_patterns`; frequency counts the purchase days behind the mean,
        monetary_value and mean_log are of the row or bucket; recency and T are NULL.
    """
    spenders = named.where((_purchases(basis) > 0) & (_spent(basis) > 0)).select(
        *levels, _purchases(basis).alias("frequency"), cents(_spent(basis)).alias("cents")
    )
    rows = on_every_level(spenders, levels)
    if not bucketed:
        return _exact(rows)
    large = F.col("segment").isin(sorted(bucketed))
    return _exact(rows.where(~large)).unionByName(_buckets(rows.where(large)))


def _purchases(basis: Basis) -> Column:
    return F.col("frequency") if basis == "repeat" else F.col("frequency") + 1


def _spent(basis: Basis) -> Column:
    return F.col("repeat_amount" if basis == "repeat" else "gross_amount")


def _mean() -> Column:
    return F.col("cents") / 100 / F.col("frequency")


def _exact(spenders: DataFrame) -> DataFrame:
    counted = spenders.groupBy("level", "segment", "frequency", "cents").agg(
        F.count(F.lit(1)).alias("customers")
    )
    return _spend_columns(counted, _mean(), F.log(_mean()))


def _buckets(spenders: DataFrame) -> DataFrame:
    log = F.log(_mean())
    counted = (
        spenders.withColumn("bucket", F.floor(log / BUCKET_WIDTH))
        .withColumn("log_units", F.round(log * _LOG_UNIT).cast("bigint"))
        .groupBy("level", "segment", "frequency", "bucket")
        .agg(
            F.count(F.lit(1)).alias("customers"),
            F.sum("cents").alias("cents"),
            F.sum("log_units").alias("log_units"),
        )
    )
    count = F.col("customers")
    return _spend_columns(counted, _mean() / count, F.col("log_units") / _LOG_UNIT / count)


def _spend_columns(counted: DataFrame, mean: Column, mean_log: Column) -> DataFrame:
    nothing = F.lit(None).cast("int")
    return counted.select(
        "level",
        "segment",
        "frequency",
        nothing.alias("recency"),
        nothing.alias("T"),
        mean.alias("monetary_value"),
        mean_log.alias("mean_log"),
        "customers",
    )
