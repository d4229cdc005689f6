"""Another risk of leaving: the same today, other parameters from now on."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import beta

from clv_spark.errors import ConfigError
from clv_spark.models import CONTRACT_MODELS, PURCHASE_MODELS
from clv_spark.models.contract_forecast import probability_running
from clv_spark.models.risk import (
    contract_running,
    new_at_risk,
    purchases_at_risk,
    staying_at_risk,
)
from tests.kernels.worlds import MODELS, named

pytestmark = pytest.mark.filterwarnings("error")

X = np.array([0.0, 0.0, 2.0, 5.0, 40.0])
T = np.array([0.0, 30.0, 30.0, 100.0, 90.0])
TIMES = [1.0, 26.0, 52.0]
DELTA = 0.002
CONTRACTS = {
    "sbg": {"alpha": 0.7, "beta": 3.8},
    "bdw": {"gamma": 0.26, "delta": 1.72, "c": 1.58},
}


def usual(model, params, x=X, T=T):
    forecast = PURCHASE_MODELS[model].forecast_if_alive(params, TIMES, DELTA, x, T, endless=False)
    staying = PURCHASE_MODELS[model].staying_if_alive(params, TIMES, x, T)
    return np.stack([forecast.expected, forecast.discounted, staying])


def at(model, params, factor, x=X, T=T):
    bought = purchases_at_risk(model, params, TIMES, DELTA, x, T, factor)
    return np.stack([*bought, staying_at_risk(model, params, TIMES, x, T, factor)])


@pytest.mark.parametrize("model", MODELS)
def test_the_same_risk_is_the_same_future(model):
    assert at(model, named(model), 1.0).tolist() == usual(model, named(model)).tolist()
    # Also by another way: the sums over opportunities are not those of the model itself.
    np.testing.assert_allclose(at(model, named(model), 1 + 1e-9), usual(model, named(model)), 1e-7)


@pytest.mark.parametrize("model", MODELS)
def test_more_risk_is_less_of_everything(model):
    factors = (0.01, 0.3, 0.7, 0.99, 1.01, 1.3, 3.0, 30.0)
    values = [at(model, named(model), factor) for factor in factors]
    assert np.all(np.diff(values, axis=0) < 0)


@pytest.mark.parametrize("factor", [0.6, 1.7])
@pytest.mark.parametrize("model", MODELS)
def test_each_leaves_at_another_rate(model, factor):
    """By integration over customers' rates, given what is known of them today."""
    random = np.random.default_rng(4)
    one, two, three, four = named(model).values()
    x, T = 2.0, 30.0
    found = at(model, named(model), factor, np.array([x]), np.array([T]))[:, :, 0]
    count = 400_000
    if model == "bg_bb":
        buys = (one + x) / (one + two + T)
        stays = (1 - random.beta(three, four + T, count)) ** factor
        powers = np.stack([np.mean(stays**s) for s in range(1, 53)])
        s = np.arange(1, 53)
        for row, time in enumerate(TIMES):
            some = s <= time
            assert found[0, row] == pytest.approx(buys * powers[some].sum(), rel=5e-3)
            weighed = powers[some] * np.exp(-DELTA * s[some])
            assert found[1, row] == pytest.approx(buys * weighed.sum(), rel=5e-3)
            assert found[2, row] == pytest.approx(powers[int(time) - 1], rel=5e-3)
        return
    rate = random.gamma(one + x, 1 / (two + T), count)
    if model == "pareto_nbd":
        leaving = factor * random.gamma(three, 1 / (four + T), count)
    else:
        survived = x + 1 if model == "mbg_nbd" else x
        leaving = factor * rate * random.beta(three, four + survived, count)
    for row, time in enumerate(TIMES):
        bought = rate * -np.expm1(-leaving * time) / leaving
        weighed = rate * -np.expm1(-(leaving + DELTA) * time) / (leaving + DELTA)
        staying = np.exp(-leaving * time)
        for place, drawn in enumerate((bought, weighed, staying)):
            assert found[place, row] == pytest.approx(drawn.mean(), rel=5e-3)


@pytest.mark.parametrize("factor", [0.01, 0.5, 1.5, 100.0])
@pytest.mark.parametrize("leaves", [1e-5, 0.01, 1.0, 1e4])
@pytest.mark.parametrize("stays", [1e-5, 0.01, 1.0, 1e4])
def test_extreme_parameters_have_a_future_too(leaves, stays, factor):
    for model, letters in (("bg_nbd", ("a", "b")), ("bg_bb", ("gamma", "delta"))):
        params = named(model) | dict(zip(letters, (leaves, stays), strict=True))
        values = at(model, params, factor)
        assert np.all(np.isfinite(values))
        assert np.all(values >= 0)
        assert np.all(values[2] <= 1)


def test_parts_of_new_customers_add_up_to_those_who_are_there():
    for model in MODELS:
        params = {name: np.array([value]) for name, value in named(model).items()}
        today = PURCHASE_MODELS[model].probability_alive(params, 0.0, 0.0, 0.0)
        for factor in (0.5, 1.0, 1.2):
            parts = new_at_risk(model, params, factor)
            there = sum(part.weight for part in parts)
            leaves = 1 - today[0] if model == "mbg_nbd" else 0.0
            assert there[0] == pytest.approx(1 - factor * leaves, rel=1e-12)
            assert len(parts) == (2 if model == "mbg_nbd" and factor != 1 else 1)


@pytest.mark.parametrize("model", CONTRACTS)
def test_contracts_at_the_same_risk_run_as_they_did(model):
    k, n = np.arange(61), np.array([[0], [1], [7], [300]])
    before = probability_running(CONTRACT_MODELS[model].log_survival, CONTRACTS[model], k, n)
    found = contract_running(model, CONTRACTS[model], k, n, 1.0)
    np.testing.assert_allclose(found, before, rtol=1e-10)
    more = contract_running(model, CONTRACTS[model], k, n, 1.01)
    less = contract_running(model, CONTRACTS[model], k, n, 0.99)
    assert np.all(more[:, 1:] < before[:, 1:])
    assert np.all(before[:, 1:] < less[:, 1:])
    assert np.all((more[:, 0] == 1) & (less[:, 0] == 1))


@pytest.mark.parametrize("factor", [0.7, 1.3])
def test_contracts_are_lost_each_at_its_own_rate_times_the_factor(factor):
    for model, params in CONTRACTS.items():
        leaves, stays, power = (*params.values(), 1.0)[:3]
        for n in (0, 6):
            left = stays + n**power
            for k in (1, 12):
                stay = factor * ((n + k) ** power - n**power) + left
                lived = quad(
                    lambda v, a, b: v ** (a - 1) * (1 - v) ** (b - 1), 0, 1, args=(leaves, stay)
                )
                found = contract_running(model, params, k, n, factor)
                assert float(found) == pytest.approx(lived[0] / beta(leaves, left), rel=1e-5)


def test_every_model_has_a_risk_and_others_are_named():
    for model in PURCHASE_MODELS:
        assert at(model, named(model), 0.5).shape == (3, len(TIMES), X.size)
    assert CONTRACTS.keys() == CONTRACT_MODELS.keys()
    params = named("bg_nbd")
    for call in (
        lambda: at("sbg", CONTRACTS["sbg"], 1.0),
        lambda: staying_at_risk("gamma_gamma", params, TIMES, X, T, 1.0),
        lambda: new_at_risk("gamma_gamma", params, 1.0),
        lambda: contract_running("bg_nbd", params, 1, 0, 1.0),
    ):
        with pytest.raises(ConfigError, match="Nothing is known of the risk"):
            call()
