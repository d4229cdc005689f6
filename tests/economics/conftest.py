"""Simulated worlds, in which the truth about every customer's future is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Params = dict[str, float]


class World(NamedTuple):
    """Customers with their past, and what they go on to do; times in days, money per customer."""

    x: Floats
    t_x: Floats
    T: Floats
    m_x: Floats
    value: Floats
    purchases: Floats


Simulate = Callable[..., World]


def simulate_world(
    seed: int,
    purchases: Params,
    spend: Params,
    *,
    horizon: float,
    discount_rate: float,
    customers: int,
    ages: list[float],
    model: str = "",
) -> World:
    """Customers with gamma-gamma spend, event by event, without any formula.

    With a and b they leave after a purchase (BG/NBD; MBG/NBD after the first one, too), with s and
    beta at any time (Pareto/NBD), with gamma and delta before a day (BG/BB).
    """
    rng = np.random.default_rng(seed)
    if model == "bg_bb":
        return days_of(rng, purchases, spend, horizon, discount_rate, rng.choice(ages, customers))
    T = rng.choice(np.array(ages), customers)
    rate = rng.gamma(purchases["r"], 1 / purchases["alpha"], customers)
    leaves, gone = np.zeros(customers), T + horizon
    if "a" in purchases:
        leaves = rng.beta(purchases["a"], purchases["b"], customers)
    else:
        risk = rng.gamma(purchases["s"], 1 / purchases["beta"], customers)
        gone = np.minimum(gone, rng.exponential(1, customers) / np.maximum(risk, 1e-300))
    pace = rng.gamma(spend["q"], 1 / spend["gamma"], customers)
    x, t_x, spent, bought, value = (np.zeros(customers) for _ in range(5))
    now, alive = np.zeros(customers), np.arange(customers)
    if model == "mbg_nbd":
        alive = alive[rng.random(customers) >= leaves]
    while alive.size:
        now[alive] += rng.exponential(1, alive.size) / np.maximum(rate[alive], 1e-300)
        alive = alive[now[alive] < gone[alive]]
        amount = rng.gamma(spend["p"], 1, alive.size) / pace[alive]
        past = now[alive] <= T[alive]
        before, after = alive[past], alive[~past]
        x[before] += 1
        t_x[before] = now[before]
        spent[before] += amount[past]
        bought[after] += 1
        value[after] += amount[~past] * np.exp(-discount_rate * (now[after] - T[after]))
        alive = alive[rng.random(alive.size) >= leaves[alive]]
    return World(x, t_x, T, spent / np.maximum(x, 1), value, bought)


def days_of(
    rng: np.random.Generator,
    purchases: Params,
    spend: Params,
    horizon: float,
    discount_rate: float,
    T: Floats,
) -> World:
    """Customers of the BG/BB, day by day."""
    p = rng.beta(purchases["alpha"], purchases["beta"], T.size)
    leaves = rng.beta(purchases["gamma"], purchases["delta"], T.size)
    pace = rng.gamma(spend["q"], 1 / spend["gamma"], T.size)
    x, t_x, spent, bought, value = (np.zeros(T.size) for _ in range(5))
    alive = np.arange(T.size)
    for day in range(1, int(np.max(T) + horizon) + 1):
        alive = alive[(rng.random(alive.size) >= leaves[alive]) & (day <= T[alive] + horizon)]
        buying = alive[rng.random(alive.size) < p[alive]]
        amount = rng.gamma(spend["p"], 1, buying.size) / pace[buying]
        past = day <= T[buying]
        before, after = buying[past], buying[~past]
        x[before] += 1
        t_x[before] = day
        spent[before] += amount[past]
        bought[after] += 1
        value[after] += amount[~past] * np.exp(-discount_rate * (day - T[after]))
    return World(x, t_x, T, spent / np.maximum(x, 1), value, bought)


@pytest.fixture(scope="session")
def simulate() -> Simulate:
    return simulate_world
