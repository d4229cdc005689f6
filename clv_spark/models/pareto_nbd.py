"""Pareto/NBD: how often customers come back, and whether they are still customers at all.

While alive a customer buys at random with a rate that is Gamma(r, alpha) distributed over
customers, and leaves for good, unseen and at any time, at a rate that is Gamma(s, beta)
distributed. Unlike in the BG/NBD a customer without a repeat purchase may have left, too.
Schmittlein, Morrison and Colombo (1987), Management Science 33(1); equations of Hardie's note 009.

Letters of the papers: x repeat purchases, t_x time from first to last purchase, T time from first
purchase to today, t a future period; all in the time unit in which the model was fitted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from clv_spark.models.arrays import Floats, Parameters
from clv_spark.models.model import Forecast
from clv_spark.models.pareto_forecast import (
    count_given_alive,
    discounted_survival,
    expected_given_alive,
    forecast_given_alive,
)
from clv_spark.models.pareto_nbd_likelihood import MODEL, broadcast, log_likelihood, log_silence
from clv_spark.models.purchase_patterns import require_discounting
from clv_spark.models.rhythm import purchase_interval

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
    """Probability of still being a customer at T + t, given the past up to T.

    Note 009, eqs. 36 and 37, as one probability over another: silent and alive over silent. Those
    alive at T are still alive at T + t with probability ((beta + T) / (beta + T + t))^s.

    Example:
        >>> params = {"r": 0.55, "alpha": 10.58, "s": 0.61, "beta": 11.67}
        >>> probability_alive(params, [2, 0], [30.43, 0], [38.86, 38.86]).round(4).tolist()
        [0.8684, 0.2938]
    """
    r, alpha, s, beta, x, t_x, T, t = broadcast(params, x, t_x, T, t)
    k, A, B = r + x, alpha + t_x, beta + t_x
    silent_and_alive = -k * np.log1p((T - t_x) / A) - s * np.log1p((T - t_x) / B)
    stays = -s * np.log1p(t / (beta + T))
    # A last digit must not lift it above one.
    return np.exp(np.minimum(silent_and_alive - log_silence(k, s, A, B, T - t_x), 0.0) + stays)


def expected_purchases(
    params: Parameters, t: ArrayLike, x: ArrayLike, t_x: ArrayLike, T: ArrayLike
) -> Floats:
    """Expected number of purchases in (T, T + t] (CET), given the past.

    Note 009, eq. 41: the probability of being alive times the expectation given alive.

    Example:
        >>> params = {"r": 0.55, "alpha": 10.58, "s": 0.61, "beta": 11.67}
        >>> expected_purchases(params, 39, [2, 0], [30.43, 0], [38.86, 38.86]).round(4).tolist()
        [1.4504, 0.1058]
    """
    r, alpha, s, beta, t, x, t_x, T = broadcast(params, t, x, t_x, T)
    alive = probability_alive(params, x, t_x, T)
    return alive * expected_given_alive(r + x, s, alpha + T, beta + T, t)


def expected_purchases_new(params: Parameters, t: ArrayLike) -> Floats:
    """Expected number of repeat purchases of a new customer in (0, t], E[X(t)].

    Note 009, eq. 27.

    Example:
        >>> params = {"r": 0.55, "alpha": 10.58, "s": 0.61, "beta": 11.67}
        >>> expected_purchases_new(params, [0.0, 52.0]).round(3).tolist()
        [0.0, 1.459]
    """
    r, alpha, s, beta, t = broadcast(params, t)
    return expected_given_alive(r, s, alpha, beta, t)


def purchases_pmf(
    params: Parameters, t: ArrayLike, n: ArrayLike, x: ArrayLike, t_x: ArrayLike, T: ArrayLike
) -> Floats:
    """Probability of exactly n purchases in (T, T + t], given the past.

    Hardie's note 028. Who is alive at T is a customer with other parameters, r + x, alpha + T, s
    and beta + T; who is not makes no purchase.

    Example:
        >>> params = {"r": 0.55, "alpha": 10.58, "s": 0.61, "beta": 11.67}
        >>> purchases_pmf(params, 39.0, [0, 1, 2], 2, 30.43, 38.86).round(4).tolist()
        [0.4094, 0.2192, 0.1514]
    """
    r, alpha, s, beta, t, n, x, t_x, T = broadcast(params, t, n, x, t_x, T)
    alive = probability_alive(params, x, t_x, T)
    lost = np.where(n == 0, 1 - alive, 0.0)
    return alive * _count(r + x, s, alpha + T, beta + T, t, n) + lost


def purchases_pmf_new(params: Parameters, t: ArrayLike, n: ArrayLike) -> Floats:
    """Probability that a new customer makes exactly n repeat purchases in (0, t].

    Hardie's note 012.

    Example:
        >>> params = {"r": 0.55, "alpha": 10.58, "s": 0.61, "beta": 11.67}
        >>> purchases_pmf_new(params, 39.0, [0, 1, 2]).round(4).tolist()
        [0.596, 0.1651, 0.082]
    """
    r, alpha, s, beta, t, n = broadcast(params, t, n)
    return _count(r, s, alpha, beta, t, n)


def probability_active(
    params: Parameters, t: ArrayLike, x: ArrayLike, t_x: ArrayLike, T: ArrayLike
) -> Floats:
    """Probability of at least one purchase in (T, T + t], given the past.

    Example:
        >>> params = {"r": 0.55, "alpha": 10.58, "s": 0.61, "beta": 11.67}
        >>> float(probability_active(params, 39, 2, 30.43, 38.86).round(4))
        0.5906
    """
    r, alpha, s, beta, t, x, t_x, T = broadcast(params, t, x, t_x, T)
    none = log_silence(r + x, s, alpha + T, beta + T, t)
    return probability_alive(params, x, t_x, T) * -np.expm1(np.minimum(none, 0.0))


def discounted_expected_purchases(
    params: Parameters,
    discount_rate: float,
    horizon: float,
    x: ArrayLike,
    t_x: ArrayLike,
    T: ArrayLike,
) -> Floats:
    """Expected purchases, each weighed by exp(-discount_rate s) at its time s ahead.

    Times the margin of a purchase this is the customer's value. Without horizon it is the DERT of
    Fader, Hardie and Lee (2005), JMR 42, eq. 2.

    Args:
        params: r, alpha, s, beta.
        discount_rate: Continuous rate per time unit, for a yearly rate d and weeks ln(1 + d) 7/365.
        horizon: Time units ahead; ``math.inf`` needs a discount rate above zero.
        x: Repeat purchases.
        t_x: Time from first to last purchase.
        T: Time from first purchase to today.

    Raises:
        InputError: Negative rate or horizon, or no horizon and no discount.

    Example:
        >>> params = {"r": 0.55, "alpha": 10.58, "s": 0.61, "beta": 11.67}
        >>> float(discounted_expected_purchases(params, 0.00183, 52.0, 2, 30.43, 38.86).round(4))
        1.7652
    """
    require_discounting(discount_rate, horizon)
    r, alpha, s, beta, x, t_x, T = broadcast(params, x, t_x, T)
    A, B = alpha + T, beta + T
    times = [] if np.isinf(horizon) else [float(horizon)]
    parts = discounted_survival(s.ravel(), B.ravel(), times, discount_rate)
    # The first is up to the horizon, or without end where there is none.
    discounted = parts[0].once.reshape(B.shape)
    return probability_alive(params, x, t_x, T) * (r + x) / A * discounted


def forecast_if_alive(
    params: Parameters,
    times: Sequence[float],
    discount_rate: float,
    x: Floats,
    T: Floats,
    *,
    endless: bool = True,
) -> Forecast:
    """Forecasts purchases under the condition that the customers are alive at T.

    Example:
        >>> params = {"r": 0.55, "alpha": 10.58, "s": 0.61, "beta": 11.67}
        >>> forecast = forecast_if_alive(params, [39.0], 0.0, np.array([2.0]), np.array([38.86]))
        >>> float((forecast.expected * probability_alive(params, 2, 30.43, 38.86)).round(4)[0, 0])
        1.4504
    """
    return forecast_given_alive(params, times, discount_rate, x, T, endless=endless)


def staying_if_alive(params: Parameters, times: Sequence[float], x: Floats, T: Floats) -> Floats:
    """Probability that who is alive today still is some time units ahead.

    ((beta + T) / (beta + T + t))^s; how often somebody buys makes no difference.

    Args:
        params: r, alpha, s, beta; each a float or one value per customer.
        times: Time units ahead, in the unit of beta.
        x: Repeat purchases so far, one-dimensional.
        T: Time from first purchase to today, one-dimensional.

    Returns:
        One row per time, one column per customer.

    Example:
        >>> params = {"r": 0.55, "alpha": 10.58, "s": 0.61, "beta": 11.67}
        >>> staying_if_alive(params, [39.0], np.zeros(1), np.zeros(1)).round(4).tolist()
        [[0.4083]]
    """
    _, _, s, beta, _, T = broadcast(params, x, T)
    steps = np.array(times, dtype=np.float64)[:, np.newaxis]
    staying: Floats = np.exp(-s * np.log1p(steps / (beta + T)))
    return staying


def _count(k: Floats, s: Floats, A: Floats, B: Floats, t: Floats, n: Floats) -> Floats:
    flat = (np.ravel(column) for column in (k, s, A, B, t, n))
    return count_given_alive(*flat).reshape(k.shape)
