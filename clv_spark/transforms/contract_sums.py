"""Scored contracts -> the few sums per tenure and renewal day that a segment's total needs."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

_KEYS = ("segment", "period", "tenure", "days_to_renewal", "period_days")
# Sums of doubles depend on their order, sums of decimals do not. Beyond this a square is no money.
_LARGEST = 1e21


def contract_value_sums(scored: DataFrame) -> DataFrame:
    """Sums over the running contracts of a segment that renew on the same day with one tenure.

    Args:
        scored: Contracts as the kernel gives them back; those without a forecast do not count.

    Returns:
        segment, period, tenure, days_to_renewal, period_days, contracts, and as doubles the sums
        active, clv, margin and margin_2, the sum of squared margins.
    """
    margin = F.col("value_margin")
    parts = {
        "active": F.col("p_active_365d"),
        "clv": F.col("clv"),
        "margin": margin,
        "margin_2": margin * margin,
    }
    valued = scored.where(F.col("is_active") & F.col("clv").isNotNull()).select(
        *_KEYS,
        *(
            F.least(part, F.lit(_LARGEST)).cast("decimal(28,6)").alias(name)
            for name, part in parts.items()
        ),
    )
    summed = valued.groupBy(*_KEYS).agg(
        F.count(F.lit(1)).alias("contracts"), *(F.sum(name).alias(name) for name in parts)
    )
    return summed.select(
        *_KEYS, "contracts", *(F.col(name).cast("double").alias(name) for name in parts)
    )


def customers_by_segment(scored: DataFrame) -> DataFrame:
    """How many customers have a contract, running or ended, in each segment."""
    return scored.groupBy("segment").agg(F.countDistinct("customer_id").alias("customers"))
