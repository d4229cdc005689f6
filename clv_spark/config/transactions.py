"""Section source.transactions: where lines come from and what their columns mean."""

from __future__ import annotations

import datetime as dt
from typing import ClassVar, Literal

from pydantic import model_validator

from clv_spark.config.section import LocalSource

REQUIRED_COLUMNS = ("customer_id", "event_time", "amount")
OPTIONAL_COLUMNS = (
    "transaction_id",
    "is_refund",
    "margin",
    "currency",
    "line_id",
    "updated_at",
    "country",
    "category",
    "product",
    "channel",
)
# Names with a meaning of their own in the tables or among the conformed lines; a segment key would
# take their place.
RESERVED_NAMES = frozenset(
    [
        "customer_id",
        "event_time",
        "event_date",
        "event_month",
        "amount",
        "amount_cents",
        "margin",
        "margin_cents",
        "transaction_id",
        "is_refund",
        "currency",
        "category",
        "line_id",
        "updated_at",
        "reason",
        "line",
        "line_count",
        "segment",
        "as_of_date",
        "acquisition_month",
        "report_code",
        "first_purchase_date",
        "last_purchase_date",
        "frequency",
        "recency",
        "t",
        "days_since_last_purchase",
        "first_day_amount",
        "repeat_amount",
        "monetary_value",
        "transactions",
        "gross_amount",
        # Of customers on the way to their features.
        "gross",
        "refund",
        "first_day",
        "purchase_days",
        "refund_amount",
        "margin_amount",
    ]
)
# Reasons of the quarantine itself; a rule of the same name would be counted with them.
BUILT_IN_REASONS = (
    "missing_customer_id",
    "invalid_amount",
    "invalid_margin",
    "invalid_refund_flag",
    "invalid_date",
    "date_out_of_range",
    "foreign_currency",
    "duplicate",
)


class TransactionsSource(LocalSource):
    """Where transaction lines come from, what each column means, and which lines are refused."""

    key: ClassVar[str] = "source.transactions"
    is_shown: ClassVar[bool] = True
    local_days: ClassVar[tuple[str, ...]] = ("event_time",)

    deduplicate: Literal["none", "all_columns", "line_id"] = "none"
    first_date: dt.date | None = None
    last_date: dt.date | None = None

    @model_validator(mode="after")
    def _complete(self) -> TransactionsSource:
        self.require_columns(REQUIRED_COLUMNS)
        self.require_own_reasons(BUILT_IN_REASONS)
        if self.deduplicate == "line_id" and "line_id" not in self.columns:
            raise ValueError("deduplicate: line_id needs source.transactions.columns.line_id")
        if self.first_date and self.last_date and self.first_date > self.last_date:
            raise ValueError(f"first_date {self.first_date} is after last_date {self.last_date}")
        return self
