"""Intervals of customers' values: right in simulated worlds, exact where the truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import beta

from clv_spark.economics.interval import (
    ValueDistribution,
    predictive_cdf,
    predictive_interval,
    value_distribution,
)
from clv_spark.models import PURCHASE_MODELS, bg_nbd, fit, gamma_gamma
from clv_spark.models.arrays import distinct
from clv_spark.models.uncertainty import prediction_errors

DELTA = math.log(1.1) / 365
# In days. The CDNOW parameters of Fader, Hardie and Lee (2005), a world of heavy buyers, one in
# which few leave, and one in which all are new and most leave soon.
CDNOW = {"r": 0.243, "alpha": 4.414 * 7, "a": 0.793, "b": 2.426}
GROCERY = {"r": 1.2, "alpha": 3.0 * 7, "a": 0.3, "b": 4.0}
LOYAL = {"r": 0.8, "alpha": 60.0, "a": 0.1, "b": 8.0}
FLEETING = {"r": 1.0, "alpha": 30.0, "a": 1.5, "b": 12.0}
# Worlds of the Pareto/NBD: risks of leaving that differ much (CDNOW), and nearly equal ones.
RISKS_APART = {"r": 1.2, "alpha": 3.0 * 7, "s": 0.606, "beta": 11.67 * 7}
RISKS_ALIKE = {"r": 1.2, "alpha": 3.0 * 7, "s": 3.0, "beta": 900.0}
RISK_OF_ALL = {"r": 1.2, "alpha": 3.0 * 7, "s": 300.0, "beta": 90_000.0}
# One in which a first purchase is often the last (MBG/NBD), and one of chances by day (BG/BB).
ONE_TIMERS = {"r": 0.525, "alpha": 6.183 * 7, "a": 0.891, "b": 1.614}
DAILY = {"alpha": 1.2, "beta": 20.0, "gamma": 0.8, "delta": 300.0}
SPEND = {"p": 6.25, "q": 3.74, "gamma": 15.44}
WILD_SPEND = {"p": 0.8, "q": 2.2, "gamma": 40.0}
AGES = [30.0, 60.0, 120.0, 180.0, 240.0, 300.0, 360.0, 420.0]
CLASSES = [(0, 0), (1, 1), (2, 3), (4, 7), (8, 15), (16, math.inf)]
ONE = {
    "alive": 0.8,
    "stays": 0.5,
    "stays_half": 0.7,
    "none": 0.3,
    "purchases": 9.0,
    "discounted": 8.5,
    "discounted_square": 150.0,
    "p": 6.25,
    "q": 3.74,
    "gamma": 15.44,
    "x": 2.0,
    "m_x": 30.0,
    "margin": 0.3,
}


def outlook(world, purchases, spend, horizon, model="bg_nbd", **more):
    """The distribution of each customer's value, as scoring gets it from the models."""
    model = PURCHASE_MODELS[model]
    x, t_x, T = world.x, world.t_x, world.T
    alive = model.probability_alive(purchases, x, t_x, T)
    chosen, inverse = distinct([x, T])
    forecast = model.forecast_if_alive(purchases, [horizon], DELTA, x[chosen], T[chosen])
    half, end = (
        model.probability_alive(purchases, x, t_x, T, t) / np.maximum(alive, 1e-300)
        for t in (horizon / 2, horizon)
    )
    return value_distribution(
        alive=alive,
        stays=end,
        stays_half=half,
        none=forecast.none[0][inverse],
        purchases=forecast.expected[0][inverse],
        discounted=forecast.discounted[0][inverse],
        discounted_square=forecast.discounted_square[0][inverse],
        **spend,
        x=x,
        m_x=world.m_x,
        margin=1.0,
        **more,
    )


def within_80_percent(distribution, value, seed=0):
    """Of the randomised probability integral transform: a value of zero takes a random share."""
    share = predictive_cdf(distribution, value)
    chance = np.random.default_rng(seed).random(value.size)
    share = np.where(value == 0, chance * (1 - distribution.active), share)
    return (share >= 0.1) & (share <= 0.9)


def simulated(simulate, seed, model, purchases, spend, horizon):
    return simulate(
        seed,
        purchases,
        spend,
        horizon=horizon,
        discount_rate=DELTA,
        customers=20_000,
        ages=AGES,
        model=model,
    )


@pytest.mark.studies
@pytest.mark.parametrize(
    ("model", "purchases", "spend", "horizon"),
    [
        ("bg_nbd", CDNOW, SPEND, 365.0),
        ("bg_nbd", CDNOW, WILD_SPEND, 1095.0),
        ("bg_nbd", GROCERY, SPEND, 90.0),
        ("bg_nbd", GROCERY, SPEND, 1095.0),
        ("bg_nbd", GROCERY, WILD_SPEND, 365.0),
        ("bg_nbd", LOYAL, WILD_SPEND, 1095.0),
        ("bg_nbd", FLEETING, SPEND, 1095.0),
        ("pareto_nbd", RISKS_APART, SPEND, 1095.0),
        ("pareto_nbd", RISKS_ALIKE, SPEND, 1095.0),
        ("pareto_nbd", RISKS_ALIKE, WILD_SPEND, 3650.0),
        ("pareto_nbd", RISK_OF_ALL, SPEND, 365.0),
        ("pareto_nbd", RISK_OF_ALL, SPEND, 1095.0),
        ("mbg_nbd", ONE_TIMERS, SPEND, 365.0),
        ("bg_bb", DAILY, SPEND, 365.0),
    ],
)
def test_80_percent_of_values_fall_inside_overall_and_in_every_frequency_class(
    simulate, model, purchases, spend, horizon
):
    world = simulated(simulate, 5, model, purchases, spend, horizon)
    inside = within_80_percent(outlook(world, purchases, spend, horizon, model), world.value)
    assert 0.78 <= np.mean(inside) <= 0.82
    for first, last in CLASSES:
        rows = (world.x >= first) & (world.x <= last)
        if np.sum(rows) >= 400:
            assert 0.75 <= np.mean(inside[rows]) <= 0.85, (first, np.sum(rows))


def log_purchases(params, world, horizon):
    x, t_x, T = world.x, world.t_x, world.T
    alive = bg_nbd.probability_alive(params, x, t_x, T)
    return np.log(alive * bg_nbd.forecast_if_alive(params, [horizon], DELTA, x, T).discounted[0])


def relative_variance(world, purchases, spend, horizon):
    """Of the expected value, by the delta method."""
    by_purchases = prediction_errors(lambda p: log_purchases(p, world, horizon), purchases)
    by_spend = prediction_errors(
        lambda p: np.log(gamma_gamma.expected_spend(p, world.x, world.m_x)), spend
    )
    return by_purchases**2 + by_spend**2


@pytest.mark.studies
def test_intervals_hold_in_segments_of_300_customers_with_their_own_estimated_parameters(simulate):
    inside = []
    for seed in range(8):
        world = simulate(
            seed, GROCERY, SPEND, horizon=365.0, discount_rate=DELTA, customers=300, ages=AGES
        )
        buyers = world.x > 0
        purchases = fit("bg_nbd", {"x": world.x, "t_x": world.t_x, "T": world.T})
        spend = fit("gamma_gamma", {"x": world.x[buyers], "m_x": world.m_x[buyers]})
        assert purchases.status == spend.status == "ok"
        variance = relative_variance(world, purchases, spend, 365.0)
        assert 0.001 < np.median(variance) < 0.05
        estimated = outlook(
            world, purchases.parameters, spend.parameters, 365.0, relative_variance=variance
        )
        inside.append(within_80_percent(estimated, world.value, seed))
    assert 0.77 <= np.mean(inside) <= 0.83


@pytest.mark.studies
@pytest.mark.parametrize(
    ("model", "purchases"),
    [
        ("bg_nbd", CDNOW),
        ("bg_nbd", GROCERY),
        ("mbg_nbd", ONE_TIMERS),
        ("pareto_nbd", RISKS_APART),
        ("bg_bb", DAILY),
    ],
)
def test_probability_of_a_purchase_within_a_year_is_calibrated_by_decile_also_when_estimated(
    simulate, model, purchases
):
    world = simulated(simulate, 6, model, purchases, SPEND, 365.0)
    past = {"x": world.x, "t_x": world.t_x, "T": world.T}
    estimated = fit(model, past)
    assert estimated.status == "ok"
    for params in (purchases, estimated.parameters):
        active = PURCHASE_MODELS[model].probability_active(params, 365.0, **past)
        in_value = outlook(world, params, SPEND, 365.0, model).active
        np.testing.assert_allclose(in_value, active, rtol=1e-8)
        for rows in np.array_split(np.argsort(active, kind="stable"), 10):
            error = np.sqrt(np.mean(active[rows] * (1 - active[rows])) / rows.size)
            actual = np.mean(world.purchases[rows] > 0)
            assert abs(actual - np.mean(active[rows])) < 4 * error


def test_one_certain_purchase_is_the_beta_prime_of_fader_hardie_2013_note_025():
    a, b, scale = 6.25, 3.74 + 3 * 6.25, 0.5 * (15.44 + 60)

    def exact(amounts):
        """By its density: scipy.stats has it, but takes longer to import than most tests take."""
        areas = [
            quad(lambda v: v ** (a - 1) * (1 + v) ** -(a + b), 0, amount / scale, epsabs=0)[0]
            for amount in amounts
        ]
        return np.array(areas) / beta(a, b)

    customer = value_distribution(
        alive=1.0,
        stays=1.0,
        stays_half=1.0,
        none=0.0,
        purchases=1.0,
        discounted=1.0,
        discounted_square=1.0,
        **SPEND,
        x=3.0,
        m_x=20.0,
        margin=0.5,
    )
    low, high = predictive_interval(customer)
    assert exact([low, high]) == pytest.approx([0.1, 0.9], abs=1e-6)
    amounts = np.array([1.0, 8.0, 20.0])
    np.testing.assert_allclose(predictive_cdf(customer, amounts), exact(amounts), rtol=1e-12)
    low, high = predictive_interval(customer, 0.5)
    assert exact([low, high]) == pytest.approx([0.25, 0.75], abs=1e-6)


def mean_and_square(distribution):
    """E[V] and E[V^2] over the margin's unit, from the moments of beta primes."""
    d = distribution
    parts = [(d.stays, d.stay_shape, d.stay_mean), (1 - d.stays, d.leave_shape, d.leave_mean)]
    q = d.spend_shape
    mean = sum(w * m / (q - 1) for w, _, m in parts)
    square = sum(w * m**2 * (1 + 1 / k) / ((q - 1) * (q - 2)) for w, k, m in parts)
    return d.active * mean, d.active * square


def test_mean_is_the_expected_value_and_spread_that_of_purchases_and_spend():
    for count in (1.1, 9.0):
        given = ONE | {"purchases": count, "discounted": 0.95 * count}
        given["discounted_square"] = 2.5 * given["discounted"] ** 2
        mean, square = mean_and_square(value_distribution(**given))
        spend = gamma_gamma.expected_spend(SPEND, 2.0, 30.0)
        assert mean * 0.3 * (15.44 + 60) == pytest.approx(0.8 * given["discounted"] * spend * 0.3)
        shape = 3.74 + 2 * 6.25
        squares = 6.25 * given["discounted"] ** 2 / count + 6.25**2 * given["discounted_square"]
        # Exact for one part; of two, that of who leaves is kept from rising to infinity at zero.
        rel = 1e-12 if count < 2 else 0.03
        assert square == pytest.approx(0.8 * squares / ((shape - 1) * (shape - 2)), rel=rel)


def test_uncertain_parameters_widen_the_interval_and_raise_the_second_moment():
    sure, unsure = (value_distribution(**ONE, relative_variance=v) for v in (0.0, 0.2))
    assert mean_and_square(unsure)[0] == pytest.approx(mean_and_square(sure)[0])
    assert mean_and_square(unsure)[1] == pytest.approx(1.2 * mean_and_square(sure)[1])
    near, far = (
        value_distribution(**ONE | {"none": 0.0, "alive": 1.0}, relative_variance=v)
        for v in (0.0, 0.2)
    )
    assert predictive_interval(far)[0] < predictive_interval(near)[0]
    assert predictive_interval(far)[1] > predictive_interval(near)[1]


@pytest.mark.parametrize("other", [{"stays": 0.4}, {"stays_half": 0.6}])
def test_staying_matters_where_many_purchases_are_to_come(other):
    for count, same in ((2.0, True), (9.0, False)):
        one = ONE | {"purchases": count, "none": 0.0}
        bounds = [predictive_interval(value_distribution(**one | way))[1] for way in ({}, other)]
        assert bool(bounds[0] == bounds[1]) is same


def test_bounds_are_quantiles_also_between_two_humps_far_apart():
    # Of who leaves all have about 20, of who stays about 1000: nothing in between.
    columns = [np.full(3, v) for v in (1.0, 1.0, 4000.0, 0.4, 0.8, 420.0, 500.0, 1e3, 90.0, 20.0)]
    customers = ValueDistribution(*columns)
    for level in (0.2, 0.1999, 0.2001, 0.8):
        low, high = predictive_interval(customers, level)
        assert predictive_cdf(customers, low) == pytest.approx((1 - level) / 2, abs=2e-3)
        assert predictive_cdf(customers, high) == pytest.approx((1 + level) / 2, abs=2e-3)


def random_customers(size):
    rng = np.random.default_rng(3)
    count = rng.gamma(0.5, 20, size)
    return {
        "alive": rng.random(size),
        "stays": rng.random(size),
        "stays_half": rng.random(size),
        "none": np.exp(-count) * rng.random(size),
        "purchases": count,
        "discounted": 0.9 * count,
        "discounted_square": (0.9 * count) ** 2 * (1 + rng.random(size)) + count,
        "p": 2.0,
        "q": 3.0,
        "gamma": 20.0,
        "x": rng.integers(0, 9, size).astype(float),
        "m_x": rng.gamma(3, 10, size),
        "margin": 0.3,
    }


def test_bounds_of_a_customer_do_not_depend_on_the_batch_to_the_last_bit():
    customers = random_customers(500)
    low, high = predictive_interval(value_distribution(**customers))
    for rows in (np.arange(499, -1, -1), np.arange(7), np.array([123])):
        some = {n: v[rows] if np.ndim(v) else v for n, v in customers.items()}
        part_low, part_high = predictive_interval(value_distribution(**some))
        assert part_low.tobytes() == low[rows].tobytes()
        assert part_high.tobytes() == high[rows].tobytes()


@pytest.mark.parametrize("name", ONE)
def test_what_is_unknown_gives_nan_and_no_warning(name):
    with np.errstate(all="raise"):
        customers = value_distribution(**ONE | {name: np.array([ONE[name], np.nan])})
        low, high = predictive_interval(customers)
        cdf = predictive_cdf(customers, 50.0)
    assert np.isfinite([low[0], high[0], cdf[0]]).all()
    assert np.isnan([low[1], high[1], cdf[1]]).all()


def test_who_has_no_spend_of_their_own_is_like_everybody():
    nobody, known = (value_distribution(**ONE | {"x": 0.0, "m_x": m}) for m in (np.nan, 70.0))
    assert predictive_interval(nobody) == predictive_interval(known)


@pytest.mark.parametrize(
    "nothing",
    [
        {"margin": 0.0},
        {"alive": 0.0},
        {"none": 1.0, "purchases": 0.0, "discounted": 0.0, "discounted_square": 0.0},
        {"none": 1.0, "purchases": 1e-18, "discounted": 1e-18, "discounted_square": 1e-18},
    ],
)
def test_who_brings_nothing_has_bounds_of_zero(nothing):
    with np.errstate(all="raise"):
        customer = value_distribution(**ONE | nothing)
        assert [float(bound) for bound in predictive_interval(customer)] == [0.0, 0.0]
        assert predictive_cdf(customer, [-1.0, 0.0, 9.0]).tolist() == [0.0, 1.0, 1.0]


positive = st.floats(-4, 4).map(lambda exponent: 10.0**exponent)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    alive=st.floats(0, 1),
    stays=st.floats(0, 1),
    stays_half=st.floats(0, 1),
    none=st.floats(0, 1),
    purchases=positive,
    spread=positive,
    p=st.floats(-1.5, 4).map(lambda exponent: 10.0**exponent),
    q=st.floats(-1, 4).map(lambda exponent: 10.0**exponent),
    x=st.integers(0, 5000),
    m_x=positive,
    relative_variance=st.floats(0, 3),
)
def test_bounds_are_quantiles_whatever_the_customer(
    alive, stays, stays_half, none, purchases, spread, p, q, x, m_x, relative_variance
):
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        customer = value_distribution(
            alive=alive,
            stays=stays,
            stays_half=stays_half,
            none=none,
            purchases=purchases,
            discounted=0.9 * purchases,
            discounted_square=purchases**2 * (1 + spread),
            p=p,
            q=q,
            gamma=20.0,
            x=float(x),
            m_x=m_x,
            margin=0.3,
            relative_variance=relative_variance,
        )
        low, high = predictive_interval(customer)
        below = predictive_cdf(customer, [low, high])
    assert 0 <= low <= high < math.inf
    floor = 1 - customer.active
    assert below == pytest.approx([max(0.1, floor), max(0.9, floor)], abs=2e-3)
