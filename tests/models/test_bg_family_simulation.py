"""BG/NBD and MBG/NBD against simulated customers, whose truth is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from clv_spark.models import bg_nbd, mbg_nbd

pytestmark = pytest.mark.studies
PARAMS = {"r": 0.5, "alpha": 5.0, "a": 0.9, "b": 2.0}
CUSTOMERS, TODAY, AHEAD, DELTA = 100_000, 30.0, 25.0, 0.02
MODELS = {"bg_nbd": bg_nbd, "mbg_nbd": mbg_nbd}


@dataclass
class World:
    model: object
    x: NDArray[np.float64]
    t_x: NDArray[np.float64]
    alive: NDArray[np.bool_]
    later: NDArray[np.float64]
    discounted: NDArray[np.float64]
    alive_later: NDArray[np.bool_]


@pytest.fixture(scope="module", params=MODELS)
def world(request):
    """Purchase by purchase, as the story of the model is told."""
    random = np.random.default_rng(11)
    rate = random.gamma(PARAMS["r"], 1 / PARAMS["alpha"], CUSTOMERS)
    leave = random.beta(PARAMS["a"], PARAMS["b"], CUSTOMERS)
    x, t_x, later, discounted = (np.zeros(CUSTOMERS) for _ in range(4))
    left = np.full(CUSTOMERS, np.inf)
    if request.param == "mbg_nbd":
        left[random.random(CUSTOMERS) < leave] = 0.0
    now, who = np.zeros(CUSTOMERS), np.flatnonzero(left > 0)
    while who.size:
        now[who] += random.exponential(1 / rate[who])
        who = who[now[who] <= TODAY + AHEAD]
        seen = who[now[who] <= TODAY]
        x[seen] += 1
        t_x[seen] = now[seen]
        unseen = who[now[who] > TODAY]
        later[unseen] += 1
        discounted[unseen] += np.exp(-DELTA * (now[unseen] - TODAY))
        gone = random.random(who.size) < leave[who]
        left[who[gone]] = now[who[gone]]
        who = who[~gone]
    return World(
        MODELS[request.param], x, t_x, left > TODAY, later, discounted, left > TODAY + AHEAD
    )


def assert_same_mean(actual, predicted):
    error = actual - predicted
    assert abs(error.mean()) <= 4.5 * error.std() / np.sqrt(error.size)


@pytest.mark.parametrize(("low", "high"), [(0, 0), (1, 1), (2, 3), (4, 8), (9, 1000)])
def test_each_class_of_customers_does_what_is_forecast(world, low, high):
    rows = (world.x >= low) & (world.x <= high)
    x, t_x, T = world.x[rows], world.t_x[rows], np.full(rows.sum(), TODAY)
    model = world.model
    alive = model.probability_alive(PARAMS, x, t_x, T)
    assert_same_mean(world.alive[rows], alive)
    ahead = model.probability_alive(PARAMS, x, t_x, T, AHEAD)
    assert_same_mean(world.alive_later[rows], ahead)
    later = world.later[rows]
    # All are of one age, so that of who is alive x says it all.
    counts, place = np.unique(x, return_inverse=True)
    forecast = model.forecast_if_alive(PARAMS, [AHEAD], DELTA, counts, np.full_like(counts, TODAY))
    assert_same_mean(later, alive * forecast.expected[0, place])
    assert_same_mean(later == 0, 1 - alive + alive * forecast.none[0, place])
    assert_same_mean(world.discounted[rows], alive * forecast.discounted[0, place])
    assert_same_mean(world.discounted[rows] ** 2, alive * forecast.discounted_square[0, place])
    for n in (0, 1, 3):
        assert_same_mean(later == n, model.purchases_pmf(PARAMS, AHEAD, n, x, t_x, T))


def test_new_customers_do_what_is_forecast(world):
    assert_same_mean(world.x, world.model.expected_purchases_new(PARAMS, TODAY))
    for n in (0, 1, 4):
        assert_same_mean(world.x == n, world.model.purchases_pmf_new(PARAMS, TODAY, n))
    assert_same_mean(world.alive, world.model.probability_alive(PARAMS, 0, 0, 0, TODAY))
