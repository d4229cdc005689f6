"""Tables of revenue by month, so far and to come: revenue_history and revenue_forecast."""

from __future__ import annotations

from clv_spark.schemas.checks import all_of
from clv_spark.schemas.spec import Column, TableSpec

_EXPECTED = (
    "expected_purchases",
    "expected_revenue",
    "revenue_low",
    "revenue_high",
    "cumulative_revenue",
    "cumulative_revenue_low",
    "cumulative_revenue_high",
    "expected_margin",
    "existing_purchases",
    "existing_revenue",
    "new_customers",
    "new_purchases",
    "new_revenue",
)

REVENUE_HISTORY = TableSpec(
    name="revenue_history",
    comment=(
        "One row per as_of_date, leaf segment and calendar month up to as_of_date: what "
        "revenue_forecast goes on from, and can be held against later."
    ),
    columns=(
        Column("as_of_date", "DATE", "last day that counts; date, the partition"),
        Column("relationship", "STRING", "purchases; text"),
        Column(
            "segment",
            "STRING",
            "leaf segment that the customers were in on the day, 'global' without segment keys; "
            "text",
        ),
        Column("month", "DATE", "first day of the calendar month; date"),
        Column("first_date", "DATE", "first day of the month with a line; date"),
        Column("purchases", "BIGINT", "purchase days of all customers; count"),
        Column("gross_amount", "DECIMAL(28,2)", "sum of the sales; money"),
        Column("refund_amount", "DECIMAL(28,2)", "sum of the refunds, positive; money"),
        Column(
            "gross_square",
            "DOUBLE",
            "sum of the squares of each customer's sales of a day, from which the noise of months "
            "is estimated; money squared",
        ),
        Column("net_square", "DOUBLE", "the same of sales less refunds; money squared"),
        Column("currency", "STRING", "currency of all money, NULL when not configured; text", True),
    ),
    key=("as_of_date", "relationship", "segment", "month"),
    partition_by=("as_of_date",),
    slice_column="as_of_date",
    checks={
        "relationship": "relationship = 'purchases'",
        "month": "month = trunc(first_date, 'MM') AND first_date <= as_of_date",
        "sums": "purchases >= 0 AND refund_amount >= 0 AND gross_square >= 0 AND net_square >= 0",
    },
    version=1,
)

REVENUE_FORECAST = TableSpec(
    name="revenue_forecast",
    comment=(
        "One row per as_of_date, relationship, segment and calendar month ahead: purchases, "
        "revenue and margin, not discounted, of the customers of today and of those to come. "
        "Contracts are in subscription_forecast."
    ),
    columns=(
        Column("as_of_date", "DATE", "last day that counts; date, the partition"),
        Column("relationship", "STRING", "purchases; text"),
        Column("segment", "STRING", "'global', or a segment as in model_parameters; text"),
        Column("segment_level", "STRING", "'global' or the name of the segment key; text"),
        Column("month", "DATE", "first day of the calendar month; date"),
        Column(
            "days",
            "INT",
            "days of the month that are ahead: fewer in the first, when as_of_date is not the end "
            "of a month; days",
        ),
        Column(
            "expected_purchases",
            "DOUBLE",
            "existing_purchases + new_purchases; count of purchase days",
            nullable=True,
        ),
        Column(
            "expected_revenue",
            "DOUBLE",
            "existing_revenue + new_revenue, net of returns; NULL, as all numbers are, where no "
            "customer of the segment has a value; money",
            nullable=True,
        ),
        Column(
            "revenue_low",
            "DOUBLE",
            "revenue of the month will be lower with probability 0.1: from shared draws of the "
            "parameters and of the season, chance, new customers and noise of months; money",
            nullable=True,
        ),
        Column("revenue_high", "DOUBLE", "it will be higher with probability 0.1; money", True),
        Column(
            "cumulative_revenue",
            "DOUBLE",
            "sum of expected_revenue of this and all earlier months ahead: from the day after "
            "as_of_date to the end of the month; money",
            nullable=True,
        ),
        Column(
            "cumulative_revenue_low",
            "DOUBLE",
            "revenue of these months together will be lower with probability 0.1; bounds of months "
            "do not add up to it; money",
            nullable=True,
        ),
        Column(
            "cumulative_revenue_high",
            "DOUBLE",
            "it will be higher with probability 0.1; money",
            nullable=True,
        ),
        Column(
            "expected_margin",
            "DOUBLE",
            "expected revenue times the margin rate of each leaf segment; money",
            nullable=True,
        ),
        Column(
            "existing_purchases",
            "DOUBLE",
            "of customers with a purchase up to as_of_date; count of purchase days",
            nullable=True,
        ),
        Column("existing_revenue", "DOUBLE", "revenue of them; money", True),
        Column("new_customers", "DOUBLE", "first purchases to come in the month; count", True),
        Column(
            "new_purchases",
            "DOUBLE",
            "of customers who come after as_of_date, first purchases and later ones; count of "
            "purchase days",
            nullable=True,
        ),
        Column("new_revenue", "DOUBLE", "revenue of them; money", True),
        Column(
            "seasonal_index",
            "DOUBLE",
            "what the calendar month multiplies an even day's revenue with in this segment, 1 on "
            "average over a year; without unit",
            nullable=True,
        ),
        Column("currency", "STRING", "currency of all money, NULL when not configured; text", True),
    ),
    key=("as_of_date", "relationship", "segment", "month"),
    partition_by=("as_of_date",),
    slice_column="as_of_date",
    checks={
        "relationship": "relationship IN ('purchases', 'contract')",
        "numbers": all_of("days >= 1", *(f"coalesce({name}, 0) >= 0" for name in _EXPECTED)),
        "interval": all_of(
            "coalesce(revenue_low, 0) <= coalesce(revenue_high, 0)",
            "coalesce(cumulative_revenue_low, 0) <= coalesce(cumulative_revenue_high, 0)",
        ),
    },
    version=2,
)
