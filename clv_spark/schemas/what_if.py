"""Table what_if: scenarios of the configuration against the base, per segment."""

from __future__ import annotations

from clv_spark.schemas.spec import Column, TableSpec

WHAT_IF = TableSpec(
    name="what_if",
    comment=(
        "One row per as_of_date, relationship, segment or group of customers and scenario: what a "
        "scenario of the configuration would change, from the same fit and the same customers."
    ),
    columns=(
        Column("as_of_date", "DATE", "last day that counts; date, the partition"),
        Column("relationship", "STRING", "purchases or contract; text"),
        Column("segment_level", "STRING", "as in segment_summary; text"),
        Column("segment", "STRING", "as in segment_summary; text"),
        Column(
            "scenario", "STRING", "'base' for the world as it is, or a name under what_if; text"
        ),
        Column("clv_sum", "DOUBLE", "sum of clv over the customers one has; money", True),
        Column("clv_change", "DOUBLE", "clv_sum less that of the base; money", True),
        Column(
            "clv_service_cost",
            "DOUBLE",
            "what it will cost to serve the customers one has, discounted, a part of clv_sum only "
            "where value.definition is net; money",
            nullable=True,
        ),
        Column(
            "clv_service_cost_change",
            "DOUBLE",
            "clv_service_cost less that of the base; money",
            True,
        ),
        Column(
            "new_customer_value",
            "DOUBLE",
            "discounted value of a new customer up to the horizon, before acquisition; money per "
            "customer",
            nullable=True,
        ),
        Column("cac", "DOUBLE", "acquisition cost, NULL when not known; money per customer", True),
        Column(
            "clv_to_cac",
            "DOUBLE",
            "new_customer_value / cac, NULL without either; no unit",
            nullable=True,
        ),
        Column("clv_to_cac_change", "DOUBLE", "clv_to_cac less that of the base; no unit", True),
        Column(
            "payback_days",
            "DOUBLE",
            "days until the expected margin of a new customer, not discounted, less service cost "
            "where value.definition is net, reaches cac, NULL when it does not within the longest "
            "of three years, the horizon and costs.acquisition.target_payback_days; days",
            nullable=True,
        ),
        Column(
            "payback_days_change",
            "DOUBLE",
            "payback_days less that of the base, NULL when either is; days",
            nullable=True,
        ),
        Column("currency", "STRING", "currency of all money, NULL when not configured; text", True),
    ),
    key=("as_of_date", "relationship", "segment_level", "segment", "scenario"),
    partition_by=("as_of_date",),
    slice_column="as_of_date",
    checks={
        "relationship": "relationship IN ('purchases', 'contract')",
        "base": "scenario <> 'base' OR coalesce(clv_change, 0) = 0",
        "acquisition": "coalesce(cac, 0) >= 0 AND coalesce(payback_days, 0) >= 0",
    },
    version=2,
)
