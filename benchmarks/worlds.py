"""Customers drawn straight from the models, millions in seconds: whole days, no lines.

Only what a fit needs of a customer is drawn: x, t_x and T. Given when a customer leaves, purchases
are a Poisson process, whose number and last time have known distributions. Times are rounded up to
whole days, one purchase a day at most, as the tables hold them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Customers = dict[str, Ints]
Rng = np.random.Generator

WEEK = 7
DAYS = 3 * 365
BLOCK = 500_000
# The worlds of the benchmark, time in weeks.
TRUTH = {
    "bg_nbd": {"r": 0.55, "alpha": 6.0, "a": 0.8, "b": 3.0},
    "pareto_nbd": {"r": 0.55, "alpha": 10.6, "s": 0.6, "beta": 11.7},
}


def bg_nbd(rng: Rng, size: int) -> Customers:
    """Customers who may leave after each repeat purchase, who came on any day of the three years.

    >>> drawn = bg_nbd(np.random.default_rng(0), 4)
    >>> sorted(drawn), bool((drawn["recency"] <= drawn["T"]).all())
    (['T', 'frequency', 'recency'], True)
    """
    truth = TRUTH["bg_nbd"]
    age = rng.integers(1, DAYS + 1, size)
    rate = rng.gamma(truth["r"], 1 / truth["alpha"], size) / WEEK
    leaves = np.maximum(rng.beta(truth["a"], truth["b"], size), 1e-9)
    last = rng.geometric(leaves)
    wanted = rng.poisson(rate * age)
    gone = wanted >= last
    x = np.where(gone, last, wanted)
    # Of the sorted times of n purchases the k-th is Beta(k, n - k + 1) distributed.
    place = rng.beta(np.maximum(x, 1), np.where(gone, wanted - x + 1, 1))
    return _whole_days(x, age * place, age)


def pareto_nbd(rng: Rng, size: int) -> Customers:
    """Customers who may leave at any time, who came on any day of the three years."""
    truth = TRUTH["pareto_nbd"]
    age = rng.integers(1, DAYS + 1, size)
    rate = rng.gamma(truth["r"], 1 / truth["alpha"], size) / WEEK
    leaving = np.maximum(rng.gamma(truth["s"], 1 / truth["beta"], size) / WEEK, 1e-12)
    until = np.minimum(age, rng.standard_exponential(size) / leaving)
    x = rng.poisson(rate * until)
    return _whole_days(x, until * rng.beta(np.maximum(x, 1), 1), age)


WORLDS: dict[str, Callable[[Rng, int], Customers]] = {"bg_nbd": bg_nbd, "pareto_nbd": pareto_nbd}


def draw(model: str, size: int, seed: int = 1) -> Customers:
    """Customers of a world as rows."""
    blocks = list(_blocks(model, size, seed))
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def patterns(model: str, size: int, seed: int = 1) -> Customers:
    """The same customers, counted by pattern, without ever holding them all."""
    keys, counts = np.empty(0, np.int64), np.empty(0, np.int64)
    for block in _blocks(model, size, seed):
        key = (block["frequency"] << 24) | (block["recency"] << 12) | block["T"]
        found, number = np.unique(key, return_counts=True)
        keys, place = np.unique(np.concatenate([keys, found]), return_inverse=True)
        counts = np.bincount(place, np.concatenate([counts, number])).astype(np.int64)
    return {
        **{"frequency": keys >> 24, "recency": keys >> 12 & 4095, "T": keys & 4095},
        "customers": counts,
    }


def _blocks(model: str, size: int, seed: int):
    for number, first in enumerate(range(0, size, BLOCK)):
        yield WORLDS[model](np.random.default_rng([seed, number]), min(BLOCK, size - first))


def _whole_days(x: Ints, last: Floats, age: Ints) -> Customers:
    x = np.minimum(x, age)
    recency = np.where(x > 0, np.clip(np.ceil(last).astype(np.int64), x, age), 0)
    return {"frequency": x, "recency": recency, "T": age}
