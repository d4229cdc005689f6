"""Gamma-gamma: what customers spend per purchase, given the few purchases one has seen.

The mean spend of a customer is gamma distributed around a mean of their own, and these means
follow a distribution over customers with parameters p, q and gamma. Few purchases say little, so
the forecast lies between the customer's mean and everybody's. Fader and Hardie (2013), note 025.

x is the number of purchases behind the mean, m_x the mean spend, in money.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import digamma, gammaln

from clv_spark.models.arrays import Columns, Floats, Parameters, ranked, read_columns, require
from clv_spark.models.model import Evaluate, Model

PARAMETERS = ("p", "q", "gamma")
SHAPE_LIMITS = (1e-5, 1e5)


def log_likelihood(
    params: Parameters, x: ArrayLike, m_x: ArrayLike, log_m_x: ArrayLike | None = None
) -> Floats:
    """How well the parameters explain each customer's mean spend; higher is better.

    Note 025, eq. 1a, the density of the mean (eq. 1b, that of the total, is larger by ln x).

    Args:
        params: p, q, gamma.
        x: Purchases behind the mean, at least 1.
        m_x: Mean spend, above zero.
        log_m_x: Logarithm of the mean spend; for buckets of customers the mean of logarithms.

    Returns:
        One natural logarithm per customer.

    Example:
        >>> params = {"p": 6.25, "q": 3.74, "gamma": 15.44}
        >>> log_likelihood(params, [1, 2], [30.0, 40.0]).round(4).tolist()
        [-3.9485, -4.3577]
    """
    p, q, gamma = _letters(params)
    x, m_x = np.asarray(x, dtype=np.float64), np.asarray(m_x, dtype=np.float64)
    log_m = np.log(m_x) if log_m_x is None else np.asarray(log_m_x, dtype=np.float64)
    shapes = gammaln(p * x + q) - gammaln(p * x) - gammaln(q)
    amounts = (p * x - 1) * log_m + p * x * np.log(x) + q * np.log(gamma)
    return cast(Floats, shapes + amounts - (p * x + q) * np.log(gamma + x * m_x))


def expected_spend(params: Parameters, x: ArrayLike, m_x: ArrayLike) -> Floats:
    """Expected spend of a customer's next purchase: their mean, drawn towards everybody's.

    Note 025, eqs. 3 to 6. With x = 0 it is the population's mean p gamma / (q - 1), whatever m_x
    is; with q <= 1 that mean is infinite, and the result is NaN.

    Example:
        >>> params = {"p": 6.25, "q": 3.74, "gamma": 15.44}
        >>> expected_spend(params, [2, 0], [22.35, 0.0]).round(4).tolist()
        [24.6637, 35.219]
    """
    p, q, gamma = _letters(params)
    x, m_x = np.asarray(x, dtype=np.float64), np.asarray(m_x, dtype=np.float64)
    spent = np.where(x > 0, x * m_x, 0.0)
    defined = np.where(q > 1, q, np.nan)
    return cast(Floats, p * (gamma + spent) / (p * x + defined - 1))


def _letters(params: Parameters) -> tuple[Floats, Floats, Floats]:
    p, q, gamma = (np.asarray(params[name], dtype=np.float64) for name in PARAMETERS)
    return p, q, gamma


def _read(data: Mapping[str, ArrayLike]) -> Columns:
    columns = read_columns(data, ("x", "m_x"))
    x, m_x = columns["x"], columns["m_x"]
    require((x >= 1) & (x == np.floor(x)), "x must be a whole number of purchases, at least 1")
    require(m_x > 0, "m_x must be above zero")
    given = read_columns(data, ("x", "log_m_x")) if "log_m_x" in data else {}
    return {**columns, "log_m_x": given.get("log_m_x", np.log(m_x))}


def _likelihood(columns: Columns, weights: Floats) -> Evaluate:
    x, m_x, log_m = columns["x"], columns["m_x"], columns["log_m_x"]
    shares = weights / np.sum(weights)
    # What depends on x alone is worked out once per distinct x.
    counts, inverse = ranked(x)
    count_shares = np.bincount(inverse, weights=shares)
    log_counts = np.log(counts)
    mean_log = np.sum(shares * log_m)
    x_mean_log = np.sum(shares * x * log_m)

    def evaluate(point: Floats) -> tuple[float, Floats]:
        p, q, gamma = point
        shape = p * counts
        level = gamma + x * m_x
        log_level = np.log(level)
        joint = digamma(shape + q)
        by_count = gammaln(shape + q) - gammaln(shape) - gammaln(q) + shape * log_counts
        value = (
            (count_shares * by_count).sum()
            + q * np.log(gamma)
            + p * x_mean_log
            - mean_log
            - (shares * (p * x + q) * log_level).sum()
        )
        by_p = (
            (count_shares * counts * (joint - digamma(shape) + log_counts)).sum()
            + x_mean_log
            - (shares * x * log_level).sum()
        )
        by_q = (count_shares * joint).sum() - digamma(q) + np.log(gamma)
        by_q -= (shares * log_level).sum()
        by_gamma = q / gamma - (shares * (p * x + q) / level).sum()
        return float(value), np.array([by_p, by_q, by_gamma]) * point

    return evaluate


def _starts(columns: Columns, weights: Floats) -> list[Floats]:
    # Each starts at the observed mean; p grows as single purchases of a customer vary less.
    mean = _mean(columns, weights)
    return [np.array([p, q, mean * (q - 1) / p]) for p, q in ((2.0, 3.0), (6.0, 4.0), (1.0, 10.0))]


def _box(columns: Columns, weights: Floats) -> tuple[Floats, Floats]:
    low, high = SHAPE_LIMITS
    mean = _mean(columns, weights)
    return np.array([low, low, 1e-9 * mean]), np.array([high, high, 1e9 * mean])


def _mean(columns: Columns, weights: Floats) -> float:
    return float(np.sum(weights * columns["m_x"]) / np.sum(weights))


def _caveat(columns: Columns, params: Mapping[str, float]) -> str:
    if params["q"] <= 1:
        return f"the mean spend is infinite, since q = {params['q']:.4g} is not above 1"
    return ""


MODEL = Model(
    name="gamma_gamma",
    parameters=PARAMETERS,
    read=_read,
    likelihood=_likelihood,
    starts=_starts,
    box=_box,
    caveat=_caveat,
)
