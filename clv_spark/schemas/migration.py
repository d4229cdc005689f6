"""Table of moves between tiers: tier_migration."""

from __future__ import annotations

from clv_spark.schemas.spec import Column, TableSpec

# In place of a tier: who was not there before, and who is not there any more.
NEW = "(none)"
GONE = "(gone)"

TIER_MIGRATION = TableSpec(
    name="tier_migration",
    comment=(
        "One row per as_of_date, relationship, and tier before and now: customers who moved from "
        "the one to the other since the slice of clv_scores before. A date without a slice before "
        "has no rows. Customers and sums add up to both slices."
    ),
    columns=(
        Column("as_of_date", "DATE", "last day that counts; date, the partition"),
        Column("previous_date", "DATE", "as_of_date of the slice before; date"),
        Column("relationship", "STRING", "purchases or contract; text"),
        Column(
            "from_tier",
            "STRING",
            "clv_tier on previous_date, '(none)' for customers who were not there, '(unknown)' for "
            "those who had no clv to compare; text",
        ),
        Column(
            "to_tier",
            "STRING",
            "clv_tier on as_of_date, '(gone)' for customers who are not there any more, "
            "'(unknown)' for those who have no clv; text",
        ),
        Column("customers", "BIGINT", "customers who moved so; count"),
        Column("clv_before", "DOUBLE", "sum of their clv on previous_date; money"),
        Column("clv_after", "DOUBLE", "sum of their clv on as_of_date; money"),
    ),
    key=("as_of_date", "relationship", "from_tier", "to_tier"),
    partition_by=("as_of_date",),
    slice_column="as_of_date",
    checks={
        "relationship": "relationship IN ('purchases', 'contract')",
        "dates": "previous_date < as_of_date",
        "customers": "customers > 0",
    },
    version=1,
)
