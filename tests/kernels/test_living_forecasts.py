"""Forecasts of the living: those of the models, from a memory that leaves no trace."""

from __future__ import annotations

import math

import numpy as np
import pytest

from clv_spark.economics import rate_per_unit
from clv_spark.kernels import living_forecasts as kernel
from clv_spark.kernels.living_forecasts import NAMES, LivingForecasts, PurchaseParameters
from clv_spark.models import PURCHASE_MODELS
from tests.kernels.worlds import MODELS, PURCHASES, UNIT_DAYS, named, patterns_at_random

# The last two buy often.
X, T_X, T = patterns_at_random(25, seed=5)
X[-2:], T_X[-2:], T[-2:] = [40, 90], [180, 360], [200, 365]
CODES = np.zeros(X.size, dtype=np.int64)


def set_of(model, factor=1.0, uncertain=False):
    values = (PURCHASES[model][0] * factor, *PURCHASES[model][1:])
    return PurchaseParameters(model, UNIT_DAYS[model], values, uncertain)


def in_units(model):
    unit = UNIT_DAYS[model]
    return X.astype(np.float64), T_X / unit, T / unit


@pytest.mark.parametrize("horizon", [365, 730, 10])
@pytest.mark.parametrize("model", MODELS)
def test_times_the_probability_of_being_alive_values_are_the_models_own(model, horizon):
    module, params, unit = PURCHASE_MODELS[model], named(model), UNIT_DAYS[model]
    found = LivingForecasts(horizon, 0.1).of([set_of(model)], CODES, X, T)
    past = in_units(model)
    alive = module.probability_alive(params, *past)
    rate = rate_per_unit(0.1, unit)

    def discounted(days):
        return module.discounted_expected_purchases(params, rate, days / unit, *past)

    expected = {
        **{
            f"expected_{days}": module.expected_purchases(params, days / unit, *past)
            for days in (30, 90, 365)
        },
        "purchases": module.expected_purchases(params, horizon / unit, *past),
        "discounted": discounted(horizon),
        "residual": discounted(math.inf),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(alive * found[name], values, rtol=1e-6, err_msg=name)
    for name, days in (("none_365", 365), ("none", horizon)):
        some = module.probability_active(params, days / unit, *past)
        np.testing.assert_allclose(alive * (1 - found[name]), some, rtol=1e-6, err_msg=name)
    # An interval asks who stays only of those who buy often.
    often = found["purchases"] > 6 * (1 - found["none"])
    stays = module.probability_alive(params, *past, horizon / unit) / alive
    np.testing.assert_allclose(found["stays"][often], stays[often], rtol=1e-6)
    assert often.any() == (horizon > 10)
    assert set(found) == {*NAMES, "slope_0", "slope_1", "slope_2", "slope_3"}


@pytest.mark.parametrize("model", MODELS)
def test_the_square_is_that_of_the_distribution_of_purchases(model):
    """Without a discount E[D^2] is the sum of n^2 P(n)."""
    module, params, n = PURCHASE_MODELS[model], named(model), np.arange(120.0)[:, np.newaxis]
    found = LivingForecasts(60, 0.0).of([set_of(model)], CODES, X, T)
    past = in_units(model)
    square = np.sum(n**2 * module.purchases_pmf(params, 60 / UNIT_DAYS[model], n, *past), axis=0)
    alive = module.probability_alive(params, *past)
    # The horizon of 60 days is cut to whole opportunities or not at all; the tail beyond n is nil.
    np.testing.assert_allclose(alive * found["discounted_square"], square, rtol=1e-5)
    np.testing.assert_allclose(found["discounted"], found["purchases"], rtol=1e-12)


@pytest.mark.parametrize("model", MODELS)
def test_without_a_discount_rate_there_is_no_value_without_horizon(model):
    found = LivingForecasts(365, 0.0).of([set_of(model)], CODES, X, T)
    assert np.isnan(found["residual"]).all()
    for name in NAMES[:-1]:
        assert np.isfinite(found[name]).all(), name


@pytest.mark.parametrize("model", MODELS)
def test_slopes_are_derivatives_of_the_discounted_purchases_of_the_living(model):
    module, unit, step = PURCHASE_MODELS[model], UNIT_DAYS[model], 1e-3
    # Numbers with few leading bits, which are not rounded.
    x, age = np.array([0, 0, 1, 3, 5, 12, 40]), np.array([64, 896, 224, 320, 448, 896, 224])
    memory, codes = LivingForecasts(365, 0.1), np.zeros(x.size, dtype=np.int64)
    found = memory.of([set_of(model, uncertain=True)], codes, x, age)

    def log_value(letter, sign):
        params = {**named(model), letter: named(model)[letter] * math.exp(sign * step)}
        rate = rate_per_unit(0.1, unit)
        ahead = module.forecast_if_alive(params, [365 / unit], rate, x * 1.0, age / unit)
        return np.log(ahead.discounted[0])

    for number, letter in enumerate(named(model)):
        slope = (log_value(letter, 1) - log_value(letter, -1)) / (2 * step)
        np.testing.assert_allclose(found[f"slope_{number}"], slope, rtol=2e-3, atol=1e-4)
        assert np.abs(slope).max() > 0.01


def test_parameters_that_are_certain_enough_have_no_slopes():
    found = LivingForecasts(365, 0.1).of([set_of("bg_nbd")], CODES, X, T)
    assert all((found[f"slope_{number}"] == 0).all() for number in range(4))


def as_table(found):
    return np.stack([*found.values()])


@pytest.mark.parametrize("model", MODELS)
def test_values_are_equal_to_the_bit_in_any_batch_order_and_after_anything(model, monkeypatch):
    sets = [set_of(model), set_of(model, 1.3, uncertain=True), set_of(model, 0.8)]
    random = np.random.default_rng(2)
    codes = random.integers(0, 3, X.size)
    whole = as_table(LivingForecasts(365, 0.1).of(sets, codes, X, T))

    order = random.permutation(X.size)
    shuffled = LivingForecasts(365, 0.1).of(sets, codes[order], X[order], T[order])
    assert np.array_equal(as_table(shuffled), whole[:, order])

    used = LivingForecasts(365, 0.1)
    used.of([set_of(model, 2.0, uncertain=True)], CODES, X[::-1], T)
    small = LivingForecasts(365, 0.1)
    for memory, most in ((used, 10**6), (small, 5)):
        monkeypatch.setattr(kernel, "MOST_PAIRS", most)
        for size, end in ((1, 3), (9, X.size)):
            rows = [slice(at, at + size) for at in range(0, end, size)]
            # Sets in another order this time.
            parts = [memory.of(sets[::-1], 2 - codes[r], X[r], T[r]) for r in rows]
            glued = np.concatenate([as_table(part) for part in parts], axis=1)
            assert np.array_equal(glued, whole[:, :end])


def test_what_is_known_is_not_worked_out_again(monkeypatch):
    memory = LivingForecasts(365, 0.1)
    first = memory.of([set_of("bg_nbd")], CODES, X, T)
    monkeypatch.setattr(kernel, "PURCHASE_MODELS", {})
    again = memory.of([set_of("bg_nbd")], CODES[:9], X[:9], T[:9])
    assert np.array_equal(as_table(again), as_table(first)[:, :9])
    with pytest.raises(KeyError):
        memory.of([set_of("bg_nbd", 1.1)], CODES, X, T)


def test_a_full_memory_begins_anew(monkeypatch):
    memory = LivingForecasts(365, 0.1)
    memory.of([set_of("bg_nbd")], CODES, X, T)
    monkeypatch.setattr(kernel, "MOST_PAIRS", 5)
    memory.of([set_of("bg_nbd")], CODES[:1], X[:1], T[:1])
    monkeypatch.setattr(kernel, "PURCHASE_MODELS", {})
    with pytest.raises(KeyError):
        memory.of([set_of("bg_nbd")], CODES, X, T)


def test_equal_numbers_of_two_models_are_not_mixed_up():
    memory = LivingForecasts(365, 0.1)
    values = PURCHASES["bg_nbd"]
    first, second = (
        as_table(memory.of([PurchaseParameters(model, 7, values, False)], CODES, X, T))
        for model in ("bg_nbd", "mbg_nbd")
    )
    days = as_table(memory.of([PurchaseParameters("bg_nbd", 1, values, False)], CODES, X, T))
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, days)


def test_the_oldest_and_the_busiest_customers_have_keys_of_their_own():
    memory = LivingForecasts(365, 0.1)
    x, age = np.array([0, 1, 400_000, 0]), np.array([400_000, 400_000, 400_000, 2**20 - 1])
    sets = [set_of("bg_nbd", 1 + place / 10) for place in range(3)]
    codes = np.repeat(np.arange(3), 4)
    together = as_table(memory.of(sets, codes, np.tile(x, 3), np.tile(age, 3)))
    for place in range(12):
        alone = LivingForecasts(365, 0.1)
        column = alone.of([sets[codes[place]]], CODES[:1], x[[place % 4]], age[[place % 4]])
        assert np.array_equal(as_table(column)[:, 0], together[:, place])


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("horizon", [90, 365, 1825, 3650, 36_500])
@pytest.mark.parametrize("model", MODELS)
def test_time_as_a_customer_is_the_integral_of_staying(model, horizon, rate):
    module, params, unit = PURCHASE_MODELS[model], named(model), UNIT_DAYS[model]
    found = LivingForecasts(horizon, rate, with_time=True).of([set_of(model)], CODES, X, T)
    x, _, age = in_units(model)
    # In each of so many steps the probability in its middle stands for all of it.
    edges = np.geomspace(1, 1 + horizon, 2001) - 1
    middle, length = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
    stays = module.staying_if_alive(params, (middle / unit).tolist(), x, age)
    weight = length * (1 + rate) ** (-middle / 365)
    np.testing.assert_allclose(found["living_days"], weight @ stays, rtol=0.01)
