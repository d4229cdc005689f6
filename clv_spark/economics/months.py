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

from clv_spark.economics.drawn_forecasts import drawn_forecasts
from clv_spark.economics.total import LEAST_SPEND_SHAPE, spend_moments
from clv_spark.models.arrays import Floats, distinct
from clv_spark.models.gamma_gamma import PARAMETERS
from clv_spark.models.model import PurchaseModel


@dataclass(frozen=True)
class MonthTotals:
    """One row per draw of the parameters, one column per stretch of time, such as a month.

    Attributes:
        purchases: Expected purchases.
        revenue: Expected revenue.
        variance: Variance of the revenue from the customers' own chance.
        variance_to_date: The same of all revenue from today to the end of the stretch. More than
            the sum: who buys much in one month is likely to do so in the next.
    """

    purchases: Floats
    revenue: Floats
    variance: Floats
    variance_to_date: Floats


def existing_months(
    model: PurchaseModel,
    patterns: Mapping[str, Floats],
    purchases: Mapping[str, Floats],
    spend: Mapping[str, Floats],
    ends: ArrayLike,
    age_step: float = 1.0,
) -> MonthTotals:
    """What customers of today buy up to each end, from the end before.

    Args:
        model: The module of a purchase model.
        patterns: See ``value_patterns``, with the share kept after returns as margin; and
            "customers", how many share the pattern.
        purchases: The model's parameters by name, one value per draw.
        spend: p, q and gamma, one value per draw.
        ends: Ascending ends of the stretches, in the time unit of the parameters, from today.
        age_step: See ``drawn_forecasts``.

    Example:
        >>> from clv_spark.economics import value_patterns
        >>> from clv_spark.models import bg_nbd
        >>> patterns = value_patterns(x=[2.0], t_x=[30.43], T=[38.86], spend_x=[2.0], m_x=[22.35],
        ...     margin=[1.0]) | {"customers": np.ones(1)}
        >>> params = {"r": [0.243], "alpha": [4.414], "a": [0.793], "b": [2.426]}
        >>> spend = {"p": [6.25], "q": [3.74], "gamma": [15.44]}
        >>> months = existing_months(bg_nbd, patterns, params, spend, [19.5, 39.0])
        >>> months.purchases.round(3).tolist(), months.revenue.round(2).tolist()
        ([[0.665, 0.561]], [[16.4, 13.83]])
    """
    x, t_x, T = patterns["x"], patterns["t_x"], patterns["T"]
    times = np.asarray(ends, dtype=np.float64)
    lengths = np.diff(times, prepend=0.0)
    drawn = {name: np.asarray(values, dtype=np.float64) for name, values in purchases.items()}
    count = next(iter(drawn.values())).size
    # Given alive only x and T matter, and few pairs of them differ.
    chosen, inverse = distinct([x, T])
    pairs = (x[chosen], T[chosen])
    forecasts = drawn_forecasts(model, drawn, times.tolist(), 0.0, *pairs, age_step)
    rows = []
    for draw, ahead in enumerate(forecasts):
        expected = np.diff(ahead.expected, axis=0, prepend=0.0)
        burst = _burst(ahead.expected[0], ahead.discounted_square[0], times[0])
        one = {name: float(values[draw]) for name, values in drawn.items()}
        alive = model.probability_alive(one, x, t_x, T)
        letters = [float(np.asarray(spend[name])[draw]) for name in PARAMETERS]
        so_far = zip(ahead.expected, ahead.discounted_square, strict=True)
        for mean, length, (all_mean, all_square) in zip(expected, lengths, so_far, strict=True):
            number = alive * mean[inverse]
            square = alive * (mean * (1 + burst * length))[inverse]
            money = spend_moments(patterns, (number, square, number), *letters)
            number_to_date = alive * all_mean[inverse]
            counts = (number_to_date, alive * all_square[inverse], number_to_date)
            _, variance_to_date = spend_moments(patterns, counts, *letters)
            purchased = float(np.sum(number * patterns["customers"]))
            rows.append((purchased, *money, variance_to_date))
    return MonthTotals(*np.array(rows).reshape(count, times.size, 4).transpose(2, 0, 1))


def newcomer_months(
    model: PurchaseModel,
    purchases: Mapping[str, Floats],
    spend: Mapping[str, Floats],
    kept: float,
    ends: ArrayLike,
) -> MonthTotals:
    """What customers bring who arrive from today on, one per time unit on average.

    All of it grows with their rate.

    Args:
        model: The module of a purchase model.
        purchases: The model's parameters by name, one value per draw.
        spend: p, q and gamma, one value per draw.
        kept: Share of their spend that is kept after returns.
        ends: Ascending ends of the stretches, in the time unit of the parameters, from today.

    Returns:
        Their first purchases, one per time unit, and the later ones.

    Example:
        >>> from clv_spark.models import bg_nbd
        >>> params = {"r": [0.243], "alpha": [4.414], "a": [0.793], "b": [2.426]}
        >>> spend = {"p": [6.25], "q": [3.74], "gamma": [15.44]}
        >>> months = newcomer_months(bg_nbd, params, spend, 1.0, [26.0, 52.0])
        >>> months.purchases.round(1).tolist(), months.revenue.round(0).tolist()
        ([[39.2, 56.9]], [[1380.0, 2005.0]])
    """
    times = np.asarray(ends, dtype=np.float64)
    lengths = np.diff(times, prepend=0.0)
    # Simpson's rule on each stretch; repeats of a customer are smooth in the time since the first.
    nodes = np.stack([times - lengths / 2, times], axis=1).ravel()
    drawn = {name: np.asarray(values, dtype=np.float64) for name, values in purchases.items()}
    new = np.zeros(next(iter(drawn.values())).size)
    ahead = model.forecast_if_alive(drawn, nodes.tolist(), 0.0, new, new)
    # Where customers may leave with their first purchase, some are gone when they arrive.
    alive = model.probability_alive(drawn, new, new, new)
    repeats = (alive * ahead.expected).T
    # By the end of a stretch those who have arrived have made the integral of their repeats.
    made = _integral(repeats, lengths)
    again = np.diff(made, axis=1, prepend=0.0)
    burst = _burst(ahead.expected[1], ahead.discounted_square[1], times[0])[:, None]
    # Of a stretch's repeats those of its own arrivals come beside a first purchase: pairs.
    halves = [np.interp(lengths / 2, [0.0, *nodes], [0.0, *row]) for row in repeats]
    counted = lengths + again
    pairs = 2 * np.minimum(lengths * np.array(halves), again) + again * burst * lengths
    p, q, gamma = (np.asarray(spend[name], dtype=np.float64)[:, None] for name in PARAMETERS)
    shape = np.maximum(q, LEAST_SPEND_SHAPE)
    # Since today, a first purchase comes beside all repeats of its customer, and these in pairs.
    counted_to_date = np.cumsum(counted, axis=1)
    pairs_to_date = 2 * made + _integral(
        (alive * np.maximum(ahead.discounted_square - ahead.expected, 0.0)).T, lengths
    )
    revenue = counted * kept * p * gamma / (q - 1)
    variance, variance_to_date = (
        (p * number + p**2 * (number + beside)) * (kept * gamma) ** 2 / ((shape - 1) * (shape - 2))
        for number, beside in ((counted, pairs), (counted_to_date, pairs_to_date))
    )
    return MonthTotals(counted, revenue, variance, variance_to_date)


def _integral(nodes: Floats, lengths: Floats) -> Floats:
    """Up to the end of each stretch, of what is 0 today and known at middles and ends."""
    middle, right = nodes[:, 0::2], nodes[:, 1::2]
    left = np.concatenate([np.zeros((len(nodes), 1)), right[:, :-1]], axis=1)
    integral: Floats = np.cumsum(lengths * (left + 4 * middle + right) / 6, axis=1)
    return integral


def _burst(expected: Floats, square: Floats, length: float) -> Floats:
    """How much likelier a purchase is, per time unit, beside another: E[N (N - 1)] / (E[N] t).

    Exact for the first stretch; later on, as long as frequent buyers do not leave sooner.
    """
    some = expected > 0
    pairs = np.maximum(square - expected, 0.0)
    burst: Floats = np.where(some, pairs / np.where(some, expected * length, 1.0), 0.0)
    return burst
