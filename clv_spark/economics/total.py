"""How sure the value of many customers together is: a segment, a country, the whole shop.

What single customers do averages out in a sum; what is wrong with the parameters does not, since
all customers share them. So bounds of customers must never be added up. Here the expected total is
computed for each of some draws of the parameters, and the customers' own chance is added to each.

The expected spend of a customer, p (gamma + x m_x) / (q + p x - 1) (Fader and Hardie 2013, note
025), is linear in the mean spend m_x, and its second moment is quadratic. Whatever the draw, a
total therefore needs only a few sums per pattern of purchases, not the customers themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import gammainc

from clv_spark.economics.drawn_forecasts import DrawnForecast, drawn_forecasts
from clv_spark.errors import InputError
from clv_spark.models.arrays import Floats, Integers, distinct
from clv_spark.models.gamma_gamma import PARAMETERS
from clv_spark.models.model import PurchaseModel

# What makes a pattern, and what is summed within it.
KEYS = ("x", "t_x", "T", "spend_x")
SUMS = ("margin", "margin_spent", "margin_2", "margin_2_spent", "margin_2_spent_2")
# Where the variance of a customer's mean spend is infinite (q + p x <= 2) a finite one stands in:
# without a bound on what customers can spend, no interval would hold.
LEAST_SPEND_SHAPE = 2.1
# How near a bound is searched, of itself: the least that brentq takes.
CLOSE = 4 * float(np.finfo(np.float64).eps)
# Where a tenth of the draws lies far below all others, every total between is at the level. The
# lowest is meant, whatever the last bit says.
LEFT_OUT = 1e-12


@dataclass(frozen=True)
class TotalDraws:
    """A total under each draw of the parameters.

    Attributes:
        mean: Its expectation, one value per draw.
        variance: Its variance from the customers' own chance, one value per draw.
    """

    mean: Floats
    variance: Floats


@dataclass(frozen=True)
class TotalInterval:
    """A total in money, and how sure it is.

    Attributes:
        expected: Mean over the draws.
        low: Lower bound.
        high: Upper bound.
        sd: Standard deviation, from the parameters and the customers' own chance together.
        parameter_sd: The part of it that more customers do not lower.
    """

    expected: float
    low: float
    high: float
    sd: float
    parameter_sd: float


def value_patterns(
    *,
    x: ArrayLike,
    t_x: ArrayLike,
    T: ArrayLike,
    spend_x: ArrayLike,
    m_x: ArrayLike,
    margin: ArrayLike,
) -> dict[str, Floats]:
    """Sums over the customers of each pattern: all that a total needs of them.

    Args:
        x: Repeat purchases, one value per customer, as all others.
        t_x: Time from first to last purchase.
        T: Time from first purchase to today.
        spend_x: Purchases behind the mean spend; 0 for customers of whom none is known.
        m_x: Mean spend, in money; does not matter where spend_x is 0.
        margin: What stays of a unit of gross spend: margin rate * (1 - return rate).

    Returns:
        ``KEYS`` and ``SUMS``: with c the margin and s = spend_x m_x the sums of c, c s, c^2, c^2 s
        and c^2 s^2. Such sums of parts may be added up.

    Example:
        >>> patterns = value_patterns(x=[1, 0, 1], t_x=[3.0, 0.0, 3.0], T=[9.0, 9.0, 9.0],
        ...     spend_x=[1, 0, 1], m_x=[20.0, 0.0, 30.0], margin=[0.5, 0.5, 0.5])
        >>> patterns["x"].tolist(), patterns["margin"].tolist(), patterns["margin_spent"].tolist()
        ([0.0, 1.0], [0.5, 1.0], [0.0, 25.0])
    """
    keys = [np.asarray(key, dtype=np.float64) for key in (x, t_x, T, spend_x)]
    count = keys[-1]
    spent = np.where(count > 0, count * np.asarray(m_x, dtype=np.float64), 0.0)
    c = np.asarray(margin, dtype=np.float64)
    chosen, inverse = distinct(keys)
    weights = (c, c * spent, c**2, c**2 * spent, (c * spent) ** 2)
    patterns = {name: key[chosen] for name, key in zip(KEYS, keys, strict=True)}
    for name, weight in zip(SUMS, weights, strict=True):
        sums = np.bincount(inverse, weights=weight, minlength=chosen.size)
        patterns[name] = sums.astype(np.float64)
    return patterns


def total_draws(
    model: PurchaseModel,
    patterns: Mapping[str, Floats],
    purchase_draws: Mapping[str, Floats],
    spend_draws: Mapping[str, Floats],
    *,
    horizon: float,
    discount_rate: float,
    age_step: float = 1.0,
) -> TotalDraws:
    """The total value of some customers up to the horizon, under each draw of the parameters.

    Totals of parts of the customers who share parameters come from the same draws, those of other
    parameters from independent ones; then ``total_interval`` adds them up draw by draw.

    Args:
        model: The module of a purchase model.
        patterns: See ``value_patterns``.
        purchase_draws: The model's parameters by name, one value per draw.
        spend_draws: p, q and gamma, one value per draw.
        horizon: How far the value looks ahead, in the time unit of the parameters.
        discount_rate: Continuous discount rate per time unit.
        age_step: See ``drawn_forecasts``.

    Raises:
        InputError: The draws differ in number, one has q <= 1, or the patterns lack a column.

    Example:
        >>> from clv_spark.models import bg_nbd
        >>> patterns = value_patterns(x=[2.0, 0.0], t_x=[30.43, 0.0], T=[38.86, 38.86],
        ...     spend_x=[2.0, 0.0], m_x=[22.35, 0.0], margin=[0.3, 0.3])
        >>> purchases = {"r": [0.243], "alpha": [4.414], "a": [0.793], "b": [2.426]}
        >>> spend = {"p": [6.25], "q": [3.74], "gamma": [15.44]}
        >>> draws = total_draws(bg_nbd, patterns, purchases, spend, horizon=52.0,
        ...     discount_rate=0.00183)
        >>> draws.mean.round(2).tolist()
        [13.58]
    """
    missing = [name for name in (*KEYS, *SUMS) if name not in patterns]
    if missing:
        raise InputError(f"The patterns lack {missing}; they have {list(patterns)}.")
    sizes = {name: np.size(v) for name, v in (*purchase_draws.items(), *spend_draws.items())}
    if len(set(sizes.values())) != 1:
        raise InputError(f"Every parameter needs as many draws as the others: {sizes}.")
    if not np.all(np.asarray(spend_draws["q"]) > 1):
        raise InputError("With q <= 1 the expected spend is infinite; every draw needs q > 1.")
    count = next(iter(sizes.values()))
    # Given alive only x and T matter, and few pairs of them differ.
    chosen, inverse = distinct([patterns["x"], patterns["T"]])
    drawn = {name: np.asarray(values, dtype=np.float64) for name, values in purchase_draws.items()}
    pairs = (patterns["x"][chosen], patterns["T"][chosen])
    forecasts = drawn_forecasts(model, drawn, [horizon], discount_rate, *pairs, age_step)
    mean, variance = np.empty(count), np.empty(count)
    for draw, forecast in enumerate(forecasts):
        purchases = {name: float(values[draw]) for name, values in drawn.items()}
        alive = model.probability_alive(purchases, patterns["x"], patterns["t_x"], patterns["T"])
        moments = _purchases(alive, forecast, inverse)
        p, q, gamma = (float(spend_draws[name][draw]) for name in PARAMETERS)
        mean[draw], variance[draw] = spend_moments(patterns, moments, p, q, gamma)
    return TotalDraws(mean, variance)


def total_interval(parts: Sequence[TotalDraws], level: float = 0.8) -> TotalInterval:
    """The range in which a total will lie with the probability ``level``.

    Given the parameters a total is nearly gamma distributed: never negative, close to normal for
    many customers. Over the draws it is a mixture of those. For a single customer use
    ``predictive_interval``, which knows more.

    Args:
        parts: What is added up, each with the same number of draws.
        level: 0.8 for bounds at 10% and 90%.

    Raises:
        InputError: No part, or parts with different numbers of draws.

    Example:
        >>> segment = TotalDraws(mean=np.array([90.0, 110.0]), variance=np.array([25.0, 25.0]))
        >>> total = total_interval([segment, segment])
        >>> total.expected, round(total.low), round(total.high), round(total.sd, 1)
        (200.0, 174, 226, 21.2)
    """
    if len({part.mean.size for part in parts}) != 1:
        raise InputError(f"Parts with one number of draws are needed: {len(parts)} parts.")
    mean = np.sum([part.mean for part in parts], axis=0)
    variance = np.sum([part.variance for part in parts], axis=0)
    tail = (1 - level) / 2
    spread = float(np.std(mean))
    return TotalInterval(
        expected=float(np.mean(mean)),
        low=_quantile(mean, variance, tail),
        high=_quantile(mean, variance, 1 - tail),
        sd=float(np.sqrt(spread**2 + np.mean(variance))),
        parameter_sd=spread,
    )


def _purchases(
    alive: Floats, forecast: DrawnForecast, inverse: Integers
) -> tuple[Floats, Floats, Floats]:
    """E[D], E[D^2] and the expected sum of squared discounts of each pattern, dead or alive."""
    expected, discounted = forecast.expected[0], forecast.discounted[0]
    # By Cauchy and Schwarz no less than this; discounts differ little within a horizon.
    squares = discounted**2 / np.where(expected > 0, expected, 1.0)
    columns = (discounted, forecast.discounted_square[0], squares)
    first, second, third = (alive * column[inverse] for column in columns)
    return first, second, third


def spend_moments(
    patterns: Mapping[str, Floats],
    purchases: tuple[Floats, Floats, Floats],
    p: float,
    q: float,
    gamma: float,
) -> tuple[float, float]:
    """Mean and variance of the total under one draw; the second moments of note 025's posterior.

    Args:
        patterns: See ``value_patterns``.
        purchases: Of a customer of each pattern the mean and the mean square of what is counted,
            and the expected sum of the squares of what a purchase counts.
        p: Of the gamma-gamma, as q and gamma.
        q: See p.
        gamma: See p.
    """
    first, second, squares = purchases
    shape = q + p * patterns["spend_x"]
    amounts = gamma * patterns["margin"] + patterns["margin_spent"]
    mean = np.sum(first * p / (shape - 1) * amounts)
    shape = np.maximum(shape, LEAST_SPEND_SHAPE)
    square = (p * squares + p**2 * second) / ((shape - 1) * (shape - 2))
    square_amounts = (
        gamma**2 * patterns["margin_2"]
        + 2 * gamma * patterns["margin_2_spent"]
        + patterns["margin_2_spent_2"]
    )
    own = square - (first * p / (shape - 1)) ** 2
    return float(mean), float(np.sum(own * square_amounts))


def _quantile(mean: Floats, variance: Floats, level: float) -> float:
    """Where the mixture of gamma distributions with these moments reaches the level."""
    some = mean > 0
    scale = np.where(some, np.maximum(variance, 1e-20 * mean**2) / np.where(some, mean, 1.0), 1.0)
    shape = np.where(some, mean / scale, 1.0)

    def above_level(total: float) -> float:
        below = np.where(some, gammainc(shape, total / scale), 1.0)
        return float(np.mean(below)) - level + LEFT_OUT

    high = float(np.max(mean + 50 * np.sqrt(variance)))
    if above_level(0.0) >= 0:
        return 0.0
    # Relative to the total alone, to the last bits: a total may be cents or billions.
    return float(brentq(above_level, 0.0, high, xtol=high * CLOSE, rtol=CLOSE))
