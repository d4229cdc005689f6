"""How the BG/NBD is fitted: its likelihood with gradient, starting points and limits.

What the parameters mean and what to do with them is in ``bg_nbd``.
"""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import digamma, gammaln

from clv_spark.models.arrays import Columns, Floats, Parameters, ranked
from clv_spark.models.model import Evaluate, Model
from clv_spark.models.purchase_patterns import (
    caveat_without_repeats,
    coarsened,
    mean_age,
    read_patterns,
)

PARAMETERS = ("r", "alpha", "a", "b")
# Beyond these a distribution over customers is a single point, or not there at all.
SHAPE_LIMITS = (1e-5, 1e5)
# Three years in steps of three weeks: so coarse, patterns start a fit within a few percent of its
# end, and are few.
COARSE_STEPS = 52
# Rows are worked through in blocks of this many, so that a block stays in the cache.
BLOCK = 8_192


def log_likelihood(params: Parameters, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Floats:
    """How well the parameters explain each customer's purchases; higher is better.

    Fader, Hardie and Lee (2005), Marketing Science 24(2), eq. 6, in the logarithmic form of
    Hardie's note 027 ("#NUM! error", solution 2). Constants that hold no parameter are left out,
    as in the paper.

    Returns:
        One natural logarithm per customer.

    Example:
        >>> params = {"r": 0.25, "alpha": 4.0, "a": 0.8, "b": 2.5}
        >>> log_likelihood(params, [0, 200], [0, 38], [40, 40]).round(4).tolist()
        [-0.5995, 100.7957]
    """
    r, alpha, a, b = letters(params)
    x, t_x, T = (np.asarray(column, dtype=np.float64) for column in (x, t_x, T))
    counts = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
    stays = gammaln(b + x) - gammaln(b) + gammaln(a + b) - gammaln(a + b + x)
    times = -(r + x) * np.log(alpha + T)
    lost_or_not = np.logaddexp(0.0, log_odds_of_loss(params, x, t_x, T))
    return counts + stays + times + lost_or_not


def log_odds_of_loss(params: Parameters, x: Floats, t_x: Floats, T: Floats) -> Floats:
    """Logarithm of P(lost) / P(alive) per customer; minus infinity without repeat purchase.

    Hardie's note 021.

    Example:
        >>> params = {"r": 0.25, "alpha": 4.0, "a": 1.0, "b": 1.0}
        >>> log_odds_of_loss(params, np.array([0.0, 1.0]), np.zeros(2), np.zeros(2)).tolist()
        [-inf, 0.0]
    """
    r, alpha, a, b = letters(params)
    # Without a repeat purchase there was no chance to leave, and b + x - 1 may be negative.
    repeats = np.maximum(x, 1.0)
    odds = np.log(a) - np.log(b + repeats - 1) + (r + x) * np.log1p((T - t_x) / (alpha + t_x))
    return cast(Floats, np.where(x > 0, odds, -np.inf))


def letters(params: Parameters) -> tuple[Floats, Floats, Floats, Floats]:
    """Takes r, alpha, a, b out of named parameters as arrays.

    Example:
        >>> letters({"a": 3.0, "b": 4.0, "r": 1.0, "alpha": 2.0})
        (array(1.), array(2.), array(3.), array(4.))
    """
    r, alpha, a, b = (np.asarray(params[name], dtype=np.float64) for name in PARAMETERS)
    return r, alpha, a, b


def _likelihood(columns: Columns, weights: Floats) -> Evaluate:
    x, t_x, T = columns["x"], columns["t_x"], columns["T"]
    shares = weights / np.sum(weights)
    # Millions of patterns share a few counts and a few days: what depends on one of x, t_x and T
    # alone is worked out once per distinct value.
    counts, by_x = ranked(x)
    ages, by_age = ranked(T)
    count_shares = np.bincount(by_x, weights=shares)
    age_shares = np.bincount(by_age, weights=shares)
    age_purchases = np.bincount(by_age, weights=shares * x)
    repeat = x > 0
    recencies, by_recency = ranked(t_x[repeat])
    rows = (shares[repeat], by_x[repeat], by_age[repeat], by_recency)
    blocks = [
        tuple(column[first : first + BLOCK] for column in rows)
        for first in range(0, rows[0].size, BLOCK)
    ]

    def evaluate(point: Floats) -> tuple[float, Floats]:
        r, alpha, a, b = point
        log_age, log_recency = np.log(alpha + ages), np.log(alpha + recencies)
        per_age, per_recency = 1 / (alpha + ages), 1 / (alpha + recencies)
        # Without a repeat purchase there was no chance to leave, and b + x - 1 may be negative.
        before = b + np.maximum(counts, 1.0) - 1
        log_chance = np.log(a) - np.log(before)
        odds_sum, by_r, by_alpha = 0.0, 0.0, 0.0
        lost_by_count = np.zeros(counts.size)
        shape = r + counts
        for w1, *places in blocks:
            at_x, at_age, at_recency = (place.astype(np.int64, copy=False) for place in places)
            since = log_age[at_age] - log_recency[at_recency]
            k = shape[at_x]
            odds = k * since
            odds += log_chance[at_x]
            small = np.exp(-np.abs(odds))
            lost = w1 * np.where(odds >= 0, 1.0, small) / (1 + small)
            odds_sum += (w1 * (np.maximum(odds, 0.0) + np.log1p(small))).sum()
            by_r += (lost * since).sum()
            by_alpha += (lost * k * (per_age[at_age] - per_recency[at_recency])).sum()
            lost_by_count += np.bincount(at_x, weights=lost, minlength=counts.size)
        lost_sum = lost_by_count.sum()
        by_count = gammaln(r + counts) - gammaln(r) + gammaln(b + counts) - gammaln(b)
        by_count += gammaln(a + b) - gammaln(a + b + counts)
        exponents = r * age_shares + age_purchases
        value = (count_shares * by_count).sum() + r * np.log(alpha)
        value += odds_sum - (exponents * log_age).sum()
        by_r += (count_shares * (digamma(r + counts) - digamma(r))).sum()
        by_r += np.log(alpha) - (age_shares * log_age).sum()
        by_alpha += r / alpha - (exponents * per_age).sum()
        both = digamma(a + b) - digamma(a + b + counts)
        by_a = (count_shares * both).sum() + lost_sum / a
        by_b = (count_shares * (both + digamma(b + counts) - digamma(b))).sum()
        by_b -= (lost_by_count / before).sum()
        return float(value), np.array([by_r, by_alpha, by_a, by_b]) * point

    return evaluate


def _starts(columns: Columns, weights: Floats) -> list[Floats]:
    # A buyer's mean rate is r / alpha; who leaves early hides it, so its double is tried as well.
    exposure = np.sum(weights * columns["T"])
    rate = np.sum(weights * columns["x"]) / exposure if exposure > 0 else 0.0
    rate = max(rate, 1e-9 / mean_age(columns, weights))
    return [
        np.array([0.5, 0.5 / rate, 1.0, 3.0]),
        np.array([0.5, 0.25 / rate, 0.5, 1.0]),
        np.array([2.0, 2.0 / rate, 0.2, 4.0]),
        # A second maximum: few leave, but some of them almost at once.
        np.array([0.5, 0.5 / rate, 0.03, 0.1]),
    ]


def _box(columns: Columns, weights: Floats) -> tuple[Floats, Floats]:
    low, high = SHAPE_LIMITS
    age = mean_age(columns, weights)
    return np.array([low, 1e-7 * age, low, low]), np.array([high, 1e9 * age, high, high])


def _coarsen(columns: Columns) -> Columns:
    return coarsened(columns, COARSE_STEPS)


MODEL = Model(
    name="bg_nbd",
    parameters=PARAMETERS,
    read=read_patterns,
    likelihood=_likelihood,
    starts=_starts,
    box=_box,
    caveat=caveat_without_repeats,
    coarsen=_coarsen,
)
