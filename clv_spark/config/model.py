"""One pydantic model per section of the configuration; conf/base.yml shows every key."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from clv_spark.config.consistency import ACQUISITION_MONTH, require_consistency
from clv_spark.config.contracts import ContractsSource
from clv_spark.config.costs import CostsConfig, Margins
from clv_spark.config.export import ExportConfig
from clv_spark.config.forecast import ForecastConfig
from clv_spark.config.judgement import (
    DEFAULT_ACTIONS,
    Actions,
    LifecycleConfig,
    RanksConfig,
)
from clv_spark.config.products import ProductsConfig
from clv_spark.config.reports import ReportsConfig
from clv_spark.config.section import (
    BySegment,
    Days,
    Section,
    Text,
)
from clv_spark.config.transactions import TransactionsSource
from clv_spark.config.what_if import Scenarios

LOWEST_DISCOUNT = 0.001
Share = Annotated[float, Field(ge=0, le=1)]
Assignment = Literal["latest", "first"]
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
    not_identified: Literal["parent", "pooled"] = "parent"
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
    margin_rate: BySegment = 0.30
    margins: Margins | None = None
    definition: Literal["revenue", "margin", "net"] = "margin"
    new_customer_days: int = Field(default=30, ge=0)

    @field_validator("annual_discount_rate")
    @classmethod
    def _nothing_or_enough(cls, rate: float) -> float:
        if 0 < rate < LOWEST_DISCOUNT:
            raise ValueError(
                f"value.annual_discount_rate is {rate}; give 0 for none, or at least "
                f"{LOWEST_DISCOUNT}: sums without horizon would go on for centuries"
            )
        return rate

    @field_validator("margin_rate")
    @classmethod
    def _shares(cls, rate: float | dict[str, float]) -> float | dict[str, float]:
        rates = rate.values() if isinstance(rate, dict) else [rate]
        if any(one > 1 for one in rates):
            raise ValueError(f"value.margin_rate holds {rate}; a share of revenue is 0 to 1")
        return rate

    @property
    def counted(self) -> Literal["revenue", "margin"]:
        """What values count before service costs are taken from them."""
        return "revenue" if self.definition == "revenue" else "margin"


class GatesConfig(Section):
    """What must hold before anything is published."""

    max_rejected_share: Share = 0.5
    max_customer_drop: Share = 0.2
    max_source_age_days: Days | None = Field(default=None, ge=0)
    max_late_days: Days | None = Field(default=400, ge=0)


class RetentionConfig(Section):
    """How long dated slices and the history of tables are kept."""

    slice_days: Days | None = Field(default=1100, ge=1)
    # More than the longest month: cohorts go on from the end of the month before.
    history_days: Days = Field(default=40, ge=1)
    deleted_file_days: Days = Field(default=7, ge=1)

    @model_validator(mode="after")
    def _history_reaches_back(self) -> RetentionConfig:
        if self.history_days < self.deleted_file_days:
            raise ValueError(
                f"retention.history_days is {self.history_days}, retention.deleted_file_days "
                f"{self.deleted_file_days}; Delta keeps the log at least as long as deleted files"
            )
        return self


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
    report_by: tuple[str, ...] = ()
    segment_assignment: dict[str, Assignment] = Field(default_factory=dict)
    refunds: Literal["rate", "ignore"] = "rate"
    models: ModelsConfig = ModelsConfig()
    fit: FitConfig = FitConfig()
    value: ValueConfig = ValueConfig()
    costs: CostsConfig = CostsConfig()
    ranks: RanksConfig = RanksConfig()
    lifecycle: LifecycleConfig = LifecycleConfig()
    actions: Actions = DEFAULT_ACTIONS
    what_if: Scenarios = Field(default_factory=dict)
    forecast: ForecastConfig = ForecastConfig()
    reports: ReportsConfig = ReportsConfig()
    gates: GatesConfig = GatesConfig()
    retention: RetentionConfig = RetentionConfig()
    products: ProductsConfig = ProductsConfig()
    export: ExportConfig = ExportConfig()
    spark: SparkConfig = SparkConfig()

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        require_consistency(self)
        return self

    @property
    def has_purchases(self) -> bool:
        """Whether customers who buy without contract are part of a run."""
        return self.source.transactions is not None or self.source.contracts is None

    @property
    def has_contracts(self) -> bool:
        """Whether contracts are part of a run."""
        return self.source.contracts is not None

    @property
    def customer_keys(self) -> tuple[str, ...]:
        """Keys that customers who buy have a value of: segment keys, and those to report by."""
        report = (key for key in self.report_by if key != ACQUISITION_MONTH)
        return tuple(dict.fromkeys((*self.segments, *report)))

    @property
    def spend_counts_for(self) -> tuple[str, ...]:
        """The relationships that acquisition spend counts for: those that have all of its keys."""
        spend = self.costs.acquisition.spend
        keys = set() if spend is None else set(spend.keys)
        known = {"purchases": self.customer_keys, "contract": self.contract_segments}
        return tuple(name for name, ours in known.items() if keys <= set(ours))

    @property
    def counts_time(self) -> bool:
        """Whether any cost grows with the time as a customer, now or in a scenario."""
        scenarios = self.what_if.values()
        return self.costs.service.counts_time or any(s.service_cost_per_year for s in scenarios)

    def strays(self, segments: Collection[str], groups: Collection[str] = ()) -> list[str]:
        """Names that a rate is given for, but that nothing looks up.

        Args:
            segments: Names of segments with customers, of every level.
            groups: Values of keys under ``report_by``, which acquisition cost alone may differ by.
        """
        service, won = self.costs.service, self.costs.acquisition.per_customer
        rates = (
            self.value.margin_rate,
            service.per_purchase,
            service.per_year,
            *service.early.values(),
        )
        named = {name for rate in rates if isinstance(rate, dict) for name in rate}
        strange = named - {*segments}
        if isinstance(won, dict):
            strange |= {*won} - {*segments, *groups}
        return sorted(strange - {"default"})

    @property
    def segment_depths(self) -> dict[str, int]:
        """The number of segment keys that a name is made of, by relationship."""
        return {"purchases": len(self.segments), "contract": len(self.contract_segments)}

    @property
    def assignments(self) -> dict[str, Assignment]:
        """Which value of a key counts, where it is not by default the latest.

        By default it is the first where spend is split by the key: what won a customer stays so.
        """
        spend = self.costs.acquisition.spend
        split = spend.keys if spend is not None and "purchases" in self.spend_counts_for else ()
        first: dict[str, Assignment] = dict.fromkeys(split, "first")
        return {**first, **self.segment_assignment}

    def assignment(self, key: str) -> Assignment:
        """Which value of a segment key a customer with several gets: the latest or the first."""
        return self.assignments.get(key, "latest")
