"""BG/BB against independent methods: enumeration, Gauss rules, simulation, differentiation."""

from __future__ import annotations

import itertools
import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import digamma, hyp2f1, roots_jacobi

from clv_spark.errors import InputError
from clv_spark.models import bg_bb
from clv_spark.models.arrays import merge_equal_rows
from clv_spark.models.bg_bb_given_alive import residual_opportunities
from clv_spark.models.fitting import fit_model

NAMES = ("alpha", "beta", "gamma", "delta")
DONORS = dict(zip(NAMES, (1.2035, 0.7497, 0.6567, 2.7834), strict=True))
DAILY = dict(zip(NAMES, (0.6, 25.0, 0.5, 150.0), strict=True))
shapes = st.floats(-5, 5).map(lambda power: 10.0**power)


def simulate(params, n, seed):
    """Purchases at n opportunities (one number per customer), opportunity by opportunity."""
    generator = np.random.default_rng(seed)
    p = generator.beta(params["alpha"], params["beta"], n.size)
    theta = generator.beta(params["gamma"], params["delta"], n.size)
    alive = np.ones(n.size, dtype=bool)
    x, t_x = np.zeros(n.size), np.zeros(n.size)
    for opportunity in range(1, int(n.max()) + 1):
        alive &= generator.random(n.size) >= theta
        buys = alive & (generator.random(n.size) < p) & (opportunity <= n)
        x += buys
        t_x[buys] = opportunity
    return x, t_x


def average_over_beta(a, b):
    points, weights = roots_jacobi(64, b - 1, a - 1)
    return (1 + points) / 2, weights / weights.sum()


def test_likelihoods_of_all_histories_add_up_to_one():
    histories = np.array(list(itertools.product([0, 1], repeat=8)))
    x, t_x = histories.sum(axis=1), (histories * np.arange(1, 9)).max(axis=1)
    for params in (DONORS, DAILY):
        total = np.exp(bg_bb.log_likelihood(params, x, t_x, 8)).sum()
        assert total == pytest.approx(1.0, rel=1e-12)


def test_log_likelihood_is_the_double_integral_by_gauss_rules():
    # Polynomials in p and theta, so the rules are exact.
    p, p_weights = average_over_beta(1.2035, 0.7497)
    theta, theta_weights = average_over_beta(0.6567, 2.7834)
    for x, t_x, n in [(0, 0, 30), (3, 9, 30), (12, 30, 30), (20, 21, 40)]:
        stays = 1 - theta[:, np.newaxis]
        total = stays**n * p**x * (1 - p) ** (n - x)
        for j in range(t_x, n):
            total = total + stays**j * (1 - stays) * p**x * (1 - p) ** (j - x)
        value = theta_weights @ total @ p_weights
        assert bg_bb.log_likelihood(DONORS, x, t_x, n) == pytest.approx(math.log(value), rel=1e-12)


def test_likelihood_of_the_fit_is_that_of_the_rows_and_its_gradient_is_right():
    n = np.random.default_rng(1).integers(0, 200, 1000).astype(np.float64)
    x, t_x = simulate(DAILY, n, 2)
    columns, weights = merge_equal_rows({"x": x, "t_x": t_x, "T": n}, np.ones(n.size))
    evaluate = bg_bb.MODEL.likelihood(columns, weights)
    for values in [(0.6, 25, 0.5, 150), (0.01, 3, 40, 1), (900, 1e4, 0.02, 0.3), (2, 2, 1, 1)]:
        point = np.array(values, dtype=np.float64)
        value, gradient = evaluate(point)
        rows = bg_bb.log_likelihood(dict(zip(NAMES, point, strict=True)), x, t_x, n)
        assert value == pytest.approx(rows.mean(), rel=1e-11)
        for index in range(4):
            shift = np.zeros(4)
            shift[index] = 1e-4
            up, down, up_2, down_2 = (
                evaluate(point * np.exp(factor * shift))[0] for factor in (1, -1, 2, -2)
            )
            numeric = (8 * (up - down) - (up_2 - down_2)) / 12e-4
            assert gradient[index] == pytest.approx(numeric, rel=1e-7, abs=1e-8)


def test_blocks_of_the_sums_do_not_change_the_likelihood(monkeypatch):
    n = np.full(500, 200.0)
    x, t_x = simulate(DAILY, n, 3)
    columns, point = {"x": x, "t_x": t_x, "T": n}, np.array([0.6, 25.0, 0.5, 150.0])
    whole = bg_bb.MODEL.likelihood(columns, np.ones(500))(point)
    monkeypatch.setattr("clv_spark.models.bg_bb_likelihood.BLOCK", 3000)
    in_blocks = bg_bb.MODEL.likelihood(columns, np.ones(500))(point)
    assert in_blocks[0] == whole[0]
    assert np.array_equal(in_blocks[1], whole[1])


def test_the_truth_of_a_simulated_daily_shop_is_as_likely_as_the_fit_within_chance():
    n = np.random.default_rng(4).integers(30, 200, 8_000).astype(np.float64)
    truth = {"alpha": 0.8, "beta": 20.0, "gamma": 0.7, "delta": 40.0}
    x, t_x = simulate(truth, n, 5)
    result = fit_model(bg_bb.MODEL, {"x": x, "t_x": t_x, "T": n})
    assert result.status == "ok"
    gain = result.log_likelihood - bg_bb.log_likelihood(truth, x, t_x, n).sum()
    # Twice the gain is chi-square distributed with four degrees of freedom; 18.5 is its 99.9%.
    assert 0 <= 2 * gain < 18.5


def test_a_first_fit_on_rounded_opportunities_ends_at_the_same_maximum(monkeypatch):
    n = np.random.default_rng(4).integers(0, 320, 3_000).astype(np.float64)
    x, t_x = simulate(DAILY, n, 5)
    data = {"x": x, "t_x": t_x, "T": n}
    coarse = bg_bb.MODEL.coarsen(bg_bb.MODEL.read(data))
    assert len(np.unique(coarse["T"])) < 160
    assert bg_bb.MODEL.read(coarse).keys() == data.keys()
    exact = fit_model(bg_bb.MODEL, data)
    monkeypatch.setattr("clv_spark.models.fitting.COARSEN_ABOVE", 100)
    assert fit_model(bg_bb.MODEL, data).parameters == pytest.approx(exact.parameters, rel=1e-7)


def test_forecast_agrees_with_simulation_within_sampling_error():
    generator = np.random.default_rng(6)
    size, ahead, rate = 200_000, 9, 0.1
    x, n = 3, 6
    p = generator.beta(DONORS["alpha"] + x, DONORS["beta"] + n - x, size)[:, np.newaxis]
    theta = generator.beta(DONORS["gamma"], DONORS["delta"] + n, size)[:, np.newaxis]
    stays = np.logical_and.accumulate(generator.random((size, ahead)) >= theta, axis=1)
    bought = stays & (generator.random((size, ahead)) < p)
    discounted = bought @ np.exp(-rate * np.arange(1, ahead + 1))
    forecast = bg_bb.forecast_if_alive(DONORS, [ahead], rate, np.array([3.0]), np.array([6.0]))
    for simulated, formula in [
        (bought.sum(axis=1), forecast.expected),
        (~bought.any(axis=1), forecast.none),
        (discounted, forecast.discounted),
        (discounted**2, forecast.discounted_square),
        (bought.sum(axis=1) == 4, bg_bb.purchases_pmf(DONORS, ahead, [[4]], x, n, n)),
    ]:
        error = simulated.std() / math.sqrt(size)
        assert abs(simulated.mean() - formula[0, 0]) < 4 * error


def test_residual_is_the_closed_form_of_fader_hardie_shang_2010_eq_14():
    for gamma, delta, d in [(0.6567, 8.7834, 0.1), (2.5, 30.0, 0.5), (0.3, 1.2, 2.0)]:
        series = hyp2f1(1, delta + 1, gamma + delta + 1, 1 / (1 + d))
        closed = delta / (gamma + delta) / (1 + d) * series
        value = residual_opportunities(np.array([gamma]), np.array([delta]), math.log1p(d))
        assert value == pytest.approx(closed, rel=1e-12)


@pytest.mark.parametrize("rate", [2.6e-5, 2.6e-4, 0.01, 1.0, 50.0])
@settings(deadline=None, derandomize=True, max_examples=6)
@given(gamma=shapes, delta=shapes)
def test_residual_before_an_opportunity_follows_from_that_after_it(rate, gamma, delta):
    now, next_ = residual_opportunities(
        np.array([gamma, gamma]), np.array([delta, delta + 1]), rate
    )
    share = math.exp(-rate) * delta / (gamma + delta)
    assert now == pytest.approx(share * (1 + next_), rel=1e-11)


def test_a_long_horizon_comes_to_the_value_without_horizon():
    x, T = np.array([0.0, 30.0]), np.array([10.0, 800.0])
    forecast = bg_bb.forecast_if_alive(DAILY, [8_000], 5e-3, x, T)
    assert forecast.residual == pytest.approx(forecast.discounted[0], rel=1e-12)
    endless = bg_bb.discounted_expected_purchases(DAILY, 5e-3, math.inf, x, T, T)
    assert endless == pytest.approx(forecast.residual, rel=1e-12)


def test_without_horizon_and_discount_the_value_is_refused():
    with pytest.raises(InputError, match="infinite"):
        bg_bb.discounted_expected_purchases(DAILY, 0.0, math.inf, 0, 0, 6)
    with pytest.raises(InputError, match="must be >= 0"):
        bg_bb.discounted_expected_purchases(DAILY, -0.1, 5, 0, 0, 6)


def test_times_count_whole_opportunities_only():
    for function in (bg_bb.expected_purchases, bg_bb.probability_active):
        assert function(DONORS, 4.9, 2, 3, 6.7) == function(DONORS, 4, 2, 3, 6)
    assert bg_bb.expected_purchases(DONORS, 0.9, 2, 3, 6) == 0
    assert bg_bb.probability_alive(DONORS, 2, 3, 6, 1.5) == bg_bb.probability_alive(
        DONORS, 2, 3, 6, 1
    )
    assert bg_bb.log_likelihood(DONORS, 2, 3, 6.7) == bg_bb.log_likelihood(DONORS, 2, 3, 6)


@pytest.mark.parametrize(
    ("x", "t_x", "T", "rule"),
    [
        (1.5, 2, 6, "x must be a whole number"),
        (1, 2.5, 6, "t_x must be a whole number"),
        (1, 2, 6.5, "T must be a whole number"),
        (1, 7, 6, "t_x must not be larger than T"),
        (0, 2, 6, "t_x must be 0 where x is 0"),
        (3, 2, 6, "x must not be larger than t_x"),
    ],
)
def test_data_that_cannot_be_are_refused(x, t_x, T, rule):
    with pytest.raises(InputError, match=rule):
        bg_bb.MODEL.read({"x": [x], "t_x": [t_x], "T": [T]})


@pytest.mark.parametrize(
    "data",
    [
        {"x": [0, 0, 0], "t_x": [0, 0, 0], "T": [5, 9, 30]},
        {"x": [0, 0], "t_x": [0, 0], "T": [0, 0]},
        {"x": [5, 5, 5], "t_x": [5, 5, 5], "T": [5, 5, 5]},
        {"x": [1], "t_x": [1], "T": [1]},
    ],
)
def test_degenerate_data_give_a_status_and_no_warning(data):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = fit_model(bg_bb.MODEL, data, [300] * len(data["x"]))
    assert result.status != "ok"
    assert all(math.isfinite(value) for value in result.parameters.values())


@settings(deadline=None, derandomize=True, max_examples=30)
@given(
    values=st.tuples(shapes, shapes, shapes, shapes),
    n=st.integers(0, 1000),
    last=st.floats(0, 1),
    count=st.floats(0, 1),
    ahead=st.sampled_from([0, 1, 7, 100]),
    rate=st.sampled_from([0.0, 2.6e-4, 1.0]),
)
def test_any_parameters_and_history_give_sane_numbers(values, n, last, count, ahead, rate):
    params = dict(zip(NAMES, values, strict=True))
    t_x = math.ceil(last * n)
    x = math.ceil(count * t_x)
    with np.errstate(divide="raise", over="raise", invalid="raise"):
        history = (x, t_x, n)
        alive = bg_bb.probability_alive(params, *history)
        later = bg_bb.probability_alive(params, *history, ahead)
        log = bg_bb.log_likelihood(params, *history)
        pmf = bg_bb.purchases_pmf(params, ahead, np.arange(ahead + 1), *history)
        expected = bg_bb.expected_purchases(params, ahead, *history)
        forecast = bg_bb.forecast_if_alive(params, [ahead], rate, np.array([x]), np.array([n]))
    assert 0 <= later <= alive <= 1
    assert -math.inf < log <= 0
    assert pmf.sum() == pytest.approx(1, abs=1e-8)
    assert pmf @ np.arange(ahead + 1) == pytest.approx(float(expected), rel=1e-7, abs=1e-12)
    assert 0 <= expected <= ahead
    assert 0 <= forecast.none[0, 0] <= 1
    assert forecast.discounted_square[0, 0] >= forecast.discounted[0, 0] ** 2 * (1 - 1e-12)
    if rate > 0:
        assert forecast.discounted[0, 0] <= forecast.residual[0]


def test_heavy_buyer_over_thousands_of_opportunities_is_surely_lost_after_a_year_of_silence():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        alive = bg_bb.probability_alive(DAILY, [3000, 3000], [4000, 4365], 4365)
    assert alive[0] < 1e-80
    assert alive[1] == 1


@pytest.mark.parametrize("t", [10, 4096, 4097, 10**4, 10**6, 10**9, 10**12])
def test_far_ahead_at_gamma_one_the_sums_are_those_of_a_harmonic_series(t):
    params, n = {"alpha": 1.2, "beta": 0.75, "gamma": 1.0, "delta": 3.0}, np.array([0.0, 50.0])
    z = 3.0 + n
    # S(s) = z / (z + s), so that the sums of it and of (s - 1) times it are known.
    harmonic = digamma(z + t + 1) - digamma(z + 1)
    mean = 1.2 / (1.95 + n)
    square = mean * 2.2 / (2.95 + n)
    forecast = bg_bb.forecast_if_alive(params, [t], 0.0, np.zeros(2), n)
    np.testing.assert_allclose(
        bg_bb.staying_if_alive(params, [t], np.zeros(2), n)[0], z / (z + t), rtol=1e-13
    )
    np.testing.assert_allclose(forecast.expected[0], mean * z * harmonic, rtol=1e-12)
    pairs = z * (t - (z + 1) * harmonic)
    exact = mean * z * harmonic + 2 * square * pairs
    np.testing.assert_allclose(forecast.discounted_square[0], exact, rtol=1e-12)


# 3 purchases in 100 days: still there, purchases, no purchase, discounted by 1e-9 a day.
@pytest.mark.parametrize(
    ("t", "stays", "expected", "none", "discounted"),
    [
        (1e6, 0.0158015114974921, 891.714375021008, 0.0725025689556461, 891.412598700693),
        (1e9, 4.9975000024989e-4, 28633.7651381306, 0.072502568955646, 21380.7624845489),
        (1e12, 1.580348458608e-5, 905917.90643489, 0.072502568955646, 25374.3862983418),
    ],
)
def test_far_ahead_recomputed_with_mpmath(t, stays, expected, none, discounted):
    x, n = np.array([3.0]), np.array([100.0])
    forecast = bg_bb.forecast_if_alive(DAILY, [30.0, t], 1e-9, x, n)
    found = [forecast.expected[1, 0], forecast.none[1, 0], forecast.discounted[1, 0]]
    assert found == pytest.approx([expected, none, discounted], rel=1e-12)
    assert forecast.residual == pytest.approx(25374.3862983418, rel=1e-11)
    assert bg_bb.staying_if_alive(DAILY, [t], x, n) == pytest.approx(stays, rel=1e-13)
    alive = bg_bb.probability_alive(DAILY, 3, 60, 100)
    later = bg_bb.probability_alive(DAILY, 3, 60, 100, t)
    assert later == pytest.approx(alive * stays, rel=1e-12)
    assert bg_bb.expected_purchases(DAILY, t, 3, 60, 100) == pytest.approx(alive * expected)
    near = bg_bb.forecast_if_alive(DAILY, [30.0], 1e-9, x, n, endless=False)
    assert np.array_equal(forecast.expected[0], near.expected[0])


def test_chance_to_stay_falls_with_time_however_far_and_is_exact_for_any_shapes():
    times = np.concatenate([np.arange(40.0), 10.0 ** np.arange(2, 300)])
    for gamma, delta in itertools.product([1e-5, 1.0, 3.0], [1e-5, 3.0, 15.5, 1e5]):
        params = DONORS | {"gamma": gamma, "delta": delta}
        stays = bg_bb.staying_if_alive(params, times, np.zeros(1), np.zeros(1))[:, 0]
        assert stays[0] == 1
        assert np.all(np.diff(stays) <= 0)
        # S(t + 1) / S(t), and at whole gamma a product of as many factors.
        near = slice(0, 39)
        ratio = (delta + times[near]) / (gamma + delta + times[near])
        np.testing.assert_allclose(stays[1:40] / stays[near], ratio, rtol=1e-14)
        if gamma >= 1:
            factors = [(delta + i) / (delta + times + i) for i in range(int(gamma))]
            np.testing.assert_allclose(stays, np.prod(factors, axis=0), rtol=2e-13)


def test_number_of_purchases_far_ahead_is_right_or_refused_with_the_way_out():
    history = (3, 60, 100)
    none = bg_bb.purchases_pmf(DAILY, 2e5, 0, *history)
    assert 1 - none == pytest.approx(bg_bb.probability_active(DAILY, 2e5, *history), rel=1e-12)
    assert bg_bb.purchases_pmf(DAILY, 999, np.arange(1000), *history).sum() == pytest.approx(1)
    with pytest.raises(InputError, match=r"at most 10,000,000.*found 1,000,000,000.*probability_"):
        bg_bb.purchases_pmf(DAILY, 1e9, 0, *history)
    assert bg_bb.purchases_pmf_new(DAILY, 1e9, 1e9) < 1e-9
