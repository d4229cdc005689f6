"""Sums of a segment's customers -> its numbers in segment_summary: value, costs, new customers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import numpy as np

from clv_spark.config.what_if import BASE, Scenario
from clv_spark.economics.formulas import (
    MONTHS_PER_YEAR,
    acquisition_budget,
    arpu,
    churn_formula_clv,
    lifetime,
    monthly_churn,
    observed_churn,
    order_formula_clv,
)
from clv_spark.economics.total import TotalDraws, total_interval
from clv_spark.kernels.churn import ChurnRatios, Future, joint_future
from clv_spark.kernels.event_rates import EventMix
from clv_spark.kernels.likeness import Likeness, alike
from clv_spark.kernels.new_value import NewValue, mixed, new_customer_row
from clv_spark.kernels.sum_segment import SegmentSum
from clv_spark.kernels.what_if import (
    CostsAhead,
    ExistingCustomers,
    NewCustomers,
    SegmentBase,
    churn_factors,
    what_if_rows,
)

Sums = Mapping[str, float]
_DAYS_PER_YEAR = 365


@dataclass(frozen=True)
class LeafOutlook:
    """What the parameters of one leaf segment say of its customers.

    Attributes:
        sums: Their total under draws; one per period for contracts.
        futures: What they will do as they are, and at other rates of leaving; as many, or none
            where nobody asks for scenarios.
        new: What a new customer brings in the base and in each scenario, as
            ``what_if.new_values`` gives it; empty where unknown.
        mix: The kinds of their service events.
    """

    sums: Sequence[SegmentSum]
    futures: Sequence[Future]
    new: Mapping[str, Sequence[NewValue]]
    mix: EventMix = field(default_factory=EventMix)


@dataclass(frozen=True)
class SummarySettings:
    """What the summary needs of the configuration.

    Attributes:
        definition: What counts as value: revenue, margin or net.
        recent_days: Days whose new customers make the CAC, no more than there are customers of.
        target_clv_to_cac: What CLV : CAC should reach.
        target_payback_days: Within how many days a new customer should pay back.
        cohort: Whether the customers are those won in one month, however long ago: all of them
            count as its new ones.
        like: How the customers differ from others of their leaf segments, so that new ones do.
    """

    definition: str
    recent_days: int
    target_clv_to_cac: float
    target_payback_days: int
    cohort: bool = False
    like: Likeness = field(default_factory=Likeness)

    @property
    def counted(self) -> str:
        """The sum that draws are of: what is counted before service costs are taken off."""
        return "clv_revenue" if self.definition == "revenue" else "clv_margin"


def summary_values(
    leaves: Mapping[str, Sums], outlooks: Mapping[str, LeafOutlook], settings: SummarySettings
) -> dict[str, Any]:
    """The numbers of one segment or group of customers.

    Args:
        leaves: Its sums by leaf segment, by the names of ``transforms.segment_sums``.
        outlooks: What is known of these leaf segments.
        settings: Definition and targets.
    """
    leaves = _with_new(leaves, settings)
    total = added(leaves.values())
    return {
        **_amounts(total),
        **_interval(leaves, outlooks, total, settings),
        **_formulas(total),
        **_acquisition(leaves, outlooks, total, settings),
    }


def added(parts: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Sums of the sums, exact where they are decimals; what is missing counts as nothing."""
    total: dict[str, Any] = {}
    for part in parts:
        for name, value in part.items():
            so_far = total.get(name)
            total[name] = so_far if value is None else value if so_far is None else so_far + value
    return {name: _plain(value) for name, value in total.items()}


def _plain(value: Any) -> float:
    if value is None:
        return 0.0
    return float(value) if isinstance(value, Decimal) else value


def _amounts(total: Sums) -> dict[str, Any]:
    customers, valued = total["customers"], total["valued"]
    known = valued > 0
    return {
        "customers": int(customers),
        "active_customers": total["p_active_365d"],
        "loss_making_customers": int(total["loss_making"]),
        "historical_revenue": total["historical_revenue"],
        "historical_margin": total["historical_margin"],
        "historical_service_cost": total["historical_service_cost"],
        "historical_clv_sum": total["historical_clv"],
        "historical_clv_mean": total["historical_clv"] / customers,
        "acquisition_cost_sum": total["acquisition_cost"],
        "expected_revenue_365d": total["expected_revenue_365d"] if known else None,
        "clv_revenue": total["clv_revenue"] if known else None,
        "clv_margin": total["clv_margin"] if known else None,
        "clv_service_cost": total["clv_service_cost"] if known else None,
        "clv_sum": total["clv"] if known else None,
        "clv_mean": total["clv"] / valued if known else None,
    }


def _interval(
    leaves: Mapping[str, Sums],
    outlooks: Mapping[str, LeafOutlook],
    total: Sums,
    settings: SummarySettings,
) -> dict[str, float | None]:
    """Bounds of the sum: of a part of a leaf segment the part of its draws that it has in value.

    The part of service costs that grows with purchases moves the bounds as the purchases do.
    """
    draws = []
    for leaf, sums in leaves.items():
        parts = outlooks[leaf].sums if leaf in outlooks else ()
        whole = sum(part.clv for part in parts)
        share = (sums[settings.counted] or 0) / whole if whole > 0 else 0.0
        draws += [
            TotalDraws(np.array(part.mean) * share, np.array(part.variance) * share)
            for part in parts
        ]
    if not draws:
        sure = 0.0 if _nothing_to_come(total) else None
        return {"clv_sum_low": sure, "clv_sum_high": sure}
    interval = total_interval(draws)
    bounds = [interval.low, interval.high]
    if settings.definition == "net":
        margin = total["clv_margin"]
        scale = 1 - total["service_of_purchases_ahead"] / margin if margin > 0 else 1.0
        bounds = sorted(bound * scale - total["service_of_time_ahead"] for bound in bounds)
    return {"clv_sum_low": bounds[0], "clv_sum_high": bounds[1]}


def _nothing_to_come(sums: Sums) -> bool:
    """Whether all whose value is known bring nothing more: every contract has ended.

    A leaf segment of such has no outlook, as there is nothing to work out under draws.
    """
    return bool(sums["valued"]) and not sums["clv_revenue"]


def _formulas(total: Sums) -> dict[str, float | None]:
    """The simple formulas, of all that is known of the past."""
    revenue, purchases = total["historical_revenue"], total["purchases"]
    years = total["age_days"] / _DAYS_PER_YEAR
    margin_rate = total["historical_margin"] / revenue if revenue > 0 else 0.0
    cost = total["historical_service_cost"]
    churn = observed_churn(total["lost"], total["retained"])
    monthly = None if churn is None else monthly_churn(churn)
    # One lifetime for both formulas: of what leaves in a year, some leave early in it.
    stays = None if monthly is None else lifetime(monthly)
    # Contracts that ended on the day they began have paid nothing: of these nothing follows.
    paid = purchases > 0
    orders = order_formula_clv(
        revenue / purchases if paid else 0.0,
        purchases / years if years > 0 else 0.0,
        stays / MONTHS_PER_YEAR if paid and stays is not None else None,
        margin_rate=margin_rate,
        cost_per_order=cost / purchases if paid else 0.0,
    )
    months = years * MONTHS_PER_YEAR
    by_churn = churn_formula_clv(
        arpu(revenue, months) if paid else None,
        monthly,
        margin_rate=margin_rate,
        cost_per_month=cost / months if months > 0 else 0.0,
    )
    found = {"observed_churn": churn}
    for name, variants in (("orders", orders), ("churn", by_churn)):
        for kind in ("revenue", "margin", "net"):
            found[f"formula_{name}_{kind}"] = getattr(variants, kind)
    return found


def _acquisition(
    leaves: Mapping[str, Sums],
    outlooks: Mapping[str, LeafOutlook],
    total: Sums,
    settings: SummarySettings,
) -> dict[str, Any]:
    new, cac = total["new_customers"], _cac(total)
    found: dict[str, Any] = {"new_customers": int(new), "cac": cac}
    values = _new_mix(leaves, outlooks, total, settings)
    if not values:
        return found
    row = new_customer_row(values[BASE], cac, settings.target_clv_to_cac)
    ratio, payback = row["clv_to_cac"], row["payback_days"]
    # A cohort is as large as it is, and what it may have cost is no budget of a year.
    wanted = new if settings.cohort else new * _DAYS_PER_YEAR / settings.recent_days
    return {
        **found,
        **row,
        "clv_to_cac_reached": None if ratio is None else ratio >= settings.target_clv_to_cac,
        "payback_reached": None
        if cac is None or row["new_customer_value"] is None
        else payback is not None and payback <= settings.target_payback_days,
        "acquisition_budget": acquisition_budget(row["max_cac"], wanted),
    }


def scenario_values(
    name: str,
    leaves: Mapping[str, Sums],
    outlooks: Mapping[str, LeafOutlook],
    scenarios: Mapping[str, Scenario],
    settings: SummarySettings,
) -> list[dict[str, Any]]:
    """The rows of what_if of one segment or group of customers.

    Args:
        name: Of the segment.
        leaves: Its sums by leaf segment, as for :func:`summary_values`.
        outlooks: What is known of these leaf segments.
        scenarios: By name.
        settings: Definition and targets.
    """
    leaves = _with_new(leaves, settings)
    existing = [
        _existing(sums, outlooks[leaf])
        for leaf, sums in leaves.items()
        if leaf in outlooks and sums["valued"]
    ]
    if any(leaf not in outlooks and _nothing_to_come(sums) for leaf, sums in leaves.items()):
        same = {factor: ChurnRatios() for factor in churn_factors(scenarios)}
        existing.append(ExistingCustomers(0.0, 0.0, CostsAhead(), Future(0.0, 0.0, same)))
    total = added(leaves.values())
    values = _new_mix(leaves, outlooks, total, settings)
    new = NewCustomers(values, _cac(total)) if values else None
    return what_if_rows(SegmentBase(name, existing, new), scenarios, settings.definition)


def _existing(sums: Sums, outlook: LeafOutlook) -> ExistingCustomers:
    """The customers of a group in a leaf segment; contracts of all periods in one.

    What they will do is their own sum. By what another churn multiplies it is the leaf segment's.
    """
    whole = sum(part.clv for part in outlook.sums)
    weights = [part.clv / whole if whole > 0 else 0.0 for part in outlook.sums]
    future = replace(
        joint_future(outlook.futures, weights),
        purchases=sums["purchases_ahead"],
        years=sums["days_ahead"] / _DAYS_PER_YEAR,
    )
    return ExistingCustomers(
        revenue=sums["clv_revenue"],
        margin=sums["clv_margin"],
        costs=CostsAhead(
            of_purchases=sums["service_of_purchases_ahead"],
            of_time=sums["service_of_time_ahead"],
            events_of_purchases=sums["events_of_purchases_ahead"],
            events_of_time=sums["events_of_time_ahead"],
            mix=outlook.mix,
        ),
        future=future,
    )


def _with_new(leaves: Mapping[str, Sums], settings: SummarySettings) -> Mapping[str, Sums]:
    """The sums with those of its new customers; of a cohort they are those of all."""
    if not settings.cohort:
        return leaves
    new = {
        "new_customers": "customers",
        "new_with_cost": "with_cost",
        "new_acquisition_cost": "acquisition_cost",
    }
    return {
        leaf: {**sums, **{name: sums[every] for name, every in new.items()}}
        for leaf, sums in leaves.items()
    }


def _cac(total: Sums) -> float | None:
    with_cost = total["new_with_cost"]
    return total["new_acquisition_cost"] / with_cost if with_cost else None


def _new_mix(
    leaves: Mapping[str, Sums],
    outlooks: Mapping[str, LeafOutlook],
    total: Sums,
    settings: SummarySettings,
) -> dict[str, NewValue]:
    """A new customer by scenario, in the mix of the new ones; where nobody is new, of all."""
    count = "new_customers" if total["new_customers"] else "customers"
    parts = [
        (float(sums[count]), outlooks[leaf].new)
        for leaf, sums in leaves.items()
        if leaf in outlooks and outlooks[leaf].new and sums[count]
    ]
    if not parts:
        return {}

    def alone(corners: Sequence[NewValue]) -> NewValue:
        return alike(corners, settings.like, settings.definition)

    return {
        name: mixed([(weight, alone(values[name])) for weight, values in parts])
        for name in parts[0][1]
    }
