"""Tables of segments: segment_summary."""

from __future__ import annotations

from clv_spark.schemas.checks import all_of
from clv_spark.schemas.spec import Column, TableSpec

_SUMMARY_NUMBERS = ("active_customers", "clv_sum", "clv_sum_low", "clv_sum_high", "clv_mean")

SEGMENT_SUMMARY = TableSpec(
    name="segment_summary",
    comment="One row per as_of_date, relationship and segment: its customers and their value.",
    columns=(
        Column("as_of_date", "DATE", "last day that counts; date, the partition"),
        Column("relationship", "STRING", "purchases or contract; text"),
        Column("segment", "STRING", "'global', or a segment as in model_parameters; text"),
        Column("segment_level", "STRING", "'global' or the name of the segment key; text"),
        Column(
            "customers",
            "BIGINT",
            "customers that are scored; one with contracts in several segments counts in each; "
            "count",
        ),
        Column(
            "active_customers",
            "DOUBLE",
            "expected number of customers with a purchase day in the next 365 days, or of "
            "contracts that still run after them; count",
            nullable=True,
        ),
        Column("clv_sum", "DOUBLE", "sum of clv over the customers; money", True),
        Column(
            "clv_sum_low",
            "DOUBLE",
            "the sum will be lower with probability 0.1: from shared draws of the parameters, "
            "never from the customers' bounds; money",
            nullable=True,
        ),
        Column(
            "clv_sum_high", "DOUBLE", "the sum will be higher with probability 0.1; money", True
        ),
        Column("clv_mean", "DOUBLE", "mean of clv; money per customer", True),
        Column("horizon_days", "INT", "length of the clv horizon; days"),
        Column("currency", "STRING", "currency of all money, NULL when not configured; text", True),
    ),
    key=("as_of_date", "relationship", "segment"),
    partition_by=("as_of_date",),
    slice_column="as_of_date",
    checks={
        "relationship": "relationship IN ('purchases', 'contract')",
        "numbers": all_of("customers >= 0", *(f"coalesce({c}, 0) >= 0" for c in _SUMMARY_NUMBERS)),
        "interval": "coalesce(clv_sum_low, 0) <= coalesce(clv_sum_high, 0)",
    },
    version=2,
)
