"""What a customer of the BG family who is still alive will do.

In the BG/NBD and in the MBG/NBD a customer who is alive at T buys at a Gamma(k, A) distributed rate
and drops out after each purchase with a Beta(a, b) distributed probability; the two models differ
in b alone. All of their forecasts are here, each times P(alive) in the models' own files.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import numpy as np
from scipy.special import betainc, betaincc, betaln, gammaln

from clv_spark.models.arrays import Floats, Integers
from clv_spark.models.dropout_curves import Curves, Living, curves
from clv_spark.models.model import Forecast
from clv_spark.models.purchase_patterns import require_discounting
from clv_spark.models.quadrature import legendre_rule

# Beyond this many units of 1 / discount rate the weight e^-25 = 1e-11 is negligible.
NEGLIGIBLE = 25.0
# Points of an integral over a panel of y, in which the rate is smooth, by the width of the panel.
WIDTHS = (0.1, 0.4, 1.0, 2.0, 4.0, 8.0)
POINTS = (4, 5, 6, 8, 12, 24, 64)
# The panel to infinity, over which the discount falls from one to nothing.
TAIL_POINTS = 18
# Customers worked through at a time, so that the arrays of all their points stay in the cache.
BLOCK = 512


def forecast(
    living: Living, times: Sequence[float], discount_rate: float, *, endless: bool = True
) -> Forecast:
    """Forecasts the purchases of customers under the condition that they are alive.

    The relative error is below 1e-8 for ordinary parameters and horizons of years; it grows to 1e-6
    for r near five, and to 1e-4 for r in the tens with a or b near zero. A customer's values do not
    depend, to the last bit, on who else is in the arrays.

    A purchase at s and a later one at u have the joint density lambda^2 (1 - p) e^(-lambda p u),
    whatever s is. So E[D^2] is the discounted expectation at twice the rate plus the integral over
    u of k (k + 1) / A^2 again(u / A), weighed by 2 e^(-delta u) (1 - e^(-delta u)) / delta.

    Args:
        living: k, A, a, b of each customer.
        times: Ascending horizons in the time unit of A; zero is allowed.
        discount_rate: Continuous discount rate per time unit; not negative.
        endless: Whether the residual is wanted, for which the curves reach much further.

    Example:
        >>> one = np.ones(1)
        >>> living = Living(k=0.243 * one, A=4.414 * one, a=0.793 * one, b=2.426 * one)
        >>> forecast(living, [52.0], 0.0).expected.round(4).tolist()
        [[1.4461]]
    """
    living, _, _ = _flat(living, np.zeros(()))
    shape = (len(times), living.k.size)
    expected, discounted, square = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    endless = endless and discount_rate > 0
    residual = np.zeros(living.k.size) if endless else None
    last = times[-1] if times else 0.0
    end = max(last, NEGLIGIBLE / discount_rate) if endless else last or 1.0
    for part in curves(living, end, BLOCK):
        k, A = living.k[part.rows], living.A[part.rows]
        panels = _panels(part, k, A, times, end if endless else None, discount_rate)
        sums = np.zeros((3, part.rows.size))
        for row, panel in enumerate(panels[: len(times)]):
            sums = sums + panel
            expected[row, part.rows], discounted[row, part.rows], square[row, part.rows] = sums
        if residual is not None:
            residual[part.rows] = sums[1] + panels[-1]
    steps = np.array(times, dtype=np.float64)[:, np.newaxis]
    none = np.exp(-living.k * np.log1p(steps / living.A))
    return Forecast(expected, none, discounted, square, residual)


def expected_if_alive(living: Living, t: Floats) -> Floats:
    """Expected purchases in the next t time units; any shapes that broadcast."""
    flat, periods, shape = _flat(living, t)
    expected = np.zeros(periods.size)
    for time in np.unique(periods[periods > 0]).tolist():
        rows = np.flatnonzero(periods == time)
        expected[rows] = forecast(_take(flat, rows), [time], 0.0).expected[0]
    return expected.reshape(shape)


def discounted_if_alive(living: Living, discount_rate: float, horizon: float) -> Floats:
    """Expected purchases up to the horizon, each weighed by exp(-discount_rate s).

    Raises:
        InputError: Negative rate or horizon, or no horizon and no discount.
    """
    require_discounting(discount_rate, horizon)
    flat, _, shape = _flat(living, np.zeros(()))
    within_reach = horizon * discount_rate <= NEGLIGIBLE
    # Without horizon: up to where the discount begins to bite, and the rest as the tail.
    ahead = forecast(flat, [horizon if within_reach else 1 / discount_rate], discount_rate)
    values = ahead.discounted[0] if within_reach else ahead.residual
    return np.reshape(cast(Floats, values), shape)


def staying_if_alive(living: Living, t: Floats) -> Floats:
    """Probability of still being alive t time units ahead; any shapes that broadcast."""
    flat, periods, shape = _flat(living, t)
    staying = np.ones(periods.size)
    for time in np.unique(periods[periods > 0]).tolist():
        chosen = np.flatnonzero(periods == time)
        for part in curves(_take(flat, chosen), time, BLOCK):
            y = np.log1p(time / part.scale)[np.newaxis]
            logarithm = part.at(part.log_fade, y) + part.at(part.log_stay_by_fade, y)
            staying[chosen[part.rows]] = np.exp(np.minimum(logarithm[0], 0.0))
    return staying.reshape(shape)


def staying_until(living: Living, times: Sequence[float]) -> Floats:
    """Probability of still being alive at each of some times; shape (times, customers).

    One interpolation per customer serves all times, so many of them cost little.

    Example:
        >>> one = np.ones(1)
        >>> living = Living(k=0.243 * one, A=4.414 * one, a=0.793 * one, b=2.426 * one)
        >>> staying_until(living, [0.0, 39.0]).round(4).tolist()
        [[1.0], [0.7944]]
    """
    flat, _, _ = _flat(living, np.zeros(()))
    steps = np.array(times, dtype=np.float64)[:, np.newaxis]
    staying = np.ones((steps.size, flat.k.size))
    end = float(steps.max(initial=0.0))
    if end > 0:
        for part in curves(flat, end, BLOCK):
            y = np.log1p(steps / part.scale)
            logarithm = part.at(part.log_fade, y) + part.at(part.log_stay_by_fade, y)
            staying[:, part.rows] = np.exp(np.minimum(logarithm, 0.0))
    return staying


def pmf_if_alive(living: Living, t: Floats, n: Floats) -> Floats:
    """Probability of exactly n purchases in the next t time units.

    Hardie's note 029 / Fader, Hardie and Lee (2005) eq. 8 with k, A for r, alpha; the finite sum in
    it is the NBD's upper tail, which is a regularised incomplete beta function.
    """
    k, A, a, b = living.k, living.A, living.a, living.b
    some = n > 0
    repeats = np.maximum(n, 1.0)
    # 0 * log(0) is 0 here: no time and no purchase has probability one.
    log_ratio = np.where(t > 0, np.log(np.where(t > 0, t, 1.0) / (A + t)), -np.inf)
    log_time = np.where(some, repeats * log_ratio, 0.0)
    log_count = gammaln(k + n) - gammaln(k) - gammaln(n + 1) - k * np.log1p(t / A)
    stays = np.exp(log_count + log_time + betaln(a, b + n) - betaln(a, b))
    leaves = np.exp(betaln(a + 1, b + repeats - 1) - betaln(a, b))
    # The same tail from either side, since a share near one has lost its last digits.
    early = betainc(repeats, k, t / (A + t))
    tail = np.where(t < A, early, betaincc(k, repeats, A / (A + t)))
    return cast(Floats, stays + np.where(some, leaves * tail, 0.0))


def some_if_alive(living: Living, t: Floats) -> Floats:
    """Probability of at least one purchase in the next t time units.

    The first comes before any chance to leave, so the dropout does not matter.
    """
    return cast(Floats, -np.expm1(-living.k * np.log1p(t / living.A)))


def _flat(living: Living, t: Floats) -> tuple[Living, Floats, tuple[int, ...]]:
    columns = np.broadcast_arrays(living.k, living.A, living.a, living.b, t)
    k, A, a, b, periods = (np.ravel(column) for column in columns)
    return Living(k, A, a, b), periods, columns[0].shape


def _take(living: Living, rows: Integers) -> Living:
    return Living(living.k[rows], living.A[rows], living.a[rows], living.b[rows])


def _panels(
    part: Curves,
    k: Floats,
    A: Floats,
    times: Sequence[float],
    end: float | None,
    discount_rate: float,
) -> list[Floats]:
    """E of purchases, of D, and of D^2, one row each, in every period between the times.

    Where there is an end, E of D from the last time to it follows.
    """
    periods = list(pairwise([0.0, *times]))
    sizes = [_points(part, *period, discount_rate) for period in periods]
    if end is not None:
        periods.append((periods[-1][1] if periods else 0.0, end))
        sizes.append(TAIL_POINTS)
    # The points of all periods stand in one array: its work begins once, not once a period.
    y, shares = np.empty((2, sum(sizes), k.size))
    first = 0
    for (start, stop), size in zip(periods, sizes, strict=True):
        places, weights = legendre_rule(size)
        low = np.log1p(start / part.scale)
        width = np.log1p(stop / part.scale) - low
        rows = slice(first, first + size)
        np.multiply.outer(places, width, out=y[rows])
        y[rows] += low
        # ds = B e^y dy, and the rate is k / A fade.
        np.multiply.outer(weights, width * k * part.scale / A, out=shares[rows])
        first += size
    purchases = np.exp(part.at(part.log_fade, y) + y)
    purchases *= shares
    growth = np.expm1(y)
    near = sum(sizes[: len(times)])
    s = part.scale * growth[:near]
    lost = -np.expm1(-discount_rate * s)
    kept = 1 - lost
    # The discount summed over all times of a first purchase before the second.
    lead = lost / discount_rate if discount_rate > 0 else s
    pairs = 2 * (k + 1) / A * part.at(part.again_by_fade, y[:near]) * lead
    terms = np.empty((near, 3, k.size))
    terms[:, 0] = purchases[:near]
    discounted = np.multiply(purchases[:near], kept, out=terms[:, 1])
    np.multiply(discounted, kept + pairs, out=terms[:, 2])
    ends = np.cumsum(sizes)[: len(times)].tolist()
    panels = [_sum(terms[end - size : end]) for end, size in zip(ends, sizes, strict=False)]
    if end is not None:
        kept = np.exp(-discount_rate * part.scale * growth[near:])
        panels.append(_sum(purchases[near:] * kept))
    return panels


def _points(part: Curves, start: float, end: float, discount_rate: float) -> int:
    width = math.log1p(end / part.shortest_scale) - math.log1p(start / part.shortest_scale)
    # The discount falls by this exponent over the panel, too.
    return POINTS[bisect_left(WIDTHS, max(width, discount_rate * (end - start) / 2))]


def _sum(terms: Floats) -> Floats:
    # Row by row: numpy adds up a single column in another order than many.
    total = np.zeros(terms.shape[1:])
    for row in terms:
        total += row
    return total
