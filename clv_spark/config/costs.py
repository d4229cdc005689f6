"""Section costs: what goods cost, and what it takes to serve customers and to win new ones."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from clv_spark.config.section import BySegment, Section, SourceSection

EVENT_COLUMNS = ("customer_id", "event_date", "kind")
EVENT_REASONS = (
    "missing_customer_id",
    "invalid_date",
    "before_since",
    "missing_kind",
    "unknown_kind",
    "no_amount",
)
MARGIN_KEYS = ("product", "category")
Money = Annotated[float, Field(ge=0)]


class ServiceEvents(SourceSection):
    """Where service events come from: calls, tickets, visits, deliveries."""

    key: ClassVar[str] = "costs.service.events"

    since: dt.date | None = None

    @model_validator(mode="after")
    def _complete(self) -> ServiceEvents:
        self.require_columns(EVENT_COLUMNS)
        self.require_known((*EVENT_COLUMNS, "amount"))
        self.require_own_reasons(EVENT_REASONS)
        return self


class Margins(SourceSection):
    """Where the margin rates of products or categories come from."""

    key: ClassVar[str] = "value.margins"

    @model_validator(mode="after")
    def _complete(self) -> Margins:
        self.require_columns(("margin_rate",))
        self.require_known(("margin_rate", *MARGIN_KEYS))
        if sum(name in self.columns for name in MARGIN_KEYS) != 1:
            raise ValueError(
                f"value.margins.columns has {sorted(self.columns)}; beside margin_rate it needs "
                "product or category, one of the two"
            )
        return self

    @property
    def by(self) -> str:
        """What the rates are of: product or category."""
        return next(name for name in MARGIN_KEYS if name in self.columns)


class ServiceKind(Section):
    """What an event of one kind costs, and what its number grows with."""

    unit_cost: Money | None = None
    grows_with: Literal["purchases", "time"] = "time"

    @field_validator("unit_cost")
    @classmethod
    def _in_whole_cents(cls, cost: float | None) -> float | None:
        # Every event is held in cents, so that rows and money reconcile: 0.004 would be nothing.
        if cost is not None and round(cost, 2) != cost:
            raise ValueError(
                f"a unit_cost of {cost} is not in whole cents, and each event is counted in those. "
                "Put many such events of a customer into one row and map its amount, such as "
                f"{cost} * emails"
            )
        return cost


def _or(
    rate: float | dict[str, float] | None, other: float | dict[str, float]
) -> float | dict[str, float]:
    return other if rate is None else rate


class ServiceConfig(Section):
    """What it costs to serve a customer: rates, events that were counted, or both."""

    per_purchase: BySegment = 0.0
    per_purchase_early: BySegment | None = None
    per_year: BySegment = 0.0
    per_year_early: BySegment | None = None
    early_days: int = Field(default=90, ge=0)
    events: ServiceEvents | None = None
    kinds: dict[str, ServiceKind] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _kinds_are_counted(self) -> ServiceConfig:
        if self.kinds and self.events is None:
            raise ValueError("costs.service.kinds needs costs.service.events: the table of events")
        if self.events is not None and not self.kinds:
            raise ValueError(
                "costs.service.events needs costs.service.kinds: for each kind of event its "
                "unit_cost, where events carry no amount, and whether it grows_with purchases or "
                "time"
            )
        free = [name for name, kind in self.kinds.items() if kind.unit_cost is None]
        if self.events is not None and free and "amount" not in self.events.columns:
            raise ValueError(
                f"costs.service.kinds {free} have no unit_cost, and costs.service.events maps no "
                "amount; give one of the two"
            )
        return self

    @property
    def early(self) -> dict[str, float | dict[str, float]]:
        """The rates of the early phase by the name of the later one, which holds where none is."""
        return {
            "per_purchase": _or(self.per_purchase_early, self.per_purchase),
            "per_year": _or(self.per_year_early, self.per_year),
        }

    @property
    def counts_time(self) -> bool:
        """Whether any cost grows with the time as a customer."""
        rates = (self.per_year, self.per_year_early)
        by_time = any(kind.grows_with == "time" for kind in self.kinds.values())
        return by_time or any(rate not in (None, 0) for rate in rates)

    @property
    def is_free(self) -> bool:
        """Whether no customer ever costs anything to serve."""
        rates = (self.per_purchase, self.per_purchase_early)
        no_rate = all(rate in (None, 0) for rate in rates)
        return no_rate and not self.counts_time and self.events is None


class AcquisitionSpend(SourceSection):
    """Where the money spent on winning customers comes from, by month and segment key."""

    key: ClassVar[str] = "costs.acquisition.spend"

    @model_validator(mode="after")
    def _complete(self) -> AcquisitionSpend:
        self.require_columns(("month", "amount"))
        return self

    @property
    def keys(self) -> tuple[str, ...]:
        """The segment keys that the spend is split by."""
        return tuple(name for name in self.columns if name not in ("month", "amount"))


class AcquisitionCosts(SourceSection):
    """Where the cost of winning each single customer comes from."""

    key: ClassVar[str] = "costs.acquisition.customers"

    @model_validator(mode="after")
    def _complete(self) -> AcquisitionCosts:
        self.require_columns(("customer_id", "amount"))
        self.require_known(("customer_id", "amount"))
        return self


class AcquisitionConfig(Section):
    """What it costs to win a customer (CAC): one of three ways."""

    per_customer: BySegment | None = None
    customers: AcquisitionCosts | None = None
    spend: AcquisitionSpend | None = None
    recent_months: int = Field(default=12, ge=1)
    target_clv_to_cac: float = Field(default=3.0, gt=0)
    target_payback_days: int = Field(default=365, ge=1, le=3650)

    @property
    def ways(self) -> list[str]:
        """How the acquisition cost of customers is known: at most one way, none where it is not."""
        names = ("per_customer", "customers", "spend")
        return [name for name in names if getattr(self, name) is not None]

    @model_validator(mode="after")
    def _one_way(self) -> AcquisitionConfig:
        if len(self.ways) > 1:
            raise ValueError(f"costs.acquisition has {self.ways}; keep the one that holds")
        return self


class CostsConfig(Section):
    """Costs beside the margin: to serve, and to win."""

    service: ServiceConfig = ServiceConfig()
    acquisition: AcquisitionConfig = AcquisitionConfig()
