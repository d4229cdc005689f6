"""Scored contracts -> the few sums per tenure and renewal day that a segment's total needs."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from clv_spark.transforms.money import exact_sum, exact_sum_where

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


def new_contract_sums(scored: DataFrame, recent_days: int, begin_days: int) -> DataFrame:
    """What contracts the customers of each segment began with who came lately, and what these pay.

    Those that were lost since count like all others, and so do all contracts of a customer that
    began with the first. A change of period, a pause and what a customer of long adds begin a
    contract, but bring no customer.

    Args:
        scored: Contracts as the kernel gives them back.
        recent_days: Younger customers are new ones.
        begin_days: Contracts that follow the first within fewer days belong to the beginning.

    Returns:
        home (the customer's segment), segment and period (of the contracts), new and running (how
        many began so, how many run), new_customers and customers (who came lately, who have one
        that runs; each counted once, in one row of the home), and the sums of amount and margin of
        both, in money: new_amount, new_margin, amount, margin.
    """
    came_lately = F.col("customer_age") < recent_days
    with_the_first = F.col("age_days") > F.col("customer_age") - F.lit(begin_days)
    told = scored.select(
        "home",
        "segment",
        "period",
        (came_lately & with_the_first & (F.col("life") == 1)).alias("is_new"),
        F.col("is_active").alias("runs"),
        (F.col("stands") & came_lately).alias("new_customer"),
        (F.col("stands") & F.col("is_active")).alias("customer"),
        "amount",
        (F.col("margin_rate") * F.col("amount")).alias("margin"),
    )

    return told.groupBy("home", "segment", "period").agg(
        F.count_if("is_new").alias("new"),
        F.count_if("runs").alias("running"),
        F.count_if("new_customer").alias("new_customers"),
        F.count_if("customer").alias("customers"),
        exact_sum_where(F.col("is_new"), F.col("amount")).alias("new_amount"),
        exact_sum_where(F.col("is_new"), F.col("margin")).alias("new_margin"),
        exact_sum_where(F.col("runs"), F.col("amount")).alias("amount"),
        exact_sum_where(F.col("runs"), F.col("margin")).alias("margin"),
    )
