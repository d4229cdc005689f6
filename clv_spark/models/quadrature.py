"""Exact weighted averages over a Beta distribution from a few well-chosen points.

The dropout probability of a customer is Beta distributed, and a forecast is an average over it. A
Gauss rule of N points averages every polynomial up to degree 2N - 1 exactly.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.linalg import eigh_tridiagonal

from clv_spark.models.arrays import Floats


# A worker meets the same parameters in batch after batch; 16,384 rules of 64 points are 16 MB.
@lru_cache(maxsize=16384)
def beta_rule(a: float, b: float, size: int) -> tuple[Floats, Floats]:
    """Points and logarithms of weights for averages over a Beta(a, b) distribution.

    The weights add up to one. Golub and Welsch (1969): the points are the eigenvalues of the
    tridiagonal matrix of the recurrence of the Jacobi polynomials. The matrix is built on [0, 1]
    from positive terms only, so nothing cancels when b is in the thousands (where
    ``scipy.special.roots_jacobi`` overflows).

    Args:
        a: First shape, above zero.
        b: Second shape, above zero.
        size: Number of points.

    Returns:
        Points in (0, 1), ascending, and the logarithms of their weights; both read-only.

    Example:
        >>> points, log_weights = beta_rule(2.0, 3.0, 4)
        >>> round(float(np.sum(points * np.exp(log_weights))), 12)  # the mean, 2 / (2 + 3)
        0.4
    """
    n = np.arange(size, dtype=np.float64)
    total = a + b
    with np.errstate(divide="ignore", invalid="ignore"):
        up = (n + total - 1) * (n + a) / ((2 * n + total - 1) * (2 * n + total))
        down = n * (n + b - 1) / ((2 * n + total - 2) * (2 * n + total - 1))
    # At n = 0 both forms are 0/0 for some shapes, though their limits are plain.
    up[0], down[0] = a / total, 0.0
    values, vectors = eigh_tridiagonal(up + down, np.sqrt(up[:-1] * down[1:]))
    with np.errstate(divide="ignore"):
        log_weights: Floats = 2 * np.log(np.abs(vectors[0]).astype(np.float64))
    points: Floats = np.clip(values, 0.0, 1.0).astype(np.float64)
    for array in (points, log_weights):
        array.flags.writeable = False
    return points, log_weights


@lru_cache(maxsize=16)
def legendre_rule(size: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Points and weights for an integral over [0, 1].

    Example:
        >>> points, weights = legendre_rule(3)
        >>> round(sum(w * p**4 for p, w in zip(points, weights)), 12)
        0.2
    """
    points, weights = np.polynomial.legendre.leggauss(size)
    return tuple(((points + 1) / 2).tolist()), tuple((weights / 2).tolist())
