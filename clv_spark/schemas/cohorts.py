"""Tables of acquisition cohorts: cohort_history and cohort_summary."""

from __future__ import annotations

from clv_spark.schemas.spec import Column, TableSpec

_MONEY = "DECIMAL(28,2)"

COHORT_HISTORY = TableSpec(
    name="cohort_history",
    comment=(
        "One row per as_of_date, leaf segment, month of the first purchase and calendar month with "
        "a line up to as_of_date: what cohort_summary sums up, and what the next goes on from."
    ),
    columns=(
        Column("as_of_date", "DATE", "last day that counts; date, the partition"),
        Column("relationship", "STRING", "purchases; text"),
        Column("segment", "STRING", "leaf segment as in model_parameters; text"),
        Column("cohort_month", "DATE", "first day of the month of the first purchase; date"),
        Column("month", "DATE", "first day of the calendar month; date"),
        Column("customers", "BIGINT", "customers of the cohort with a line in the month; count"),
        Column("active_customers", "BIGINT", "of them with a purchase in the month; count"),
        Column("purchase_days", "BIGINT", "their purchase days in the month; count"),
        Column("margin_days", "BIGINT", "their days with a recorded margin in the month; count"),
        Column("gross_amount", _MONEY, "sum of the sales; money"),
        Column("refund_amount", _MONEY, "sum of the refunds, positive; money"),
        Column("margin_amount", _MONEY, "recorded margin, NULL without any; money", nullable=True),
        Column("currency", "STRING", "currency of all money, NULL when not configured; text", True),
    ),
    key=("as_of_date", "relationship", "segment", "cohort_month", "month"),
    partition_by=("as_of_date",),
    slice_column="as_of_date",
    checks={
        "relationship": "relationship = 'purchases'",
        "counts": (
            "customers >= active_customers AND active_customers >= 0 "
            "AND purchase_days >= active_customers AND margin_days >= 0"
        ),
        "margin": "(margin_days = 0) = (margin_amount IS NULL)",
    },
    version=1,
)

COHORT_SUMMARY = TableSpec(
    name="cohort_summary",
    comment=(
        "One row per as_of_date, leaf segment or 'global', month of the first purchase and month "
        "of age up to as_of_date: what the customers of the cohort bought, and what the model "
        "expects of new customers of their age."
    ),
    columns=(
        Column("as_of_date", "DATE", "last day that counts; date, the partition"),
        Column("relationship", "STRING", "purchases; text"),
        Column("segment", "STRING", "'global', or a leaf segment as in model_parameters; text"),
        Column("cohort_month", "DATE", "first day of the month of the first purchase; date"),
        Column("age_months", "INT", "calendar months since: 0 in that month itself; count"),
        Column("customers", "BIGINT", "customers of the cohort, whatever their age; count"),
        Column("active_customers", "BIGINT", "of them with a purchase in the month; count"),
        Column("purchase_days", "BIGINT", "their purchase days in the month; count"),
        Column(
            "revenue",
            _MONEY,
            "sales of the month less its refunds; refunds from before the first purchase are in "
            "age 0; money",
        ),
        Column(
            "margin",
            _MONEY,
            "recorded margin, else revenue times the margin rate of the leaf segment; money",
        ),
        Column("cumulative_revenue", _MONEY, "revenue up to this age; money"),
        Column("cumulative_margin", _MONEY, "margin up to this age; money"),
        Column(
            "expected_cumulative_revenue",
            "DOUBLE",
            "customers x (1 + expected repeat purchases of a new customer by the end of the month) "
            "x mean spend less returns, NULL without parameters; money",
            nullable=True,
        ),
        Column(
            "expected_cumulative_margin",
            "DOUBLE",
            "that by the margin rates of the leaf segments; money",
            nullable=True,
        ),
    ),
    key=("as_of_date", "relationship", "segment", "cohort_month", "age_months"),
    partition_by=("as_of_date",),
    slice_column="as_of_date",
    checks={
        "relationship": "relationship IN ('purchases', 'contract')",
        "counts": (
            "age_months >= 0 AND customers >= active_customers AND active_customers >= 0 "
            "AND purchase_days >= active_customers"
        ),
    },
    version=2,
)
