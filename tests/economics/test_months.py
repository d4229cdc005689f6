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
    steps = 60
    total = []
    for end in ends:
        age = (np.arange(steps) + 0.5) / steps * end
        total.append(end + module.expected_purchases_new(params, age).mean() * end)
    np.testing.assert_allclose(np.cumsum(found.purchases), total, rtol=5e-3)
    mean = SPEND["p"] * SPEND["gamma"] / (SPEND["q"] - 1)
    np.testing.assert_allclose(found.revenue, found.purchases * 0.8 * mean)


WORLDS = 3000


class Simulated:
    """Customers of the BG/NBD with gamma-gamma spend in many worlds, purchase by purchase."""

    def __init__(self, random, world, now, x=0.0, T=0.0):
        params, count = named("bg_nbd"), world.size
        self.random, self.world, self.now = random, world, now
        self.rate = random.gamma(params["r"] + x, 1 / (params["alpha"] + T), count)
        self.leaves = random.beta(params["a"], params["b"] + x, count)
        self.pace = random.gamma(SPEND["q"], 1 / SPEND["gamma"], count)
        self.number, self.money = np.zeros((2, WORLDS * ENDS.size))

    def wait(self, here):
        """Those whose next purchase comes in time."""
        pause = self.random.exponential(1, here.size) / np.maximum(self.rate[here], 1e-12)
        self.now[here] += pause
        return here[self.now[here] < ENDS[-1]]

    def buy(self, here):
        place = self.world[here] * ENDS.size + np.searchsorted(ENDS, self.now[here])
        paid = self.random.gamma(SPEND["p"], 1, here.size) / self.pace[here]
        self.number += np.bincount(place, minlength=self.number.size)
        self.money += np.bincount(place, weights=paid, minlength=self.money.size)

    def stay(self, here):
        return here[self.random.random(here.size) >= self.leaves[here]]

    def by_month(self):
        """Purchases and money, a row per world."""
        return self.number.reshape(WORLDS, -1), self.money.reshape(WORLDS, -1)


@pytest.mark.studies
def test_moments_of_new_customers_are_those_of_worlds():
    random = np.random.default_rng(1)
    found = first(newcomer_months(bg_nbd, one_draw(named("bg_nbd")), MONEY, 1.0, ENDS))
    rate_of_arrival = 5.0
    world = np.repeat(np.arange(WORLDS), random.poisson(rate_of_arrival * ENDS[-1], WORLDS))
    worlds = Simulated(random, world, random.uniform(0, ENDS[-1], world.size))
    here = np.arange(world.size)
    worlds.buy(here)
    here = worlds.wait(here)
    while here.size:
        worlds.buy(here)
        here = worlds.wait(worlds.stay(here))
    number, money = worlds.by_month()
    np.testing.assert_allclose(number.mean(axis=0), rate_of_arrival * found.purchases, rtol=0.02)
    sd = np.sqrt(rate_of_arrival * found.variance)
    np.testing.assert_allclose(money.mean(axis=0), rate_of_arrival * found.revenue, rtol=0.02)
    np.testing.assert_allclose(money.std(axis=0), sd, rtol=0.12)
    sd = np.sqrt(rate_of_arrival * found.variance_to_date)
    np.testing.assert_allclose(money.cumsum(axis=1).std(axis=0), sd, rtol=0.06)


@pytest.mark.studies
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
    world = np.repeat(np.arange(WORLDS), count)
    worlds = Simulated(random, world, np.zeros(world.size), x, T)
    worlds.pace = random.gamma(
        SPEND["q"] + SPEND["p"] * spend_x, 1 / (SPEND["gamma"] + spend_x * m_x), world.size
    )
    here = worlds.wait(np.flatnonzero(random.random(world.size) >= gone))
    while here.size:
        worlds.buy(here)
        here = worlds.wait(worlds.stay(here))
    _, money = worlds.by_month()
    np.testing.assert_allclose(money.mean(axis=0), found.revenue, rtol=0.02)
    np.testing.assert_allclose(money.std(axis=0), np.sqrt(found.variance), rtol=0.12)
    to_date = money.cumsum(axis=1).std(axis=0)
    np.testing.assert_allclose(to_date, np.sqrt(found.variance_to_date), rtol=0.06)
    # Months do not vary one by one.
    assert to_date[-1] > 1.2 * np.sqrt(found.variance.sum())


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
        for name in ("purchases", "revenue", "variance", "variance_to_date"):
            # Parameters so far from the first are none of its draws; even so they come near.
            near = pytest.approx(getattr(alone, name)[0], rel=3e-3)
            assert getattr(found, name)[row] == near
            assert row or getattr(found, name)[0].tolist() == getattr(alone, name)[0].tolist()
            assert getattr(new, name)[row].tolist() == getattr(alone_new, name)[0].tolist()
