"""Tables of scores per customer: clv_scores and clv_scores_latest."""

from __future__ import annotations

from dataclasses import replace

from clv_spark.schemas.checks import (
    LARGEST,
    NO_PURCHASE_MODEL,
    NO_SPEND_MODEL,
    all_of,
    finite,
    number,
    probability,
)
from clv_spark.schemas.judgement import JUDGED_CHECKS, JUDGED_COLUMNS
from clv_spark.schemas.spec import DEFINED, ID, Column, TableSpec

_PURCHASE_NUMBERS = ("expected_purchases_30d", "expected_purchases_90d", "expected_purchases_365d")
_MONEY_NUMBERS = (
    "expected_order_value",
    "expected_revenue_365d",
    "clv_revenue",
    "clv_margin",
    "clv_service_cost",
)
_VALUES = ("clv", "clv_low", "clv_high", "total_clv")

CLV_SCORES = TableSpec(
    name="clv_scores",
    comment=(
        "One row per as_of_date, customer and relationship: how likely active, what they will buy "
        "and be worth. History by as_of_date; the newest is clv_scores_latest."
    ),
    columns=(
        Column("as_of_date", "DATE", "last day that counts; date, the partition"),
        Column("customer_id", ID, "customer as named by the source; identifier"),
        Column(
            "relationship",
            "STRING",
            "purchases: without contract; contract: all contracts of the customer together, in "
            "detail in contract_scores; a customer with both has two rows; text",
        ),
        Column(
            "segment",
            "STRING",
            "the customer's segment, 'global' when none is set; of several contracts that of the "
            "newest that runs; text",
        ),
        Column(
            "score_status",
            "STRING",
            "the first of these that holds; lost: no contract runs any more, predictions are 0; "
            "insufficient_data: no model of purchases or of a contract, predictions are NULL; "
            "spend_undefined: no spend model, money columns are NULL; parent_model: the segment's "
            "own customers tell too little, its parent's parameters are used (of several contracts "
            "that of the newest that runs); new: T is below value.new_customer_days, whenever the "
            "newest contract began; one_purchase: no repeat yet, the spend rests on one purchase "
            "or, with spend_basis repeat, on the segment's mean alone (frequency = 0 tells "
            "all one-time buyers); ok: none of these; text",
        ),
        Column(
            "clv",
            "DOUBLE",
            f"expected discounted {DEFINED} of the next horizon_days; money",
            nullable=True,
        ),
        Column(
            "clv_low",
            "DOUBLE",
            "the value will turn out below this with probability 0.1 at most; often 0, since many "
            "customers will not buy again; money",
            nullable=True,
        ),
        Column(
            "clv_high",
            "DOUBLE",
            "the value will turn out above this with probability 0.1 at most; money",
            nullable=True,
        ),
        Column("total_clv", "DOUBLE", "historical_clv plus clv; money", True),
        Column("historical_clv", "DOUBLE", f"{DEFINED} so far; money"),
        Column(
            "residual_clv",
            "DOUBLE",
            "like clv without horizon, NULL when annual_discount_rate = 0; of a net value costs to "
            "serve grow beyond the horizon as the margin does; money",
            nullable=True,
        ),
        Column(
            "value_definition",
            "STRING",
            "what clv, its bounds, historical_clv, total_clv and residual_clv count: revenue, "
            "margin, or net, which is margin less the cost to serve; text",
        ),
        Column(
            "clv_revenue",
            "DOUBLE",
            "expected discounted revenue of the next horizon_days, net of returns; money",
            nullable=True,
        ),
        Column(
            "clv_margin",
            "DOUBLE",
            "expected discounted margin of the next horizon_days; money",
            nullable=True,
        ),
        Column(
            "clv_service_cost",
            "DOUBLE",
            "expected discounted cost to serve of the next horizon_days; money",
            nullable=True,
        ),
        Column(
            "historical_revenue",
            "DOUBLE",
            "revenue so far less refunds, 0 where these exceed what was paid; money",
        ),
        Column(
            "historical_margin",
            "DOUBLE",
            "margin so far less that of refunds, 0 where it would be less; money",
        ),
        Column("historical_service_cost", "DOUBLE", "cost to serve so far; money"),
        Column(
            "acquisition_cost",
            "DOUBLE",
            "what it cost to win the customer: sunk, in no value; of spend by month that of the "
            "month of the first purchase and of those before without a new customer, per new "
            "customer; NULL when not known; money",
            nullable=True,
        ),
        Column(
            "loss_making",
            "BOOLEAN",
            "serving the customer will cost more than clv_margin; true or false",
        ),
        Column(
            "p_alive",
            "DOUBLE",
            "probability that the relationship still exists on as_of_date; the model bg_nbd lets "
            "customers leave only after a repeat purchase and so gives every one-time buyer 1: "
            "lists should use p_active_365d; for contracts it is known: 1 while one runs, else 0; "
            "0 to 1",
            nullable=True,
        ),
        Column(
            "p_active_365d",
            "DOUBLE",
            "probability of at least one purchase day in the next 365 days, or that a contract "
            "still runs after them; 0 to 1",
            nullable=True,
        ),
        Column(
            "expected_purchases_30d",
            "DOUBLE",
            "purchase days, or renewals of contracts, in the next 30 days; count",
            nullable=True,
        ),
        Column(
            "expected_purchases_90d",
            "DOUBLE",
            "purchase days, or renewals of contracts, in the next 90 days; count",
            nullable=True,
        ),
        Column(
            "expected_purchases_365d",
            "DOUBLE",
            "purchase days, or renewals of contracts, in the next 365 days; count",
            nullable=True,
        ),
        Column(
            "expected_order_value",
            "DOUBLE",
            "expected gross amount of a future purchase day or renewal; money per purchase day",
            nullable=True,
        ),
        Column(
            "expected_revenue_365d",
            "DOUBLE",
            "expected revenue of the next 365 days, net of returns, not discounted; money",
            nullable=True,
        ),
        Column("return_rate", "DOUBLE", "share of gross amount expected to be returned; 0 to 1"),
        Column(
            "margin_rate",
            "DOUBLE",
            "margin per unit of net revenue in clv; where margins "
            "are recorded the customer's own, drawn to the segment's; 0 to 1",
        ),
        Column("frequency", "INT", "repeat purchase days, or renewals so far; count"),
        Column(
            "recency",
            "INT",
            "from first to last purchase day, or from the first start to the last renewal; days",
        ),
        Column(
            "T", "INT", "age: from first purchase day or start of a contract to as_of_date; days"
        ),
        Column(
            "monetary_value",
            "DOUBLE",
            "mean gross amount of a repeat purchase day, or mean price of a paid period, NULL when "
            "frequency = 0; money per purchase day",
            nullable=True,
        ),
        Column(
            "model",
            "STRING",
            "model of purchases and model of spend, or of contracts, 'none' without parameters; "
            "text",
        ),
        Column(
            "parameters_segment", "STRING", "whose parameters of purchases or contracts; text", True
        ),
        Column(
            "spend_parameters_segment",
            "STRING",
            "whose spend parameters, NULL for contracts; text",
            True,
        ),
        Column("fit_date", "DATE", "fit_date of the parameters; date"),
        Column("horizon_days", "INT", "length of the clv horizon; days"),
        Column(
            "annual_discount_rate",
            "DOUBLE",
            "value t days ahead weighs (1 + rate)^(-t/365); no unit",
        ),
        Column("currency", "STRING", "currency of all money, NULL when not configured; text", True),
        *JUDGED_COLUMNS,
    ),
    key=("as_of_date", "customer_id", "relationship"),
    partition_by=("as_of_date",),
    slice_column="as_of_date",
    checks={
        "status": (
            "score_status IN ('ok', 'one_purchase', 'new', 'parent_model', 'spend_undefined', "
            "'insufficient_data', 'lost')"
        ),
        "relationship": "relationship IN ('purchases', 'contract')",
        "definition": "value_definition IN ('revenue', 'margin', 'net')",
        "probabilities": all_of(probability("p_alive"), probability("p_active_365d")),
        "purchases": all_of(*(number(c, NO_PURCHASE_MODEL) for c in _PURCHASE_NUMBERS)),
        "money": all_of(
            *(number(c, NO_SPEND_MODEL) for c in _MONEY_NUMBERS),
            *(finite(c, NO_SPEND_MODEL) for c in _VALUES),
            *(number(f"historical_{c}", "false") for c in ("revenue", "margin", "service_cost")),
            finite("historical_clv", "false"),
            finite("residual_clv", f"(annual_discount_rate = 0 OR {NO_SPEND_MODEL})"),
            # Only a net value can be below zero.
            f"(value_definition = 'net' OR least(0, {', '.join(_VALUES)}) = 0)",
            "coalesce(clv_low, 0) <= coalesce(clv_high, 0)",
            "coalesce(acquisition_cost, 0) >= 0",
        ),
        "facts": all_of(
            "frequency >= 0",
            "recency >= 0",
            "recency <= T",
            "return_rate >= 0",
            "return_rate <= 1",
            "margin_rate >= 0",
            "margin_rate <= 1",
            "(monetary_value IS NULL) = (frequency = 0)",
            f"coalesce(monetary_value, 0) <= {LARGEST}",
        ),
        **JUDGED_CHECKS,
    },
    version=4,
    properties={"clv_spark.valueDefinition": DEFINED},
)
# What follows when the customers of both relationships are together: their value ...
VALUED = (
    "value_definition",
    "clv_service_cost",
    "historical_clv",
    "historical_service_cost",
    "total_clv",
    "acquisition_cost",
    "loss_making",
)
# ... and, in the end, how they are judged.
JUDGED = tuple(column.name for column in JUDGED_COLUMNS)

CLV_SCORES_LATEST = replace(
    CLV_SCORES,
    name="clv_scores_latest",
    comment="The newest as_of_date of clv_scores, replaced last, after every gate.",
    key=("customer_id", "relationship"),
    partition_by=(),
    slice_column=None,
)
