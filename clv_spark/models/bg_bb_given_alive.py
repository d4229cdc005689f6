"""What a BG/BB customer who is still alive will buy, opportunity by opportunity.

Given that the customer is alive at opportunity n, the chance of buying is Beta(alpha + x,
beta + n - x) distributed, the chance of leaving Beta(gamma, delta + n), and the two are
independent. Whether a purchase is made s opportunities ahead has the probability

    E[p] S(s),    S(s) = E[(1 - theta)^s] = B(gamma, delta + n + s) / B(gamma, delta + n),

and everything here is a sum of such terms, all of them positive. Sums over S depend on n only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from clv_spark.models.arrays import Floats, Parameters, distinct
from clv_spark.models.bg_bb_far import FAR, far_sums, log_ratio, split
from clv_spark.models.model import Forecast

# Customers in a block, so that its few columns stay in the cache.
CUSTOMERS = 2048
# Numbers of fractions that are worked out at once, those of all customers together.
BLOCK = 8_192
# Partial fractions until the rest is below 1e-13 of the whole, or as many as one can wait for.
LARGEST_EXPONENT, MOST_FRACTIONS = 24.0, 40_000


def forecast_if_alive(
    params: Parameters,
    times: Sequence[float],
    discount_rate: float,
    x: Floats,
    T: Floats,
    *,
    endless: bool = True,
) -> Forecast:
    """Forecasts the purchases of customers under the condition that they are alive at T.

    Times are rounded down to whole opportunities, since only those in (T, T + time] count. The
    effort grows with the number of opportunities ahead up to a few thousand, then with its
    logarithm. A customer's values do not depend, to the last bit, on who else is in the arrays.

    Args:
        params: alpha, beta, gamma, delta; each a float or one value per customer.
        times: Ascending numbers of opportunities ahead; zero is allowed.
        discount_rate: Continuous discount rate per opportunity; not negative.
        x: Purchases so far, one-dimensional.
        T: Opportunities so far, one-dimensional.
        endless: Whether the residual is wanted.

    Example:
        >>> params = {"alpha": 1.204, "beta": 0.750, "gamma": 0.657, "delta": 2.783}
        >>> forecast = forecast_if_alive(params, [1, 5], 0.1, np.array([6.0]), np.array([6.0]))
        >>> forecast.expected.round(4).tolist(), forecast.none.round(4).tolist()
        ([[0.8427], [3.7521]], [[0.1573], [0.0768]])
    """
    names = ("alpha", "beta", "gamma", "delta")
    alpha, beta, gamma, delta = (np.broadcast_to(params[name], x.shape) for name in names)
    ends = [int(np.floor(time)) for time in times]
    n = np.floor(T)
    chosen, inverse = distinct([gamma, delta, n])
    sums = _survival_sums(gamma[chosen], delta[chosen] + n[chosen], ends, discount_rate, endless)
    buys, stays = alpha + x, beta + n - x
    pairs, places = distinct([buys, stays, gamma, delta, n])
    histories = (buys[pairs], stays[pairs], gamma[pairs], delta[pairs] + n[pairs])
    some = _probability_of_some(*histories, ends)[:, places]
    mean = buys / (buys + stays)
    square = mean * (buys + 1) / (buys + stays + 1)
    return Forecast(
        expected=mean * sums.plain[:, inverse],
        none=np.maximum(1 - some, 0.0),
        discounted=mean * sums.discounted[:, inverse],
        discounted_square=mean * sums.squares[:, inverse] + 2 * square * sums.pairs[:, inverse],
        residual=None if sums.endless is None else mean * sums.endless[inverse],
    )


@dataclass(frozen=True)
class _Sums:
    """Sums of S(s) up to each end: plain, weighed by w_s, by w_s^2, and over pairs of purchases."""

    plain: Floats
    discounted: Floats
    squares: Floats
    pairs: Floats
    endless: Floats | None


def _survival_sums(
    leave: Floats, stay: Floats, ends: list[int], discount_rate: float, to_infinity: bool
) -> _Sums:
    sums = np.zeros((4, len(ends), leave.size))
    totals = np.zeros((4, leave.size))
    both, survival = leave + stay, np.ones(leave.size)
    near, beyond = split(ends)
    weights = np.exp(-discount_rate * np.arange(1.0, max(near, default=0) + 1))
    # A pair is the purchase at s with each earlier one, whose weights add up to this.
    earlier = np.concatenate([[0.0], np.cumsum(weights)[:-1]])
    for first, places in _steps(near, leave.size):
        s = np.arange(first, first + len(places))[:, np.newaxis]
        terms = np.empty((s.size, 4, leave.size))
        np.divide(stay + s, both + s, out=terms[:, 0])
        for row in terms[:, 0]:
            survival = np.multiply(survival, row, out=row)
        weight = weights[s]
        term = np.multiply(terms[:, 0], weight, out=terms[:, 1])
        np.multiply(term, weight, out=terms[:, 2])
        np.multiply(term, earlier[s], out=terms[:, 3])
        for row, ending in zip(terms, places, strict=True):
            totals += row
            for place in ending:
                sums[:, place] = totals

    terms_at = partial(_terms_of_survival, survival, leave, stay + FAR, discount_rate)
    for place, begin, end in beyond:
        totals += far_sums(terms_at, begin, end)
        sums[:, place] = totals
    endless = None
    if to_infinity and discount_rate > 0:
        last = ends[-1] if ends else 0
        rest = residual_opportunities(leave, stay + last, discount_rate)
        if beyond:
            rest *= np.exp(log_ratio(stay + FAR, leave, float(last - FAR)))
        endless = totals[1] + survival * math.exp(-discount_rate * last) * rest
    return _Sums(sums[0], sums[1], sums[2], sums[3], endless)


def _terms_of_survival(
    survival: Floats, leave: Floats, stay: Floats, discount_rate: float, s: float
) -> Floats:
    """What opportunity s adds to each of the four sums, given survival and stay at ``FAR``."""
    stays = survival * np.exp(log_ratio(stay, leave, s - FAR))
    weight, earlier = math.exp(-discount_rate * s), s - 1
    if discount_rate > 0:
        all_of_them = math.exp(-discount_rate) / -math.expm1(-discount_rate)
        earlier = -math.expm1(-discount_rate * earlier) * all_of_them
    terms: Floats = np.multiply.outer([1.0, weight, weight**2, weight * earlier], stays)
    return terms


def _probability_of_some(
    buys: Floats, stays: Floats, leave: Floats, stay: Floats, ends: list[int]
) -> Floats:
    """Probability of at least one purchase: the sum over the opportunity of the first one."""
    some = np.zeros((len(ends), buys.size))
    near, beyond = split(ends)
    for start in range(0, buys.size, CUSTOMERS):
        rows = slice(start, start + CUSTOMERS)
        p, q, on = buys[rows], stays[rows], stay[rows]
        chances, both = p + q, leave[rows] + on
        silent, total = np.ones(p.size), np.zeros(p.size)
        for begin, places in _steps(near, p.size):
            s = np.arange(begin, begin + len(places))[:, np.newaxis]
            # Alive and silent so far, times the chance to stay alive, over those to buy or not.
            factors = (on + s) / (both + s)
            factors /= chances + s
            for factor, others, ending in zip(factors, q + s, places, strict=True):
                first = np.multiply(factor, silent, out=factor)
                total += first
                silent = np.multiply(first, others, out=others)
                for place in ending:
                    some[place, rows] = p * total
        shapes = (p, q + FAR, leave[rows], on + FAR)
        first_at = partial(_first_purchase, silent, *shapes)
        for place, begin, end in beyond:
            total += far_sums(first_at, begin, end)
            some[place, rows] = p * total
    return some


def _first_purchase(
    silent: Floats, buys: Floats, stays: Floats, leave: Floats, stay: Floats, s: float
) -> Floats:
    """That the first purchase is at opportunity s, divided by buys; the rest as at ``FAR``."""
    before = s - FAR - 1
    so_far = log_ratio(stays, buys, before) + log_ratio(stay, leave, before)
    alive = (stay + before) / (leave + stay + before)
    first: Floats = silent * np.exp(so_far) * alive / (buys + stays + before)
    return first


def _steps(ends: list[int], customers: int) -> Iterator[tuple[int, list[list[int]]]]:
    """Counts opportunities up to the last end, several at once where customers are few.

    Yields the first of some opportunities, and for each of them which horizons end after it.
    """
    places: dict[int, list[int]] = {}
    for place, end in enumerate(ends):
        places.setdefault(end - 1, []).append(place)
    last, at_once = max(ends, default=0), max(1, BLOCK // max(customers, 1))
    for first in range(0, last, at_once):
        yield first, [places.get(s, []) for s in range(first, min(first + at_once, last))]


def residual_opportunities(leave: Floats, stay: Floats, discount_rate: float) -> Floats:
    """Discounted opportunities a living customer will still have, E[sum of e^(-rate s) S(s)].

    It is e^(-rate) (delta + n) / (gamma + delta + n) times the Gauss function
    2F1(1, delta + n + 1; gamma + delta + n + 1; e^(-rate)) of Fader, Hardie and Shang (2010),
    eq. 14. Written as E[(1 - theta) / (d + theta)], d = e^rate - 1, it is a continued fraction of
    positive terms only.

    Args:
        leave: gamma, one-dimensional.
        stay: delta + n.
        discount_rate: Above zero.

    Example:
        >>> residual_opportunities(np.array([1.0]), np.array([1.0]), np.log(2.0)).round(4).tolist()
        [0.3863]
    """
    share = float(-np.expm1(-discount_rate))
    z = np.exp(-discount_rate) / share
    # With z = 1 / d it is z stay / (leave + stay) 2F1(1, b; c; -z), and by Gauss
    # 2F1(1, b; c; -z) = 1 / (1 + k1 z / (1 + k2 z / (1 + ...))).
    b, c = leave, leave + stay + 1
    count = int(min(MOST_FRACTIONS, 4 + LARGEST_EXPONENT / (4 * np.sqrt(share))))
    # Far out all k are 1/4, and so the rest is known.
    rest = np.full(leave.size, (np.sqrt(1 + z) - 1) / 2)
    for start in range(0, leave.size, BLOCK):
        rows = slice(start, start + BLOCK)
        rest[rows] = _fractions(b[rows], c[rows], z, count, rest[rows])
    opportunities: Floats = z * stay / (leave + stay) / (1 + rest)
    return opportunities


def _fractions(b: Floats, c: Floats, z: float, count: int, rest: Floats) -> Floats:
    """So many fractions of 2F1 around the rest, from the last one to the first."""
    both = c - b
    # The numbers of several fractions at once where customers are few.
    at_once = BLOCK // c.size
    for last in range(count, 0, -at_once):
        m = np.arange(last, max(last - at_once, 0), -1.0)[:, np.newaxis]
        twice = c + 2 * m
        before = twice - 2
        even = m * (both + m - 1) / (before * (twice - 1))
        # At m = 1 a factor (c - 1) / (c - 1) drops out.
        odd = (b + m - 1) / before * np.where(m > 1, (c + m - 2) / (twice - 3), 1.0)
        for above, below in zip(odd * z, even * z, strict=True):
            rest = above / (1 + below / (1 + rest))
    return rest
