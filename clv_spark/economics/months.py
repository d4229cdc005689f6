"""Purchases and revenue of each month ahead: of the customers one has, and of those to come.

Customers of today are counted as in ``economics.total``, stretch by stretch of the time ahead.
New ones arrive at random at an even rate, buy when they arrive and again as the model says; what a
month brings of them is a sum over a Poisson process, so its mean and variance are integrals of the
moments of one customer over the time of arrival (Campbell's theorem; Kingman 1993, Poisson
Processes, section 3.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from clv_spark.economics.total import LEAST_SPEND_SHAPE, spend_moments
from clv_spark.models.arrays import Floats, Parameters, distinct
from clv_spark.models.model import PurchaseModel


@dataclass(frozen=True)
class MonthTotals:
    """One value per stretch of time, such as a month.

    Attributes:
        purchases: Expected purchases.
        revenue: Expected revenue.
        variance: Variance of the revenue from the customers' own chance.
    """

    purchases: Floats
    revenue: Floats
    variance: Floats


@dataclass(frozen=True)
class Newcomers:
    """What new customers bring at a rate of one per time unit; see ``MonthTotals``.

    All of it grows with the rate.

    Attributes:
        customers: Expected arrivals.
        totals: Their first and later purchases.
    """

    customers: Floats
    totals: MonthTotals


def existing_months(
    model: PurchaseModel,
    patterns: Mapping[str, Floats],
    purchases: Parameters,
    spend: Mapping[str, float],
    ends: ArrayLike,
) -> MonthTotals:
    """What customers of today buy up to each end, from the end before.

    Args:
        model: The module of a purchase model.
        patterns: See ``value_patterns``, with the share kept after returns as margin; and
            "customers", how many share the pattern.
        purchases: The model's parameters.
        spend: p, q and gamma.
        ends: Ascending ends of the stretches, in the time unit of the parameters, from today.

    Example:
        >>> from clv_spark.economics import value_patterns
        >>> from clv_spark.models import bg_nbd
        >>> patterns = value_patterns(x=[2.0], t_x=[30.43], T=[38.86], spend_x=[2.0], m_x=[22.35],
        ...     margin=[1.0]) | {"customers": np.ones(1)}
        >>> params = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
        >>> spend = {"p": 6.25, "q": 3.74, "gamma": 15.44}
        >>> months = existing_months(bg_nbd, patterns, params, spend, [19.5, 39.0])
        >>> months.purchases.round(3).tolist(), months.revenue.round(2).tolist()
        ([0.665, 0.561], [16.4, 13.83])
    """
    x, t_x, T = patterns["x"], patterns["t_x"], patterns["T"]
    times = np.asarray(ends, dtype=np.float64)
    alive = model.probability_alive(purchases, x, t_x, T)
    # Given alive only x and T matter, and few pairs of them differ.
    chosen, inverse = distinct([x, T])
    ahead = model.forecast_if_alive(purchases, times.tolist(), 0.0, x[chosen], T[chosen])
    expected = np.diff(ahead.expected, axis=0, prepend=0.0)
    burst = _burst(ahead.expected[0], ahead.discounted_square[0], times[0])
    letters = (spend["p"], spend["q"], spend["gamma"])
    rows = []
    for mean, length in zip(expected, np.diff(times, prepend=0.0), strict=True):
        first = alive * mean[inverse]
        second = alive * (mean * (1 + burst * length))[inverse]
        money = spend_moments(patterns, (first, second, first), *letters)
        rows.append((float(np.sum(first * patterns["customers"])), *money))
    return MonthTotals(*np.array(rows).T)


def newcomer_months(
    model: PurchaseModel,
    purchases: Parameters,
    spend: Mapping[str, float],
    kept: float,
    ends: ArrayLike,
) -> Newcomers:
    """What customers bring who arrive from today on, one per time unit on average.

    Args:
        model: The module of a purchase model.
        purchases: The model's parameters.
        spend: p, q and gamma.
        kept: Share of their spend that is kept after returns.
        ends: Ascending ends of the stretches, in the time unit of the parameters, from today.

    Example:
        >>> from clv_spark.models import bg_nbd
        >>> params = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
        >>> spend = {"p": 6.25, "q": 3.74, "gamma": 15.44}
        >>> months = newcomer_months(bg_nbd, params, spend, 1.0, [26.0, 52.0])
        >>> months.customers.tolist(), months.totals.purchases.round(1).tolist()
        ([26.0, 26.0], [39.2, 56.9])
        >>> months.totals.revenue.round(0).tolist()
        [1380.0, 2005.0]
    """
    times = np.asarray(ends, dtype=np.float64)
    lengths = np.diff(times, prepend=0.0)
    # Simpson's rule on each stretch; repeats of a customer are smooth in the time since the first.
    nodes = np.stack([times - lengths / 2, times], axis=1).ravel()
    nothing = np.zeros(1)
    ahead = model.forecast_if_alive(purchases, nodes.tolist(), 0.0, nothing, nothing)
    # Where customers may leave with their first purchase, some are gone when they arrive.
    alive = model.probability_alive(purchases, nothing, nothing, nothing)[0]
    repeats = alive * ahead.expected[:, 0]
    middle, right = repeats[0::2], repeats[1::2]
    left = np.concatenate([nothing, right[:-1]])
    # By the end of a stretch those who have arrived have made the integral of their repeats.
    made = np.cumsum(lengths * (left + 4 * middle + right) / 6)
    again = np.diff(made, prepend=0.0)
    burst = _burst(ahead.expected[1], ahead.discounted_square[1], times[0])
    # Of a stretch's repeats those of its own arrivals come beside a first purchase: pairs.
    own = lengths * np.interp(lengths / 2, [0.0, *nodes], [0.0, *repeats])
    counted = lengths + again
    pairs = 2 * np.minimum(own, again) + again * burst[0] * lengths
    p, q, gamma = spend["p"], spend["q"], spend["gamma"]
    shape = max(q, LEAST_SPEND_SHAPE)
    square = p * counted + p**2 * (counted + pairs)
    revenue = counted * kept * p * gamma / (q - 1)
    variance = square * (kept * gamma) ** 2 / ((shape - 1) * (shape - 2))
    return Newcomers(lengths, MonthTotals(counted, revenue, variance))


def _burst(expected: Floats, square: Floats, length: float) -> Floats:
    """How much likelier a purchase is, per time unit, beside another: E[N (N - 1)] / (E[N] t).

    Exact for the first stretch; later on, as long as frequent buyers do not leave sooner.
    """
    some = expected > 0
    pairs = np.maximum(square - expected, 0.0)
    burst: Floats = np.where(some, pairs / np.where(some, expected * length, 1.0), 0.0)
    return burst
