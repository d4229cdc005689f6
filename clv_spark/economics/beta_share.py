"""The regularised incomplete beta function, five digits of it at a tenth of the cost of all."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc

Floats = NDArray[np.float64]

# Pairs of terms of the continued fraction, and up to which lesser shape they make five digits.
PAIRS, LARGEST_SHAPE = 12, 30.0


def beta_share(a: ArrayLike, b: ArrayLike, x: ArrayLike, kernel: ArrayLike) -> Floats:
    """Probability that a Beta(a, b) variable is at most x.

    The continued fraction 26.5.8 of Abramowitz and Stegun (1964) below the mean, and above it that
    of the rest. Relative to the lesser of the probability and its complement the error is below
    1e-5 from 0.001 to 0.999, where a bound may lie. A value is the same, to the last bit, whoever
    else is in the arrays.

    Args:
        a: First shape, above zero; all arguments broadcast.
        b: Second shape, above zero.
        x: From 0 to 1.
        kernel: x^a (1 - x)^b / B(a, b), which who asks for a quantile has anyway.

    Example:
        >>> float(beta_share(2.0, 3.0, 0.25, 0.25**2 * 0.75**3 * 12).round(6))  # 67 / 256
        0.261719
    """
    columns = np.broadcast_arrays(a, b, x, kernel)
    a, b, x, kernel = (np.asarray(column, dtype=np.float64) for column in columns)
    above = x * (a + b + 2) > a + 1
    near, far = np.where(above, b, a), np.where(above, a, b)
    side = np.where(above, 1 - x, x)
    tail = kernel / (near * _fraction(near, far, side))
    share = np.where(above, 1 - tail, tail)
    # Two large shapes need more terms; few customers have both.
    large = np.minimum(a, b) > LARGEST_SHAPE
    share[large] = betainc(a[large], b[large], x[large])
    return share


def _fraction(a: Floats, b: Floats, x: Floats) -> Floats:
    """The denominator 1 + d_1 / (1 + d_2 / (1 + ...)), from its end."""
    value = np.ones(x.shape)
    for m in range(PAIRS, -1, -1):
        twice = a + 2 * m
        value = 1 - (a + m) * (a + b + m) * x / (twice * (twice + 1)) / value
        if m > 0:
            value = 1 + m * (b - m) * x / ((twice - 1) * twice) / value
    return value
