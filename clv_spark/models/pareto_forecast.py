"""What a Pareto/NBD customer who is alive will buy: purchases, their discounted sum, its square.

Given alive at T the rates are independent of each other: buying is Gamma(k, A) and leaving Gamma(s,
B) distributed, k = r + x, A = alpha + T, B = beta + T. A new customer is r, alpha, s, beta. Alive u
time units later is (1 + u / B)^-s of those alive now; hence everything discounted is a moment of
the purchase rate times an integral that depends on the age alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, exprel, gammaln

from clv_spark.models.arrays import Floats, Parameters, distinct
from clv_spark.models.model import Forecast
from clv_spark.models.pareto_lapse import lapse_probability
from clv_spark.models.pareto_nbd_likelihood import (
    broadcast,
    log_silence,
    log_silence_given_lapse,
)
from clv_spark.models.quadrature import legendre_rule

Flags: TypeAlias = NDArray[np.bool_]

# Beyond e^-45 of its largest value an integrand is negligible.
NEGLIGIBLE = 45.0
# Points for an integral from one horizon to the next, the last may be infinity, and for the
# probability of a count on either side of its peak; measured, see the accuracy tests.
STRETCH_POINTS, COUNT_POINTS = 48, 64
# Doubles in arrays of points and customers, which stay in the cache.
BLOCK = 8_192
# Halvings that bring a bracket of any width met here below what matters.
HALVINGS = 40


class Discounted(NamedTuple):
    """Integrals over (0, t] of being alive at u, (1 + u / B)^-s, times a weight.

    The weight is w = exp(-rate u) for ``once``, w^2 for ``twice``, and w (1 - w) / rate (u where
    the rate is zero) for ``pairs``: of two purchases at the same rate the second at u, the first
    anywhere before.
    """

    once: Floats
    twice: Floats
    pairs: Floats


def forecast_given_alive(
    params: Parameters,
    times: Sequence[float],
    discount_rate: float,
    x: Floats,
    T: Floats,
    *,
    endless: bool = True,
) -> Forecast:
    """Forecasts the purchases of customers under the condition that they are still alive.

    Relative errors are below 1e-10. A customer's values do not depend, to the last bit, on who else
    is in the arrays.

    Args:
        params: r, alpha, s, beta; each a float or one value per customer.
        times: Ascending horizons in the time unit of alpha; zero is allowed.
        discount_rate: Continuous discount rate per time unit; not negative.
        x: Repeat purchases, one-dimensional.
        T: Age in time units, one-dimensional.
        endless: Whether the residual is wanted.

    Example:
        >>> params = {"r": 0.55, "alpha": 10.58, "s": 0.61, "beta": 11.67}
        >>> x, T = np.array([0.0, 2.0]), np.array([0.0, 38.86])
        >>> forecast = forecast_given_alive(params, [52.0], 0.0, x, T)
        >>> forecast.expected.round(4).tolist(), forecast.none.round(4).tolist()
        ([[1.4593, 2.1237]], [[0.5764, 0.2744]])
    """
    everyone = broadcast(params, x, T)
    chosen, inverse = distinct(everyone)
    r, alpha, s, beta, x, T = (np.ascontiguousarray(column[chosen]) for column in everyone)
    k, A, B = r + x, alpha + T, beta + T
    rows, ages = distinct([s, B])
    parts = [
        Discounted(*(part[ages] for part in parts))
        for parts in discounted_survival(s[rows], B[rows], times, discount_rate, endless=endless)
    ]
    lapse = lapse_probability(k, s, A, B)
    square = k * (k + 1) / A**2
    shape = (len(times), x.size)
    expected, none, discounted, second = (np.empty(shape) for _ in range(4))
    for number, (time, part) in enumerate(zip(times, parts, strict=False)):
        expected[number] = expected_given_alive(k, s, A, B, time)
        ahead = np.full(x.size, float(time))
        none[number] = np.exp(log_silence_given_lapse(lapse, k, s, A, B, ahead))
        discounted[number] = k / A * part.once
        second[number] = k / A * part.twice + 2 * square * part.pairs
    wanted = endless and discount_rate > 0
    residual = (k / A * parts[-1].once)[inverse] if wanted else None
    return Forecast(
        expected=expected[:, inverse],
        none=none[:, inverse],
        discounted=discounted[:, inverse],
        discounted_square=second[:, inverse],
        residual=residual,
    )


def expected_given_alive(k: Floats, s: Floats, A: Floats, B: Floats, t: ArrayLike) -> Floats:
    """Expected purchases in (0, t] of who is alive at 0; Hardie's note 009, eq. 41.

    Written with (e^z - 1) / z, which is 1 at z = 0, where the published form is 0/0 (s = 1).

    Example:
        >>> one = np.ones(1)
        >>> expected_given_alive(one, one, one, one, 3.0).round(6).tolist()  # log(4)
        [1.386294]
    """
    log_growth = np.log1p(np.asarray(t, dtype=np.float64) / B)
    expected: Floats = k / A * B * log_growth * exprel((1 - s) * log_growth)
    return expected


def discounted_survival(
    s: Floats, B: Floats, times: Sequence[float], discount_rate: float, *, endless: bool = True
) -> list[Discounted]:
    """Integrals of discounted survival up to each horizon, and at last without end if discounted.

    The endless one is Psi(1, 2 - s, rate B) times B, the confluent hypergeometric function of
    Fader, Hardie and Lee (2005), JMR 42, eq. 2. ``scipy.special.hyperu`` overflows for shapes s
    above ten and errs by 1e-6 now and then, hence an integral over log(1 + u / B).

    Args:
        s: Shape of the rate of leaving, one-dimensional.
        B: Its scale, in time units, one-dimensional.
        times: Ascending horizons in time units.
        discount_rate: Continuous rate per time unit, not negative.
        endless: Whether the last one is wanted.

    Example:
        >>> one, endless = discounted_survival(np.array([1.0]), np.array([4.0]), [4.0], 0.1)
        >>> one.once.round(4).tolist(), endless.once.round(4).tolist()
        ([2.3379], [4.1913])
    """
    # Whatever lies behind this weighs nothing, be it that nobody is alive or that it is far away.
    end = NEGLIGIBLE / np.maximum(s - 2, 1e-3)
    if discount_rate > 0:
        end = np.minimum(end, np.log1p(NEGLIGIBLE / discount_rate / B))
    borders = [np.minimum(np.log1p(time / B), end) for time in (0.0, *times)]
    if endless and discount_rate > 0:
        borders.append(end)
    sums = np.zeros((3, s.size))
    results = []
    for low, high in pairwise(borders):
        sums = sums + _stretch(s, B, low, high, discount_rate)
        results.append(Discounted(*sums))
    return results


def _stretch(s: Floats, B: Floats, low: Floats, high: Floats, rate: float) -> Floats:
    sums = np.zeros((3, s.size))
    places, weights = legendre_rule(STRETCH_POINTS)
    # Several points at once where customers are few.
    at_once = max(1, BLOCK // max(s.size, 1))
    for first in range(0, STRETCH_POINTS, at_once):
        points = slice(first, first + at_once)
        y = low + (high - low) * places[points, np.newaxis]
        u = B * np.expm1(y)
        # du = B e^y dy, and B joins at the end.
        terms = np.empty((len(y), 3, s.size))
        exponent = (1 - s) * y - rate * u
        alive = np.multiply(np.exp(exponent), weights[points, np.newaxis], out=terms[:, 0])
        np.multiply(alive, np.exp(-rate * u), out=terms[:, 1])
        # (1 - e^-z) / rate is u (e^-z - 1) / -z, with no 0/0 where the rate or u is zero.
        np.multiply(alive * u, exprel(-rate * u), out=terms[:, 2])
        for row in terms:
            sums += row
    return sums * (B * (high - low))


def count_given_alive(k: Floats, s: Floats, A: Floats, B: Floats, t: Floats, n: Floats) -> Floats:
    """Probability of exactly n purchases in (0, t] of who is alive at 0.

    Hardie's notes 012 and 028: n purchases and alive at t, or n purchases and left before. The
    second is an integral over the time of leaving.

    Args:
        k: Shape of the purchase rate, one-dimensional as all the others.
        s: Shape of the rate of leaving.
        A: Scale of the purchase rate, in time units.
        B: Scale of the rate of leaving, in time units.
        t: Time units ahead.
        n: Number of purchases, whole.

    Example:
        >>> one = np.ones(3)
        >>> count_given_alive(one, one, one, one, one * 3, np.arange(3.0)).round(2).tolist()
        [0.53, 0.19, 0.1]
    """
    probability = np.exp(log_silence(k, s, A, B, np.where(n > 0, 0.0, t)))
    probability = np.where((n > 0) & (t <= 0), 0.0, probability)
    some = np.flatnonzero((n > 0) & (t > 0))
    k, s, A, B, t, n = (column[some] for column in (k, s, A, B, t, n))
    log_choose = gammaln(k + n) - gammaln(k) - gammaln(n + 1)
    log_alive = n * np.log(t / (A + t)) - k * np.log1p(t / A) - s * np.log1p(t / B)
    probability[some] = np.exp(log_choose + log_alive) + _left_after(k, s, A, B, t, n, log_choose)
    return probability


def _left_after(
    k: Floats, s: Floats, A: Floats, B: Floats, t: Floats, n: Floats, log_choose: Floats
) -> Floats:
    """Probability of n purchases and of leaving within t, an integral over z = log(u / A).

    The logarithm of the integrand is concave in z, so that its peak and what matters on either side
    of it are found by halving brackets.
    """
    shift, last = np.log(A / B), np.log(t / A)

    def log_density(z: Floats) -> Floats:
        falls = (k + n) * np.logaddexp(0.0, z) + (s + 1) * np.logaddexp(0.0, z + shift)
        density: Floats = log_choose + np.log(s) + shift + (n + 1) * z - falls
        return density

    def rises(z: Floats) -> Flags:
        return (k + n) * expit(z) + (s + 1) * expit(z + shift) < n + 1

    # Were A and B equal, the peak would be here; it is off by at most the shift.
    near = np.log((n + 1) / (k + s))
    peak = np.minimum(_border(rises, near - np.abs(shift), near + np.abs(shift)), last)
    top = log_density(peak)
    falls = (k + n) * np.logaddexp(0.0, peak) + (s + 1) * np.logaddexp(0.0, peak + shift)
    start = peak - (NEGLIGIBLE + falls) / (n + 1)
    low = _border(lambda z: log_density(z) < top - NEGLIGIBLE, start, peak)
    high = _border(lambda z: log_density(z) > top - NEGLIGIBLE, peak, last)
    total = np.zeros(k.size)
    for point, weight in zip(*legendre_rule(COUNT_POINTS), strict=True):
        total += weight * (peak - low) * np.exp(log_density(low + (peak - low) * point))
        total += weight * (high - peak) * np.exp(log_density(peak + (high - peak) * point))
    return total


def _border(holds: Callable[[Floats], Flags], low: Floats, high: Floats) -> Floats:
    """Up to where a condition holds, between low, where it does, and high."""
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        further = holds(middle)
        low, high = np.where(further, middle, low), np.where(further, high, middle)
    return high
