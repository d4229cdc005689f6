"""Table of scores per contract: contract_scores."""

from __future__ import annotations

from clv_spark.schemas.checks import NO_PURCHASE_MODEL, all_of, number, probability
from clv_spark.schemas.spec import ID, Column, TableSpec

CONTRACT_SCORES = TableSpec(
    name="contract_scores",
    comment=(
        "One row per as_of_date and life of a contract: how long it will run and what that is "
        "worth. clv_scores holds their sums per customer."
    ),
    columns=(
        Column("as_of_date", "DATE", "last day that counts; date, the partition"),
        Column("customer_id", ID, "customer as named by the source; identifier"),
        Column("contract_id", "STRING", "contract of the customer; identifier"),
        Column("life", "INT", "life of the contract, see contract_features; count"),
        Column("segment", "STRING", "segment of the contract, 'global' when none is set; text"),
        Column(
            "score_status",
            "STRING",
            "ok; new: the contract is younger than value.new_customer_days; parent_model: the "
            "segment's own contracts tell too little, its parent's parameters are used; lost; "
            "changed: went on with another period, as another life; insufficient_data: no model, "
            "predictions are NULL; text",
        ),
        Column("period", "STRING", "from renewal to renewal: month, quarter or year; text"),
        Column("tenure", "INT", "periods so far, see contract_features; count"),
        Column("periodic_amount", "DECIMAL(18,2)", "newest price of a period; money per period"),
        Column("margin_rate", "DOUBLE", "margin per unit of the price; 0 to 1"),
        Column("p_alive", "DOUBLE", "1 while it runs, else 0; 0 to 1"),
        Column("p_active_365d", "DOUBLE", "probability to run after 365 days; 0 to 1", True),
        Column("expected_renewals_30d", "DOUBLE", "renewals in the next 30 days; count", True),
        Column("expected_renewals_90d", "DOUBLE", "renewals in the next 90 days; count", True),
        Column("expected_renewals_365d", "DOUBLE", "renewals in the next 365 days; count", True),
        Column(
            "expected_revenue_365d",
            "DOUBLE",
            "price of these renewals, not discounted; money",
            nullable=True,
        ),
        Column(
            "clv",
            "DOUBLE",
            "expected discounted value of the renewals of the next horizon_days: their price where "
            "value.definition is revenue, else their margin, before any cost to serve, which "
            "clv_scores takes off; money",
            nullable=True,
        ),
        Column("clv_low", "DOUBLE", "it will be lower with probability 0.1 at most; money", True),
        Column("clv_high", "DOUBLE", "higher with probability 0.1 at most; money", True),
        Column(
            "residual_clv",
            "DOUBLE",
            "like clv without horizon, NULL when annual_discount_rate = 0; money",
            nullable=True,
        ),
        Column("historical_revenue", "DOUBLE", "price of the periods paid; money"),
        Column("historical_margin", "DOUBLE", "margin of the periods paid, at least 0; money"),
        Column("model", "STRING", "model of contracts, 'none' without parameters; text"),
        Column("parameters_segment", "STRING", "whose parameters were used; text", True),
        Column("fit_date", "DATE", "fit_date of the parameters; date"),
        Column("horizon_days", "INT", "length of the clv horizon; days"),
        Column(
            "annual_discount_rate",
            "DOUBLE",
            "value t days ahead weighs (1 + rate)^(-t/365); no unit",
        ),
        Column("currency", "STRING", "currency of all money, NULL when not configured; text", True),
    ),
    key=("as_of_date", "customer_id", "contract_id", "life"),
    partition_by=("as_of_date",),
    slice_column="as_of_date",
    checks={
        "status": (
            "score_status IN ('ok', 'new', 'parent_model', 'lost', 'changed', 'insufficient_data')"
        ),
        "probabilities": all_of("p_alive IN (0, 1)", probability("p_active_365d")),
        "renewals": all_of(
            *(number(f"expected_renewals_{days}d", NO_PURCHASE_MODEL) for days in (30, 90, 365))
        ),
        "money": all_of(
            *(
                number(c, NO_PURCHASE_MODEL)
                for c in ("expected_revenue_365d", "clv", "clv_low", "clv_high")
            ),
            *(number(f"historical_{c}", "false") for c in ("revenue", "margin")),
            number("residual_clv", f"(annual_discount_rate = 0 OR {NO_PURCHASE_MODEL})"),
            "coalesce(clv_low, 0) <= coalesce(clv_high, 0)",
        ),
    },
    version=2,
)
