"""Tables of costs: customer_costs and the events that were not used."""

from __future__ import annotations

from clv_spark.config.costs import EVENT_REASONS
from clv_spark.schemas.spec import ID, Column, TableSpec, reason_column

CUSTOMER_COSTS = TableSpec(
    name="customer_costs",
    comment=(
        "One row per as_of_date and customer with a service event up to that date or an "
        "acquisition cost of its own."
    ),
    columns=(
        Column("as_of_date", "DATE", "last day that counts; date, the partition"),
        Column("customer_id", ID, "customer as named by the source; identifier"),
        Column(
            "relationship",
            "STRING",
            "whose row of clv_scores bears the costs: contract where the customer has or had one, "
            "else purchases; none: neither so far; text",
        ),
        Column("service_events", "BIGINT", "events up to as_of_date; count"),
        Column(
            "first_event_date",
            "DATE",
            "day of the first of these events, NULL where there is none; date",
            nullable=True,
        ),
        Column(
            "service_of_purchases",
            "DECIMAL(28,2)",
            "cost of the events of kinds that grow with purchases; money",
        ),
        Column(
            "service_of_early_time",
            "DECIMAL(28,2)",
            "cost of the events of kinds that grow with time, in the first "
            "costs.service.early_days days; money",
        ),
        Column("service_of_later_time", "DECIMAL(28,2)", "the same after these days; money"),
        Column(
            "cost_by_kind", "MAP<STRING, DECIMAL(28,2)>", "cost of the events by kind; money", True
        ),
        Column(
            "acquisition_cost",
            "DECIMAL(28,2)",
            "what it cost to win the customer, NULL where the source does not say; money",
            nullable=True,
        ),
    ),
    key=("as_of_date", "customer_id"),
    partition_by=("as_of_date",),
    slice_column="as_of_date",
    checks={
        "relationship": "relationship IN ('purchases', 'contract', 'none')",
        "costs": (
            "service_of_purchases >= 0 AND service_of_early_time >= 0 AND "
            "service_of_later_time >= 0 AND coalesce(acquisition_cost, 0) >= 0"
        ),
    },
    version=2,
)

REJECTED_COSTS = TableSpec(
    name="rejected_costs",
    comment="One row per row of a source of costs that was not used, with the reason.",
    columns=(
        Column("source", "STRING", "section of the configuration; text"),
        reason_column("row", EVENT_REASONS, "reject of the section"),
        Column("amount", "DECIMAL(18,2)", "its amount, NULL when unreadable; money", True),
        Column("line", "STRING", "the row with all its columns; JSON text"),
    ),
    key=(),
    version=1,
)
