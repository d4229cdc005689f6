"""How the MBG/NBD is fitted: its likelihood with gradient; starts and limits are the BG/NBD's.

What the parameters mean and what to do with them is in ``mbg_nbd``.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import digamma, expit, gammaln

from clv_spark.models import bg_nbd_likelihood
from clv_spark.models.arrays import Columns, Floats, Parameters, ranked
from clv_spark.models.bg_nbd_likelihood import letters
from clv_spark.models.model import Evaluate


def log_likelihood(params: Parameters, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Floats:
    """How well the parameters explain each customer's purchases; higher is better.

    Batislam, Denizel and Filiztekin (2007), IJRM 24(3), in logarithms. Constants that hold no
    parameter are left out, as for the BG/NBD, so the two can be compared.

    Returns:
        One natural logarithm per customer.

    Example:
        >>> params = {"r": 0.25, "alpha": 4.0, "a": 0.8, "b": 2.5}
        >>> log_likelihood(params, [0, 200], [0, 38], [40, 40]).round(4).tolist()
        [-0.4179, 100.7869]
    """
    r, alpha, a, b = letters(params)
    x, t_x, T = (np.asarray(column, dtype=np.float64) for column in (x, t_x, T))
    counts = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
    stays = gammaln(b + x + 1) - gammaln(b) + gammaln(a + b) - gammaln(a + b + x + 1)
    times = -(r + x) * np.log(alpha + T)
    lost_or_not: Floats = np.logaddexp(0.0, log_odds_of_loss(params, x, t_x, T))
    return counts + stays + times + lost_or_not


def log_odds_of_loss(params: Parameters, x: Floats, t_x: Floats, T: Floats) -> Floats:
    """Logarithm of P(lost) / P(alive) per customer.

    Wagner and Hoppe (2008), IJRM 25(3).

    Example:
        >>> params = {"r": 0.25, "alpha": 4.0, "a": 1.0, "b": 1.0}
        >>> log_odds_of_loss(params, np.zeros(1), np.zeros(1), np.zeros(1)).tolist()
        [0.0]
    """
    r, alpha, a, b = letters(params)
    odds: Floats = np.log(a) - np.log(b + x) + (r + x) * np.log1p((T - t_x) / (alpha + t_x))
    return odds


def _likelihood(columns: Columns, weights: Floats) -> Evaluate:
    x, t_x, T = columns["x"], columns["t_x"], columns["T"]
    shares = weights / np.sum(weights)
    # What depends on x alone is worked out once per distinct x.
    counts, inverse = ranked(x)
    count_shares = np.bincount(inverse, weights=shares)

    def evaluate(point: Floats) -> tuple[float, Floats]:
        r, alpha, a, b = point
        by_count = gammaln(r + counts) - gammaln(r) + gammaln(b + counts + 1) - gammaln(b)
        by_count += gammaln(a + b) - gammaln(a + b + counts + 1)
        log_T, log_t = np.log(alpha + T), np.log(alpha + t_x)
        odds = np.log(a) - np.log(b + x) + (r + x) * (log_T - log_t)
        lost = shares * expit(odds)
        kept = shares - lost
        value = (
            (count_shares * by_count).sum()
            + r * np.log(alpha)
            + (shares * (np.logaddexp(0.0, odds) - (r + x) * log_T)).sum()
        )
        by_r = (
            (count_shares * (digamma(r + counts) - digamma(r))).sum()
            + np.log(alpha)
            - (kept * log_T).sum()
            - (lost * log_t).sum()
        )
        by_alpha = r / alpha - ((r + x) * (kept / (alpha + T) + lost / (alpha + t_x))).sum()
        both = digamma(a + b) - digamma(a + b + counts + 1)
        by_a = (count_shares * both).sum() + lost.sum() / a
        by_b = (count_shares * (both + digamma(b + counts + 1) - digamma(b))).sum()
        by_b -= (lost / (b + x)).sum()
        return float(value), np.array([by_r, by_alpha, by_a, by_b]) * point

    return evaluate


MODEL = replace(bg_nbd_likelihood.MODEL, name="mbg_nbd", likelihood=_likelihood)
