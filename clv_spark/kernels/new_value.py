"""What new customers are worth: value with its interval, CLV : CAC, payback, maximal CAC."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clv_spark.economics import ServiceRates
from clv_spark.economics.formulas import clv_to_cac, max_cac, payback_days
from clv_spark.errors import InputError
from clv_spark.kernels.new_customers import NewCustomerCurve, money_of_curve

Floats = NDArray[np.float64]

# Ends of the interval: what the value falls short of, and exceeds, in a tenth of the draws.
LOW, HIGH = 0.1, 0.9


@dataclass(frozen=True)
class NewValue:
    """What a new customer is expected to bring; not finite where there is no order value.

    Attributes:
        days: Days since the first purchase, ascending; two equal ones are a jump.
        plain: What is earned up to each day, under the fitted parameters: margin, or net value
            where that is what counts; never revenue, which pays nothing back.
        discounted: The same, discounted.
        draws: Discounted value up to the horizon, under the fit first, then under each draw.
        revenue: Discounted revenue up to the horizon.
        margin: Discounted margin.
        service_cost: Discounted cost to serve.
    """

    days: Floats
    plain: Floats
    discounted: Floats
    draws: Floats
    revenue: float
    margin: float
    service_cost: float


def new_value(curve: NewCustomerCurve, costs: ServiceRates, definition: str) -> NewValue:
    """Turns the course of a new customer into value.

    Args:
        curve: Its early phase is as long as that of the costs.
        costs: Rates of the cost to serve.
        definition: What counts as value: revenue, margin or net.

    Raises:
        InputError: The early phases differ, or there is no such definition.
    """
    if curve.early_days != costs.early_days:
        raise InputError(
            f"The curve has an early phase of {curve.early_days} days and the costs one of "
            f"{costs.early_days}; the same is expected."
        )
    # Before a payment on the horizon itself: one made today counts already, and a year holds twelve
    # monthly ones, as for those who are customers.
    end = int(np.searchsorted(curve.days, curve.horizon_days, side="left"))
    revenue, margin, cost, value = money_of_curve(curve, curve.discounted, costs, definition)
    earned = "margin" if definition == "revenue" else definition
    plain = money_of_curve(curve, curve.plain, costs, earned)[-1]
    discounted = margin if definition == "revenue" else value
    return NewValue(
        days=curve.days,
        plain=plain[0],
        discounted=discounted[0],
        draws=value[:, end],
        revenue=float(revenue[0, end]),
        margin=float(margin[0, end]),
        service_cost=float(cost[0, end]),
    )


def mixed(parts: Sequence[tuple[float, NewValue]]) -> NewValue:
    """A new customer of one of several segments, each as likely as its weight.

    Args:
        parts: Weights, not all zero, and values; as many draws in each, or none in some.

    Example:
        >>> days = np.array([0.0, 10.0])
        >>> low, high = (NewValue(days, np.array([0.0, top]), np.array([0.0, top]),
        ...     np.array([top]), top, top, 0.0) for top in (10.0, 30.0))
        >>> both = mixed([(3, low), (1, high)])
        >>> both.plain.tolist(), both.draws.tolist(), both.revenue
        ([0.0, 0.0, 15.0, 15.0], [15.0], 15.0)
    """
    if len(parts) == 1:
        return parts[0][1]
    total = sum(weight for weight, _ in parts)
    shares = [weight / total for weight, _ in parts]
    values = [value for _, value in parts]
    days = np.unique(np.concatenate([value.days for value in values]))
    # Both sides of a jump.
    grid = np.repeat(days, 2)
    most = max(value.draws.size for value in values)

    def mean(numbers: Sequence[Floats | float]) -> Floats:
        total = np.asarray(0.0)
        for share, number in zip(shares, numbers, strict=True):
            total = total + share * np.asarray(number)
        return total

    return NewValue(
        days=grid,
        plain=mean([_on_grid(days, value.days, value.plain) for value in values]),
        discounted=mean([_on_grid(days, value.days, value.discounted) for value in values]),
        draws=mean([np.resize(value.draws, most) for value in values]),
        revenue=float(mean([value.revenue for value in values])),
        margin=float(mean([value.margin for value in values])),
        service_cost=float(mean([value.service_cost for value in values])),
    )


def several(value: NewValue, count: float) -> NewValue:
    """The same so many times: of a customer who begins with more than one contract.

    Example:
        >>> one = NewValue(np.array([0.0]), np.array([2.0]), np.array([2.0]), np.array([2.0]), 4.0,
        ...     3.0, 1.0)
        >>> several(one, 1.5).draws.tolist(), several(one, 1.5).revenue
        ([3.0], 6.0)
    """
    return NewValue(
        days=value.days,
        plain=value.plain * count,
        discounted=value.discounted * count,
        draws=value.draws * count,
        revenue=value.revenue * count,
        margin=value.margin * count,
        service_cost=value.service_cost * count,
    )


def new_customer_row(
    value: NewValue, cac: float | None, target_ratio: float
) -> dict[str, float | None]:
    """What a new customer is worth up to the horizon, and what one may cost.

    Args:
        value: What a new customer brings.
        cac: Acquisition cost of a customer, None where it is not known.
        target_ratio: CLV : CAC that is aimed at.

    Returns:
        Discounted, up to the horizon: new_customer_revenue, new_customer_margin,
        new_customer_service_cost, and of them new_customer_value, before acquisition, with
        new_customer_value_low and new_customer_value_high, which a tenth of the draws fall short of
        and exceed; new_customer_clv, after acquisition, and clv_to_cac, both None without cac;
        max_cac. Beyond the horizon, too, and of what is earned: payback_days, not discounted, and
        payback_days_discounted. All None where there is no order value.
    """
    ends = value.draws[1:] if value.draws.size > 1 else value.draws
    worth = _known(value.draws[0])
    return {
        "new_customer_revenue": _known(value.revenue),
        "new_customer_margin": _known(value.margin),
        "new_customer_service_cost": _known(value.service_cost),
        "new_customer_value": worth,
        "new_customer_value_low": _known(np.quantile(ends, LOW)),
        "new_customer_value_high": _known(np.quantile(ends, HIGH)),
        "new_customer_clv": None if worth is None or cac is None else worth - cac,
        "clv_to_cac": clv_to_cac(worth, cac),
        "payback_days": payback_days(value.days, value.plain, cac),
        "payback_days_discounted": payback_days(value.days, value.discounted, cac),
        "max_cac": max_cac(worth, target_ratio),
    }


def new_customer_value(
    curve: NewCustomerCurve,
    costs: ServiceRates,
    definition: str,
    cac: float | None,
    *,
    target_ratio: float,
) -> dict[str, float | None]:
    """The row of :func:`new_customer_row` for the new customers of one curve."""
    return new_customer_row(new_value(curve, costs, definition), cac, target_ratio)


def _on_grid(grid: Floats, days: Floats, values: Floats) -> Floats:
    """Values just before and just after each day of a grid, on straight lines between the days."""
    sides = []
    for side in ("left", "right"):
        after = np.searchsorted(days, grid, side="right" if side == "right" else "left")
        after = np.clip(after, 1, days.size - 1)
        width = days[after] - days[after - 1]
        share = np.divide(grid - days[after - 1], width, out=np.ones(grid.size), where=width > 0)
        share = np.minimum(share, 1.0)
        sides.append(values[after - 1] + share * (values[after] - values[after - 1]))
    both: Floats = np.stack(sides, axis=1).ravel()
    return both


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
