"""Draws of parameters: what all customers of a segment share, and in part those of its siblings."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from clv_spark.errors import InputError
from clv_spark.models.arrays import Floats, Integers
from clv_spark.models.uncertainty import Matrix, as_matrix, frame_of, root_of

# No draw moves a coordinate by more than a factor of 150; only hardly identified ones get there.
LARGEST_DRAW = 5.0


class Shared(NamedTuple):
    """A part of the error of parameters that other segments have, too.

    Attributes:
        stream: Names it: the same name, the same error.
        loadings: How far one standard deviation of it moves the logarithms of the parameters; one
            row per parameter, one column per direction.
    """

    stream: str
    loadings: Matrix


def parameter_draws(
    parameters: Mapping[str, float],
    log_covariance: Matrix,
    count: int,
    stream: str,
    shared: Sequence[Shared] = (),
) -> dict[str, Floats]:
    """Plausible values of the parameters, drawn from a normal distribution of their coordinates.

    The same arguments give the same draws. They come in pairs around the centre and are scaled to
    have exactly the mean and the covariance asked for, so that few are enough.

    Args:
        parameters: Centre of the draws.
        log_covariance: Covariance of the logarithms of the parameters.
        count: How many draws; even, and at least four per parameter.
        stream: Names the source of randomness: draws of different streams are independent. What
            is fitted separately, such as purchases and spend, or two segments, needs different
            ones.
        shared: Parts of the covariance that come from elsewhere, drawn from streams of their own.

    Returns:
        By name an array of ``count`` values; all positive, q above 1.

    Raises:
        InputError: The covariance is not known, or ``count`` is odd or too small.

    Example:
        >>> covariance = ((0.01, 0.0, 0.0), (0.0, 0.04, 0.0), (0.0, 0.0, 0.01))
        >>> params = {"p": 6.0, "q": 1.2, "gamma": 15.0}
        >>> draws = parameter_draws(params, covariance, 100, stream="uk spend")
        >>> bool(draws["q"].min() > 1), round(float(np.std(np.log(draws["p"]))), 9)
        (True, 0.1)
    """
    size = len(parameters)
    if count % 2 or count < 4 * size:
        raise InputError(f"{count} draws; an even number of at least {4 * size} is expected.")
    coordinates, point, inward = frame_of(parameters)
    parts = [(one.stream, np.array(one.loadings)) for one in shared]
    parts.append((stream, own_root(log_covariance, shared)))
    before = np.empty((count // 2, 0))
    half = np.zeros((count // 2, size))
    for name, root in parts:
        normal = _even(standard_normal(name, (count // 2, root.shape[1])), before)
        before = np.concatenate([before, normal], axis=1)
        half += normal @ (inward @ root).T
    # Pairs make the mean exact.
    steps = np.clip(np.concatenate([half, -half]), -LARGEST_DRAW, LARGEST_DRAW)
    return _named_arrays(list(parameters), np.exp(coordinates.backward(point + steps)))


def fit_and_draws(
    parameters: Mapping[str, float],
    log_covariance: Matrix,
    count: int,
    stream: str,
    shared: Sequence[Shared] = (),
) -> dict[str, Floats]:
    """The parameters themselves, then ``count`` draws of them; all equal where nothing is known.

    Args:
        parameters: As for :func:`parameter_draws`, like the rest.
        log_covariance: Covariance of their logarithms; empty when it is not known.
        count: How many draws; none is allowed.
        stream: Names the source of randomness.
        shared: Parts of the covariance that come from elsewhere.

    Example:
        >>> spend = {"p": 6.0, "q": 3.0, "gamma": 15.0}
        >>> covariance = ((0.01, 0.0, 0.0), (0.0, 0.04, 0.0), (0.0, 0.0, 0.01))
        >>> sets = fit_and_draws(spend, covariance, 12, "uk spend")
        >>> sets["q"].size, float(sets["q"][0])
        (13, 3.0)
        >>> fit_and_draws(spend, (), 2, "uk spend")["q"].tolist()
        [3.0, 3.0, 3.0]
    """
    if not log_covariance or count == 0:
        return {name: np.full(count + 1, value) for name, value in parameters.items()}
    drawn = parameter_draws(parameters, log_covariance, count, stream, shared)
    return {name: np.concatenate([[parameters[name]], values]) for name, values in drawn.items()}


def own_root(log_covariance: Matrix, shared: Sequence[Shared] = ()) -> Floats:
    """A root of the covariance of the logarithms of parameters, without what is shared of it.

    Args:
        log_covariance: All of it.
        shared: The parts that other segments have, too.

    Raises:
        InputError: The covariance is not known.

    Example:
        >>> part = Shared("below global", ((1.0,), (0.0,)))
        >>> own_root(((1.0, 0.0), (0.0, 4.0)), [part]).tolist()
        [[0.0, 0.0], [0.0, 2.0]]
    """
    if not log_covariance:
        return root_of(log_covariance)
    rest = np.array(log_covariance)
    for one in shared:
        loadings = np.array(one.loadings)
        rest = rest - loadings @ loadings.T
    return root_of(as_matrix(rest))


def _even(normal: Floats, before: Floats) -> Floats:
    """Scales columns to have exactly the variances and covariances of standard normal ones.

    Those with the columns before them as well, while there are rows enough for that.
    """
    rows, size = normal.shape
    if before.shape[1] + size <= rows:
        normal = normal - before @ (before.T @ normal) / rows
    scaled: Floats = normal @ np.linalg.inv(np.linalg.cholesky(normal.T @ normal / rows)).T
    return scaled


def _named_arrays(names: list[str], values: Floats) -> dict[str, Floats]:
    return {name: np.ascontiguousarray(values[:, i]) for i, name in enumerate(names)}


def standard_normal(stream: str, shape: tuple[int, int]) -> Floats:
    """Standard normal numbers that depend on the name of their stream alone."""
    # Raw bits of a counter-based generator: numpy promises them to stay, but not its normals.
    key = int.from_bytes(hashlib.blake2b(stream.encode(), digest_size=16).digest(), "little")
    bits = np.random.Philox(key=key).random_raw(shape[0] * shape[1])
    uniform = ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    normal: Floats = ndtri(uniform).reshape(shape)
    return normal


def shuffled(stream: str, count: int) -> Integers:
    """The numbers below ``count`` in an order that depends on the name of the stream alone.

    Example:
        >>> shuffled("uk", 4).tolist(), shuffled("fr", 4).tolist()
        ([1, 0, 2, 3], [3, 2, 1, 0])
    """
    order: Integers = np.argsort(standard_normal(stream, (count, 1))[:, 0], kind="stable")
    return order
