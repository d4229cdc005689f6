"""Scenarios against the base: a segment's CLV, CLV : CAC and payback, without fitting again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from clv_spark.config.what_if import BASE, Scenario
from clv_spark.economics import ServiceRates, value_by_definition
from clv_spark.kernels.churn import ChurnRatios, Future
from clv_spark.kernels.event_rates import EventMix, ServiceCosts
from clv_spark.kernels.likeness import corner_values
from clv_spark.kernels.new_customers import NewCustomerCurve
from clv_spark.kernels.new_value import NewValue, new_customer_row, new_value

_OF_NEW = ("cac", "new_customer_value", "clv_to_cac", "payback_days")
_CHANGES = {"clv_sum": "clv_change"} | {
    name: f"{name}_change" for name in ("clv_service_cost", "clv_to_cac", "payback_days")
}


@dataclass(frozen=True)
class CostsAhead:
    """Expected service cost of customers of a segment; all discounted, up to the horizon.

    Attributes:
        of_purchases: What grows with their purchases.
        of_time: What grows with their time.
        events_of_purchases: The part of the first that follows from service events.
        events_of_time: The part of the second.
        mix: The kinds of these events.
    """

    of_purchases: float = 0.0
    of_time: float = 0.0
    events_of_purchases: float = 0.0
    events_of_time: float = 0.0
    mix: EventMix = field(default_factory=EventMix)


@dataclass(frozen=True)
class ExistingCustomers:
    """Sums over customers whose segments share parameters; all discounted, up to the horizon.

    Attributes:
        revenue: Expected revenue after returns.
        margin: Expected margin.
        costs: Expected service cost.
        future: Their purchases and years, with the ratios for all ``churn_factors``.
    """

    revenue: float
    margin: float
    costs: CostsAhead
    future: Future


@dataclass(frozen=True)
class NewCustomers:
    """What a new customer is worth, and costs.

    Attributes:
        values: What one brings by scenario, the base included; see :func:`new_values`.
        cac: Acquisition cost of a customer in the base, None where it is not known.
    """

    values: Mapping[str, NewValue]
    cac: float | None


@dataclass(frozen=True)
class SegmentBase:
    """A segment as it is.

    Attributes:
        segment: Its name.
        existing: The sums of the leaf segments it is made of, or its own.
        new: Its new customers, None where nothing is known of them.
    """

    segment: str
    existing: Sequence[ExistingCustomers]
    new: NewCustomers | None


def churn_factors(scenarios: Mapping[str, Scenario]) -> list[float]:
    """The factors on the rate of leaving that scenarios need, beside 1.

    Example:
        >>> churn_factors({"a": Scenario(churn=0.9), "b": Scenario(price=1.1)})
        [0.9]
    """
    return sorted({scenario.churn for scenario in scenarios.values()} - {1.0})


def new_values(
    curves: Mapping[float, NewCustomerCurve],
    costs: ServiceCosts,
    scenarios: Mapping[str, Scenario],
    definition: str,
    *,
    of_groups: bool,
) -> dict[str, tuple[NewValue, ...]]:
    """What a new customer of a leaf segment brings in the base and in each scenario.

    Args:
        curves: The curve by factor on the rate of leaving, 1 among them.
        costs: What serving costs.
        scenarios: By name.
        definition: What counts as value: revenue, margin or net.
        of_groups: Whether new customers of groups are told apart; see ``kernels.likeness``.

    Returns:
        By name of the scenario the value alone, or the corners that those of groups follow from.
    """
    found = {}
    for name, scenario in {BASE: Scenario(), **scenarios}.items():
        curve, rates = _changed(curves[scenario.churn], scenario), _costs(costs, scenario)
        if of_groups:
            found[name] = corner_values(curve, rates, definition)
        else:
            found[name] = (new_value(curve, rates, definition),)
    return found


def what_if_rows(
    base: SegmentBase, scenarios: Mapping[str, Scenario], definition: str
) -> list[dict[str, Any]]:
    """One row for the base, then one per scenario in the order of their names.

    Args:
        base: The segment as it is, and its new customers in every scenario.
        scenarios: By name.
        definition: What counts as value: revenue, margin or net.

    Returns:
        segment, scenario, clv_sum, clv_service_cost, new_customer_value (before acquisition), cac,
        clv_to_cac and payback_days (not discounted), and with _change what clv_sum (clv_change),
        clv_service_cost, clv_to_cac and payback_days are more than in the base. None where a part
        of it is not known.

    Example:
        >>> known = ExistingCustomers(revenue=1000.0, margin=300.0, costs=CostsAhead(),
        ...     future=Future(purchases=20.0, years=9.0))
        >>> rows = what_if_rows(SegmentBase("uk", [known], None),
        ...     {"margin": Scenario(margin_rate=0.02)}, "margin")
        >>> [(row["scenario"], row["clv_sum"], row["clv_change"]) for row in rows]
        [('base', 300.0, 0.0), ('margin', 320.0, 20.0)]
    """
    usual = _outcome(base, BASE, Scenario(), definition)
    rows = []
    for name in [BASE, *sorted(scenarios)]:
        found = usual if name == BASE else _outcome(base, name, scenarios[name], definition)
        changes = {
            change: _difference(found[name], usual[name]) for name, change in _CHANGES.items()
        }
        rows.append({"segment": base.segment, "scenario": name, **found, **changes})
    return rows


def _outcome(
    base: SegmentBase, name: str, scenario: Scenario, definition: str
) -> dict[str, float | None]:
    parts = [_existing_value(part, scenario, definition) for part in base.existing]
    known = bool(parts)
    found: dict[str, float | None] = dict.fromkeys(_OF_NEW)
    if base.new is not None:
        cac = None if base.new.cac is None else base.new.cac * scenario.cac
        # The target does not matter to what is shown here.
        row = new_customer_row(base.new.values[name], cac, target_ratio=1.0)
        found = {"cac": cac, **{key: row[key] for key in _OF_NEW if key != "cac"}}
    return {
        "clv_sum": sum(value for value, _ in parts) if known else None,
        "clv_service_cost": sum(cost for _, cost in parts) if known else None,
        **found,
    }


def _existing_value(
    part: ExistingCustomers, scenario: Scenario, definition: str
) -> tuple[float, float]:
    """Their value, and what of their margin goes for service."""
    future = part.future
    ratio = ChurnRatios() if scenario.churn == 1 else future.ratios[scenario.churn]
    before = part.revenue * scenario.order_value * ratio.revenue
    margin = part.margin * scenario.order_value * ratio.revenue
    # As many are sold at the same cost of goods, so all that prices rise by is margin.
    margin += (scenario.margin_rate + scenario.price - 1) * before
    costs, factor = part.costs, scenario.service_cost
    more_of_purchases, more_of_time = costs.mix.growth(scenario.service_cost_by_kind)
    purchase_cost = (costs.of_purchases + more_of_purchases * costs.events_of_purchases) * factor
    purchase_cost += future.purchases * scenario.service_cost_per_purchase
    time_cost = (costs.of_time + more_of_time * costs.events_of_time) * factor
    time_cost += future.years * scenario.service_cost_per_year
    service_cost = purchase_cost * ratio.purchases + time_cost * ratio.time
    value = value_by_definition(
        definition, revenue=before * scenario.price, margin=margin, service_cost=service_cost
    )
    return float(value), float(service_cost)


def _changed(curve: NewCustomerCurve, scenario: Scenario) -> NewCustomerCurve:
    price = scenario.price
    return replace(
        curve,
        order_value=curve.order_value * (scenario.order_value * price),
        margin_rate=(curve.margin_rate + scenario.margin_rate + (price - 1)) / price,
    )


def _costs(costs: ServiceCosts, scenario: Scenario) -> ServiceRates:
    rates, events, factor = costs.rates, costs.events, scenario.service_cost
    more_of_purchases, more_of_time = costs.mix.growth(scenario.service_cost_by_kind)

    def of_purchases(rate: float, of_events: float) -> float:
        return (rate + more_of_purchases * of_events) * factor + scenario.service_cost_per_purchase

    def of_time(rate: float, of_events: float) -> float:
        return (rate + more_of_time * of_events) * factor + scenario.service_cost_per_year

    return ServiceRates(
        per_purchase=of_purchases(rates.per_purchase, events.per_purchase),
        per_purchase_early=of_purchases(rates.per_purchase_early, events.per_purchase_early),
        per_year=of_time(rates.per_year, events.per_year),
        per_year_early=of_time(rates.per_year_early, events.per_year_early),
        early_days=rates.early_days,
    )


def _difference(value: float | None, usual: float | None) -> float | None:
    return None if value is None or usual is None else value - usual
