"""BG/NBD: how often customers come back, and whether they are still customers at all.

While alive a customer buys at random with a rate that is Gamma(r, alpha) distributed over
customers; after each repeat purchase the customer leaves for good with a probability that is
Beta(a, b) distributed. Fader, Hardie and Lee (2005), Marketing Science 24(2), here [1].

Letters of the papers: x repeat purchases, t_x time from first to last purchase, T time from first
purchase to today, t a future period; all in the time unit in which the model was fitted.
"""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betainc, betaln, expit, gammaln

from clv_spark.errors import InputError
from clv_spark.models.arrays import Floats, Parameters
from clv_spark.models.bg_nbd_likelihood import (
    MODEL,
    PARAMETERS,
    letters,
    log_likelihood,
    log_odds_of_loss,
)
from clv_spark.models.given_alive import NEGLIGIBLE, forecast_given_alive

__all__ = [
    "MODEL",
    "discounted_expected_purchases",
    "expected_purchases",
    "expected_purchases_new",
    "log_likelihood",
    "probability_active",
    "probability_alive",
    "purchases_pmf_new",
]


def probability_alive(params: Parameters, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Floats:
    """Probability that the customer is still a customer today.

    Always 1 for x = 0: the model lets customers leave only after a repeat purchase. Hardie's note
    021, as the logistic function of log-odds, which neither over- nor underflows.

    Example:
        >>> params = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
        >>> probability_alive(params, [2, 0], [30.43, 0], [38.86, 38.86]).round(6).tolist()
        [0.726579, 1.0]
    """
    x, t_x, T = _doubles(x, t_x, T)
    alive: Floats = expit(-log_odds_of_loss(params, x, t_x, T))
    return alive


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
    return alive * _expected_if_alive(params, t, x, T)


def expected_purchases_new(params: Parameters, t: ArrayLike) -> Floats:
    """Expected number of repeat purchases of a new customer in the first t time units, E[X(t)].

    [1] eq. 9; a customer with x = 0 and T = 0 is alive for certain.

    Example:
        >>> params = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
        >>> expected_purchases_new(params, [0.0, 52.0]).round(3).tolist()
        [0.0, 1.446]
    """
    return _expected_if_alive(params, t, 0.0, 0.0)


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
    r, alpha, _, _ = letters(params)
    t, x, T = _doubles(t, x, T)
    some = -np.expm1(-(r + x) * np.log1p(t / (alpha + T)))
    return probability_alive(params, x, t_x, T) * some


def purchases_pmf_new(params: Parameters, t: ArrayLike, n: ArrayLike) -> Floats:
    """Probability that a new customer makes exactly n repeat purchases in t time units.

    Hardie's note 029 / [1] eq. 8; the finite sum in it is one minus the NBD's upper tail, which is
    a regularised incomplete beta function.

    Example:
        >>> params = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
        >>> purchases_pmf_new(params, 39.0, [0, 1]).round(6).tolist()
        [0.573786, 0.199395]
    """
    r, alpha, a, b = letters(params)
    t, n = np.broadcast_arrays(*_doubles(t, n))
    repeats = np.maximum(n, 1.0)
    log_count = gammaln(r + n) - gammaln(r) - gammaln(n + 1) - r * np.log1p(t / alpha)
    # 0 * log(0) is 0 here: no time and no purchase has probability one.
    log_time = np.where(n > 0, n * np.log(np.where(t > 0, t, 1.0) / (alpha + t)), 0.0)
    stays = np.where((n > 0) & (t <= 0), 0.0, np.exp(log_count + log_time))
    stays = stays * np.exp(betaln(a, b + n) - betaln(a, b))
    leaves = np.exp(betaln(a + 1, b + repeats - 1) - betaln(a, b))
    leaves = np.where(n > 0, leaves * betainc(repeats, r, t / (alpha + t)), 0.0)
    return cast(Floats, stays + leaves)


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
    if not (discount_rate >= 0 and horizon >= 0):
        raise InputError(f"discount_rate {discount_rate} and horizon {horizon} must be >= 0.")
    if np.isinf(horizon) and discount_rate == 0:
        raise InputError("Value without horizon is infinite without a discount rate above zero.")
    alive = probability_alive(params, x, t_x, T)
    columns = np.broadcast_arrays(*_doubles(x, T, *letters(params)), alive)[:-1]
    x_flat, T_flat, *shapes = (np.ravel(column) for column in columns)
    flat = dict(zip(PARAMETERS, shapes, strict=True))
    endless = horizon * discount_rate > NEGLIGIBLE
    times = [] if endless else _in_two_steps(float(horizon))
    forecast = forecast_given_alive(flat, times, discount_rate, x_flat, T_flat)
    values = forecast.residual if forecast.residual is not None and endless else None
    values = forecast.discounted[-1] if values is None else values
    return alive * values.reshape(columns[0].shape)


def _expected_if_alive(params: Parameters, t: ArrayLike, x: ArrayLike, T: ArrayLike) -> Floats:
    columns = np.broadcast_arrays(*_doubles(t, x, T, *letters(params)))
    t_flat, x_flat, T_flat, *shapes = (np.ravel(column) for column in columns)
    expected = np.zeros(t_flat.size)
    for time in np.unique(t_flat).tolist():
        rows = t_flat == time
        flat = {name: v[rows] for name, v in zip(PARAMETERS, shapes, strict=True)}
        steps = _in_two_steps(time)
        forecast = forecast_given_alive(flat, steps, 0.0, x_flat[rows], T_flat[rows])
        expected[rows] = forecast.expected[-1]
    return expected.reshape(columns[0].shape)


def _in_two_steps(time: float) -> list[float]:
    # Purchases come thick at first and thin later; two panels keep long periods accurate.
    return [time / 10, time]


def _doubles(*values: ArrayLike) -> tuple[Floats, ...]:
    return tuple(np.asarray(value, dtype=np.float64) for value in values)
