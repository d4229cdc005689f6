"""A customer's own rhythm, the stage of life it puts the customer into, and what has changed.

A stage follows from how many of the customer's own intervals have passed since the last purchase,
and from the probability of another one; how many days these are differs from customer to customer.
The interval is that of the time of the last purchase, so that a long silence does not stretch it.
"""

from __future__ import annotations

import datetime as dt

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from clv_spark.config import LifecycleConfig
from clv_spark.transforms.earlier import (
    BEFORE_CLV,
    BEFORE_FREQUENCY,
    BEFORE_STATUS,
    BEFORE_TIER,
    EARLIER,
)

# Of a probability this small a quotient means nothing any more.
_VANISHED = 1e-300
_LONGEST_INTERVAL = 36_500


def with_rhythm(rows: DataFrame, rules: LifecycleConfig, as_of: dt.date) -> DataFrame:
    """Adds days since the last purchase, the own interval, and when the next one is expected.

    When the next one is expected depends on the silence since, too: who is still a customer after
    it has come to buy more rarely.

    Args:
        rows: Scored customers, with rhythm_days.
        rules: From which probability on a next purchase is expected at all.
        as_of: Last day that counts.
    """
    alive, purchases = F.col("p_alive"), F.col("expected_purchases_30d")
    buys = F.col("relationship") == "purchases"
    known = buys & (alive > _VANISHED) & (purchases > _VANISHED)
    ahead = F.when(known, F.try_divide(30 * alive, purchases))
    expected = (F.col("p_active_365d") >= rules.next_purchase_from) & (ahead <= _LONGEST_INTERVAL)
    days = F.when(expected, F.round(ahead).cast("int"))
    return rows.withColumns(
        {
            "days_since_last_purchase": F.col("T") - F.col("recency"),
            "purchase_interval_days": F.col("rhythm_days"),
            "next_purchase_date": F.date_add(F.lit(as_of), days),
        }
    )


def with_change(rows: DataFrame) -> DataFrame:
    """Adds previous_clv, previous_clv_tier and clv_change, from ``EARLIER`` of each customer."""
    value = F.col(BEFORE_CLV)
    return rows.withColumns(
        {
            "previous_clv": value,
            "previous_clv_tier": F.col(BEFORE_TIER),
            "clv_change": F.col("clv") - value,
        }
    )


def with_stage(rows: DataFrame, rules: LifecycleConfig) -> DataFrame:
    """Adds lifecycle_status, and drops ``EARLIER``, which nothing needs after it.

    Args:
        rows: As :func:`with_rhythm` and :func:`with_change` give them.
        rules: How many own intervals, and which probabilities, divide the stages.
    """
    was, bought = F.col(BEFORE_STATUS), F.col(BEFORE_FREQUENCY)
    stage = F.when(
        F.col("relationship") == "purchases", _stage_of_buyer(rules, was, bought)
    ).otherwise(_stage_of_contract(rules, was, bought))
    return rows.withColumn("lifecycle_status", stage).drop(*EARLIER)


def _stage_of_buyer(rules: LifecycleConfig, was: Column, bought: Column) -> Column:
    active, since = F.col("p_active_365d"), F.col("days_since_last_purchase")
    passed = since / F.col("purchase_interval_days")
    # More purchases alone may be old ones that became known, or be long ago again.
    came_back = was.isin("at_risk", "lost") & (F.col("frequency") > bought)
    is_back = (came_back | (was == "reactivated")) & (passed < 1)
    # Who is gone for certain is not here for having been here lately.
    fresh = (passed < rules.fresh_ratio) & (F.col("p_alive") > _VANISHED)
    return (
        F.when(active.isNull(), F.lit(None).cast("string"))
        .when(is_back, F.lit("reactivated"))
        .when(fresh & (F.col("frequency") == 0), F.lit("new"))
        .when(fresh, F.lit("active"))
        .when((active < rules.lost_below) | (passed >= rules.lost_ratio), F.lit("lost"))
        .when((active < rules.at_risk_below) | (passed >= rules.at_risk_ratio), F.lit("at_risk"))
        .when((active < rules.cooling_below) | (passed >= rules.cooling_ratio), F.lit("cooling"))
        .otherwise(F.lit("active"))
    )


def _stage_of_contract(rules: LifecycleConfig, was: Column, bought: Column) -> Column:
    # A contract that runs again counts as such until it is renewed.
    still_back = (was == "reactivated") & (F.col("frequency") == bought)
    return (
        F.when(F.col("p_alive") == 0, F.lit("lost"))
        .when((was == "lost") | still_back, F.lit("reactivated"))
        # Also before the first renewal, at which yearly ones are lost most of all.
        .when(F.col("p_active_365d") < rules.contract_at_risk_below, F.lit("at_risk"))
        .when(F.col("frequency") == 0, F.lit("new"))
        .otherwise(F.lit("active"))
    )
