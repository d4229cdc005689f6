"""One pydantic model per section of the configuration; conf/base.yml shows every key."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, ClassVar, Literal
from zoneinfo import available_timezones

from pydantic import BeforeValidator, Field, field_validator, model_validator

from clv_spark.config.contracts import RESERVED_CONTRACT_NAMES, ContractsSource
from clv_spark.config.forecast import ForecastConfig
from clv_spark.config.section import Section, SourceSection, Text

Share = Annotated[float, Field(ge=0, le=1)]
Assignment = Literal["latest", "first"]

REQUIRED_COLUMNS = ("customer_id", "event_time", "amount")
OPTIONAL_COLUMNS = (
    "transaction_id",
    "is_refund",
    "margin",
    "currency",
    "line_id",
    "updated_at",
    "country",
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
        "line_id",
        "updated_at",
        "reason",
        "line",
        "line_count",
        "segment",
        "as_of_date",
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
        "refund_amount",
        "margin_amount",
    ]
)
# Reasons of the quarantine itself; a rule of the same name would be counted with them.
BUILT_IN_REASONS = (
    "missing_customer_id",
    "invalid_amount",
    "invalid_margin",
    "invalid_date",
    "date_out_of_range",
    "foreign_currency",
    "duplicate",
)
PurchaseModelName = Literal["bg_nbd", "mbg_nbd", "pareto_nbd", "bg_bb"]
ContractModelName = Literal["sbg", "bdw"]
CONTRACT_CANDIDATES: tuple[ContractModelName, ...] = ("sbg", "bdw")
DAYS_PER_UNIT = {"day": 1, "week": 7, "year": 365}


class LakeConfig(Section):
    """Where the tables live: a folder (any Spark path) or a catalog schema."""

    path: str | None = None
    catalog: str | None = None
    schema_: str | None = Field(default=None, alias="schema")

    @model_validator(mode="after")
    def _one_place(self) -> LakeConfig:
        if self.schema_ is None and self.catalog is not None:
            raise ValueError("lake.catalog needs lake.schema beside it")
        if self.path is not None and self.schema_ is not None:
            raise ValueError(
                "lake.path and lake.schema are both set; keep one: a folder, or a catalog schema"
            )
        return self


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


class SourceConfig(Section):
    """The inputs of the pipeline: transactions, contracts or both."""

    transactions: TransactionsSource | None = None
    contracts: ContractsSource | None = None


class ModelsConfig(Section):
    """Which models are fitted, on which purchases, in which unit of time."""

    transactions: Literal["auto", PurchaseModelName] = "auto"
    candidates: tuple[PurchaseModelName, ...] = ("bg_nbd", "mbg_nbd", "pareto_nbd")
    switch_margin: float = Field(default=10.0, ge=0)
    contracts: Literal["auto", ContractModelName] = "auto"
    spend: Literal["gamma_gamma"] = "gamma_gamma"
    spend_basis: Literal["repeat", "all"] = "all"
    time_unit: Literal["day", "week", "year"] = "week"

    @field_validator("candidates")
    @classmethod
    def _some_and_distinct(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if not names or len(set(names)) < len(names):
            raise ValueError(f"models.candidates holds {list(names)}; name each model once")
        return names

    @property
    def purchases(self) -> tuple[PurchaseModelName, ...]:
        """The models of purchases that are fitted: one, or the candidates of ``auto``."""
        return self.candidates if self.transactions == "auto" else (self.transactions,)

    @property
    def of_contracts(self) -> tuple[ContractModelName, ...]:
        """The models of contracts that are fitted: one, or both for ``auto``."""
        return CONTRACT_CANDIDATES if self.contracts == "auto" else (self.contracts,)

    def unit(self, model: str) -> str:
        """The unit of time of a model's parameters; an opportunity of bg_bb is a day."""
        return "day" if model == "bg_bb" else self.time_unit


class FitConfig(Section):
    """When a segment is fitted on its own, and how many failures stop the job."""

    min_customers: int = Field(default=200, ge=1)
    min_repeaters: int = Field(default=50, ge=1)
    min_losses: int = Field(default=20, ge=1)
    max_failed_share: Share = 0.05
    cohort_start: dt.date | None = None
    refit_every: int = Field(default=1, ge=1)
    refit_at_drift: float | None = Field(default=None, gt=0)
    max_frequency_spend_correlation: Share = 0.2
    max_exact_repeaters: int = Field(default=500_000, ge=0)


class ValueConfig(Section):
    """What turns purchases into value."""

    horizon_days: int = Field(default=365, ge=1, le=36_500)
    annual_discount_rate: float = Field(default=0.10, ge=0, le=10)
    margin_rate: Share = 0.30
    new_customer_days: int = Field(default=30, ge=0)


class GatesConfig(Section):
    """What must hold before anything is published."""

    max_rejected_share: Share = 0.5
    max_customer_drop: Share = 0.2
    max_source_age_days: int | None = Field(default=None, ge=0)
    max_late_days: int | None = Field(default=400, ge=0)


class RetentionConfig(Section):
    """How long dated slices and the history of tables are kept."""

    slice_days: int | None = Field(default=1100, ge=1)
    history_days: int = Field(default=30, ge=1)
    deleted_file_days: int = Field(default=7, ge=1)


class SparkConfig(Section):
    """Spark settings for sessions that this package starts; a cluster's own settings win."""

    master: str | None = None
    conf: dict[str, Text] = Field(default_factory=dict)


class Config(Section):
    """The whole configuration of a run.

    Example:
        >>> Config().value.horizon_days
        365
    """

    lake: LakeConfig = LakeConfig(path="lake")
    source: SourceConfig = SourceConfig()
    currency: str | None = None
    segments: tuple[str, ...] = ()
    contract_segments: tuple[str, ...] = ()
    segment_assignment: dict[str, Assignment] = Field(default_factory=dict)
    refunds: Literal["rate", "ignore"] = "rate"
    models: ModelsConfig = ModelsConfig()
    fit: FitConfig = FitConfig()
    value: ValueConfig = ValueConfig()
    forecast: ForecastConfig = ForecastConfig()
    gates: GatesConfig = GatesConfig()
    retention: RetentionConfig = RetentionConfig()
    spark: SparkConfig = SparkConfig()

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        if self.lake.path is None and self.lake.schema_ is None:
            raise ValueError("lake needs a path, or a catalog and a schema")
        _are_keys("segments", self.segments, RESERVED_NAMES)
        _are_keys("contract_segments", self.contract_segments, RESERVED_CONTRACT_NAMES)
        strays = [key for key in self.segment_assignment if key not in self.segments]
        if strays:
            raise ValueError(f"segment_assignment names {strays}, which segments does not hold")
        lines, contracts = self.source.transactions, self.source.contracts
        if lines is not None:
            known = (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS)
            _columns_are_known(lines, "segments", self.segments, known)
        if contracts is not None:
            keys = self.contract_segments
            _columns_are_known(contracts, "contract_segments", keys, contracts.names)
        for source in (lines, contracts):
            if source is not None and "currency" in source.columns and self.currency is None:
                raise ValueError(
                    f"{source.key}.columns.currency is mapped but currency is not set; "
                    "name the one currency to accept, such as currency: EUR"
                )
        return self

    @property
    def has_purchases(self) -> bool:
        """Whether customers who buy without contract are part of a run."""
        return self.source.transactions is not None or self.source.contracts is None

    @property
    def has_contracts(self) -> bool:
        """Whether contracts are part of a run."""
        return self.source.contracts is not None

    def assignment(self, key: str) -> Assignment:
        """Which value of a segment key a customer with several gets: the latest or the first."""
        return self.segment_assignment.get(key, "latest")


def _are_keys(name: str, keys: tuple[str, ...], reserved: frozenset[str]) -> None:
    if len(set(keys)) < len(keys):
        raise ValueError(f"{name} holds {list(keys)}; name each key once")
    taken = [key for key in keys if key.lower() in reserved]
    if taken:
        raise ValueError(
            f"{name} names {taken}, which the tables use for something else; map the key "
            "under another name"
        )


def _columns_are_known(
    source: SourceSection, section: str, keys: tuple[str, ...], names: tuple[str, ...]
) -> None:
    unmapped = [key for key in keys if key not in source.columns]
    if unmapped:
        raise ValueError(f"{section} names {unmapped}, which {source.key}.columns does not map")
    known = {*names, *keys}
    unknown = [name for name in source.columns if name not in known]
    if unknown:
        raise ValueError(
            f"{source.key}.columns maps {unknown}, which nothing uses; known are "
            f"{sorted(known)}. Put a further key under {section}, or remove it"
        )
