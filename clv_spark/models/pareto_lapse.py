"""The one hard number of the Pareto/NBD: will a living customer leave without buying again?

A customer who is alive buys at a Gamma(k, A) distributed rate and leaves at a Gamma(s, B)
distributed rate. Who leaves before the next purchase has lapsed; the probability of that is

    q = int_0^inf s / (B + u) (1 + u / B)^-s (1 + u / A)^-k du

Likelihood, P(alive) and the probability of no purchase are sums of positive terms in q. The papers
write it with Gauss's hypergeometric function (Hardie's note 009, A_0 there), which is inf or nan
for heavy buyers and whose difference of two values cancels; here every term is positive.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from clv_spark.models.arrays import Floats, Integers
from clv_spark.models.quadrature import legendre_rule

# What lies behind e^-36 = 2e-16 of the start is negligible.
NEGLIGIBLE = 36.0
# Below this exponent the integrand has a long tail; steps of one raise it, see _raised.
SHORT_TAIL, STEPS = 12.0, 12
# Points for an integral up to so many units of log time, for a relative error of 1e-13; measured.
ENDS, POINTS = (3.0, 5.0, 8.0, 12.0, 18.0), (24, 32, 40, 64, 96, 192)
# Rows, or points of few rows, are worked through in blocks of this many, which stay in the cache.
BLOCK = 8_192


class Lapse(NamedTuple):
    """The probability of lapsing and its derivatives, one value per customer each.

    Named by the parameters they belong to, since k = r + x, A = alpha + T and B = beta + T.
    """

    q: Floats
    by_r: Floats
    by_alpha: Floats
    by_s: Floats
    by_beta: Floats


def lapse_probability(k: Floats, s: Floats, A: Floats, B: Floats) -> Floats:
    """Probability that a customer who is alive leaves before the next purchase.

    The relative error is below 1e-12. A customer's value does not depend, to the last bit, on who
    else is in the arrays.

    Args:
        k: Shape of the purchase rate given the past, r + x; one-dimensional as all the others.
        s: Shape of the rate of leaving.
        A: Scale of the purchase rate, alpha + T, in time units.
        B: Scale of the rate of leaving, beta + T, in time units.

    Example:
        >>> k, s, A, B = np.array([[1.0], [3.0], [20.0], [20.0]])  # for A = B it is s / (k + s)
        >>> lapse_probability(k, s, A, B).round(12).tolist()
        [0.75]
    """
    q = np.empty(k.size)
    for rows, end, slow_leaving, points in _groups(k, s, A, B):
        mine = (k[rows], s[rows], A[rows], B[rows])
        q[rows] = _one_group(*mine, end, slow_leaving, points)[0]
    return q


def lapse_with_slopes(k: Floats, s: Floats, A: Floats, B: Floats) -> Lapse:
    """Probability of lapsing as above, with its derivatives by each of the four arguments.

    Example:
        >>> k, s, A, B = np.array([[1.0], [3.0], [20.0], [20.0]])
        >>> lapse_with_slopes(k, s, A, B).by_r.round(12).tolist()  # -s / (k + s)^2
        [-0.1875]
    """
    sums = np.empty((5, k.size))
    for rows, end, slow_leaving, points in _groups(k, s, A, B):
        mine = (k[rows], s[rows], A[rows], B[rows])
        q, by_k, by_s, by_ratio = _one_group(*mine, end, slow_leaving, points, slopes=True)
        small, large = (mine[2], mine[3]) if slow_leaving else (mine[3], mine[2])
        by_small, by_large = by_ratio / large, -by_ratio * small / large**2
        by_A, by_B = (by_small, by_large) if slow_leaving else (by_large, by_small)
        sums[:, rows] = q, by_k, by_A, by_s, by_B
    return Lapse(*sums)


def _groups(
    k: Floats, s: Floats, A: Floats, B: Floats
) -> Iterator[tuple[Integers, Floats, bool, int]]:
    """Splits rows by which scale is larger and by the points they need; by their numbers alone."""
    for slow_leaving in (False, True):
        rows = np.flatnonzero((A < B) == slow_leaving)
        end = _end(*_exponents(k[rows], s[rows], A[rows], B[rows], slow_leaving))
        sizes = np.searchsorted(ENDS, end)
        for number, points in enumerate(POINTS):
            chosen = np.flatnonzero(sizes == number)
            for first in range(0, chosen.size, BLOCK):
                block = chosen[first : first + BLOCK]
                yield rows[block], end[block], slow_leaving, points


def _exponents(
    k: Floats, s: Floats, A: Floats, B: Floats, slow_leaving: bool
) -> tuple[Floats, Floats, Floats]:
    # In y = log(1 + u / min(A, B)) the integrand is e^(-c y) (1 + ratio (e^y - 1))^-d, which is
    # smooth on the scale of one unit of y whatever the scales are.
    if slow_leaving:
        return k - 1, _raised(s) + 1, A / B
    return s, _raised(k), B / A


def _raised(exponent: Floats) -> Floats:
    return np.where(exponent < SHORT_TAIL, exponent + STEPS, exponent)


def _end(c: Floats, d: Floats, ratio: Floats) -> Floats:
    """Where the integrand of _integral has become negligible."""
    # Far enough without the first factor, and with it where that rises, by e^y at most.
    end = np.log1p(np.expm1(NEGLIGIBLE / (d + np.minimum(c, 0.0))) / ratio)
    fall = np.maximum(c, 0.0)
    for _ in range(2):
        # Newton steps; the exponent is convex, so they stay on the far side.
        grown = ratio * np.expm1(end)
        excess = fall * end + d * np.log1p(grown) - NEGLIGIBLE
        slope = fall + d * (grown + ratio) / (1 + grown)
        end = np.where(c > 0, end - np.maximum(excess, 0.0) / slope, end)
    return end


def _integral(
    c: Floats, d: Floats, ratio: Floats, end: Floats, points: int, slopes: bool
) -> list[Floats]:
    """Integral of f = e^(-c y) (1 + ratio (e^y - 1))^-d, with slopes by c, d and ratio if asked."""
    total, *slope_totals = sums = np.zeros((4 if slopes else 1, c.size))
    places, weights = legendre_rule(points)
    points_at_once = max(1, BLOCK // c.size)
    for first in range(0, points, points_at_once):
        y = places[first : first + points_at_once, np.newaxis] * end
        grown = np.expm1(y)
        relative = ratio * grown
        growth = np.log1p(relative)
        f = c * y
        f += d * growth
        np.exp(np.negative(f, out=f), out=f)
        f *= weights[first : first + points_at_once, np.newaxis]
        # Point by point: numpy adds up a single column in another order than many.
        for row in f:
            total += row
        if slopes:
            relative += 1
            grown /= relative
            for slope, by in zip(slope_totals, (y, growth, grown), strict=True):
                by *= f
                for row in by:
                    slope -= row
    sums *= end
    if slopes:
        sums[3] *= d
    return list(sums)


def _one_group(
    k: Floats,
    s: Floats,
    A: Floats,
    B: Floats,
    end: Floats,
    slow_leaving: bool,
    points: int,
    *,
    slopes: bool = False,
) -> list[Floats]:
    """q, and if asked its slopes by k, s and ratio = min(A, B) / max(A, B)."""
    c, d, ratio = _exponents(k, s, A, B, slow_leaving)
    parts = _integral(c, d, ratio, end, points, slopes)
    if slow_leaving:
        shape = d - 1
        values = [shape * ratio * parts[0]]
        if slopes:
            by_ratio = shape * (parts[0] + ratio * parts[3])
            by_s = ratio * (parts[0] + shape * parts[2])
            values += [shape * ratio * parts[1], by_s, by_ratio]
        raised = s < SHORT_TAIL
    else:
        values = [s * parts[0]]
        if slopes:
            values += [s * parts[2], parts[0] + s * parts[1], s * parts[3]]
        raised = k < SHORT_TAIL
    if raised.any():
        lowered = _lowered(values, k, s, ratio, slow_leaving)
        values = [np.where(raised, low, value) for low, value in zip(lowered, values, strict=True)]
    return values


def _lowered(
    values: list[Floats], k: Floats, s: Floats, ratio: Floats, slow_leaving: bool
) -> list[Floats]:
    """Takes q from exponents STEPS too high down to those wanted, and its slopes along.

    Integration by parts gives, with z = 1 - ratio and all terms positive,
    (k + s) q(k, s) = s + k z q(k + 1, s) for A >= B, and s (ratio + z q(k, s + 1)) for A < B.
    """
    z = 1 - ratio
    for step in reversed(range(STEPS)):
        if slow_leaving:
            shape, total = s + step, k + s + step
            inner = [ratio + z * values[0], *(z * slope for slope in values[1:])]
            new = [shape * inner[0] / total]
            if len(values) > 1:
                by_s = (inner[0] + shape * inner[2] - new[0]) / total
                by_ratio = shape * (1 - values[0] + inner[3]) / total
                new += [(shape * inner[1] - new[0]) / total, by_s, by_ratio]
        else:
            shape, total = k + step, k + s + step
            inner = [z * value for value in values]
            new = [(s + shape * inner[0]) / total]
            if len(values) > 1:
                by_k = (inner[0] + shape * inner[1] - new[0]) / total
                by_s = (1 + shape * inner[2] - new[0]) / total
                new += [by_k, by_s, shape * (inner[3] - values[0]) / total]
        values = new
    return values
