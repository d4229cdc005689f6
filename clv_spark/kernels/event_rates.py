"""Sums of service events by segment -> what customers of a segment cost, and by which kinds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clv_spark.config import ServiceConfig, of_segment
from clv_spark.economics import ServiceRates
from clv_spark.economics.discounting import DAYS_PER_YEAR

_PARTS = {
    "per_purchase": ("service_of_purchases", "purchases_seen"),
    "per_early_day": ("service_of_early_time", "early_days_seen"),
    "per_later_day": ("service_of_later_time", "later_days_seen"),
}
_NO_EVENTS = dict.fromkeys(_PARTS, 0.0)


@dataclass(frozen=True)
class EventMix:
    """Of which kinds the events of a segment are, by what they cost.

    Attributes:
        purchases: Share of each kind in the cost of events that grow with purchases.
        time: Share of each kind in the cost of events that grow with time.
    """

    purchases: Mapping[str, float] = field(default_factory=dict)
    time: Mapping[str, float] = field(default_factory=dict)

    def growth(self, factors: Mapping[str, float]) -> tuple[float, float]:
        """By what part the events of purchases and of time cost more at factors on kinds.

        Example:
            >>> mix = EventMix(purchases={"delivery": 1.0}, time={"call": 0.75, "visit": 0.25})
            >>> mix.growth({"call": 3.0, "visit": 0.0})
            (0.0, 1.25)
        """
        of_purchases, of_time = (
            sum((share * (factors.get(kind, 1.0) - 1) for kind, share in shares.items()), 0.0)
            for shares in (self.purchases, self.time)
        )
        return of_purchases, of_time


@dataclass(frozen=True)
class ServiceCosts:
    """What serving costs in a segment.

    Attributes:
        rates: The configured rates and those of events together.
        events: The rates of events alone.
        mix: The kinds of these events.
    """

    rates: ServiceRates
    events: ServiceRates = field(default_factory=ServiceRates)
    mix: EventMix = field(default_factory=EventMix)


def service_costs(
    service: ServiceConfig,
    segment: str,
    found: Mapping[str, float] | None,
    keys: int,
    mix: EventMix,
) -> ServiceCosts:
    """What serving costs in a segment, by configured rates and by its events.

    Args:
        service: The configuration.
        segment: Name of the segment.
        found: A row of :func:`event_rates` by name, None without events.
        keys: Number of segment keys.
        mix: The kinds of the events.
    """
    early = {name: of_segment(rate, segment, keys) for name, rate in service.early.items()}
    purchase, year = (
        of_segment(rate, segment, keys) for rate in (service.per_purchase, service.per_year)
    )
    by_name = found or _NO_EVENTS
    events = ServiceRates(
        per_purchase=by_name["per_purchase"],
        per_purchase_early=by_name["per_purchase"],
        per_year=by_name["per_later_day"] * DAYS_PER_YEAR,
        per_year_early=by_name["per_early_day"] * DAYS_PER_YEAR,
        early_days=service.early_days,
    )
    rates = ServiceRates(
        per_purchase=purchase + events.per_purchase,
        per_purchase_early=early["per_purchase"] + events.per_purchase,
        per_year=year + events.per_year,
        per_year_early=early["per_year"] + events.per_year_early,
        early_days=service.early_days,
    )
    return ServiceCosts(rates, events, mix)


def event_rates(sums: Iterable[Mapping[str, Any]], min_customers: int) -> list[tuple[Any, ...]]:
    """Costs per purchase and per day by segment; a small segment has the rates of all.

    Args:
        sums: Per relationship and segment: customers, costs, what they grew with since events
            begin, and the cost of events by kind.
        min_customers: Customers a segment needs for rates of its own.

    Returns:
        Rows of relationship, segment, cost per purchase, per day of the early phase and later,
        and as weights of these rates the mean cost per customer of purchases and of time: who has
        as many purchases or days as the mean customer counts half.

    Example:
        >>> one = {"relationship": "purchases", "segment": "uk", "customers": 100,
        ...     "service_of_purchases": 50.0, "service_of_early_time": 900.0,
        ...     "service_of_later_time": 0.0, "purchases_seen": 200.0,
        ...     "early_days_seen": 9000.0, "later_days_seen": 0.0, "cost_by_kind": {}}
        >>> event_rates([one], min_customers=10)
        [('purchases', 'uk', 0.25, 0.1, 0.0, 0.5, 9.0)]
    """
    found = []
    for place, total in _totals(sums, min_customers).items():
        rates = [
            total[cost] / total[base] if total[base] > 0 else 0.0 for cost, base in _PARTS.values()
        ]
        customers = total["customers"]
        time = total["service_of_early_time"] + total["service_of_later_time"]
        priors = (total["service_of_purchases"] / customers, time / customers)
        found.append((*place, *rates, *priors))
    return found


def event_mixes(
    sums: Iterable[Mapping[str, Any]], service: ServiceConfig, min_customers: int
) -> dict[tuple[str, str], EventMix]:
    """The kinds of events by relationship and segment; a small segment has those of all.

    Args:
        sums: As for :func:`event_rates`.
        service: Says what the events of each kind grow with.
        min_customers: As for :func:`event_rates`.
    """
    kinds = {
        what: [name for name, kind in service.kinds.items() if kind.grows_with == what]
        for what in ("purchases", "time")
    }

    def shares(cost: Mapping[str, float], names: Sequence[str]) -> dict[str, float]:
        known = {name: cost[name] for name in names if name in cost}
        total = sum(known.values())
        return {name: one / total for name, one in known.items()} if total > 0 else {}

    found = {}
    for place, total in _totals(sums, min_customers).items():
        cost = total["cost_by_kind"]
        found[place] = EventMix(shares(cost, kinds["purchases"]), shares(cost, kinds["time"]))
    return found


def _totals(
    sums: Iterable[Mapping[str, Any]], min_customers: int
) -> dict[tuple[str, str], dict[str, Any]]:
    """What speaks for each segment: its own sums, or of a small one those of all."""
    rows = sorted(sums, key=lambda row: (row["relationship"], row["segment"]))
    of_all = {
        name: _added([row for row in rows if row["relationship"] == name])
        for name in {row["relationship"] for row in rows}
    }
    return {
        (row["relationship"], row["segment"]): _added([row])
        if row["customers"] >= min_customers
        else of_all[row["relationship"]]
        for row in rows
    }


def _added(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    names = ("customers", *(name for pair in _PARTS.values() for name in pair))
    total: dict[str, Any] = {name: sum(float(row[name] or 0) for row in rows) for name in names}
    kinds = [row["cost_by_kind"] or {} for row in rows]
    total["cost_by_kind"] = {
        kind: sum(float(one.get(kind) or 0) for one in kinds)
        for kind in sorted(set().union(*kinds))
    }
    return total
