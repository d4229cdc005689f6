"""Scored contracts -> the few sums per tenure and renewal day that a segment's total needs."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from clv_spark.transforms.money import exact_sum, summand

_KEYS = ("segment", "period", "tenure", "days_to_renewal", "period_days")


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
        *(part.alias(name) for name, part in parts.items()),
    )
    summed = valued.groupBy(*_KEYS).agg(
        F.count(F.lit(1)).alias("contracts"),
        *(exact_sum(F.col(n), squares=n == "margin_2").alias(n) for n in parts),
    )
    return summed.select(
        *_KEYS, "contracts", *(F.col(name).cast("double").alias(name) for name in parts)
    )


def new_contract_sums(scored: DataFrame, recent_days: int) -> DataFrame:
    """How many contracts of each segment and period began lately, and what some pay together.

    Of a segment and period without a new one all that run tell what is paid.

    Args:
        scored: Contracts as the kernel gives them back.
        recent_days: Younger contracts are new ones.

    Returns:
        segment, period, new (how many began lately), running (how many run), and of those that
        tell: contracts, and the sums of amount and margin, in money.
    """
    is_new = F.col("age_days") < recent_days
    margin = F.col("margin_rate") * F.col("amount")
    parts = {"contracts": F.lit(1), "amount": F.col("amount"), "margin": margin}
    running = scored.where("is_active").select(
        "segment",
        "period",
        is_new.alias("is_new"),
        *(summand(part).alias(name) for name, part in parts.items()),
    )
    counted = running.groupBy("segment", "period").agg(
        F.coalesce(F.max("is_new"), F.lit(False)).alias("any_new"),
        *(F.sum(name).alias(name) for name in parts),
        *(F.sum(F.when(F.col("is_new"), F.col(name))).alias(f"new_{name}") for name in parts),
        F.count(F.when(F.col("is_new"), 1)).alias("new"),
        F.count(F.lit(1)).alias("running"),
    )
    return counted.select(
        "segment",
        "period",
        "new",
        "running",
        *(
            F.when(F.col("any_new"), F.col(f"new_{name}"))
            .otherwise(F.col(name))
            .cast("double")
            .alias(name)
            for name in parts
        ),
    )
