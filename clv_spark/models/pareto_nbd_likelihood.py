"""How the Pareto/NBD is fitted: its likelihood with gradient, starting points and limits.

What the parameters mean and what to do with them is in ``pareto_nbd``. With k = r + x, the
probability q(T) that a customer alive at age T leaves before another purchase (``pareto_lapse``),
and g = k log((alpha + T) / (alpha + t_x)) + s log((beta + T) / (beta + t_x)), the likelihood of
Schmittlein, Morrison and Colombo (1987) is, constants that hold no parameter left out,

    L = Gamma(r + x) / Gamma(r) alpha^r beta^s (alpha + t_x)^-k (beta + t_x)^-s D
    D = q(t_x) + (1 - q(T)) e^-g

D is the probability of a silence from t_x to T for who was alive at t_x: the customer leaves before
another purchase, or the next purchase comes after T. Nothing in it cancels or overflows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import digamma, gammaln

from clv_spark.models.arrays import (
    Columns,
    Floats,
    Integers,
    Parameters,
    distinct,
    ranked,
)
from clv_spark.models.model import Evaluate, Model
from clv_spark.models.pareto_lapse import lapse_probability, lapse_with_slopes
from clv_spark.models.purchase_patterns import (
    caveat_without_repeats,
    coarsened,
    mean_age,
    read_patterns,
)

PARAMETERS = ("r", "alpha", "s", "beta")
# Beyond these a distribution over customers is a single point, or not there at all.
SHAPE_LIMITS = (1e-5, 1e5)
# Three years in weeks: patterns this coarse start a fit within a few percent of its end.
COARSE_STEPS = 156


def log_likelihood(params: Parameters, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Floats:
    """How well the parameters explain each customer's purchases; higher is better.

    Hardie's note 009, eqs. 18 to 20, without the constants that hold no parameter, as there.

    Returns:
        One natural logarithm per customer.

    Example:
        >>> params = {"r": 0.55, "alpha": 10.58, "s": 0.61, "beta": 11.67}
        >>> float(log_likelihood(params, 1, 1.5, 12).round(8))
        -4.00694866
    """
    r, alpha, s, beta, x, t_x, T = broadcast(params, x, t_x, T)
    silence = log_silence(r + x, s, alpha + t_x, beta + t_x, T - t_x)
    # Relative to alpha and beta, so that large ones do not drown the rest.
    past = -x * np.log(alpha) - (r + x) * np.log1p(t_x / alpha) - s * np.log1p(t_x / beta)
    return gammaln(r + x) - gammaln(r) + past + silence


def log_silence(k: Floats, s: Floats, A: Floats, B: Floats, t: Floats) -> Floats:
    """Logarithm of the probability that who is alive does not buy in the next t time units.

    Args:
        k: Shape of the purchase rate now.
        s: Shape of the rate of leaving.
        A: Scale of the purchase rate now, in time units.
        B: Scale of the rate of leaving now, in time units.
        t: Time units ahead; of the same shape as the others.

    Example:
        >>> one = np.ones(1)
        >>> log_silence(one, one, one, one, one * 3).round(6).tolist()  # log(1/2 + 1/2 / 16)
        [-0.632523]
    """
    k1, s1, A1, B1, t1 = (np.ravel(column) for column in (k, s, A, B, t))
    lapse = lapse_probability(k1, s1, A1, B1)
    return log_silence_given_lapse(lapse, k1, s1, A1, B1, t1).reshape(np.shape(k))


def log_silence_given_lapse(
    lapse: Floats, k: Floats, s: Floats, A: Floats, B: Floats, t: Floats
) -> Floats:
    """The same where lapse, the probability of lapsing now, is known; all one-dimensional.

    Example:
        >>> one = np.ones(1)
        >>> log_silence_given_lapse(one / 2, one, one, one, one, one * 3).round(6).tolist()
        [-0.632523]
    """
    later = 1 - lapse_probability(k, s, A + t, B + t)
    return np.log(lapse + later * np.exp(-k * np.log1p(t / A) - s * np.log1p(t / B)))


def broadcast(params: Parameters, *columns: ArrayLike) -> list[Floats]:
    """Brings r, alpha, s, beta and some columns to one shape.

    Example:
        >>> params = {"beta": 4.0, "s": 3.0, "r": 1.0, "alpha": 2.0}
        >>> [column.tolist() for column in broadcast(params, [5, 6])]
        [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0], [4.0, 4.0], [5.0, 6.0]]
    """
    values = [*(params[name] for name in PARAMETERS), *columns]
    return list(np.broadcast_arrays(*(np.asarray(value, dtype=np.float64) for value in values)))


def _likelihood(columns: Columns, weights: Floats) -> Evaluate:
    x, size = columns["x"], columns["x"].size
    shares = weights / np.sum(weights)
    # What depends on x alone is worked out once per distinct x, and what depends on x and one age,
    # be it t_x or T, once per distinct pair: in whole days there are far fewer pairs than rows.
    counts, inverse = ranked(x)
    count_shares = np.bincount(inverse, weights=shares)
    mean_x = np.sum(shares * x)
    pair_x, pair_age = np.tile(x, 2), np.concatenate([columns["t_x"], columns["T"]])
    chosen, pairs = distinct([pair_x, pair_age])
    pair_x, pair_age = pair_x[chosen], pair_age[chosen]
    then, today = pairs[:size], pairs[size:]

    def per_pair(rows: Integers, values: Floats) -> Floats:
        sums: Floats = np.bincount(rows, values, chosen.size).astype(np.float64)
        return sums

    def evaluate(point: Floats) -> tuple[float, Floats]:
        r, alpha, s, beta = point
        k, A, B = r + pair_x, alpha + pair_age, beta + pair_age
        lapse = lapse_with_slopes(k, np.full(k.size, s), A, B)
        # Relative to alpha and beta, so that large ones do not drown the rest.
        log_A, log_B = np.log1p(pair_age / alpha), np.log1p(pair_age / beta)
        hazard = k * log_A + s * log_B
        hazard_then = hazard[then]
        gap = np.exp(hazard_then - hazard[today])
        later = (1 - lapse.q[today]) * gap
        silence = lapse.q[then] + later
        value = (
            (count_shares * (gammaln(r + counts) - gammaln(r))).sum()
            - mean_x * np.log(alpha)
            + (shares * (np.log(silence) - hazard_then)).sum()
        )
        share = shares / silence
        by_q = per_pair(then, share) - per_pair(today, share * gap)
        by_hazard = per_pair(then, share * later - shares) - per_pair(today, share * later)
        by_r = (count_shares * (digamma(r + counts) - digamma(r))).sum()
        by_r += (by_q * lapse.by_r + by_hazard * log_A).sum()
        by_alpha = (by_q * lapse.by_alpha - by_hazard * k * pair_age / (alpha * A)).sum()
        by_s = (by_q * lapse.by_s + by_hazard * log_B).sum()
        by_beta = (by_q * lapse.by_beta - by_hazard * s * pair_age / (beta * B)).sum()
        gradient = np.array([by_r, by_alpha - mean_x / alpha, by_s, by_beta])
        return float(value), gradient * point

    return evaluate


def _starts(columns: Columns, weights: Floats) -> list[Floats]:
    # A buyer's mean rate is r / alpha; who leaves early hides it, so higher ones are tried as well.
    age = mean_age(columns, weights)
    exposure = np.sum(weights * columns["T"])
    rate = np.sum(weights * columns["x"]) / exposure if exposure > 0 else 0.0
    rate = max(rate, 1e-9 / age)
    return [
        np.array([0.5, 0.3 / rate, 0.5, 0.5 * age]),
        np.array([1.0, 0.3 / rate, 1.0, 0.5 * age]),
        np.array([1.0, 1.0 / rate, 0.3, 3.0 * age]),
        # A second maximum: few leave, but some of them almost at once.
        np.array([0.5, 0.5 / rate, 0.05, 1e-3 * age]),
    ]


def _box(columns: Columns, weights: Floats) -> tuple[Floats, Floats]:
    low, high = SHAPE_LIMITS
    age = mean_age(columns, weights)
    return np.array([low, 1e-7 * age] * 2), np.array([high, 1e9 * age] * 2)


def _coarsen(columns: Columns) -> Columns:
    return coarsened(columns, COARSE_STEPS)


MODEL = Model(
    name="pareto_nbd",
    parameters=PARAMETERS,
    read=read_patterns,
    likelihood=_likelihood,
    starts=_starts,
    box=_box,
    caveat=caveat_without_repeats,
    coarsen=_coarsen,
)
