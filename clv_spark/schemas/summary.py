"""Tables of segments: segment_summary."""

from __future__ import annotations

from clv_spark.schemas.checks import all_of
from clv_spark.schemas.spec import DEFINED, Column, TableSpec


def _money(name: str, meaning: str) -> Column:
    return Column(name, "DOUBLE", f"{meaning}; money", True)


def _by_tier(name: str, kind: str, meaning: str) -> Column:
    said = f"{meaning}, by clv_tier, '(none)' for those without clv"
    return Column(name, f"MAP<STRING, {kind}>", said, True)


_FORMULAS = tuple(
    _money(
        f"formula_{name}_{kind}",
        f"{formula}, in {kind}, NULL where observed_churn is NULL or 0, or nothing was ever paid",
    )
    for name, formula in (
        ("orders", "average order value x orders per year x lifetime in years"),
        (
            "churn",
            "ARPU x margin / monthly churn, ARPU being revenue / months since first purchase",
        ),
    )
    for kind in ("revenue", "margin", "net")
)
_NOT_NEGATIVE = (
    "active_customers",
    "historical_revenue",
    "historical_margin",
    "historical_service_cost",
    "clv_revenue",
    "clv_margin",
    "clv_service_cost",
    "cac",
    "max_cac",
    "acquisition_budget",
    "payback_days",
)

SEGMENT_SUMMARY = TableSpec(
    name="segment_summary",
    comment=(
        "One row per as_of_date, relationship and segment or group of customers: what they are "
        "worth, what they cost, and what a new one may cost."
    ),
    columns=(
        Column("as_of_date", "DATE", "last day that counts; date, the partition"),
        Column("relationship", "STRING", "purchases or contract; text"),
        Column(
            "segment_level",
            "STRING",
            "'global', the name of a segment key or of a key under report_by, or "
            "acquisition_month; text",
        ),
        Column(
            "segment",
            "STRING",
            "'global', a segment as in model_parameters, or a value of the key; text",
        ),
        Column(
            "customers",
            "BIGINT",
            "customers that are scored, each in the segment of its row of clv_scores; count",
        ),
        Column(
            "active_customers",
            "DOUBLE",
            "expected number of customers with a purchase day in the next 365 days, or with a "
            "contract that still runs after them; count",
        ),
        Column(
            "loss_making_customers",
            "BIGINT",
            "customers who will cost more to serve than they bring, see clv_scores; count",
        ),
        _money("expected_revenue_365d", "revenue of the next 365 days, net of returns"),
        _money("clv_revenue", "sum of clv_revenue over the customers"),
        _money("clv_margin", "sum of clv_margin"),
        _money("clv_service_cost", "sum of clv_service_cost"),
        _money("clv_sum", f"sum of clv over the customers: {DEFINED} of the next horizon_days"),
        _money(
            "clv_sum_low",
            "the sum will be lower with probability 0.1: from shared draws of the parameters, "
            "never from the customers' bounds",
        ),
        _money("clv_sum_high", "the sum will be higher with probability 0.1"),
        _money("clv_mean", "mean of clv, per customer"),
        _money("clv_median", "median of clv, to half a percent, per customer"),
        Column(
            "top_tenth_share",
            "DOUBLE",
            "share of clv_sum that the most valuable tenth of the customers holds, NULL where the "
            "sum is not above 0; no unit",
            nullable=True,
        ),
        _money(
            "historical_revenue",
            "sum of historical_revenue over the customers: revenue so far less refunds, where a "
            "customer whose refunds exceed what they paid counts with 0, other than in "
            "cohort_summary",
        ),
        _money("historical_margin", "sum of historical_margin, no customer's below 0 either"),
        _money("historical_service_cost", "cost to serve so far"),
        _money("historical_clv_sum", f"{DEFINED} so far"),
        _money("historical_clv_mean", f"{DEFINED} so far, per customer"),
        _money("acquisition_cost_sum", "what it cost to win the customers, as far as known"),
        Column(
            "new_customers",
            "BIGINT",
            "customers of the last costs.acquisition.recent_months, of an acquisition_month all "
            "of its own; count",
        ),
        _money("cac", "what one of these cost to win, NULL when not known, per customer"),
        _money("new_customer_revenue", "discounted revenue of a new customer up to the horizon"),
        _money("new_customer_margin", "discounted margin of a new customer"),
        _money("new_customer_service_cost", "discounted cost to serve a new customer"),
        _money(
            "new_customer_value",
            f"discounted {DEFINED} of a new customer, the first purchase included, before "
            "acquisition; of several leaf segments in the mix of the new customers; of a group "
            "under report_by by as much as its customers differ from others of their segment and "
            "age; with contracts of all that a customer begins with",
        ),
        _money("new_customer_value_low", "a tenth of the draws of the parameters fall short of it"),
        _money("new_customer_value_high", "a tenth of the draws exceed it"),
        _money("new_customer_clv", "new_customer_value less cac, NULL when not known"),
        Column("clv_to_cac", "DOUBLE", "new_customer_value / cac; no unit", True),
        Column(
            "clv_to_cac_reached",
            "BOOLEAN",
            "clv_to_cac is at least costs.acquisition.target_clv_to_cac; true or false",
            nullable=True,
        ),
        Column(
            "payback_days",
            "DOUBLE",
            "until the expected margin of a new customer, not discounted, less service cost where "
            "value_definition is net, reaches cac, NULL when it does not within the longest of "
            "three years, the horizon and costs.acquisition.target_payback_days; days",
            nullable=True,
        ),
        Column("payback_days_discounted", "DOUBLE", "the same, discounted; days", True),
        Column(
            "payback_reached",
            "BOOLEAN",
            "payback_days is at most costs.acquisition.target_payback_days; false also where it "
            "is NULL, NULL without cac or value; true or false",
            nullable=True,
        ),
        _money("max_cac", "the most a new customer may cost for the target of clv_to_cac"),
        _money(
            "acquisition_budget",
            "max_cac for as many new customers as would come in a year at the pace of the last "
            "costs.acquisition.recent_months, or since the first customer came where that is "
            "less; of an acquisition_month for its own",
        ),
        Column(
            "observed_churn",
            "DOUBLE",
            "share lost in a year: of those with a contract a year ago who has none now, NULL for "
            "a snapshot; else of customers first seen more than a year ago and last seen within "
            "two years those not seen in the last, so that who came back after a longer silence "
            "makes it lower; 0 to 1",
            nullable=True,
        ),
        *_FORMULAS,
        _by_tier("customers_by_tier", "BIGINT", "customers; count"),
        _by_tier("clv_by_tier", "DOUBLE", "sum of clv; money"),
        _by_tier("clv_revenue_by_tier", "DOUBLE", "sum of clv_revenue; money"),
        _by_tier("service_cost_by_tier", "DOUBLE", "sum of clv_service_cost; money"),
        _by_tier("loss_making_by_tier", "BIGINT", "loss making customers; count"),
        _by_tier(
            "loss_by_tier",
            "DOUBLE",
            "clv_margin less clv_service_cost of the loss making customers, below 0; money",
        ),
        Column(
            "service_cost_by_kind",
            "MAP<STRING, DOUBLE>",
            "cost of service events so far by their kind, NULL without events; money",
            nullable=True,
        ),
        Column("horizon_days", "INT", "length of the clv horizon; days"),
        Column("value_definition", "STRING", "revenue, margin or net, see clv_scores; text"),
        Column("currency", "STRING", "currency of all money, NULL when not configured; text", True),
    ),
    key=("as_of_date", "relationship", "segment_level", "segment"),
    partition_by=("as_of_date",),
    slice_column="as_of_date",
    checks={
        "relationship": "relationship IN ('purchases', 'contract')",
        "numbers": all_of("customers >= 1", *(f"coalesce({c}, 0) >= 0" for c in _NOT_NEGATIVE)),
        "interval": "coalesce(clv_sum_low, 0) <= coalesce(clv_sum_high, 0)",
    },
    version=4,
    properties={"clv_spark.valueDefinition": DEFINED},
)
