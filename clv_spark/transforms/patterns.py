"""customer_features -> the small weighted patterns that the models are fitted on."""

from __future__ import annotations

import datetime as dt
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from clv_spark.transforms.money import cents
from clv_spark.transforms.segments import GLOBAL, segment_name

# A step of 0.2% in the mean: 1,000,000 rows become about 24,000, parameters agree to 2e-4.
BUCKET_WIDTH = 0.002
# Sums of logarithms are kept as whole billionths, so that they do not depend on the order.
_LOG_UNIT = 1e9


def with_segment(features: DataFrame, keys: tuple[str, ...]) -> DataFrame:
    """Customers with the name of their segment."""
    return features.withColumn("segment", segment_name(keys))


def entering_fit(features: DataFrame, cohort_start: dt.date | None) -> DataFrame:
    """Customers that enter a fit: with ``cohort_start``, those first seen on that day or later.

    Who was first seen earlier may have bought before the data begins, so their age is not known.
    """
    if cohort_start is None:
        return features
    return features.where(F.col("first_purchase_date") >= F.lit(cohort_start))


def segment_totals(features: DataFrame) -> DataFrame:
    """Per segment: customers, repeaters, those without positive mean, and money in cents."""
    repeater = F.col("frequency") > 0
    return features.groupBy("segment").agg(
        F.count(F.lit(1)).alias("customers"),
        F.sum((repeater & (F.col("repeat_amount") > 0)).cast("bigint")).alias("spenders"),
        F.sum((repeater & (F.col("repeat_amount") <= 0)).cast("bigint")).alias("without_spend"),
        F.sum(cents(F.col("gross_amount"))).alias("gross"),
        F.sum(cents(F.col("refund_amount"))).alias("refund"),
        F.sum(cents(F.col("margin_amount"))).alias("margin"),
    )


def purchase_patterns(features: DataFrame) -> DataFrame:
    """Customers by (segment, frequency, recency, T), for each segment and for 'global'."""
    leaf = features.groupBy("segment", "frequency", "recency", "T").agg(
        F.count(F.lit(1)).alias("customers")
    )
    root = leaf.groupBy("frequency", "recency", "T").agg(F.sum("customers").alias("customers"))
    none = F.lit(None).cast("double")
    both = _with_root(leaf, root)
    return both.select(
        "segment",
        "frequency",
        "recency",
        "T",
        none.alias("monetary_value"),
        none.alias("mean_log"),
        "customers",
    )


def spend_patterns(features: DataFrame, bucketed: frozenset[str]) -> DataFrame:
    """Repeaters by (segment, frequency, mean spend), for each segment and for 'global'.

    Args:
        features: with segment.
        bucketed: segments so large that their means are put into buckets of 0.2%.

    Returns:
        segment, frequency, monetary_value and mean_log of the bucket, customers.
    """
    spenders = features.where((F.col("frequency") > 0) & (F.col("repeat_amount") > 0)).select(
        "segment", "frequency", cents(F.col("repeat_amount")).alias("cents")
    )
    everyone = spenders.withColumn("segment", F.lit(GLOBAL))
    leaves = spenders.where(F.col("segment") != GLOBAL)
    parts: list[DataFrame] = [
        (_buckets if GLOBAL in bucketed else _exact)(everyone),
        _exact(leaves.where(~_is_in(bucketed))),
    ]
    if bucketed - {GLOBAL}:
        parts.append(_buckets(leaves.where(_is_in(bucketed))))
    return reduce(DataFrame.unionByName, parts)


def _with_root(leaf: DataFrame, root: DataFrame) -> DataFrame:
    only_leaves = leaf.where(F.col("segment") != GLOBAL)
    return only_leaves.unionByName(root.withColumn("segment", F.lit(GLOBAL)))


def _is_in(segments: frozenset[str]) -> Column:
    return F.col("segment").isin(sorted(segments))


def _mean() -> Column:
    return F.col("cents") / 100 / F.col("frequency")


def _exact(spenders: DataFrame) -> DataFrame:
    counted = spenders.groupBy("segment", "frequency", "cents").agg(
        F.count(F.lit(1)).alias("customers")
    )
    return _spend_columns(counted, _mean(), F.log(_mean()))


def _buckets(spenders: DataFrame) -> DataFrame:
    log = F.log(_mean())
    counted = (
        spenders.withColumn("bucket", F.floor(log / BUCKET_WIDTH))
        .withColumn("log_units", F.round(log * _LOG_UNIT).cast("bigint"))
        .groupBy("segment", "frequency", "bucket")
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
        "segment",
        "frequency",
        nothing.alias("recency"),
        nothing.alias("T"),
        mean.alias("monetary_value"),
        mean_log.alias("mean_log"),
        "customers",
    )
