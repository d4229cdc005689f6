"""BG/BB far ahead: chances with all their digits, and sums too long to be added up.

A difference of logarithms of the gamma function loses its digits where its arguments are large:
they grow like z log z, the difference hardly at all. And a sum over a billion opportunities has
terms so alike that it is an integral, but for the correction of Euler and Maclaurin.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from clv_spark.models.arrays import Floats
from clv_spark.models.quadrature import legendre_rule

# Opportunities that are added up one by one: beyond, terms that still count are nearly alike.
FAR = 4_096
# Points of the integral over each panel, in which s grows by a factor of e at most.
POINTS = 16
# From here on Stirling's series is exact with these coefficients; so many steps lead there.
SMALL = 16
# Columns worked through at a time, so that they stay in the cache.
BLOCK = 4_096
STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360_360)


def log_falling(shape: Floats, more: Floats, steps: Floats) -> Floats:
    """Logarithm of the product of (shape + i) / (shape + more + i) over so many steps i = 0, 1, ..

    Args:
        shape: Above zero, as are shape + more and both of these plus steps.
        more: What the lower factors have more.
        steps: Whole numbers from zero up.

    Example:
        >>> chance = np.exp(log_falling(np.array(3.0), np.array(1.0), np.array(1e9)))
        >>> float((chance * (3 + 1e9)).round(12))
        3.0
    """
    whole = np.broadcast_shapes(shape.shape, more.shape, steps.shape)
    columns = [np.broadcast_to(column, whole or 1) for column in (shape, more, steps)]
    falling = np.empty(columns[0].shape)
    for first in range(0, columns[0].shape[-1], BLOCK):
        some = (..., slice(first, first + BLOCK))
        falling[some] = _falling(*(column[some] for column in columns))
    return falling.reshape(whole)


def _falling(shape: Floats, more: Floats, steps: Floats) -> Floats:
    small = shape < SMALL
    if not small.any():
        return log_ratio(shape, more, steps)
    # The first steps one by one, for those who need it: nobody's value hangs on the others.
    falling = np.empty(shape.shape)
    falling[~small] = log_ratio(shape[~small], more[~small], steps[~small])
    shape, more, steps = shape[small], more[small], steps[small]
    product = np.ones(shape.size)
    for step in range(int(min(np.max(steps), SMALL))):
        factor = (shape + step) / (shape + more + step)
        product *= np.where(steps > step, factor, 1.0)
    later = np.maximum(steps - SMALL, 0.0)
    falling[small] = np.log(product) + log_ratio(shape + SMALL, more, later)
    return falling


def log_ratio(shape: Floats, more: Floats, steps: Floats | float) -> Floats:
    """The same for a shape of 16 or more and any number of steps, whole or not.

    By Stirling's series, ordered so that nothing large is left to cancel.

    Example:
        >>> float(np.exp(log_ratio(np.array(20.0), np.array(1.0), np.array(5.0))).round(12))
        0.8
    """
    last, below = shape + steps, shape + more
    end = below + steps
    ratio: Floats = (shape - 0.5) * np.log1p(more / shape * (steps / end))
    ratio -= steps * np.log1p(more / last)
    ratio -= more * np.log1p(steps / below)
    ratio += _rest(last)
    ratio -= _rest(end)
    return ratio + (_rest(below) - _rest(shape))


def _rest(shape: Floats) -> Floats:
    """What Stirling's series has beside (z - 1/2) log z - z + log(2 pi) / 2."""
    small = 1 / shape
    square = small * small
    rest: Floats = np.full_like(small, STIRLING[-1])
    for coefficient in STIRLING[-2::-1]:
        rest *= square
        rest += coefficient
    rest *= small
    return rest


def far_sums(terms: Callable[[float], Floats], first: float, last: float) -> Floats:
    """Sum of terms(s) over whole numbers s with first < s <= last, both of them ``FAR`` or more.

    The integral from first + 1/2 to last + 1/2 over the logarithm of s, and the first correction of
    Euler and Maclaurin. Terms that change by more than a hundredth from one s to the next must be
    negligible. One by one they are added up, so that no column hangs on its neighbours.

    Example:
        >>> total = far_sums(lambda s: np.array([1 / (s * (s + 1))]), 5e3, 1e9)
        >>> (total / (1 / 5001 - 1 / (1e9 + 1))).round(12).tolist()
        [1.0]
    """
    low, high = math.log(first + 0.5), math.log(last + 0.5)
    panels = max(1, math.ceil(high - low))
    width = (high - low) / panels
    places, weights = legendre_rule(POINTS)
    total = (terms(first + 1) - terms(first) - terms(last + 1) + terms(last)) / 24
    for panel in range(panels):
        for place, weight in zip(places.tolist(), weights.tolist(), strict=True):
            s = math.exp(low + (panel + place) * width)
            total = total + weight * width * s * terms(s)
    return total


def split(ends: Sequence[int]) -> tuple[list[int], list[tuple[int, int, int]]]:
    """Horizons within reach of a plain sum, and those beyond: place, from where, up to where.

    Those beyond count from ``FAR`` or from one another; in their places stands ``FAR``.

    Example:
        >>> split([3, 5000, 9000])
        ([3, 4096, 4096], [(1, 4096, 5000), (2, 5000, 9000)])
    """
    beyond, begin = [], FAR
    for place, end in enumerate(ends):
        if end > FAR:
            beyond.append((place, begin, end))
            begin = end
    return [min(end, FAR) for end in ends], beyond
