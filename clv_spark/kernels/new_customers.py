"""What a new customer will do, day by day: purchases and time, and what they come to in money.

Nobody needs to have been there for as long as the horizon: the curve of a new customer is the
model's, for somebody who has just made the first purchase.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from clv_spark.economics import ServiceRates, rate_per_unit, service_cost, value_by_definition
from clv_spark.economics.discounting import DAYS_PER_YEAR
from clv_spark.errors import InputError
from clv_spark.kernels.segment_table import SegmentParameters
from clv_spark.models import gamma_gamma
from clv_spark.models.risk import new_at_risk, purchases_at_risk, staying_at_risk

Floats = NDArray[np.float64]

# Who has not paid back within three years is taken not to pay back, unless the target is later.
PAYBACK_DAYS = 1095
STEP_DAYS = 7


@dataclass(frozen=True)
class Course:
    """What is to be expected of a new customer up to each day; shape (sets of parameters, days).

    Attributes:
        purchases: Purchase days, or payments of a contract, the first one included.
        purchases_early: Those in the early phase.
        years: Years of being a customer.
        years_early: Those in the early phase.
    """

    purchases: Floats
    purchases_early: Floats
    years: Floats
    years_early: Floats


@dataclass(frozen=True)
class NewCustomerCurve:
    """The course of a new customer, under the fitted parameters first, then under draws of them.

    Attributes:
        days: Days since the first purchase, ascending from 0; two equal ones are a jump.
        plain: The course without discount.
        discounted: The same, what happens after t days weighed by (1 + d)^(-t / 365).
        order_value: Expected gross amount of a purchase, one per set; NaN where there is none.
        kept: Share of gross spend that is left after returns.
        margin_rate: Margin per unit of revenue.
        horizon_days: How far the value looks ahead; one of the days.
        early_days: Length of the early phase.
    """

    days: Floats
    plain: Course
    discounted: Course
    order_value: Floats
    kept: float
    margin_rate: float
    horizon_days: int
    early_days: int


def new_customer_curve(
    parameters: SegmentParameters,
    *,
    horizon_days: int,
    annual_discount_rate: float,
    early_days: int,
    draws: int,
    refunds: Literal["rate", "ignore"] = "rate",
    churn: float = 1.0,
    target_payback_days: int = PAYBACK_DAYS,
) -> NewCustomerCurve:
    """The curve of somebody who makes the first purchase today.

    Args:
        parameters: Of the segment, its purchases known; without a spend order_value is NaN.
        horizon_days: How far the value looks ahead.
        annual_discount_rate: 0.10 for ten percent a year.
        early_days: Length of the early phase; 0 for none.
        draws: Draws of the parameters, even and at least 16, or none. They are those of
            ``sum_segment`` where they are as many.
        refunds: "rate" takes off the segment's return rate, "ignore" does not.
        churn: Factor on the rate at which every customer leaves; see ``models.risk``.
        target_payback_days: Within how many days a new customer should pay back.

    Raises:
        InputError: The segment has no parameters of purchases.

    Example:
        >>> uk = SegmentParameters(segment="uk", purchases_segment="uk", spend_segment="uk",
        ...     model="bg_nbd", unit_days=7, purchases=(0.243, 4.414, 0.793, 2.426),
        ...     spend={"p": 6.25, "q": 3.74, "gamma": 15.44},
        ...     purchases_covariance=(), spend_covariance=(),
        ...     return_rate=0.0, return_prior_amount=100.0, margin_rate=0.3)
        >>> curve = new_customer_curve(uk, horizon_days=364, annual_discount_rate=0.1,
        ...     early_days=90, draws=0)
        >>> year = int(np.flatnonzero(curve.days == 364)[0])
        >>> float(curve.plain.purchases[0, year].round(3)), float(curve.order_value[0].round(2))
        (2.446, 35.22)
    """
    if parameters.purchases is None:
        raise InputError(f"The segment {parameters.segment!r} has no parameters of purchases.")
    if not (parameters.purchases_covariance or parameters.spend_covariance):
        draws = 0
    # Of the purchases alone, so that segments of equal parameters have one course without draws.
    alone = replace(
        parameters,
        spend=None,
        spend_covariance=(),
        spend_shared=(),
        spend_segment=None,
        return_rate=0.0,
        return_prior_amount=0.0,
        margin_rate=0.0,
    )
    if draws == 0:
        alone = replace(
            alone, segment="", purchases_covariance=(), purchases_shared=(), purchases_segment=None
        )
    days = days_of_curve(horizon_days, early_days, target_payback_days)
    plain, discounted = _courses(
        alone, tuple(days.tolist()), annual_discount_rate, early_days, draws, churn
    )
    return NewCustomerCurve(
        days=days,
        plain=plain,
        discounted=discounted,
        order_value=_order_value(parameters, draws),
        kept=1 - parameters.return_rate if refunds == "rate" else 1.0,
        margin_rate=parameters.margin_rate,
        horizon_days=horizon_days,
        early_days=early_days,
    )


@lru_cache(maxsize=256)
def _courses(
    parameters: SegmentParameters,
    days_of_course: tuple[float, ...],
    annual_discount_rate: float,
    early_days: int,
    draws: int,
    churn: float,
) -> tuple[Course, Course]:
    """The plain and the discounted course up to each of the days; nobody changes them."""
    unit, params = parameters.unit_days, parameters.purchase_draws(draws)
    days = np.array(days_of_course)
    rate = rate_per_unit(annual_discount_rate, unit)
    middles = np.arange(int(days[-1])) + 0.5
    weight = np.exp(-rate_per_unit(annual_discount_rate, 1) * middles)
    living = _living(parameters, params, days / unit, middles / unit, rate, churn)
    plain, discounted = (
        early_phase(
            days,
            purchases=1 + purchases,
            years=_until(living.staying * weights, days) / DAYS_PER_YEAR,
            early_days=early_days,
        )
        for purchases, weights in (
            (living.expected, np.ones(middles.size)),
            (living.discounted, weight),
        )
    )
    return plain, discounted


def days_of_curve(
    horizon_days: int, early_days: int, target_payback_days: int = PAYBACK_DAYS
) -> Floats:
    """Days of a curve: every week of three years, the end of the early phase and the horizon.

    With a target beyond three years every week up to it: payback is looked for between the days.

    Example:
        >>> days_of_curve(365, 90)[[0, 1, 13, 14, -1]].tolist(), days_of_curve(2000, 0)[-1]
        ([0.0, 7.0, 90.0, 91.0, 1095.0], np.float64(2000.0))
        >>> days_of_curve(365, 90, target_payback_days=1100)[[-2, -1]].tolist()
        [1099.0, 1100.0]
    """
    end = max(PAYBACK_DAYS, target_payback_days)
    last = max(end, horizon_days)
    weeks = np.arange(0, end, STEP_DAYS)
    days = np.concatenate([weeks, [end, horizon_days, min(early_days, last)]])
    return np.unique(days).astype(np.float64)


def early_phase(days: Floats, *, purchases: Floats, years: Floats, early_days: int) -> Course:
    """Adds to what happens up to each day what of it lies in the early phase.

    Without early days the first purchase does not belong to it either.
    """
    here = np.arange(days.size)
    place = np.minimum(here, int(np.searchsorted(days, early_days, side="right")) - 1)
    return Course(
        purchases=purchases,
        purchases_early=purchases[:, place] if early_days > 0 else np.zeros(purchases.shape),
        years=years,
        years_early=years[:, place],
    )


class _Living(NamedTuple):
    """Repeat purchases up to some times and the probability of being alive at others, by set."""

    expected: Floats
    discounted: Floats
    staying: Floats


def _living(
    parameters: SegmentParameters,
    params: Mapping[str, Floats],
    until: Floats,
    at: Floats,
    rate: float,
    churn: float,
) -> _Living:
    """What is to be expected right after the first purchase, with which some may have left."""
    sums = [np.zeros(()) for _ in _Living._fields]
    zero = np.zeros(next(iter(params.values())).size)
    for part in new_at_risk(parameters.model, params, churn):
        new = (zero, zero, churn)
        bought = purchases_at_risk(part.model, params, until.tolist(), rate, *new)
        stays = staying_at_risk(part.model, params, at.tolist(), *new)
        values = (bought.expected, bought.discounted, stays)
        sums = [total + part.weight * value for total, value in zip(sums, values, strict=True)]
    # A part may weigh less than nothing, but no sum does.
    return _Living(*(np.maximum(total, 0.0).T for total in sums))


def _until(by_day: Floats, days: Floats) -> Floats:
    """Sums of a column per day up to each of some days."""
    zero = np.zeros((len(by_day), 1))
    sums: Floats = np.concatenate([zero, np.cumsum(by_day, axis=1)], axis=1)
    return sums[:, days.astype(np.int64)]


def _order_value(parameters: SegmentParameters, draws: int) -> Floats:
    if parameters.spend is None:
        return np.full(draws + 1, math.nan)
    return gamma_gamma.expected_spend(parameters.spend_draws(draws), 0.0, 0.0)


def money_of_curve(
    curve: NewCustomerCurve, course: Course, costs: ServiceRates, definition: str
) -> tuple[Floats, Floats, Floats, Floats]:
    """Revenue, margin, service cost and value up to each day of a course; shape (sets, days)."""
    revenue = course.purchases * (curve.order_value * curve.kept)[:, np.newaxis]
    margin = revenue * curve.margin_rate
    cost = service_cost(
        costs,
        purchases=course.purchases,
        purchases_early=course.purchases_early,
        years=course.years,
        years_early=course.years_early,
    )
    # Nobody knows the value of what has no price, whatever it costs to serve.
    cost = cost + 0.0 * revenue
    value = value_by_definition(definition, revenue=revenue, margin=margin, service_cost=cost)
    return revenue, margin, cost, value
