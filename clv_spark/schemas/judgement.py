"""Columns of clv_scores that judge a customer beside all others: ranks, stage of life, action."""

from __future__ import annotations

from clv_spark.schemas.checks import all_of
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
    _score("rfm_recency", "how short ago the last purchase day was"),
    _score("rfm_frequency", "how many purchase days"),
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
)
_SCORES = ("rfm_recency", "rfm_frequency", "rfm_monetary")

JUDGED_CHECKS = {
    "ranks": all_of(
        *(f"coalesce({c}, 1) BETWEEN 1 AND 5" for c in _SCORES),
        *(f"({c} IS NULL) = (relationship = 'contract')" for c in (*_SCORES, "rfm_segment")),
        "(clv_tier IS NULL) = (clv IS NULL)",
    ),
}
