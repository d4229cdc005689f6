"""Section source.transactions: where lines come from and what their columns mean."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, ClassVar, Literal
from zoneinfo import available_timezones

from pydantic import BeforeValidator, model_validator

from clv_spark.config.section import SourceSection

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


def _known_zone(value: object) -> object:
    zones = value.values() if isinstance(value, dict) else [value]
    for zone in zones:
        if not isinstance(zone, str) or zone not in available_timezones():
            raise ValueError(f"{zone!r} is not a time zone; write one such as Europe/London or UTC")
    if isinstance(value, dict) and "default" not in value:
        raise ValueError("a mapping by country needs the key 'default' for all other countries")
    return value


TimeZone = Annotated[str | dict[str, str], BeforeValidator(_known_zone)]


class TransactionsSource(SourceSection):
    """Where transaction lines come from, what each column means, and which lines are refused."""

    key: ClassVar[str] = "source.transactions"
    is_shown: ClassVar[bool] = True

    timezone: TimeZone = "UTC"
    deduplicate: Literal["none", "all_columns", "line_id"] = "none"
    first_date: dt.date | None = None
    last_date: dt.date | None = None

    @model_validator(mode="after")
    def _complete(self) -> TransactionsSource:
        self.require_columns(REQUIRED_COLUMNS)
        self.require_own_reasons(BUILT_IN_REASONS)
        if self.deduplicate == "line_id" and "line_id" not in self.columns:
            raise ValueError("deduplicate: line_id needs source.transactions.columns.line_id")
        if isinstance(self.timezone, dict) and "country" not in self.columns:
            raise ValueError("a time zone by country needs source.transactions.columns.country")
        if self.first_date and self.last_date and self.first_date > self.last_date:
            raise ValueError(f"first_date {self.first_date} is after last_date {self.last_date}")
        return self
