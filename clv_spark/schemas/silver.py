"""Tables of facts about customers: their days, their features, and the lines not used."""

from __future__ import annotations

from clv_spark.config.transactions import BUILT_IN_REASONS
from clv_spark.schemas.spec import ID, SEGMENT_KEYS, Column, TableSpec, reason_column

_SEGMENT_KEY = Column(
    SEGMENT_KEYS,
    "STRING",
    "segment key of the customer, '(unknown)' where the source has none; text",
    nullable=True,
)

CUSTOMER_DAYS = TableSpec(
    name="customer_days",
    comment=(
        "One row per customer and local calendar day with at least one line. A day is a purchase "
        "day when transactions > 0; a day with refunds only has transactions = 0."
    ),
    columns=(
        Column("event_month", "DATE", "first day of the month of event_date; date, the partition"),
        Column("event_date", "DATE", "local calendar day in the configured time zone; date"),
        Column("customer_id", ID, "customer as named by the source; identifier"),
        _SEGMENT_KEY,
        Column(
            "transactions",
            "BIGINT",
            "sales of the day: distinct transaction_id where mapped, else sale lines; count",
        ),
        Column("line_count", "BIGINT", "lines of the day, sales and refunds; count"),
        Column("gross_amount", "DECIMAL(18,2)", "sum of the sale lines; money in the currency"),
        Column(
            "refund_amount",
            "DECIMAL(18,2)",
            "sum of the refund lines as a positive number; money in the currency",
        ),
        Column(
            "margin_amount",
            "DECIMAL(18,2)",
            "margin of sales less margin of refunds, NULL when the source maps no margin; "
            "money in the currency",
            nullable=True,
        ),
    ),
    key=("customer_id", "event_date"),
    partition_by=("event_month",),
    checks={
        "counts": "transactions >= 0 AND line_count >= 1 AND transactions <= line_count",
        "month": "event_month = trunc(event_date, 'MM')",
        "refund": "refund_amount >= 0",
    },
    version=1,
)

REJECTED_TRANSACTIONS = TableSpec(
    name="rejected_transactions",
    comment=(
        "One row per source line that was not used, with the reason. A read replaces the dates it "
        "derives again."
    ),
    columns=(
        reason_column("line", BUILT_IN_REASONS, "source.transactions.reject"),
        Column("event_date", "DATE", "local calendar day, NULL when unreadable; date", True),
        Column(
            "amount",
            "DECIMAL(18,2)",
            "signed amount of the line, refunds negative, NULL when unreadable; money as read",
            nullable=True,
        ),
        Column("line", "STRING", "the source line with all its columns; JSON text"),
    ),
    key=(),
    version=1,
)

CUSTOMER_FEATURES = TableSpec(
    name="customer_features",
    comment=(
        "One row per as_of_date and customer with at least one purchase day up to that date, "
        "the date included."
    ),
    columns=(
        Column("as_of_date", "DATE", "last day that counts; date, the partition"),
        Column("customer_id", ID, "customer as named by the source; identifier"),
        _SEGMENT_KEY,
        Column("first_purchase_date", "DATE", "first purchase day; date"),
        Column("last_purchase_date", "DATE", "last purchase day; date"),
        Column("frequency", "INT", "repeat purchase days: purchase days less one; count"),
        Column("recency", "INT", "from first to last purchase day; days"),
        Column("T", "INT", "age: from first purchase day to as_of_date; days"),
        Column("days_since_last_purchase", "INT", "T less recency; days"),
        Column("first_day_amount", "DECIMAL(18,2)", "gross amount of the first day; money"),
        Column("repeat_amount", "DECIMAL(18,2)", "gross amount of the repeat days; money"),
        Column(
            "monetary_value",
            "DOUBLE",
            "repeat_amount / frequency: mean gross amount of a repeat purchase day, NULL when "
            "frequency = 0; money per purchase day",
            nullable=True,
        ),
        Column("transactions", "BIGINT", "sales, see customer_days; count"),
        Column("gross_amount", "DECIMAL(18,2)", "all sales up to as_of_date; money"),
        Column("refund_amount", "DECIMAL(18,2)", "all refunds up to as_of_date, positive; money"),
        Column(
            "margin_amount",
            "DECIMAL(18,2)",
            "margin of sales less margin of refunds, NULL when the source maps no margin; money",
            nullable=True,
        ),
    ),
    key=("as_of_date", "customer_id"),
    partition_by=("as_of_date",),
    slice_column="as_of_date",
    checks={
        "ages": "frequency >= 0 AND recency >= 0 AND recency <= T AND frequency <= recency",
        "refund": "refund_amount >= 0",
    },
    version=2,
)

REFUND_ONLY_CUSTOMERS = TableSpec(
    name="refund_only_customers",
    comment=(
        "One row per as_of_date and customer with refunds but no purchase day up to that date: "
        "no model can say anything about them, so customer_features leaves them out."
    ),
    columns=(
        Column("as_of_date", "DATE", "last day that counts; date, the partition"),
        Column("customer_id", ID, "customer as named by the source; identifier"),
        Column("refund_amount", "DECIMAL(28,2)", "all refunds up to as_of_date, positive; money"),
        Column(
            "margin_amount",
            "DECIMAL(28,2)",
            "margin of the refunds, NULL when the source maps no margin; money",
            nullable=True,
        ),
    ),
    key=("as_of_date", "customer_id"),
    partition_by=("as_of_date",),
    slice_column="as_of_date",
    checks={"refund": "refund_amount >= 0"},
    version=1,
)
