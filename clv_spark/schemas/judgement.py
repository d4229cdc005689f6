"""Columns of clv_scores that judge a customer beside all others: ranks, stage of life, action."""

from __future__ import annotations

from clv_spark.schemas.checks import LARGEST, NO_PURCHASE_MODEL, all_of, number
from clv_spark.schemas.spec import Column


def _score(name: str, meaning: str) -> Column:
    return Column(
        name,
        "INT",
        f"{meaning}, by quintile of the segment's customers, equal ones alike; 5 is best, NULL for "
        "contracts; without unit",
        nullable=True,
    )


JUDGED_COLUMNS = (
    Column(
        "days_since_last_purchase",
        "INT",
        "T - recency: from last purchase day or renewal to as_of_date; days",
    ),
    Column(
        "purchase_interval_days",
        "DOUBLE",
        "the customer's own rhythm: expected time between two purchase days, as known at the last "
        "one, so that the silence since does not stretch it; of a contract (of several the newest "
        "that runs) from renewal to renewal; days",
        nullable=True,
    ),
    Column(
        "next_purchase_date",
        "DATE",
        "as_of_date plus the expected time to the next purchase day; NULL where p_active_365d is "
        "below lifecycle.next_purchase_from, and for contracts; date",
        nullable=True,
    ),
    Column(
        "lifecycle_status",
        "STRING",
        "new: one purchase so far, a short time ago by the own rhythm, or a contract not renewed "
        "yet and not at_risk; active; cooling, at_risk, lost: ever longer away by the own rhythm, "
        "or ever less likely active, see lifecycle; reactivated: was at_risk or lost on the date "
        "before and has come back; NULL without a model of purchases; text",
        nullable=True,
    ),
    _score("rfm_recency", "how short ago the last purchase day was"),
    _score("rfm_frequency", "how many purchase days, 1 for who bought once"),
    _score("rfm_monetary", "how much money so far"),
    Column(
        "rfm_segment",
        "STRING",
        "name that ranks.rfm_segments has for the three scores, NULL for contracts; text",
        nullable=True,
    ),
    Column(
        "clv_tier",
        "STRING",
        "tier of clv among all rows of the as_of_date, see ranks.tiers; NULL without clv; text",
        nullable=True,
    ),
    Column(
        "previous_clv",
        "DOUBLE",
        "clv in the newest slice of at least lifecycle.compare_days before, NULL without a row, or "
        "where value_definition, horizon_days, annual_discount_rate or currency differ; money",
        nullable=True,
    ),
    Column(
        "previous_clv_tier",
        "STRING",
        "clv_tier in that slice, '(unknown)' where it had no clv to compare, NULL without a row; "
        "text",
        nullable=True,
    ),
    Column("clv_change", "DOUBLE", "clv less previous_clv, NULL without one of them; money", True),
    Column(
        "recommended_action",
        "STRING",
        "what the first rule under actions says that holds: retain, grow, win_back, repeat, "
        "replenish, cross_sell, reward, leave or watch; text",
    ),
    Column("action_reason", "STRING", "why, in words; text"),
    Column(
        "action_category",
        "STRING",
        "category to replenish or to cross-sell, NULL for other actions; text",
        nullable=True,
    ),
    Column(
        "value_at_stake",
        "DOUBLE",
        "what is lost if the customer leaves: clv given that the relationship still exists, at "
        "least 0; 0 where it does not, NULL without clv; money",
        nullable=True,
    ),
)
# What a rule says of a customer; all other columns it may name.
ACTION_COLUMNS = ("recommended_action", "action_reason", "action_category")
STAGES = ("new", "active", "cooling", "at_risk", "lost", "reactivated")
_SCORES = ("rfm_recency", "rfm_frequency", "rfm_monetary")

JUDGED_CHECKS = {
    "lifecycle": all_of(
        "days_since_last_purchase >= 0",
        "coalesce(purchase_interval_days, 1) > 0",
        f"coalesce(purchase_interval_days, 1) <= {LARGEST}",
        "coalesce(next_purchase_date, as_of_date) >= as_of_date",
        f"coalesce(lifecycle_status, 'new') IN ({', '.join(map(repr, STAGES))})",
        f"(lifecycle_status IS NOT NULL OR {NO_PURCHASE_MODEL})",
        "(clv_change IS NULL) = (clv IS NULL OR previous_clv IS NULL)",
    ),
    "ranks": all_of(
        *(f"coalesce({c}, 1) BETWEEN 1 AND 5" for c in _SCORES),
        *(f"({c} IS NULL) = (relationship = 'contract')" for c in (*_SCORES, "rfm_segment")),
        "(clv_tier IS NULL) = (clv IS NULL)",
    ),
    "actions": all_of(
        "recommended_action IN ('retain', 'grow', 'win_back', 'repeat', 'replenish', 'cross_sell', "
        "'reward', 'leave', 'watch')",
        number("value_at_stake", "clv IS NULL"),
    ),
}
