"""What marketing and planning ask of a run, on the terminal: whom, what for, what if."""

from __future__ import annotations

import datetime as dt

from pyspark.sql import functions as F

from clv_spark.lake import Lake
from clv_spark.reports.text import heading, table, table_of
from clv_spark.schemas import CLV_SCORES, REVENUE_FORECAST, SEGMENT_SUMMARY, WHAT_IF

# Countries that are shown: those with the most new customers.
_SHOWN = 6
# The head of a campaign's list.
_FIRST = 5


def marketing_report(lake: Lake, as_of: dt.date) -> str:
    """Actions, a campaign, tiers, what new customers may cost, the next months, and scenarios.

    Args:
        lake: Its slices of the date are read.
        as_of: The date of a run on purchases.
    """
    parts = [
        heading("Whom to keep, to grow and to win back (clv_scores.recommended_action)"),
        _actions(lake, as_of),
        heading("Whom to keep first (recommended_action = 'retain', by value_at_stake)"),
        _campaign(lake, as_of),
        heading("Who they are (clv_scores.clv_tier)"),
        _tiers(lake, as_of),
        heading("What a new customer may cost (segment_summary)"),
        _new_customers(lake, as_of),
        heading("What the next months bring (revenue_forecast)"),
        _months(lake, as_of),
        heading("What if (what_if)"),
        _scenarios(lake, as_of),
    ]
    return "\n".join(parts) + "\n"


def _actions(lake: Lake, as_of: dt.date) -> str:
    best = F.max_by("action_reason", F.struct("value_at_stake", F.col("customer_id")))
    rows = (
        lake.read(CLV_SCORES, as_of)
        .groupBy("recommended_action")
        .agg(
            F.count(F.lit(1)).alias("customers"),
            F.sum("value_at_stake").alias("stake"),
            best.alias("reason"),
        )
        .orderBy(F.desc("stake"))
        .collect()
    )
    names = ("action", "customers", "value at stake", "reason of the first of them")
    return table(names, [tuple(row) for row in rows])


def _campaign(lake: Lake, as_of: dt.date) -> str:
    columns = ("customer_id", "segment", "value_at_stake", "p_active_365d", "action_reason")
    rows = lake.read(CLV_SCORES, as_of).where("recommended_action = 'retain'")
    rows = rows.orderBy(F.desc("value_at_stake"), "customer_id").limit(_FIRST)
    return table_of(columns, rows.collect())


def _tiers(lake: Lake, as_of: dt.date) -> str:
    scores = lake.read(CLV_SCORES, as_of).where("clv_tier IS NOT NULL")
    rows = (
        scores.groupBy("clv_tier")
        .agg(
            F.count(F.lit(1)).alias("customers"),
            *(F.sum(name).alias(name) for name in ("clv", "clv_service_cost")),
            F.count(F.when(F.col("loss_making"), 1)).alias("loss_making"),
            F.mean("p_active_365d").alias("p_active_365d"),
        )
        .orderBy(F.desc(F.col("clv") / F.col("customers")))
        .collect()
    )
    names = ("tier", "customers", "clv", "cost to serve", "loss making", "mean p_active_365d")
    return table(names, [tuple(row) for row in rows])


def _new_customers(lake: Lake, as_of: dt.date) -> str:
    columns = (
        "segment",
        "new_customers",
        "new_customer_value",
        "new_customer_value_low",
        "new_customer_value_high",
        "cac",
        "clv_to_cac",
        "clv_to_cac_reached",
        "payback_days",
        "max_cac",
    )
    rows = lake.read(SEGMENT_SUMMARY, as_of).where("segment_level IN ('global', 'country')")
    rows = rows.orderBy(F.desc("new_customers"), "segment").limit(_SHOWN)
    value, cac = ("value", "low", "high"), ("cac", "clv : cac", "reached", "payback", "max cac")
    names = ("segment", "new", *value, *cac)
    return table_of(columns, rows.collect(), names)


def _months(lake: Lake, as_of: dt.date) -> str:
    columns = (
        "month",
        "expected_purchases",
        "expected_revenue",
        "revenue_low",
        "revenue_high",
        "new_revenue",
        "seasonal_index",
    )
    rows = lake.read(REVENUE_FORECAST, as_of).where("segment = 'global'").orderBy("month")
    return table_of(columns, rows.collect())


def _scenarios(lake: Lake, as_of: dt.date) -> str:
    columns = ("scenario", "clv_sum", "clv_change", "clv_to_cac", "payback_days")
    rows = lake.read(WHAT_IF, as_of).where("segment = 'global'").orderBy(F.desc("clv_change"))
    return table_of(columns, rows.collect())
