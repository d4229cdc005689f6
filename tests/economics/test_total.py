"""Intervals of totals: they cover in simulated worlds, and parameters are shared, not averaged."""

from __future__ import annotations

import math

import numpy as np
import pytest

from clv_spark.economics.interval import predictive_interval, value_distribution
from clv_spark.economics.total import TotalDraws, total_draws, total_interval, value_patterns
from clv_spark.errors import InputError
from clv_spark.models import bg_nbd, fit, gamma_gamma
from clv_spark.models.draws import parameter_draws

DELTA = math.log(1.1) / 365
HORIZON = 365.0
PURCHASES = {"r": 0.8, "alpha": 100.0, "a": 0.5, "b": 3.0}
SPEND = {"p": 6.25, "q": 3.74, "gamma": 15.44}
AGES = [200.0, 400.0]
MARGIN = 0.3


def one_draw(params):
    return {name: np.array([value]) for name, value in params.items()}


def patterns_of(world, margin=MARGIN):
    margins = np.full(world.x.size, margin)
    return value_patterns(
        x=world.x, t_x=world.t_x, T=world.T, spend_x=world.x, m_x=world.m_x, margin=margins
    )


def draws_of(patterns, purchases, spend):
    return total_draws(bg_nbd, patterns, purchases, spend, horizon=HORIZON, discount_rate=DELTA)


def make_world(simulate, seed, customers):
    return simulate(
        seed,
        PURCHASES,
        SPEND,
        horizon=HORIZON,
        discount_rate=DELTA,
        customers=customers,
        ages=AGES,
    )


def estimated(world, name, count=16):
    """Draws of the parameters, fitted to a world."""
    buyers = world.x > 0
    purchases = fit("bg_nbd", {"x": world.x, "t_x": world.t_x, "T": world.T})
    spend = fit("gamma_gamma", {"x": world.x[buyers], "m_x": world.m_x[buyers]})
    return (
        parameter_draws(purchases.parameters, purchases.log_covariance, count, f"{name} p"),
        parameter_draws(spend.parameters, spend.log_covariance, count, f"{name} s"),
    )


def test_mean_of_a_draw_is_the_sum_of_the_customers_expected_values(simulate):
    world = make_world(simulate, 1, 300)
    values = bg_nbd.discounted_expected_purchases(
        PURCHASES, DELTA, HORIZON, world.x, world.t_x, world.T
    ) * gamma_gamma.expected_spend(SPEND, world.x, world.m_x)
    draws = draws_of(patterns_of(world), one_draw(PURCHASES), one_draw(SPEND))
    assert draws.mean[0] == pytest.approx(MARGIN * np.sum(values), rel=1e-8)
    assert total_interval([draws]).expected == draws.mean[0]


def test_variance_of_a_draw_is_that_of_the_customers_own_distributions():
    x, t_x, T = np.array([1.0, 1.0, 0.0]), np.array([150.0, 150.0, 0.0]), np.full(3, 200.0)
    m_x, margin = np.array([20.0, 60.0, 0.0]), np.array([0.3, 0.2, 0.5])
    forecast = bg_nbd.forecast_if_alive(PURCHASES, [HORIZON], DELTA, x, T)
    customers = value_distribution(
        alive=bg_nbd.probability_alive(PURCHASES, x, t_x, T),
        stays=1.0,
        stays_half=1.0,
        none=forecast.none[0],
        purchases=forecast.expected[0],
        discounted=forecast.discounted[0],
        discounted_square=forecast.discounted_square[0],
        **SPEND,
        x=x,
        m_x=m_x,
        margin=margin,
    )
    q, k = customers.spend_shape, customers.whole_shape
    mean = customers.unit * customers.whole_mean / (q - 1)
    square = mean**2 * (1 + 1 / k) * (q - 1) / (q - 2)
    variance = customers.active * square - (customers.active * mean) ** 2
    patterns = value_patterns(x=x, t_x=t_x, T=T, spend_x=x, m_x=m_x, margin=margin)
    draws = draws_of(patterns, one_draw(PURCHASES), one_draw(SPEND))
    assert patterns["x"].size == 2
    assert draws.variance[0] == pytest.approx(np.sum(variance), rel=1e-9)


@pytest.mark.studies
def test_variance_of_a_draw_is_that_of_simulated_totals(simulate):
    # With true parameters the error of a total is the customers' own chance alone.
    errors, predicted = [], []
    for seed in range(150):
        world = make_world(simulate, 100 + seed, 200)
        draws = draws_of(patterns_of(world), one_draw(PURCHASES), one_draw(SPEND))
        errors.append(MARGIN * np.sum(world.value) - draws.mean[0])
        predicted.append(draws.variance[0])
    ratio = np.mean(np.square(errors)) / np.mean(predicted)
    # Three standard errors of a mean of 150 squares of heavy-tailed values.
    assert 0.55 < ratio < 1.6
    assert abs(np.mean(errors)) < 3 * np.sqrt(np.mean(predicted) / 150)


@pytest.mark.studies
def test_interval_covers_the_total_of_customers_with_estimated_parameters(simulate):
    inside, scores = [], []
    for seed in range(12):
        world = make_world(simulate, 300 + seed, 2000)
        draws = draws_of(patterns_of(world), *estimated(world, f"{seed}"))
        total = total_interval([draws])
        actual = MARGIN * np.sum(world.value)
        inside.append(total.low <= actual <= total.high)
        scores.append((actual - total.expected) / total.sd)
    # 9.6 of 12 are expected; fewer than 7 would come up in 2% of all runs.
    assert np.sum(inside) >= 7
    assert 0.4 < np.mean(np.square(scores)) < 2.0


def test_total_is_far_better_known_than_the_sum_of_the_customers_bounds(simulate):
    world = make_world(simulate, 2, 1000)
    draws = draws_of(patterns_of(world), *estimated(world, "bounds"))
    total = total_interval([draws])
    forecast = bg_nbd.forecast_if_alive(PURCHASES, [HORIZON], DELTA, world.x, world.T)
    alive, *later = (
        bg_nbd.probability_alive(PURCHASES, world.x, world.t_x, world.T, t)
        for t in (0.0, HORIZON / 2, HORIZON)
    )
    customers = value_distribution(
        alive=alive,
        stays=later[1] / np.maximum(alive, 1e-300),
        stays_half=later[0] / np.maximum(alive, 1e-300),
        none=forecast.none[0],
        purchases=forecast.expected[0],
        discounted=forecast.discounted[0],
        discounted_square=forecast.discounted_square[0],
        **SPEND,
        x=world.x,
        m_x=world.m_x,
        margin=MARGIN,
    )
    low, high = predictive_interval(customers)
    assert np.sum(low) < total.low < total.high < np.sum(high)
    assert total.high - total.low < 0.2 * np.sum(high - low)


def test_many_customers_leave_the_uncertainty_of_the_parameters_alone(simulate):
    world = make_world(simulate, 3, 1000)
    patterns = patterns_of(world)
    many = {n: v if n in ("x", "t_x", "T", "spend_x") else 10_000 * v for n, v in patterns.items()}
    parameters = estimated(world, "many")
    few_total, many_total = (
        total_interval([draws_of(sums, *parameters)]) for sums in (patterns, many)
    )
    assert few_total.sd > 1.1 * few_total.parameter_sd
    assert many_total.sd == pytest.approx(many_total.parameter_sd, rel=1e-3)
    assert many_total.parameter_sd == pytest.approx(10_000 * few_total.parameter_sd)


def test_parts_with_shared_draws_add_up_to_the_whole(simulate):
    world = make_world(simulate, 4, 400)
    parameters = estimated(world, "parts")
    halves = [
        type(world)(*(column[rows] for column in world))
        for rows in (np.arange(0, 400, 2), np.arange(1, 400, 2))
    ]
    parts = [draws_of(patterns_of(half), *parameters) for half in halves]
    whole = draws_of(patterns_of(world), *parameters)
    together, alone = total_interval(parts), total_interval([whole])
    for name in ("expected", "low", "high", "sd", "parameter_sd"):
        assert getattr(together, name) == pytest.approx(getattr(alone, name), rel=1e-9)


def test_order_of_customers_does_not_matter(simulate):
    world = make_world(simulate, 5, 300)
    turned = type(world)(*(column[::-1] for column in world))
    one, other = (
        total_interval([draws_of(patterns_of(w), one_draw(PURCHASES), one_draw(SPEND))])
        for w in (world, turned)
    )
    assert one.expected == pytest.approx(other.expected, rel=1e-12)
    assert one.high == pytest.approx(other.high, rel=1e-9)


def test_level_widens_the_interval_around_a_known_normal():
    draws = TotalDraws(mean=np.array([1e6]), variance=np.array([100.0]))
    for level, z in ((0.5, 0.67448975), (0.8, 1.28155157), (0.95, 1.95996398)):
        total = total_interval([draws], level)
        assert total.low == pytest.approx(1e6 - 10 * z, abs=0.01)
        assert total.high == pytest.approx(1e6 + 10 * z, abs=0.01)


def test_infinite_variance_of_spend_gives_a_finite_interval(simulate):
    world = make_world(simulate, 6, 50)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        draws = draws_of(patterns_of(world), one_draw(PURCHASES), one_draw(SPEND | {"q": 1.2}))
        total = total_interval([draws])
    assert 0 <= total.low < total.expected < total.high < math.inf


def test_worthless_customers_have_a_total_of_zero(simulate):
    world = make_world(simulate, 7, 50)
    draws = draws_of(patterns_of(world, margin=0.0), one_draw(PURCHASES), one_draw(SPEND))
    with np.errstate(all="raise"):
        total = total_interval([draws])
    assert (total.expected, total.low, total.high, total.sd) == (0.0, 0.0, 0.0, 0.0)


def test_draws_and_patterns_are_checked():
    patterns = value_patterns(x=[1], t_x=[5], T=[9], spend_x=[1], m_x=[20], margin=[0.3])
    purchases, spend = one_draw(PURCHASES), one_draw(SPEND)
    with pytest.raises(InputError, match="as many draws"):
        draws_of(patterns, purchases, spend | {"q": np.array([2.0, 3.0])})
    with pytest.raises(InputError, match="q > 1"):
        draws_of(patterns, purchases, spend | {"q": np.array([1.0])})
    with pytest.raises(InputError, match="lack \\['margin'\\]"):
        draws_of({n: v for n, v in patterns.items() if n != "margin"}, purchases, spend)
    draws = draws_of(patterns, purchases, spend)
    with pytest.raises(InputError, match="one number of draws"):
        total_interval([draws, TotalDraws(np.ones(2), np.ones(2))])
    with pytest.raises(InputError, match="0 parts"):
        total_interval([])


def test_a_bound_between_two_groups_of_draws_is_the_lowest_that_reaches_the_level() -> None:
    # A tenth of the draws says about 100, all others about 900: whatever lies between is at 10%.
    mean = np.repeat([100.0, 900.0], [2, 18])
    total = total_interval([TotalDraws(mean=mean, variance=np.full(20, 1e-6))])
    assert total.low == pytest.approx(100.0, abs=0.1)
    assert total.high == pytest.approx(900.0, abs=0.1)
    # And the other way round, whatever lies between is at 90%.
    mean = np.repeat([100.0, 900.0], [18, 2])
    total = total_interval([TotalDraws(mean=mean, variance=np.full(20, 1e-6))])
    assert total.high == pytest.approx(100.0, abs=0.1)


def test_a_total_that_may_be_nothing_has_a_lower_bound_of_nothing() -> None:
    mean = np.repeat([0.0, 50.0], [4, 16])
    total = total_interval([TotalDraws(mean=mean, variance=np.full(20, 25.0))])
    assert total.low == 0.0
    assert 50.0 < total.high < 60.0
