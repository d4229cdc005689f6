"""BG/NBD and MBG/NBD: the functions of a model agree with each other and with brute force."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import betaln, expit, hyp2f1

from clv_spark.models import bg_nbd, given_alive, mbg_nbd
from clv_spark.models.dropout_curves import Living

NAMES = ("r", "alpha", "a", "b")
PARAMETERS = [
    (0.243, 4.414, 0.793, 2.426),
    (0.525, 6.183, 0.891, 1.614),
    (1.2, 3.0, 0.3, 4.0),
    (0.5, 5.0, 1.0, 2.0),
    (0.3, 4.0, 30.0, 90.0),
]
# One-time buyers new and old, t_x = T, heavy, and one who came back at once and then never again.
X = np.array([0.0, 0.0, 2.0, 5.0, 26.0, 1.0])
T_X = np.array([0.0, 0.0, 30.43, 20.0, 30.86, 0.5])
T = np.array([0.0, 38.86, 38.86, 20.0, 31.0, 50.0])
DELTA = 0.00183
both_models = pytest.mark.parametrize("model", [bg_nbd, mbg_nbd])
all_parameters = pytest.mark.parametrize(
    "params", [dict(zip(NAMES, values, strict=True)) for values in PARAMETERS]
)


def beta_average(function, a, b):
    odds = np.arange(-40 / a - 10, 60 / b + 10, 0.05 if a > 5 else 0.1)
    log_density = a * -np.logaddexp(0, -odds) + b * -np.logaddexp(0, odds) - betaln(a, b)
    return np.sum(np.exp(log_density) * function(expit(odds))) * (odds[1] - odds[0])


def shapes(model, params, row):
    r, alpha, a, b = params.values()
    return r + X[row], alpha + T[row], a, b + X[row] + (model is mbg_nbd)


@both_models
@all_parameters
def test_counts_add_up_to_one_and_to_the_expected_purchases(model, params):
    n = np.arange(800.0)[:, np.newaxis]
    pmf = model.purchases_pmf(params, 20.0, n, X, T_X, T)
    assert pmf.sum(axis=0) == pytest.approx(np.ones(6), rel=1e-9)
    expected = model.expected_purchases(params, 20.0, X, T_X, T)
    assert (n * pmf).sum(axis=0) == pytest.approx(expected, rel=1e-8)


@both_models
@all_parameters
def test_probability_of_no_purchase_is_what_activity_leaves(model, params):
    active = model.probability_active(params, 20.0, X, T_X, T)
    assert model.purchases_pmf(params, 20.0, 0, X, T_X, T) == pytest.approx(1 - active, rel=1e-12)
    none = model.forecast_if_alive(params, [20.0], 0.0, X, T).none[0]
    alive = model.probability_alive(params, X, T_X, T)
    assert active == pytest.approx(alive * (1 - none), rel=1e-12)


@both_models
@all_parameters
def test_every_forecast_is_that_of_the_single_functions(model, params):
    times = [4.0, 13.0, 52.0]
    forecast = model.forecast_if_alive(params, times, DELTA, X, T)
    alive = model.probability_alive(params, X, T_X, T)
    for row, time in enumerate(times):
        purchases = model.expected_purchases(params, time, X, T_X, T)
        assert alive * forecast.expected[row] == pytest.approx(purchases, rel=1e-9)
        value = model.discounted_expected_purchases(params, DELTA, time, X, T_X, T)
        assert alive * forecast.discounted[row] == pytest.approx(value, rel=1e-9)
    endless = model.discounted_expected_purchases(params, DELTA, np.inf, X, T_X, T)
    assert alive * forecast.residual == pytest.approx(endless, rel=1e-8)
    assert np.all(forecast.discounted_square > forecast.discounted**2)


@both_models
@all_parameters
def test_without_discount_value_is_the_expected_purchases_and_their_second_moment(model, params):
    value = model.discounted_expected_purchases(params, 0.0, 20.0, X, T_X, T)
    assert value == pytest.approx(model.expected_purchases(params, 20.0, X, T_X, T), rel=1e-12)
    n = np.arange(800.0)[:, np.newaxis]
    alive = model.probability_alive(params, X, T_X, T)
    second = (n**2 * model.purchases_pmf(params, 20.0, n, X, T_X, T)).sum(axis=0)
    square = model.forecast_if_alive(params, [20.0], 0.0, X, T).discounted_square[0]
    assert alive * square == pytest.approx(second, rel=1e-7)


@both_models
@all_parameters
def test_expected_purchases_and_survival_are_their_averages_by_brute_force(model, params):
    forecast = model.forecast_if_alive(params, [0.5, 52.0], 0.0, X, T)
    ahead = model.probability_alive(params, X, T_X, T, 52.0)
    today = model.probability_alive(params, X, T_X, T)
    for row in range(X.size):
        k, A, a, b = shapes(model, params, row)
        for column, t in ((0, 0.5), (1, 52.0)):

            def bought(p, k=k, z=t / A):
                return -np.expm1(-k * np.log1p(p * z)) / p

            expected = beta_average(bought, a, b)
            assert forecast.expected[column, row] == pytest.approx(expected, rel=1e-9)
        stays = beta_average(lambda p, k=k, A=A: (1 + p * 52 / A) ** -k, a, b)
        assert ahead[row] == pytest.approx(today[row] * stays, rel=1e-9)


@both_models
@all_parameters
def test_purchases_grow_by_the_purchase_rate(model, params):
    t, width = 13.0, 1e-3
    later, sooner = (
        model.expected_purchases(params, t + shift, X, T_X, T) for shift in (width, -width)
    )
    alive = model.probability_alive(params, X, T_X, T)
    for row in range(X.size):
        k, A, a, b = shapes(model, params, row)
        rate = k / A * beta_average(lambda p, k=k, A=A: (1 + p * t / A) ** -(k + 1), a, b)
        growth = (later[row] - sooner[row]) / (2 * width)
        assert growth == pytest.approx(alive[row] * rate, rel=1e-6)


@both_models
def test_survival_starts_at_today_and_only_falls(model):
    params = dict(zip(NAMES, PARAMETERS[0], strict=True))
    t = np.array([0.0, 1.0, 10.0, 100.0, 1e4, 1e8])[:, np.newaxis]
    ahead = model.probability_alive(params, X, T_X, T, t)
    assert ahead.shape == (6, 6)
    assert np.array_equal(ahead[0], model.probability_alive(params, X, T_X, T))
    assert np.all(np.diff(ahead, axis=0) < 0)
    assert np.all(ahead[-1] < 0.1)


@both_models
def test_days_and_weeks_agree(model):
    weeks = dict(zip(NAMES, PARAMETERS[0], strict=True))
    days = {**weeks, "alpha": weeks["alpha"] * 7}
    forecasts = [
        model.forecast_if_alive(weeks, [4.0, 52.0], DELTA, X, T),
        model.forecast_if_alive(days, [28.0, 364.0], DELTA / 7, X, T * 7),
    ]
    for name in ("expected", "none", "discounted", "discounted_square", "residual"):
        by_week, by_day = (getattr(forecast, name) for forecast in forecasts)
        assert by_day == pytest.approx(by_week, rel=1e-9)
    by_week = model.probability_alive(weeks, X, T_X, T, 10.0)
    assert model.probability_alive(days, X, T_X * 7, T * 7, 70.0) == pytest.approx(by_week)
    by_week = model.purchases_pmf(weeks, 10.0, 2, X, T_X, T)
    assert model.purchases_pmf(days, 70.0, 2, X, T_X * 7, T * 7) == pytest.approx(by_week)


@both_models
def test_nothing_jumps_at_a_equal_to_one(model):
    values = [
        model.expected_purchases({"r": 0.5, "alpha": 5.0, "a": a, "b": 2.0}, 52.0, X, T_X, T)
        for a in (1 - 1e-6, 1.0, 1 + 1e-6)
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-5)
    assert values[1] == pytest.approx((values[0] + values[2]) / 2, rel=1e-9)


@pytest.mark.parametrize("model", [bg_nbd, mbg_nbd])
@pytest.mark.parametrize(("x", "age"), [(0, 0.0), (3, 20.0), (12, 35.0)])
def test_expected_purchases_are_the_closed_forms_of_section_9(model, x, age):
    r, alpha, a, b = PARAMETERS[1]
    params = dict(zip(NAMES, PARAMETERS[1], strict=True))
    A, t, b = alpha + age, 52.0, b + x + (model is mbg_nbd)
    series = hyp2f1(r + x, b, a + b - 1, t / (A + t))
    closed = (a + b - 1) / (a - 1) * (1 - (A / (A + t)) ** (r + x) * series)
    alive = model.probability_alive(params, x, age if x else 0, age)
    purchases = model.expected_purchases(params, t, x, age if x else 0, age)
    assert purchases == pytest.approx(alive * closed, rel=1e-10)


@pytest.mark.parametrize(
    ("k", "b", "c", "z"),
    [(400.24, 402.4, 402.19, 0.9), (2000.24, 2002.4, 2002.19, 0.5), (513.4, 4, 514.4, 0.9999)],
)
def test_hard_points_of_scipys_hyp2f1_have_finite_purchases_recomputed(k, b, c, z):
    assert not np.isfinite(hyp2f1(k, b, c, z))
    a, t = c - b + 1, z / (1 - z)
    living = Living(*(np.array([value]) for value in (k, 1.0, a, b)))
    expected = beta_average(lambda p: -np.expm1(-k * np.log1p(p * t)) / p, a, b)
    value = given_alive.expected_if_alive(living, np.array([t]))
    assert value == pytest.approx(expected, rel=1e-6)
