"""BG/NBD: how often customers come back, and whether they are still customers at all.

While alive a customer buys at random with a rate that is Gamma(r, alpha) distributed over
customers; after each repeat purchase the customer leaves for good with a probability that is
Beta(a, b) distributed. Fader, Hardie and Lee (2005), Marketing Science 24(2), here [1].

Letters of the papers: x repeat purchases, t_x time from first to last purchase, T time from first
purchase to today, t a future period; all in the time unit in which the model was fitted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from clv_spark.models import given_alive
from clv_spark.models.arrays import Floats, Parameters
from clv_spark.models.bg_nbd_likelihood import MODEL, letters, log_likelihood, log_odds_of_loss
from clv_spark.models.dropout_curves import Living
from clv_spark.models.model import Forecast
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
    """Probability that the customer is still a customer t time units from today.

    Today it is always 1 for x = 0: the model lets customers leave only after a repeat purchase.
    Hardie's note 021, as the logistic function of log-odds, which neither over- nor underflows;
    times the probability E[(1 + p t / (alpha + T))^-(r + x)] that a living customer stays.

    Example:
        >>> params = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
        >>> probability_alive(params, [2, 0], [30.43, 0], [38.86, 38.86]).round(6).tolist()
        [0.726579, 1.0]
        >>> probability_alive(params, [2, 0], [30.43, 0], [38.86, 38.86], 39.0).round(4).tolist()
        [0.5671, 0.9556]
    """
    x, t_x, T, t = _doubles(x, t_x, T, t)
    today: Floats = expit(-log_odds_of_loss(params, x, t_x, T))
    return today * given_alive.staying_if_alive(_living(params, x, T), t)


def expected_purchases(
    params: Parameters, t: ArrayLike, x: ArrayLike, t_x: ArrayLike, T: ArrayLike
) -> Floats:
    """Expected number of purchases in the next t time units (CET), given the past.

    [1] eq. 10, as the probability of being alive times the expectation given alive.

    Example:
        >>> params = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
        >>> expected_purchases(params, 39, [2, 0], [30.43, 0], [38.86, 38.86]).round(6).tolist()
        [1.226028, 0.195098]
    """
    alive = probability_alive(params, x, t_x, T)
    return alive * given_alive.expected_if_alive(_living(params, x, T), *_doubles(t))


def expected_purchases_new(params: Parameters, t: ArrayLike) -> Floats:
    """Expected number of repeat purchases of a new customer in the first t time units, E[X(t)].

    [1] eq. 9; a customer with x = 0 and T = 0 is alive for certain.

    Example:
        >>> params = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
        >>> expected_purchases_new(params, [0.0, 52.0]).round(3).tolist()
        [0.0, 1.446]
    """
    return given_alive.expected_if_alive(_living(params, 0.0, 0.0), *_doubles(t))


def probability_active(
    params: Parameters, t: ArrayLike, x: ArrayLike, t_x: ArrayLike, T: ArrayLike
) -> Floats:
    """Probability of at least one purchase in the next t time units.

    A living customer's first purchase comes before any chance to leave, so this is P(alive) times
    the NBD probability of at least one purchase (Hardie's note 039).

    Example:
        >>> params = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
        >>> float(probability_active(params, 39, 0, 0, 38.86).round(6))
        0.144551
    """
    some = given_alive.some_if_alive(_living(params, x, T), *_doubles(t))
    return probability_alive(params, x, t_x, T) * some


def purchases_pmf(
    params: Parameters,
    t: ArrayLike,
    n: ArrayLike,
    x: ArrayLike,
    t_x: ArrayLike,
    T: ArrayLike,
) -> Floats:
    """Probability of exactly n purchases in the next t time units, given the past.

    A living customer is a new one with r + x, alpha + T, a, b + x; who has left buys nothing.

    Example:
        >>> params = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
        >>> purchases_pmf(params, 39.0, [0, 1], 2, 30.43, 38.86).round(6).tolist()
        [0.445373, 0.239319]
    """
    alive = probability_alive(params, x, t_x, T)
    t, n = _doubles(t, n)
    lost = np.where(n == 0, 1 - alive, 0.0)
    return alive * given_alive.pmf_if_alive(_living(params, x, T), t, n) + lost


def purchases_pmf_new(params: Parameters, t: ArrayLike, n: ArrayLike) -> Floats:
    """Probability that a new customer makes exactly n repeat purchases in t time units.

    Hardie's note 029 / [1] eq. 8.

    Example:
        >>> params = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
        >>> purchases_pmf_new(params, 39.0, [0, 1]).round(6).tolist()
        [0.573786, 0.199395]
    """
    return given_alive.pmf_if_alive(_living(params, 0.0, 0.0), *_doubles(t, n))


def discounted_expected_purchases(
    params: Parameters,
    discount_rate: float,
    horizon: float,
    x: ArrayLike,
    t_x: ArrayLike,
    T: ArrayLike,
) -> Floats:
    """Expected purchases, each weighed by exp(-discount_rate s) at its time s ahead.

    Times the margin of a purchase this is the customer's value. The integral of the discounted
    purchase rate, as in Fader, Hardie and Lee (2005), JMR 42, eq. 2, for the BG/NBD.

    Args:
        params: r, alpha, a, b.
        discount_rate: Continuous rate per time unit, for a yearly rate d and weeks ln(1 + d) 7/365.
        horizon: Time units ahead; ``math.inf`` needs a discount rate above zero.
        x: Repeat purchases.
        t_x: Time from first to last purchase.
        T: Time from first purchase to today.

    Raises:
        InputError: Negative rate or horizon, or no horizon and no discount.

    Example:
        >>> params = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
        >>> float(discounted_expected_purchases(params, 0.00183, 52.0, 2, 30.43, 38.86).round(4))
        1.4919
    """
    given = given_alive.discounted_if_alive(_living(params, x, T), discount_rate, horizon)
    return probability_alive(params, x, t_x, T) * given


def forecast_if_alive(
    params: Parameters,
    times: Sequence[float],
    discount_rate: float,
    x: Floats,
    T: Floats,
    *,
    endless: bool = True,
) -> Forecast:
    """What customers will buy who are alive today.

    Args:
        params: r, alpha, a, b; each a float or one value per customer.
        times: Ascending horizons in the time unit of alpha.
        discount_rate: Continuous rate per time unit; not negative.
        x: Repeat purchases, one-dimensional.
        T: Time from first purchase to today, one-dimensional.
        endless: Whether the residual is wanted, which costs as much as the rest.

    Example:
        >>> params = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
        >>> forecast = forecast_if_alive(params, [39.0], 0.0, np.zeros(1), np.array([38.86]))
        >>> forecast.expected.round(6).tolist(), forecast.none.round(6).tolist()
        ([[0.195098]], [[0.855449]])
    """
    return given_alive.forecast(_living(params, x, T), times, discount_rate, endless=endless)


def staying_if_alive(params: Parameters, times: Sequence[float], x: Floats, T: Floats) -> Floats:
    """Probability that who is alive today still is some time units ahead.

    E[(1 + p t / (alpha + T))^-(r + x)] over the dropout probability p.

    Args:
        params: r, alpha, a, b; each a float or one value per customer.
        times: Time units ahead, in the unit of alpha.
        x: Repeat purchases so far, one-dimensional.
        T: Time from first purchase to today, one-dimensional.

    Returns:
        One row per time, one column per customer.

    Example:
        >>> params = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
        >>> staying_if_alive(params, [39.0], np.zeros(1), np.zeros(1)).round(4).tolist()
        [[0.7944]]
    """
    return given_alive.staying_until(_living(params, x, T), times)


def _living(params: Parameters, x: ArrayLike, T: ArrayLike) -> Living:
    r, alpha, a, b = letters(params)
    x, T = _doubles(x, T)
    return Living(k=r + x, A=alpha + T, a=a, b=b + x)


def _doubles(*values: ArrayLike) -> tuple[Floats, ...]:
    return tuple(np.asarray(value, dtype=np.float64) for value in values)
