"""Forecasts under draws: the fit's own to the bit, the others near what each would be alone."""

from __future__ import annotations

import numpy as np
import pytest

from clv_spark.economics.drawn_forecasts import drawn_forecasts
from clv_spark.models import PURCHASE_MODELS

pytestmark = pytest.mark.filterwarnings("error")

# In days, so that the BG/BB, which counts them, joins in.
PARAMS = {
    "bg_nbd": {"r": 0.55, "alpha": 42.0, "a": 0.8, "b": 3.0},
    "mbg_nbd": {"r": 0.55, "alpha": 42.0, "a": 0.8, "b": 3.0},
    "pareto_nbd": {"r": 0.55, "alpha": 74.0, "s": 0.6, "beta": 82.0},
    "bg_bb": {"alpha": 0.8, "beta": 40.0, "gamma": 0.9, "delta": 200.0},
}
TIMES, RATE, SETS = [28.0, 365.0], 2.6e-4, 5
RNG = np.random.default_rng(5)
T = np.concatenate([[0.0, 1.0, 140.0], RNG.integers(1, 1096, 400)])
X = np.concatenate([[0.0, 1.0, 140.0], np.minimum(RNG.geometric(0.05, 400) - 1, T[3:])])


def sets_around(name, spread):
    factors = np.exp(spread * np.random.default_rng(1).uniform(-1, 1, (SETS, 4)))
    factors[0] = 1
    values = zip(PARAMS[name].items(), factors.T, strict=True)
    return {letter: value * factor for (letter, value), factor in values}


def exact(name, params, number, x=X, age=T):
    one = {letter: float(values[number]) for letter, values in params.items()}
    return PURCHASE_MODELS[name].forecast_if_alive(one, TIMES, RATE, x, age, endless=False)


def drawn(name, params, x=X, age=T):
    return list(drawn_forecasts(PURCHASE_MODELS[name], params, TIMES, RATE, x, age))


@pytest.mark.parametrize("name", PARAMS)
def test_the_first_set_is_exact_and_the_others_are_near(name):
    params = sets_around(name, 0.1)
    fit, *draws = drawn(name, params)
    assert len(draws) == SETS - 1
    for part, values in fit._asdict().items():
        assert np.array_equal(values, getattr(exact(name, params, 0), part)), part
    for number, one in enumerate(draws, 1):
        alone = exact(name, params, number)
        for part, values in one._asdict().items():
            wanted, usual = getattr(alone, part), getattr(fit, part)
            some = usual > 0
            moved = np.max(np.abs(np.log(wanted[some] / usual[some])))
            off = np.abs(np.log(values[some] / wanted[some]))
            assert np.max(off) < 0.04 * moved, part
            assert np.median(off) < 0.005 * moved, part


@pytest.mark.parametrize("name", PARAMS)
def test_sets_that_are_the_fit_have_its_forecast_to_the_bit(name):
    first, *others = drawn(name, sets_around(name, 0.0))
    for one in others:
        for part, values in one._asdict().items():
            assert np.array_equal(values, getattr(first, part)), part


@pytest.mark.parametrize("name", PARAMS)
@pytest.mark.parametrize(("x", "age"), [([0.0], [0.0]), ([3.0], [3.0]), ([0.0, 0.0], [0.0, 9.0])])
def test_few_customers_have_a_forecast_too(name, x, age):
    x, age = np.array(x), np.array(age)
    params = sets_around(name, 0.1)
    for number, one in enumerate(drawn(name, params, x, age)):
        alone = exact(name, params, number, x, age)
        assert one.expected == pytest.approx(alone.expected, rel=1e-2)


@pytest.mark.parametrize("name", PARAMS)
def test_a_customer_has_the_same_forecast_in_any_company(name):
    params, rows = sets_around(name, 0.1), np.arange(150, 250)
    few, all_of_them = drawn(name, params, X[rows], T[rows]), drawn(name, params)
    for alone, together in zip(few, all_of_them, strict=True):
        for part, values in alone._asdict().items():
            together_part = getattr(together, part)[:, rows]
            assert values == pytest.approx(together_part, rel=1e-12), part
