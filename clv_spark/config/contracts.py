"""Section source.contracts: where contracts come from and what their columns mean."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from clv_spark.config.section import LocalSource

COMMON_COLUMNS = ("customer_id", "contract_id", "period", "periodic_amount")
SHAPE_COLUMNS = {"rows": ("start_date", "end_date"), "snapshot": ("tenure", "is_lost")}
OPTIONAL_CONTRACT_COLUMNS = ("periodic_margin", "currency")
# Months of a period, by the word that the source's period must be.
PERIOD_MONTHS = {"month": 1, "quarter": 3, "year": 12}
# Names with a meaning of their own in the tables of contracts; a segment key would take their
# place.
RESERVED_CONTRACT_NAMES = frozenset(
    [
        *COMMON_COLUMNS,
        *(name for names in SHAPE_COLUMNS.values() for name in names),
        *OPTIONAL_CONTRACT_COLUMNS,
        "life",
        "entry_tenure",
        "is_active",
        "as_of_date",
        "event_date",
        "amount_cents",
        "margin_cents",
        "segment",
        "reason",
        "line",
        "line_count",
        "position",
        "begins",
        "is_followed",
        "life_start_date",
        "last_renewal_date",
        "next_renewal_date",
        "periods_paid",
        "paid_amount",
        "paid_margin",
    ]
)
# Reasons of the quarantine itself; a rule of the same name would be counted with them.
CONTRACT_REASONS = (
    "missing_customer_id",
    "missing_contract_id",
    "invalid_amount",
    "invalid_margin",
    "unknown_period",
    "invalid_start",
    "invalid_end",
    "end_before_start",
    "invalid_tenure",
    "foreign_currency",
    "duplicate",
    "overlap",
)


class ContractsSource(LocalSource):
    """Where contracts come from, in which shape, and which rows are refused."""

    key: ClassVar[str] = "source.contracts"
    is_shown: ClassVar[bool] = True
    local_days: ClassVar[tuple[str, ...]] = ("start_date", "end_date")

    shape: Literal["rows", "snapshot"] = "rows"
    snapshot_window: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _complete(self) -> ContractsSource:
        self.require_columns((*COMMON_COLUMNS, *SHAPE_COLUMNS[self.shape]))
        self.require_own_reasons(CONTRACT_REASONS)
        if self.shape == "snapshot" and self.snapshot_window is None:
            raise ValueError(
                "shape 'snapshot' needs source.contracts.snapshot_window: the number of periods "
                "within which the lost contracts of the file were lost. It has no default, since "
                "it decides the result: who left before the window is not in the file, and the "
                "same file means a monthly churn of 0.43 with a window of one month and of "
                "less than 0.03 when it is taken for the whole history"
            )
        if self.shape == "rows" and self.snapshot_window is not None:
            raise ValueError("source.contracts.snapshot_window has a meaning for shape 'snapshot'")
        if self.shape == "snapshot" and self.timezone != "UTC":
            raise ValueError("source.contracts.timezone has a meaning for shape 'rows'")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Names that may be mapped, beside segment keys."""
        return (*COMMON_COLUMNS, *SHAPE_COLUMNS[self.shape], *OPTIONAL_CONTRACT_COLUMNS)
