"""Coordinates in which parameters are pooled and drawn: means and dispersions.

The letters of the papers hang together: r and alpha may double together without a visible change.
The logarithm of a mean and that of a dispersion are nearly independent, run over all numbers, and
are comparable between segments. What it means when one of them runs to infinity is said here, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from clv_spark.errors import ConfigError
from clv_spark.models.arrays import Floats

# Beyond these a dispersion is as good as its limit: a hundredth of the customers make all
# purchases, or all of them differ by less than a tenth. Dropout odds below a thousandth can't be
# seen, nor can a hazard whose own error is large when a customer of the mean age has lived through
# less than half of what it takes to leave. All in logarithms.
LOW_SHAPE, HIGH_SHAPE = math.log(1e-2), math.log(1e2)
LOW_ODDS, LOW_HAZARD = math.log(1e-3), math.log(0.5)

# Forward, backward and jacobian of one pair of parameters or of all.
Map: TypeAlias = Callable[[Floats], Floats]
Maps: TypeAlias = tuple[Map, Map, Map]


@dataclass(frozen=True)
class Ridge:
    """A way to infinity along which the likelihood stays flat, and what it says of the customers.

    Attributes:
        coordinate: Index of the coordinate that runs away.
        beyond: Value of the coordinate from where on that is meant.
        sign: +1 when it runs to plus infinity, -1 when to minus infinity.
        words: What it means.
        moot: Index of a coordinate that tells nothing any more when this one has run away.
        per_time: Whether the coordinate is the logarithm of something per unit of time; ``beyond``
            is of that times the mean age, so that the unit does not matter.
    """

    coordinate: int
    beyond: float
    sign: int
    words: str
    moot: int | None = None
    per_time: bool = False

    def is_passed(self, value: float, age: float) -> bool:
        """Whether the coordinate has run away, of customers of that mean age."""
        reached = value + math.log(age) if self.per_time else value
        return self.sign * (reached - self.beyond) > 0


@dataclass(frozen=True)
class Coordinates:
    """A model's coordinates, as a pair of functions.

    Attributes:
        names: One name per coordinate.
        forward: Parameters (..., k) to coordinates (..., k).
        backward: Coordinates (..., k) to the logarithms of parameters (..., k).
        jacobian: Coordinates (k,) to the derivatives (k, k) of the logarithms of parameters, one
            row per parameter, by the coordinates.
        ridges: The ways to infinity.
    """

    names: tuple[str, ...]
    forward: Map
    backward: Map
    jacobian: Map
    ridges: tuple[Ridge, ...]


def coordinates_of(parameters: Mapping[str, ArrayLike] | tuple[str, ...]) -> Coordinates:
    """The coordinates that belong to parameters of these names.

    Raises:
        ConfigError: No model has such parameters.

    Example:
        >>> coordinates = coordinates_of(("r", "alpha", "a", "b"))
        >>> point = coordinates.forward(np.array([0.5, 5.0, 1.0, 3.0]))
        >>> dict(zip(coordinates.names, point.round(3).tolist(), strict=True))
        {'log r/alpha': -2.303, 'log r': -0.693, 'log a/b': -1.099, 'log a+b': 1.386}
        >>> np.exp(coordinates.backward(point)).round(9).tolist()
        [0.5, 5.0, 1.0, 3.0]
    """
    names = tuple(parameters)
    if names not in COORDINATES:
        raise ConfigError(f"No coordinates for {list(names)}; there are {sorted(COORDINATES)}.")
    return COORDINATES[names]


def _rates(v: Floats) -> Floats:
    """(log shape, log rate) to (log mean, log shape)."""
    return np.stack([v[..., 0] - v[..., 1], v[..., 0]], axis=-1)


def _rates_back(c: Floats) -> Floats:
    return np.stack([c[..., 1], c[..., 1] - c[..., 0]], axis=-1)


def _odds(v: Floats) -> Floats:
    """(log a, log b) to (log a/b, log (a + b)); log a/b is the logit of the mean a/(a + b)."""
    return np.stack([v[..., 0] - v[..., 1], np.logaddexp(v[..., 0], v[..., 1])], axis=-1)


def _odds_back(c: Floats) -> Floats:
    odds, total = c[..., 0], c[..., 1]
    return np.stack([total - np.logaddexp(0, -odds), total - np.logaddexp(0, odds)], axis=-1)


def _odds_jacobian(c: Floats) -> Floats:
    mean = np.exp(-np.logaddexp(0, -c[0]))
    return np.array([[1 - mean, 1.0], [-mean, 1.0]])


def _rates_jacobian(c: Floats) -> Floats:
    return np.array([[0.0, 1.0], [-1.0, 1.0]])


def _pairs(first: Maps, second: Maps) -> Maps:
    """Joins forward, backward and jacobian of two pairs of parameters."""

    def forward(params: Floats) -> Floats:
        logs = np.log(params)
        return np.concatenate([first[0](logs[..., :2]), second[0](logs[..., 2:])], axis=-1)

    def backward(c: Floats) -> Floats:
        return np.concatenate([first[1](c[..., :2]), second[1](c[..., 2:])], axis=-1)

    def jacobian(c: Floats) -> Floats:
        joint = np.zeros((4, 4))
        joint[:2, :2], joint[2:, 2:] = first[2](c[:2]), second[2](c[2:])
        return joint

    return forward, backward, jacobian


def _spend(params: Floats) -> Floats:
    p, q, gamma = (params[..., index] for index in range(3))
    # At q <= 1 there is no mean; the smallest excess stands for it.
    excess = np.log(np.maximum(q - 1, 1e-6))
    return np.stack([np.log(p) + np.log(gamma) - excess, np.log(p), excess], axis=-1)


def _spend_back(c: Floats) -> Floats:
    mean, p, excess = (c[..., index] for index in range(3))
    return np.stack([p, np.logaddexp(0, excess), mean + excess - p], axis=-1)


def _spend_jacobian(c: Floats) -> Floats:
    share = np.exp(-np.logaddexp(0, -c[2]))  # (q - 1) / q
    return np.array([[0.0, 1.0, 0.0], [0.0, 0.0, share], [1.0, -1.0, 1.0]])


def _chance(params: Floats) -> Floats:
    return _odds(np.log(params))


def _aging(params: Floats) -> Floats:
    """(gamma, delta, c): the odds of the first period, how alike contracts are, and log c."""
    logs = np.log(params)
    return np.concatenate([_odds(logs[..., :2]), logs[..., 2:]], axis=-1)


def _aging_back(c: Floats) -> Floats:
    return np.concatenate([_odds_back(c[..., :2]), c[..., 2:]], axis=-1)


def _aging_jacobian(c: Floats) -> Floats:
    joint = np.eye(3)
    joint[:2, :2] = _odds_jacobian(c[:2])
    return joint


_RATE = (_rates, _rates_back, _rates_jacobian)
_CHANCE = (_odds, _odds_back, _odds_jacobian)

_ALIKE = "customers do not differ in how often they buy"
_FEW = "nearly all purchases are made by very few customers"
_NO_DROPOUT = "no dropout visible"
_SAME_DROPOUT = "customers do not differ in how readily they leave"
_ALL_OR_NONE = "customers leave at once or never"
_DROPOUT_ODDS = Ridge(2, LOW_ODDS, -1, _NO_DROPOUT, moot=3)
_DROPOUT_HAZARD = Ridge(2, LOW_HAZARD, -1, _NO_DROPOUT, moot=3, per_time=True)


def _ridges(few: str, leaves: Ridge = _DROPOUT_ODDS) -> tuple[Ridge, ...]:
    return (
        Ridge(1, HIGH_SHAPE, 1, _ALIKE),
        Ridge(1, LOW_SHAPE, -1, few),
        leaves,
        Ridge(3, HIGH_SHAPE, 1, _SAME_DROPOUT),
        Ridge(3, LOW_SHAPE, -1, _ALL_OR_NONE),
    )


_LOSSES = (
    Ridge(0, LOW_ODDS, -1, "no contract is lost", moot=1),
    Ridge(1, HIGH_SHAPE, 1, "contracts do not differ in how readily they are lost"),
    Ridge(1, LOW_SHAPE, -1, "contracts are lost at once or never"),
)

_AGING_LOSSES = (
    Ridge(0, LOW_ODDS, -1, "the risk of the first period is too small to be seen", moot=1),
    *_LOSSES[1:],
)

COORDINATES: dict[tuple[str, ...], Coordinates] = {
    ("r", "alpha", "a", "b"): Coordinates(
        ("log r/alpha", "log r", "log a/b", "log a+b"),
        *_pairs(_RATE, _CHANCE),
        _ridges(_FEW),
    ),
    ("r", "alpha", "s", "beta"): Coordinates(
        ("log r/alpha", "log r", "log s/beta", "log s"),
        *_pairs(_RATE, _RATE),
        _ridges(_FEW, _DROPOUT_HAZARD),
    ),
    ("alpha", "beta", "gamma", "delta"): Coordinates(
        ("log alpha/beta", "log alpha+beta", "log gamma/delta", "log gamma+delta"),
        *_pairs(_CHANCE, _CHANCE),
        _ridges("customers buy at every opportunity or never"),
    ),
    ("alpha", "beta"): Coordinates(
        ("log alpha/beta", "log alpha+beta"), _chance, _odds_back, _odds_jacobian, _LOSSES
    ),
    ("gamma", "delta", "c"): Coordinates(
        ("log gamma/delta", "log gamma+delta", "log c"),
        _aging,
        _aging_back,
        _aging_jacobian,
        _AGING_LOSSES,
    ),
    ("p", "q", "gamma"): Coordinates(
        ("log mean", "log p", "log q-1"),
        _spend,
        _spend_back,
        _spend_jacobian,
        (
            Ridge(1, HIGH_SHAPE, 1, "a customer always spends the same"),
            Ridge(2, HIGH_SHAPE, 1, "customers do not differ in what they spend"),
        ),
    ),
}
