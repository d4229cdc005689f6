"""Forecasts given alive against independent methods, and bit for bit against themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import betaln, expit, hyp2f1

from clv_spark.errors import InputError
from clv_spark.models import bg_nbd, mbg_nbd
from clv_spark.models.bg_nbd import forecast_if_alive
from clv_spark.models.dropout_curves import Living
from clv_spark.models.given_alive import forecast
from clv_spark.models.quadrature import beta_rule

NAMES = ("r", "alpha", "a", "b")
CDNOW = dict(zip(NAMES, (0.2426, 4.4136, 0.7929, 2.4259), strict=True))
DELTA = math.log(1.1) * 7 / 365
TIMES = [30 / 7, 90 / 7, 365 / 7]
PARAMETERS = [
    (0.2426, 4.4136, 0.7929, 2.4259),
    (0.25, 0.5, 0.8, 2.4),
    (0.5, 5.0, 2.0, 1.0),
    (0.8, 2.0, 0.1, 0.5),
    (0.3, 4.0, 0.1, 40.0),
    (0.3, 4.0, 30.0, 90.0),
    (1.2, 60.0, 1.0, 2.0),
]
HISTORIES = [(0, 0.0), (1, 0.2), (2, 3.0), (8, 30.0), (30, 31.0)]


def by_trapezoids(params, x, T, delta, end):
    """The double integral by brute force: no transformation, no Gauss rule over p.

    scipy's hyp2f1 will not do as a reference: at b = 90 it is wrong by twenty orders.
    """
    A, k = params["alpha"] + T, params["r"] + x
    a, b = params["a"], params["b"] + x
    # Trapezoids over log-odds converge exponentially for smooth integrands that vanish far out.
    odds = np.arange(-40 / a - 10, 60 / b + 10, 0.1)
    p = expit(odds)
    weights = np.exp(-betaln(a, b) + a * np.log(p) - b * np.logaddexp(0, odds)) * 0.1
    points, shares = np.polynomial.legendre.leggauss(60)
    y = np.log1p(end / A) * (points + 1) / 2
    tau = np.expm1(y)
    buying = [np.sum(weights * np.exp(-(k + 1) * np.log1p(p * value))) for value in tau]
    return np.sum(shares * buying * np.exp(y - delta * A * tau)) * k * np.log1p(end / A) / 2


@pytest.mark.parametrize("values", PARAMETERS)
def test_every_forecast_agrees_with_brute_force_to_1e_8(values):
    params = dict(zip(NAMES, values, strict=True))
    x = np.array([float(x) for x, _ in HISTORIES])
    T = np.array([T for _, T in HISTORIES])
    forecast = forecast_if_alive(params, TIMES, DELTA, x, T)
    k, A = values[0] + x, values[1] + T
    nothing = np.exp(-k * np.log1p(np.array(TIMES)[:, np.newaxis] / A))
    assert forecast.none == pytest.approx(nothing, rel=1e-12)
    for row, (count, age) in enumerate(HISTORIES):
        for column, time in ((0, TIMES[0]), (2, TIMES[2])):
            plain = by_trapezoids(params, count, age, 0.0, time)
            assert forecast.expected[column, row] == pytest.approx(plain, rel=1e-8)
        within = by_trapezoids(params, count, age, DELTA, TIMES[-1])
        assert forecast.discounted[-1, row] == pytest.approx(within, rel=1e-8)
        endless = by_trapezoids(params, count, age, DELTA, 40 / DELTA)
        assert forecast.residual[row] == pytest.approx(endless, rel=1e-8)


@pytest.mark.parametrize(("x", "T", "t"), [(0, 0.0, 52.0), (3, 20.0, 39.0), (12, 35.0, 52.0)])
def test_expected_purchases_are_the_closed_form_of_fader_hardie_lee_2005_eq_10(x, T, t):
    r, alpha, a, b = CDNOW.values()
    series = hyp2f1(r + x, b + x, a + b + x - 1, t / (alpha + T + t))
    closed = (a + b + x - 1) / (a - 1)
    closed *= 1 - ((alpha + T) / (alpha + T + t)) ** (r + x) * series
    assert bg_nbd.expected_purchases(CDNOW, t, x, T, T) == pytest.approx(
        closed * bg_nbd.probability_alive(CDNOW, x, T, T), rel=1e-10
    )


def test_heavy_buyers_get_numbers_where_hyp2f1_gives_none():
    assert not np.isfinite(hyp2f1(400.24, 402.4, 402.19, 0.9))
    x = np.array([400.0, 2000.0, 20000.0])
    with np.errstate(all="raise", under="ignore"):
        values = bg_nbd.expected_purchases(CDNOW, [1.0, 52.0, 5200.0], x, 52.0, 52.0)
        endless = bg_nbd.discounted_expected_purchases(CDNOW, DELTA, math.inf, x, 52.0, 52.0)
    assert np.all(np.isfinite(values))
    assert np.all(values > 0)
    assert np.all(np.diff(endless) > 0)


@pytest.mark.parametrize(
    ("a", "b"), [(0.8, 5000.0), (0.5, 0.5), (3.0, 0.2), (0.01, 0.02), (1e5, 3e5), (1e-5, 2.0)]
)
def test_beta_average_of_powers_is_the_closed_form(a, b):
    rule = beta_rule(a, b, 10.0)
    weights = np.exp(rule.log_weights)
    assert np.sum(weights) == pytest.approx(1, rel=1e-12)
    assert np.allclose(rule.p + rule.complement, 1, rtol=1e-15)
    for power in (1, 2, 5):
        expected = math.prod((a + i) / (a + b + i) for i in range(power))
        assert np.sum(weights * rule.p**power) == pytest.approx(expected, rel=1e-10)


def by_two_integrals(k, A, a, b, delta, end):
    """E[D^2] by brute force over both times: E[D at 2 delta] + 2 int int of the pair density."""
    points, shares = np.polynomial.legendre.leggauss(40)
    odds = np.arange(-40 / a - 10, 60 / b + 10, 0.1)
    p, stays = expit(odds), expit(-odds)
    weights = np.exp(-betaln(a, b) + a * np.log(p) - b * np.logaddexp(0, odds)) * 0.1
    y = np.log1p(end / A) * (points + 1) / 2
    s = A * np.expm1(y)
    ds = shares * np.log1p(end / A) / 2 * A * np.exp(y)
    single = k / A * np.sum(weights * np.exp(-(k + 1) * np.log1p(np.outer(s, p) / A)), axis=1)
    total = np.sum(ds * single * np.exp(-2 * delta * s))
    for first, share in zip(s, ds, strict=True):
        u = (end - first) * (points + 1) / 2
        du = shares * (end - first) / 2
        # Alive and buying at the first time, staying, alive and buying u later.
        pair = np.exp(-(k + 2) * np.log1p(np.outer(first + u, p) / A)) @ (weights * stays)
        density = k * (k + 1) / A**2 * pair
        total += 2 * share * np.sum(du * density * np.exp(-delta * (2 * first + u)))
    return total


@pytest.mark.parametrize(("model", "more"), [(bg_nbd, 0), (mbg_nbd, 1)])
@pytest.mark.parametrize("delta", [0.0, 0.01])
def test_second_moment_agrees_with_a_double_integral_recomputed(model, more, delta):
    params = dict(zip(NAMES, (0.5, 5.0, 0.9, 1.6), strict=True))
    x, T = np.array([0.0, 4.0]), np.array([3.0, 30.0])
    forecast = model.forecast_if_alive(params, [10.0, 52.0], delta, x, T)
    for row in range(2):
        shapes = (0.5 + x[row], 5.0 + T[row], 0.9, 1.6 + x[row] + more)
        for column, end in ((0, 10.0), (1, 52.0)):
            expected = by_two_integrals(*shapes, delta, end)
            assert forecast.discounted_square[column, row] == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize(("t", "rel"), [(0.0, 0), (0.1, 1e-8), (260.0, 1e-8), (5200.0, 1e-6)])
def test_any_period_is_forecast_to_1e_8_and_a_century_to_1e_6(t, rel):
    params = dict(zip(NAMES, (0.25, 0.5, 0.8, 2.4), strict=True))
    values = bg_nbd.expected_purchases(params, t, [0, 3], [0, 5], [0.0, 5.0])
    alive = bg_nbd.probability_alive(params, [0, 3], [0, 5], [0.0, 5.0])
    expected = [by_trapezoids(params, x, T, 0.0, t) for x, T in ((0, 0.0), (3, 5.0))]
    assert values == pytest.approx(alive * expected, rel=rel)


@pytest.mark.parametrize("exponent", [1.0, 5.0, 12.0, 24.0])
def test_a_high_discount_over_a_short_panel_is_seen(exponent):
    """Rates hardly change over it, the discount does."""
    living, t = Living(*(np.array([one]) for one in (0.5, 10_000.0, 0.8, 2.5))), 900.0
    delta = exponent / t
    found = forecast(living, [t], delta, endless=False).discounted[0, 0]
    parts = np.linspace(0.0, t, 201)
    steps = forecast(living, parts[1:].tolist(), 0.0, endless=False).expected[:, 0]
    bought = np.diff(steps, prepend=0.0)
    # In the middle of each step; what the step is too long for is known to second order.
    middles = (parts[1:] + parts[:-1]) / 2
    width = delta * t / 200
    expected = np.sum(bought * np.exp(-delta * middles)) * np.sinh(width / 2) / (width / 2)
    assert found == pytest.approx(expected, rel=1e-5)


def test_without_discount_discounted_purchases_are_the_plain_ones():
    x, T = np.array([0.0, 3.0]), np.array([10.0, 20.0])
    forecast = forecast_if_alive(CDNOW, TIMES, 0.0, x, T)
    assert np.array_equal(forecast.expected, forecast.discounted)
    assert forecast.residual is None


def test_a_longer_horizon_approaches_the_endless_one_from_below():
    values = [
        float(bg_nbd.discounted_expected_purchases(CDNOW, DELTA, horizon, 3, 30, 35))
        for horizon in (0.0, 52.0, 520.0, 13000.0, math.inf)
    ]
    assert values[0] == 0
    assert values == sorted(values)
    assert values[3] == pytest.approx(values[4], rel=1e-9)


def test_a_higher_rate_discounts_more_but_never_below_e_to_minus_delta_t():
    plain = bg_nbd.expected_purchases(CDNOW, 52, 3, 30, 35)
    discounted = bg_nbd.discounted_expected_purchases(CDNOW, DELTA, 52, 3, 30, 35)
    assert plain * math.exp(-DELTA * 52) < discounted < plain


@pytest.mark.parametrize(("delta", "horizon"), [(0.0, math.inf), (-0.1, 5.0), (0.1, -1.0)])
def test_a_value_that_does_not_exist_is_refused(delta, horizon):
    with pytest.raises(InputError):
        bg_nbd.discounted_expected_purchases(CDNOW, delta, horizon, 1, 1, 1)


def test_probabilities_of_counts_add_up_and_have_the_expected_mean():
    n = np.arange(2000)
    pmf = bg_nbd.purchases_pmf_new(CDNOW, 52.0, n)
    assert pmf.sum() == pytest.approx(1, abs=1e-9)
    assert (n * pmf).sum() == pytest.approx(bg_nbd.expected_purchases_new(CDNOW, 52.0), rel=1e-8)
    assert bg_nbd.purchases_pmf_new(CDNOW, 0.0, [0, 1, 5]).tolist() == [1.0, 0.0, 0.0]


customers = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 1500)), min_size=1, max_size=12
).map(lambda rows: (np.array([r[0] for r in rows], float), np.array([r[1] for r in rows]) / 7))


@settings(max_examples=25, deadline=None)
@given(customers, st.randoms(use_true_random=False))
def test_values_are_bit_equal_alone_in_any_company_and_in_any_order(rows, random):
    x, T = rows
    together = forecast_if_alive(CDNOW, TIMES, DELTA, x, T)
    order = list(range(x.size))
    random.shuffle(order)
    shuffled = forecast_if_alive(CDNOW, TIMES, DELTA, x[order], T[order])
    assert np.array_equal(shuffled.expected, together.expected[:, order])
    assert np.array_equal(shuffled.residual, together.residual[order])
    for row in range(x.size):
        alone = forecast_if_alive(CDNOW, TIMES, DELTA, x[row : row + 1], T[row : row + 1])
        assert np.array_equal(alone.expected[:, 0], together.expected[:, row])
        assert np.array_equal(alone.discounted[:, 0], together.discounted[:, row])
        square = together.discounted_square[:, row]
        assert np.array_equal(alone.discounted_square[:, 0], square)
        assert alone.residual[0] == together.residual[row]


def test_values_are_bit_equal_across_the_borders_of_blocks():
    x, T = (grid.ravel() for grid in np.meshgrid(np.arange(3.0), np.arange(1.0, 1400.0)))
    together = forecast_if_alive(CDNOW, TIMES, DELTA, x, T)
    for part in np.array_split(np.arange(x.size), 7):
        alone = forecast_if_alive(CDNOW, TIMES, DELTA, x[part], T[part])
        assert np.array_equal(alone.residual, together.residual[part])


def test_parameters_per_customer_give_what_each_would_get_alone():
    r = np.array([0.2, 0.9])
    params = {"r": r, "alpha": np.array([3.0, 8.0]), "a": np.array([0.5, 20.0]), "b": 2.0}
    x, t_x, T = np.array([2.0, 5.0]), np.array([5.0, 9.0]), np.array([10.0, 9.0])
    both = bg_nbd.discounted_expected_purchases(params, DELTA, 52.0, x, t_x, T)
    for row in range(2):
        own = {name: float(np.broadcast_to(value, 2)[row]) for name, value in params.items()}
        alone = bg_nbd.discounted_expected_purchases(own, DELTA, 52.0, x[row], t_x[row], T[row])
        assert both[row] == alone
