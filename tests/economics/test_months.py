"""Months ahead: sums of what the models say, and moments as simulated purchase by purchase."""

from __future__ import annotations

import numpy as np
import pytest

from clv_spark.economics.months import MonthTotals, existing_months, newcomer_months
from clv_spark.economics.total import value_patterns
from clv_spark.models import PURCHASE_MODELS, bg_nbd, gamma_gamma
from tests.economics.test_total import one_draw
from tests.kernels.worlds import SPEND, named, patterns_at_random

MONEY = one_draw(SPEND)
ENDS = np.array([4.0, 9.0, 13.0, 30.0, 52.0])


def first(totals):
    """The totals under the only draw."""
    return MonthTotals(*(values[0] for values in vars(totals).values()))


def customers(size=60):
    x, recency, T = patterns_at_random(size, 5)
    random = np.random.default_rng(6)
    return {
        "x": x.astype(float),
        "t_x": recency / 7,
        "T": T / 7,
        "spend_x": x + 1.0,
        "m_x": random.gamma(2, 20, size),
        "margin": random.uniform(0.5, 1.0, size),
    }


def patterns_of(one):
    patterns = value_patterns(**one)
    assert patterns["x"].size == one["x"].size
    return patterns | {"customers": np.ones(one["x"].size)}


@pytest.mark.parametrize("model", ["bg_nbd", "mbg_nbd", "pareto_nbd"])
def test_months_of_todays_customers_are_differences_of_their_forecasts(model):
    one, module, params = customers(), PURCHASE_MODELS[model], named(model)
    found = first(existing_months(module, patterns_of(one), one_draw(params), MONEY, ENDS))
    expected = [
        module.expected_purchases(params, end, one["x"], one["t_x"], one["T"]) for end in ENDS
    ]
    by_month = np.diff(np.stack(expected), axis=0, prepend=0.0)
    spend = gamma_gamma.expected_spend(SPEND, one["spend_x"], one["m_x"]) * one["margin"]
    np.testing.assert_allclose(found.purchases, by_month.sum(axis=1), rtol=1e-6)
    np.testing.assert_allclose(found.revenue, (by_month * spend).sum(axis=1), rtol=1e-6)


@pytest.mark.parametrize("model", ["bg_nbd", "mbg_nbd", "pareto_nbd", "bg_bb"])
def test_new_customers_buy_once_and_again_as_the_model_says(model):
    module, params = PURCHASE_MODELS[model], named(model)
    ends = ENDS if model != "bg_bb" else ENDS * 7
    found = first(newcomer_months(module, one_draw(params), MONEY, 0.8, ends))
    # Who arrives at u has 1 + E[X(t - u)] purchases by t: the plain midpoint rule.
    steps = 300
    total = []
    for end in ends:
        age = (np.arange(steps) + 0.5) / steps * end
        total.append(end + module.expected_purchases_new(params, age).mean() * end)
    np.testing.assert_allclose(np.cumsum(found.purchases), total, rtol=5e-3)
    mean = SPEND["p"] * SPEND["gamma"] / (SPEND["q"] - 1)
    np.testing.assert_allclose(found.revenue, found.purchases * 0.8 * mean)


def simulated(random, arrived, x, T, gone=0.0):
    """Purchases by month of customers of the BG/NBD with gamma-gamma spend, alive at the start."""
    params = named("bg_nbd")
    count = arrived.size
    rate = random.gamma(params["r"] + x, 1 / (params["alpha"] + T), count)
    leaves = random.beta(params["a"], params["b"] + x, count)
    pace = random.gamma(SPEND["q"], 1 / SPEND["gamma"], count)
    number, money = np.zeros(ENDS.size), np.zeros(ENDS.size)
    now, here = arrived.copy(), np.flatnonzero(random.random(count) >= gone)
    return rate, leaves, pace, number, money, now, here


def test_moments_of_new_customers_are_those_of_worlds():
    random = np.random.default_rng(1)
    found = first(newcomer_months(bg_nbd, one_draw(named("bg_nbd")), MONEY, 1.0, ENDS))
    rate_of_arrival, worlds = 5.0, []
    for _ in range(1500):
        count = random.poisson(rate_of_arrival * ENDS[-1])
        arrived = random.uniform(0, ENDS[-1], count)
        rate, leaves, pace, number, money, now, here = simulated(random, arrived, 0.0, 0.0)
        arriving = True
        while here.size:
            place = np.searchsorted(ENDS, now[here])
            np.add.at(number, place, 1)
            np.add.at(money, place, random.gamma(SPEND["p"], 1, here.size) / pace[here])
            if not arriving:
                here = here[random.random(here.size) >= leaves[here]]
            arriving = False
            now[here] += random.exponential(1, here.size) / np.maximum(rate[here], 1e-12)
            here = here[now[here] < ENDS[-1]]
        worlds.append((number, money))
    number, money = (np.array(column) for column in zip(*worlds, strict=True))
    np.testing.assert_allclose(number.mean(axis=0), rate_of_arrival * found.purchases, rtol=0.02)
    sd = np.sqrt(rate_of_arrival * found.variance)
    np.testing.assert_allclose(money.mean(axis=0), rate_of_arrival * found.revenue, rtol=0.02)
    np.testing.assert_allclose(money.std(axis=0), sd, rtol=0.12)


def test_the_chance_of_todays_customers_is_that_of_worlds():
    """Customers with x = 2 who are surely alive, since they bought today."""
    random = np.random.default_rng(2)
    x, T, count = 2.0, 30.0, 400
    params, spend_x, m_x = named("bg_nbd"), 3.0, 30.0
    one = {"x": [x], "t_x": [T], "T": [T], "spend_x": [spend_x], "m_x": [m_x], "margin": [1.0]}
    patterns = value_patterns(**one) | {"customers": np.ones(1)}
    many = {
        name: values * (1 if name in ("x", "t_x", "T", "spend_x") else count)
        for name, values in patterns.items()
    }
    found = first(existing_months(bg_nbd, many, one_draw(params), MONEY, ENDS))
    gone = 1 - float(bg_nbd.probability_alive(params, x, T, T))
    worlds = []
    for _ in range(1500):
        rate, leaves, _, _, money, now, here = simulated(random, np.zeros(count), x, T, gone)
        pace = random.gamma(
            SPEND["q"] + SPEND["p"] * spend_x, 1 / (SPEND["gamma"] + spend_x * m_x), count
        )
        while here.size:
            now[here] += random.exponential(1, here.size) / rate[here]
            here = here[now[here] < ENDS[-1]]
            place = np.searchsorted(ENDS, now[here])
            np.add.at(money, place, random.gamma(SPEND["p"], 1, here.size) / pace[here])
            here = here[random.random(here.size) >= leaves[here]]
        worlds.append(money)
    money = np.array(worlds)
    np.testing.assert_allclose(money.mean(axis=0), found.revenue, rtol=0.02)
    np.testing.assert_allclose(money.std(axis=0), np.sqrt(found.variance), rtol=0.12)


@pytest.mark.parametrize("model", ["bg_nbd", "pareto_nbd"])
def test_draws_together_are_draws_one_by_one(model):
    module, params, patterns = PURCHASE_MODELS[model], named(model), patterns_of(customers())
    moved = [{name: value * factor for name, value in params.items()} for factor in (1, 1.2, 0.7)]
    spends = [{name: value * factor for name, value in SPEND.items()} for factor in (1, 0.9, 1.1)]
    together, money = (
        {name: np.array([one[name] for one in sets]) for name in sets[0]}
        for sets in (moved, spends)
    )
    found = existing_months(module, patterns, together, money, ENDS)
    new = newcomer_months(module, together, money, 0.9, ENDS)
    for row, (one, spend) in enumerate(zip(moved, spends, strict=True)):
        alone = existing_months(module, patterns, one_draw(one), one_draw(spend), ENDS)
        alone_new = newcomer_months(module, one_draw(one), one_draw(spend), 0.9, ENDS)
        for name in ("purchases", "revenue", "variance"):
            # Parameters so far from the first are none of its draws; even so they come near.
            near = pytest.approx(getattr(alone, name)[0], rel=3e-3)
            assert getattr(found, name)[row] == near
            assert row or getattr(found, name)[0].tolist() == getattr(alone, name)[0].tolist()
            assert getattr(new, name)[row].tolist() == getattr(alone_new, name)[0].tolist()
