"""BG/BB: who comes back, where purchases happen at opportunities one can count.

At every opportunity, say every day, a living customer buys with a chance p that is
Beta(alpha, beta) distributed over customers, and before every opportunity the customer may leave
for good, with a chance theta that is Beta(gamma, delta) distributed. Fader, Hardie and Shang
(2010), Marketing Science 29(6), here [1].

Letters of the paper: x purchases after the first one, t_x the opportunity of the last of them,
T (n in the paper) opportunities so far, t (n*) opportunities ahead; whole numbers. Where t or T is
not whole it is rounded down: an opportunity counts once it has come.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, gammaln

from clv_spark.errors import InputError
from clv_spark.models.arrays import Floats, Parameters
from clv_spark.models.bg_bb_far import log_falling
from clv_spark.models.bg_bb_given_alive import forecast_if_alive
from clv_spark.models.bg_bb_likelihood import (
    MODEL,
    PARAMETERS,
    letters,
    log_likelihood,
    log_odds_of_loss,
)
from clv_spark.models.purchase_patterns import require_discounting

# Beyond this many units of 1 / discount rate the weight e^-40 is negligible.
NEGLIGIBLE = 40.0
# Horizons looked at together; more need more memory.
TIMES = 64
# Opportunities that a probability of n purchases adds up at most, and numbers of them at once.
MOST_STEPS, STEPS = 10_000_000, 8_192

__all__ = [
    "MODEL",
    "discounted_expected_purchases",
    "expected_purchases",
    "expected_purchases_new",
    "forecast_if_alive",
    "log_likelihood",
    "probability_active",
    "probability_alive",
    "purchase_interval",
    "purchases_pmf",
    "purchases_pmf_new",
    "staying_if_alive",
]


def probability_alive(
    params: Parameters, x: ArrayLike, t_x: ArrayLike, T: ArrayLike, t: ArrayLike = 0.0
) -> Floats:
    """Probability that the customer is still a customer at opportunity T + t.

    There are two conventions. With t = 0 it is "alive at n", which is certain for who bought at the
    last opportunity; with t = 1 it is "alive at n + 1" as in [1] eq. 11 and in BTYD, which allows
    for the chance to leave before the next opportunity.

    Example:
        >>> params = {"alpha": 1.204, "beta": 0.750, "gamma": 0.657, "delta": 2.783}
        >>> probability_alive(params, [2, 6], [4, 6], 6).round(4).tolist()
        [0.6336, 1.0]
        >>> probability_alive(params, [2, 6], [4, 6], 6, 1).round(4).tolist()
        [0.5895, 0.9304]
    """
    today: Floats = expit(-log_odds_of_loss(params, x, t_x, T))
    return today * _stays(params, _opportunities(T), _opportunities(t))


def expected_purchases(
    params: Parameters, t: ArrayLike, x: ArrayLike, t_x: ArrayLike, T: ArrayLike
) -> Floats:
    """Expected number of purchases at the next t opportunities (CET), given the past.

    [1] eq. 13, as the probability of being alive times the sum of the chances given alive: the
    closed form is 0/0 at gamma = 1.

    Example:
        >>> params = {"alpha": 1.204, "beta": 0.750, "gamma": 0.657, "delta": 2.783}
        >>> expected_purchases(params, 10, [0, 4], [0, 5], 6).round(4).tolist()
        [0.1301, 3.6271]
    """
    return probability_alive(params, x, t_x, T) * _if_alive("expected", params, t, x, T)


def expected_purchases_new(params: Parameters, t: ArrayLike) -> Floats:
    """Expected number of repeat purchases of a new customer at the first t opportunities.

    [1] eq. 8.

    Example:
        >>> params = {"alpha": 1.204, "beta": 0.750, "gamma": 0.657, "delta": 2.783}
        >>> expected_purchases_new(params, [1, 6]).round(4).tolist()
        [0.4985, 2.2196]
    """
    return _if_alive("expected", params, t, 0.0, 0.0)


def probability_active(
    params: Parameters, t: ArrayLike, x: ArrayLike, t_x: ArrayLike, T: ArrayLike
) -> Floats:
    """Probability of at least one purchase at the next t opportunities.

    Example:
        >>> params = {"alpha": 1.204, "beta": 0.750, "gamma": 0.657, "delta": 2.783}
        >>> float(probability_active(params, 5, 6, 6, 6).round(4))
        0.9232
    """
    return probability_alive(params, x, t_x, T) * (1 - _if_alive("none", params, t, x, T))


def purchase_interval(params: Parameters, x: ArrayLike, t_x: ArrayLike) -> Floats:
    """Expected opportunities from one purchase to the next of a customer, as known at the last one.

    One over the mean of p, which is Beta(alpha + x, beta + t_x - x) distributed then ([1] section
    3): the silence since does not stretch it.

    Example:
        >>> params = {"alpha": 1.204, "beta": 0.750, "gamma": 0.657, "delta": 2.783}
        >>> purchase_interval(params, [0, 2], [0, 4]).round(4).tolist()
        [1.6229, 1.8583]
    """
    alpha, beta, _, _ = letters(params)
    interval: Floats = (alpha + beta + np.asarray(t_x)) / (alpha + np.asarray(x))
    return interval


def purchases_pmf(
    params: Parameters, t: ArrayLike, n: ArrayLike, x: ArrayLike, t_x: ArrayLike, T: ArrayLike
) -> Floats:
    """Probability of exactly n purchases at the next t opportunities, given the past.

    [1] eq. 12. A customer who is alive is like a new one with other parameters.

    Raises:
        InputError: More than ten million opportunities beyond the n purchases.

    Example:
        >>> params = {"alpha": 1.204, "beta": 0.750, "gamma": 0.657, "delta": 2.783}
        >>> purchases_pmf(params, 2, [0, 1, 2], 2, 4, 6).round(4).tolist()
        [0.6445, 0.251, 0.1045]
    """
    alpha, beta, gamma, delta = letters(params)
    x, T = np.asarray(x, dtype=np.float64), _opportunities(T)
    later = {"alpha": alpha + x, "beta": beta + T - x, "gamma": gamma, "delta": delta + T}
    alive = probability_alive(params, x, t_x, T)
    pmf = purchases_pmf_new(later, t, n)
    lost = np.where(np.asarray(n) == 0, 1 - alive, 0.0)
    return alive * pmf + lost


def purchases_pmf_new(params: Parameters, t: ArrayLike, n: ArrayLike) -> Floats:
    """Probability that a new customer makes exactly n repeat purchases at t opportunities.

    [1] eq. 7: a sum over the opportunity after which the customer leaves.

    Raises:
        InputError: More than ten million opportunities beyond the n purchases.

    Example:
        >>> params = {"alpha": 1.204, "beta": 0.750, "gamma": 0.657, "delta": 2.783}
        >>> (11104 * purchases_pmf_new(params, 6, [0, 6])).round(0).tolist()
        [3456.0, 1252.0]
    """
    columns = np.broadcast_arrays(
        *letters(params), _opportunities(t), np.asarray(n, dtype=np.float64)
    )
    alpha, beta, gamma, delta, t, n = (np.ravel(column) for column in columns)
    possible = (n >= 0) & (n <= t) & (n == np.floor(n))
    n = np.where(possible, n, 0.0)
    furthest = float(np.max(np.where(possible, t - n, 0.0), initial=0.0))
    if furthest > MOST_STEPS:
        raise InputError(
            f"purchases_pmf of the BG/BB adds up t - n opportunities, at most {MOST_STEPS:,}; "
            f"found {furthest:,.0f}. So far ahead take expected_purchases and probability_active."
        )
    # Logarithm of the chance of n purchases at j opportunities times that to see j of them.
    log_term = gammaln(alpha + n) - gammaln(alpha) - gammaln(alpha + beta + n)
    log_term += gammaln(alpha + beta) + gammaln(delta + n) - gammaln(delta)
    log_term -= gammaln(gamma + delta + n) - gammaln(gamma + delta)

    def terms_at(j: Floats, logs: Floats) -> Floats:
        leaves = np.where(j < t, gamma / (gamma + delta + j), 1.0)
        return np.where(possible & (j <= t), np.exp(np.minimum(logs, 0.0)) * leaves, 0.0)

    pmf, at_once = terms_at(n, log_term), max(1, STEPS // max(n.size, 1))
    for first in range(1, int(furthest) + 1, at_once):
        step = np.arange(first, min(first + at_once, furthest + 1.0))[:, np.newaxis]
        before = n + (step - 1)
        rises = (before + 1) / step * (beta + (step - 1)) / (alpha + beta + before)
        rises *= (delta + before) / (gamma + delta + before)
        logs = _running(log_term, np.log(rises))
        pmf = _running(pmf, terms_at(before + 1, logs))[-1]
        log_term = logs[-1]
    return pmf.reshape(columns[0].shape)


def _running(total: Floats, rows: Floats) -> Floats:
    """Adds up the rows one by one, so that it does not matter how many come at once."""
    rows[0] += total
    if len(rows) > 1:
        np.cumsum(rows, axis=0, out=rows)
    return rows


def discounted_expected_purchases(
    params: Parameters,
    discount_rate: float,
    horizon: float,
    x: ArrayLike,
    t_x: ArrayLike,
    T: ArrayLike,
) -> Floats:
    """Expected purchases, each weighed by exp(-discount_rate s) if it is s opportunities ahead.

    Without horizon this is [1] eq. 14 (DERT), whose discount rate d per opportunity is
    exp(discount_rate) - 1: there, too, the next opportunity is discounted once.

    Args:
        params: alpha, beta, gamma, delta.
        discount_rate: Continuous rate per opportunity.
        horizon: Opportunities ahead; ``math.inf`` needs a discount rate above zero.
        x: Purchases after the first one.
        t_x: Opportunity of the last purchase.
        T: Opportunities so far.

    Raises:
        InputError: Negative rate or horizon, or no horizon and no discount.

    Example:
        >>> params = {"alpha": 1.20, "beta": 0.75, "gamma": 0.66, "delta": 2.78}
        >>> value = discounted_expected_purchases(params, np.log(1.1), np.inf, 3, 4, 6)
        >>> float(value.round(4))
        1.6214
    """
    require_discounting(discount_rate, horizon)
    alive = probability_alive(params, x, t_x, T)
    x, T = np.asarray(x, dtype=np.float64), np.asarray(T, dtype=np.float64)
    columns = np.broadcast_arrays(x, T, *letters(params), alive)[:-1]
    x_flat, T_flat, *shapes = (np.ravel(column) for column in columns)
    flat = dict(zip(PARAMETERS, shapes, strict=True))
    # What lies so far ahead weighs nothing, but to add it up would take long.
    endless = horizon * discount_rate > NEGLIGIBLE
    times = [] if endless else [horizon]
    forecast = forecast_if_alive(flat, times, discount_rate, x_flat, T_flat)
    values = forecast.residual if endless else forecast.discounted[-1]
    return alive * np.reshape(cast(Floats, values), columns[0].shape)


def staying_if_alive(params: Parameters, times: Sequence[float], x: Floats, T: Floats) -> Floats:
    """Probability that who is alive today still is some time units ahead.

    B(gamma, delta + n + t) / B(gamma, delta + n) at whole opportunities.

    Args:
        params: alpha, beta, gamma, delta; each a float or one value per customer.
        times: Opportunities ahead, rounded down.
        x: Purchases so far, one-dimensional.
        T: Opportunities so far, one-dimensional.

    Returns:
        One row per time, one column per customer.

    Example:
        >>> params = {"alpha": 1.204, "beta": 0.750, "gamma": 0.657, "delta": 2.783}
        >>> staying_if_alive(params, [1, 2.9], np.zeros(1), np.zeros(1)).round(4).tolist()
        [[0.809], [0.6893]]
    """
    n, _ = np.broadcast_arrays(_opportunities(T), x)
    return _stays(params, n, _opportunities(times)[:, np.newaxis])


def _stays(params: Parameters, n: Floats, t: Floats) -> Floats:
    """Probability that who is alive at opportunity n still is at n + t."""
    _, _, gamma, delta = letters(params)
    staying: Floats = np.exp(log_falling(delta + n, gamma, t))
    return staying


def _if_alive(
    what: Literal["expected", "none"], params: Parameters, t: ArrayLike, x: ArrayLike, T: ArrayLike
) -> Floats:
    """One part of the forecast, where every customer may look another time ahead."""
    columns = np.broadcast_arrays(
        _opportunities(t), *(np.asarray(v, dtype=np.float64) for v in (x, T)), *letters(params)
    )
    t_flat, x_flat, T_flat, *shapes = (np.ravel(column) for column in columns)
    values = np.zeros(t_flat.size)
    times = np.unique(t_flat)
    for first in range(0, times.size, TIMES):
        some = times[first : first + TIMES]
        rows = np.flatnonzero((t_flat >= some[0]) & (t_flat <= some[-1]))
        flat = {name: v[rows] for name, v in zip(PARAMETERS, shapes, strict=True)}
        forecast = forecast_if_alive(flat, some.tolist(), 0.0, x_flat[rows], T_flat[rows])
        part = forecast.expected if what == "expected" else forecast.none
        values[rows] = part[np.searchsorted(some, t_flat[rows]), np.arange(rows.size)]
    return values.reshape(columns[0].shape)


def _opportunities(times: ArrayLike) -> Floats:
    whole: Floats = np.floor(np.asarray(times, dtype=np.float64))
    return whole
