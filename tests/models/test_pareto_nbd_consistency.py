"""Pareto/NBD: forecasts against simulation, quadrature and lifetimes, and at the hard points."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import hyperu

from clv_spark.errors import InputError
from clv_spark.models import fit, pareto_nbd
from clv_spark.models.pareto_forecast import discounted_survival, forecast_given_alive

NAMES = ("r", "alpha", "s", "beta")
CDNOW = dict(zip(NAMES, (0.5533, 10.5777, 0.6062, 11.6687), strict=True))
GROCERY = dict(zip(NAMES, (1.2, 6.0, 0.8, 60.0), strict=True))
DELTA = math.log(1.1) * 7 / 365
TIMES = [30 / 7, 90 / 7, 365 / 7]
HISTORIES = [(0, 0.0, 0.0), (0, 0.0, 38.9), (2, 30.4, 38.9), (26, 30.9, 31.0), (26, 9.0, 31.0)]
X, T_X, T = (np.array(column) for column in zip(*HISTORIES, strict=True))


@pytest.fixture(params=[CDNOW, GROCERY], ids=["cdnow", "grocery"])
def params(request):
    return request.param


def test_counts_add_up_to_one_and_to_the_expected_purchases(params):
    n = np.arange(1500.0)[:, None]
    pmf = pareto_nbd.purchases_pmf(params, 52.0, n, X, T_X, T)
    assert pmf.sum(axis=0) == pytest.approx(1, abs=1e-11)
    expected = pareto_nbd.expected_purchases(params, 52.0, X, T_X, T)
    assert (n * pmf).sum(axis=0) == pytest.approx(expected, rel=1e-10)
    square = forecast_given_alive(params, [52.0], 0.0, X, T).discounted_square[0]
    alive = pareto_nbd.probability_alive(params, X, T_X, T)
    assert (n**2 * pmf).sum(axis=0) == pytest.approx(alive * square, rel=1e-9)


def test_count_of_zero_is_what_activity_leaves(params):
    none = pareto_nbd.purchases_pmf(params, 52.0, 0, X, T_X, T)
    assert none == pytest.approx(1 - pareto_nbd.probability_active(params, 52.0, X, T_X, T))


@pytest.mark.parametrize("n", [1, 7, 40])
def test_count_is_the_integral_over_the_time_of_leaving_by_scipy_quad(params, n):
    r, alpha, s, beta = params.values()
    log_choose = math.lgamma(r + n) - math.lgamma(r) - math.lgamma(n + 1)

    def count(u):
        return math.exp(log_choose + n * math.log(u / (alpha + u)) - r * math.log1p(u / alpha))

    def left_at(u):
        return count(u) * s / beta * (1 + u / beta) ** (-s - 1)

    left = quad(left_at, 0, 52, epsabs=0, epsrel=1e-11, points=[1, 5, 20])[0]
    whole = left + count(52) * (1 + 52 / beta) ** -s
    assert pareto_nbd.purchases_pmf_new(params, 52, n) == pytest.approx(whole, rel=1e-10)


def test_counts_and_activity_of_lifetimes_0_11_3():
    past = (3, 20.0, 30.0)
    first = dict(zip(NAMES, (0.55, 10.58, 0.61, 11.67), strict=True))
    assert pareto_nbd.probability_alive(first, *past) == pytest.approx(
        0.7587166583186618, rel=1e-12
    )
    cet = pareto_nbd.expected_purchases(first, 26, *past)
    assert cet == pytest.approx(1.4762015746418877, rel=1e-12)
    pmf = pareto_nbd.purchases_pmf(first, 26, np.arange(4), *past)
    expected = [0.4337423692675968, 0.18500381625388693, 0.14530838044308975, 0.09910972442480634]
    assert pmf == pytest.approx(expected, rel=1e-10)
    second = dict(zip(NAMES, (1.2, 30.0, 2.5, 9.0), strict=True))
    pmf = pareto_nbd.purchases_pmf(second, 26, np.arange(4), *past)
    expected = [0.8168875501555666, 0.09126552883079056, 0.04740891857738004, 0.023855255962896074]
    assert pmf == pytest.approx(expected, rel=1e-10)
    logs = pareto_nbd.log_likelihood(second, [0, 3, 60], [0, 20, 50], [12, 30, 52])
    expected = [-0.1453335191581182, -13.639424465818317, -80.6726718365259]
    assert logs == pytest.approx(expected, rel=1e-12)


@pytest.mark.studies
def test_alive_and_purchases_are_those_of_simulated_customers():
    random = np.random.default_rng(7)
    size, T, ahead = 40_000, 40.0, 30.0
    buying = random.gamma(CDNOW["r"], 1 / CDNOW["alpha"], size)
    life = random.exponential(1 / random.gamma(CDNOW["s"], 1 / CDNOW["beta"], size))
    x = random.poisson(buying * np.minimum(life, T))
    t_x = np.minimum(life, T) * random.random(size) ** (1 / np.maximum(x, 1))
    future = random.poisson(buying * np.clip(life - T, 0, ahead))
    for chosen in (x == 0, (x == 1) & (t_x < 15), (x == 1) & (t_x > 25), (x >= 2) & (x < 6)):
        past = (x[chosen], np.where(x > 0, t_x, 0.0)[chosen], T)
        events = {
            "alive": (life[chosen] > T, pareto_nbd.probability_alive(CDNOW, *past)),
            "later": (life[chosen] > T + ahead, pareto_nbd.probability_alive(CDNOW, *past, ahead)),
            "active": (future[chosen] > 0, pareto_nbd.probability_active(CDNOW, ahead, *past)),
            "two": (future[chosen] == 2, pareto_nbd.purchases_pmf(CDNOW, ahead, 2, *past)),
            "mean": (future[chosen], pareto_nbd.expected_purchases(CDNOW, ahead, *past)),
        }
        for name, (seen, expected) in events.items():
            error = (seen - expected).std() / math.sqrt(seen.size)
            assert abs(seen.mean() - expected.mean()) < 4 * error, name


def test_discounted_sum_and_its_square_are_those_of_simulated_customers():
    random = np.random.default_rng(8)
    size, delta, horizon = 100_000, 0.02, 60.0
    buying = random.gamma(3.2, 1 / 20.0, size)
    life = np.minimum(random.exponential(1 / random.gamma(0.8, 1 / 40.0, size)), horizon)
    counts = random.poisson(buying * life)
    owner = np.repeat(np.arange(size), counts)
    weights = np.exp(-delta * life[owner] * random.random(owner.size))
    total = np.bincount(owner, weights, size)
    params = dict(zip(NAMES, (2.2, 12.0, 0.8, 32.0), strict=True))
    forecast = forecast_given_alive(params, [horizon], delta, np.array([1.0]), np.array([8.0]))
    for seen, expected in (
        (total, forecast.discounted[0, 0]),
        (total**2, forecast.discounted_square[0, 0]),
        (counts == 0, forecast.none[0, 0]),
        (counts, forecast.expected[0, 0]),
    ):
        assert abs(seen.mean() - expected) < 4 * seen.std() / math.sqrt(size)


@pytest.mark.parametrize("rate", [0.0, 1e-6, DELTA, 0.5])
@pytest.mark.parametrize(("s", "B"), [(0.6, 50.0), (1.0, 12.0), (2.0, 3.0), (40.0, 2e3)])
def test_discounted_survival_is_the_integral_by_scipy_quad(s, B, rate):
    def integral(weight, end):
        def integrand(y):
            u = B * math.expm1(y)
            return (1 + u / B) ** (1 - s) * math.exp(-rate * u) * weight(u) * B

        cuts = np.linspace(0, math.log1p(end / B), 6)[1:-1]
        return quad(integrand, 0, math.log1p(end / B), epsabs=0, epsrel=1e-11, points=cuts)[0]

    def pairs(u):
        return -math.expm1(-rate * u) / rate if rate else u

    ours = discounted_survival(np.array([s]), np.array([B]), TIMES, rate)
    for time, part in zip(TIMES, ours, strict=False):
        assert part.once[0] == pytest.approx(integral(lambda u: 1.0, time), rel=1e-10)
        twice = integral(lambda u: math.exp(-rate * u), time)
        assert part.twice[0] == pytest.approx(twice, rel=1e-10)
        assert part.pairs[0] == pytest.approx(integral(pairs, time), rel=1e-10)
    assert len(ours) == len(TIMES) + (rate > 0)


@pytest.mark.parametrize("x", [0, 1, 9])
def test_endless_value_is_the_closed_form_of_fader_hardie_lee_2005_eq_2(params, x):
    r, _, s, beta = params.values()
    t_x, T = (30.0 if x else 0.0), 77.86
    z = DELTA * (beta + T)
    alive = pareto_nbd.probability_alive(params, x, t_x, T)
    rate = (r + x) / (params["alpha"] + T)
    closed = alive * rate * DELTA ** (s - 1) * (beta + T) ** s * hyperu(s, s, z)
    endless = pareto_nbd.discounted_expected_purchases(params, DELTA, math.inf, x, t_x, T)
    assert endless == pytest.approx(closed, rel=1e-10)
    ends = [
        pareto_nbd.discounted_expected_purchases(params, DELTA, horizon, x, t_x, T)
        for horizon in (0.0, 52.0, 1e5)
    ]
    assert ends[0] == 0 < ends[1] < ends[2] == pytest.approx(endless, rel=1e-9)


@pytest.mark.parametrize(("delta", "horizon"), [(0.0, math.inf), (-0.1, 5.0), (0.1, -1.0)])
def test_a_value_that_does_not_exist_is_refused(delta, horizon):
    with pytest.raises(InputError):
        pareto_nbd.discounted_expected_purchases(CDNOW, delta, horizon, 1, 1, 1)


def test_nothing_jumps_at_equal_scales_and_at_s_equal_to_one():
    for name, value in (("alpha", CDNOW["beta"]), ("s", 1.0)):
        below, at, above = ({**CDNOW, name: value * (1 + step)} for step in (-1e-9, 0, 1e-9))
        for function in (
            lambda p: pareto_nbd.log_likelihood(p, X, T_X, T),
            lambda p: pareto_nbd.probability_alive(p, X, T_X, T),
            lambda p: pareto_nbd.expected_purchases(p, 52, X, T_X, T),
            lambda p: pareto_nbd.purchases_pmf(p, 52, 3, X, T_X, T),
            lambda p: pareto_nbd.discounted_expected_purchases(p, DELTA, 52, X, T_X, T),
        ):
            assert function(at) == pytest.approx(function(below), rel=1e-7)
            assert function(at) == pytest.approx(function(above), rel=1e-7)


def test_who_bought_just_now_is_alive():
    assert pareto_nbd.probability_alive(CDNOW, [1, 30, 5000], 20.0, 20.0).tolist() == [1, 1, 1]
    # A silence of some last digits only, which rounding must not make a gain.
    x, T = np.arange(1.0, 60.0), np.linspace(0.1, 30, 200)[:, None]
    for shorter in (1e-16, 2e-16, 1e-15):
        assert np.all(pareto_nbd.probability_alive(CDNOW, x, T * (1 - shorter), T) <= 1)


shapes = st.floats(-4, 4).map(lambda power: 10.0**power)
scales = st.floats(-5, 8).map(lambda power: 10.0**power)
customers = st.tuples(
    st.one_of(st.integers(0, 20), st.integers(0, 9_000)),
    st.floats(0, 1),
    st.floats(0, 4).map(lambda power: 10.0**power - 1),
)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(shapes, scales, shapes, scales, customers, st.one_of(st.just(0.0), scales))
def test_any_parameters_give_finite_numbers_in_range_without_warning(
    r, alpha, s, beta, customer, t
):
    params = {"r": r, "alpha": alpha, "s": s, "beta": beta}
    x, share, T = customer
    past = (x, share * T if x else 0.0, T)
    n = np.array([0, 1, 30, 4000])
    with np.errstate(all="raise", under="ignore"):
        logs = pareto_nbd.log_likelihood(params, *past)
        alive = pareto_nbd.probability_alive(params, *past, [0.0, t])
        expected = pareto_nbd.expected_purchases(params, t, *past)
        active = pareto_nbd.probability_active(params, t, *past)
        pmf = pareto_nbd.purchases_pmf(params, t, n, *past)
        endless = pareto_nbd.discounted_expected_purchases(params, DELTA, math.inf, *past)
        forecast = forecast_given_alive(
            params, [0.0, t], DELTA, np.array([float(x)]), np.array([T])
        )
    assert np.isfinite(logs)
    assert 0 <= alive[1] <= alive[0] <= 1
    assert 0 <= expected < np.inf
    assert 0 <= active <= 1
    assert active <= expected * (1 + 1e-9) + 1e-12
    assert np.all((pmf >= 0) & (pmf <= 1 + 1e-9))
    assert pmf[0] == pytest.approx(1 - active, abs=1e-9)
    assert 0 <= endless < np.inf
    assert np.all(forecast.none <= 1 + 1e-12)
    assert np.all(forecast.discounted <= forecast.expected * (1 + 1e-9))
    assert np.all(forecast.discounted_square >= forecast.discounted**2 * (1 - 1e-9))
    assert alive[0] * forecast.residual[0] == pytest.approx(float(endless), rel=1e-9)


@pytest.mark.studies
def test_customers_who_never_leave_are_not_identified():
    random = np.random.default_rng(0)
    T = random.integers(100, 280, 800) / 7
    x = random.poisson(random.gamma(1.0, 1 / 5.0, 800) * T).astype(float)
    t_x = np.where(x > 0, T * random.random(800) ** (1 / np.maximum(x, 1)), 0.0)
    assert fit("pareto_nbd", {"x": x, "t_x": t_x, "T": T}).status in (
        "degenerate",
        "not_identified",
    )


def test_one_time_buyers_alone_are_not_identified():
    data = {"x": np.zeros(50), "t_x": np.zeros(50), "T": np.arange(50) + 1.0}
    result = fit("pareto_nbd", data)
    assert result.status in ("degenerate", "not_identified")
    assert "no customer bought a second time" in result.message


@pytest.mark.studies
def test_parameters_of_a_simulated_world_are_found():
    random = np.random.default_rng(11)
    size = 8_000
    T = random.integers(200, 1096, size) / 7
    life = np.minimum(random.exponential(1 / random.gamma(0.8, 1 / 60.0, size)), T)
    x = random.poisson(random.gamma(1.2, 1 / 6.0, size) * life).astype(float)
    t_x = np.where(x > 0, life * random.random(size) ** (1 / np.maximum(x, 1)), 0.0)
    result = fit("pareto_nbd", {"x": x, "t_x": np.round(t_x * 7) / 7, "T": T})
    assert result.status == "ok"
    assert result.parameters == pytest.approx(GROCERY, rel=0.2)
