"""Sums of service events by segment -> the rates at which customers of a segment cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from clv_spark.config import ServiceConfig, of_segment
from clv_spark.economics import ServiceRates
from clv_spark.economics.discounting import DAYS_PER_YEAR

_PARTS = {
    "per_purchase": ("service_of_purchases", "purchases_so_far"),
    "per_early_day": ("service_of_early_time", "early_days_so_far"),
    "per_later_day": ("service_of_later_time", "later_days_so_far"),
}


def service_rates(
    service: ServiceConfig, segment: str, found: Mapping[str, float] | None, keys: int
) -> ServiceRates:
    """What serving costs in a segment: the configured rates and those of its events together.

    Args:
        service: The configuration.
        segment: Name of the segment.
        found: A row of :func:`event_rates` by name, None without events.
        keys: Number of segment keys.
    """
    early = {name: of_segment(rate, segment, keys) for name, rate in service.early.items()}
    purchase, year = (
        of_segment(rate, segment, keys) for rate in (service.per_purchase, service.per_year)
    )
    events = found or dict.fromkeys(_PARTS, 0.0)
    return ServiceRates(
        per_purchase=purchase + events["per_purchase"],
        per_purchase_early=early["per_purchase"] + events["per_purchase"],
        per_year=year + events["per_later_day"] * DAYS_PER_YEAR,
        per_year_early=early["per_year"] + events["per_early_day"] * DAYS_PER_YEAR,
        early_days=service.early_days,
    )


def event_rates(sums: Iterable[Mapping[str, Any]], min_customers: int) -> list[tuple[Any, ...]]:
    """Costs per purchase and per day by segment; a small segment has the rates of all.

    Args:
        sums: Per relationship and segment: customers, costs and what they grew with.
        min_customers: Customers a segment needs for rates of its own.

    Returns:
        Rows of relationship, segment, cost per purchase, per day of the early phase and later,
        and as weights of these rates the mean cost per customer of purchases and of time: who has
        as many purchases or days as the mean customer counts half.

    Example:
        >>> one = {"relationship": "purchases", "segment": "uk", "customers": 100,
        ...     "service_of_purchases": 50.0, "service_of_early_time": 900.0,
        ...     "service_of_later_time": 0.0, "purchases_so_far": 200.0,
        ...     "early_days_so_far": 9000.0, "later_days_so_far": 0.0}
        >>> event_rates([one], min_customers=10)
        [('purchases', 'uk', 0.25, 0.1, 0.0, 0.5, 9.0)]
    """
    rows = sorted(sums, key=lambda row: (row["relationship"], row["segment"]))
    found = []
    for row in rows:
        alike = [row]
        if row["customers"] < min_customers:
            alike = [other for other in rows if other["relationship"] == row["relationship"]]
        total = {
            name: sum(float(other[name] or 0.0) for other in alike)
            for pair in _PARTS.values()
            for name in pair
        }
        rates = [
            total[cost] / total[base] if total[base] > 0 else 0.0 for cost, base in _PARTS.values()
        ]
        customers = sum(other["customers"] for other in alike)
        time = total["service_of_early_time"] + total["service_of_later_time"]
        priors = (total["service_of_purchases"] / customers, time / customers)
        found.append((row["relationship"], row["segment"], *rates, *priors))
    return found
