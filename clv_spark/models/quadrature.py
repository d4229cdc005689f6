"""Exact averages over a Beta distribution and integrals over a period, from well-chosen points.

The dropout probability of a customer is Beta distributed, and a forecast is an average over it,
integrated over time.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.special import expit

from clv_spark.models.arrays import Floats

# Points per standard deviation of the log-odds, and the widest step between points. The error of
# this rule falls exponentially with the number of points; with these it is near 1e-12.
STEPS_PER_DEVIATION, WIDEST_STEP = 4.0, 0.3
# What lies beyond e^-36 = 2e-16 of the whole does not count.
NEGLIGIBLE_LOG = 36.0


class BetaRule(NamedTuple):
    """Points in [0, 1], their complements 1 - p to full precision, and logarithms of weights."""

    p: Floats
    complement: Floats
    log_weights: Floats


def beta_rule(a: float, b: float, reach: float) -> BetaRule:
    """Points and weights for averages over a Beta(a, b) distribution.

    Trapezoids over the log-odds of p, where the density is smooth and falls off exponentially at
    both ends. A tail too long for points, for a or b far below one, is a geometric series, whose
    sum stands at p = 0 or p = 1. Works for shapes from 1e-5 to 1e5 alike.

    Args:
        a: First shape, above zero.
        b: Second shape, above zero.
        reach: How steep the averaged functions are at p = 0; they may fall like (1 + p)^-reach or
            (1 + p reach)^-1 and are flat for p far below 1 / reach.

    Example:
        >>> rule = beta_rule(2.0, 3.0, 1.0)
        >>> round(float(np.sum(rule.p * np.exp(rule.log_weights))), 12)  # the mean, 2 / (2 + 3)
        0.4
    """
    deviation = (1 / a + 1 / b) ** 0.5
    step = min(WIDEST_STEP, deviation / STEPS_PER_DEVIATION)
    margin = 9 * deviation
    low = max(
        np.log(a / (b + reach)) - margin - NEGLIGIBLE_LOG / a,
        -NEGLIGIBLE_LOG - np.log1p(b + reach),
    )
    high = min(
        np.log(a / b) + margin + NEGLIGIBLE_LOG / b,
        NEGLIGIBLE_LOG + np.log1p(a + reach),
    )
    odds = low + step * np.arange(int((high - low) / step) + 2)
    log_weights = -a * np.logaddexp(0, -odds) - b * np.logaddexp(0, odds)
    p, complement = expit(odds), expit(-odds)
    # The last point at either end stands for all that would follow.
    log_weights[0] -= np.log(-np.expm1(-a * step))
    log_weights[-1] -= np.log(-np.expm1(-b * step))
    log_weights -= np.max(log_weights)
    return BetaRule(p, complement, log_weights - np.log(np.exp(log_weights).sum()))


@lru_cache(maxsize=32)
def legendre_rule(size: int) -> tuple[Floats, Floats]:
    """Points and weights for an integral over [0, 1]; both read-only.

    Example:
        >>> points, weights = legendre_rule(3)
        >>> round(float(np.sum(weights * points**4)), 12)
        0.2
    """
    points, weights = np.polynomial.legendre.leggauss(size)
    points, weights = (points + 1) / 2, weights / 2
    for array in (points, weights):
        array.flags.writeable = False
    return points, weights
