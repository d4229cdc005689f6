"""How sure one may be of parameters, and of whatever is computed from them.

The covariance of the parameters is the inverse of the observed information. A prediction's
standard error follows from it by the delta method; sums over customers take draws of the
parameters, which all customers of a segment share.

Both work in the coordinates of ``transform``, in which the likelihood is closest to normal, and in
which no draw and no step leaves the range where the parameters make sense (q stays above 1).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from clv_spark.errors import InputError
from clv_spark.models.arrays import Floats, Integers
from clv_spark.models.transform import Coordinates, coordinates_of

# Rows of a symmetric matrix in the order of the parameters; empty when it is not known. Tuples,
# so that results of fits can be compared.
Matrix: TypeAlias = tuple[tuple[float, ...], ...]

# A step in a coordinate for the slope of a prediction. Not smaller: a forecast is exact to 1e-8.
SLOPE_WIDTH = 1e-3
# No draw moves a coordinate by more than a factor of 150; only hardly identified ones get there.
LARGEST_DRAW = 5.0


class Fitted(Protocol):
    """Anything with parameters and the covariance of their logarithms, such as a fit."""

    @property
    def parameters(self) -> dict[str, float]:
        """Values by name."""

    @property
    def log_covariance(self) -> Matrix:
        """Covariance of their logarithms in the same order; empty when it is not known."""


def prediction_errors(function: Callable[[dict[str, float]], ArrayLike], fitted: Fitted) -> Floats:
    """Standard error of any prediction that comes from the uncertainty of the parameters alone.

    Delta method, with the slope of the prediction from central differences.

    Args:
        function: Parameters to predictions, an array of any shape.
        fitted: Parameters and their uncertainty.

    Returns:
        One standard error per prediction.

    Raises:
        InputError: The covariance is not known, since the fit is not "ok".

    Example:
        >>> from clv_spark.models import bg_nbd, fit
        >>> x, t_x, T = [0, 1, 2, 1, 5, 9], [0, 10, 20, 2, 8, 30], [30, 30, 40, 40, 35, 33]
        >>> fitted = fit("bg_nbd", {"x": x, "t_x": t_x, "T": T}, [600, 100, 50, 90, 40, 30])
        >>> forecast = lambda params: bg_nbd.expected_purchases(params, 52.0, 2, 20, 30)
        >>> float(prediction_errors(forecast, fitted).round(3))
        0.133
    """
    coordinates, point, root = _normal(fitted.parameters, fitted.log_covariance)
    names = list(fitted.parameters)
    total: Floats = np.zeros(np.shape(function(_named(names, coordinates, point))))
    # Along the columns of a root of the covariance the squares simply add up.
    for direction in root.T:
        size = float(np.max(np.abs(direction)))
        if size == 0:
            continue
        width = SLOPE_WIDTH / size
        ends = [
            np.asarray(function(_named(names, coordinates, point + sign * width * direction)))
            for sign in (1, -1)
        ]
        total += ((ends[0] - ends[1]) / (2 * width)) ** 2
    return np.sqrt(total)


def parameter_draws(
    parameters: Mapping[str, float], log_covariance: Matrix, count: int, stream: str
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
    coordinates, point, root = _normal(parameters, log_covariance)
    half = standard_normal(stream, (count // 2, size))
    # Pairs make the mean exact, and this the covariance.
    half = half @ np.linalg.inv(np.linalg.cholesky(half.T @ half / (count // 2))).T
    steps = np.clip(np.concatenate([half, -half]) @ root.T, -LARGEST_DRAW, LARGEST_DRAW)
    return _named_arrays(list(parameters), np.exp(coordinates.backward(point + steps)))


def fit_and_draws(
    parameters: Mapping[str, float], log_covariance: Matrix, count: int, stream: str
) -> dict[str, Floats]:
    """The parameters themselves, then ``count`` draws of them; all equal where nothing is known.

    Args:
        parameters: As for :func:`parameter_draws`, like the rest.
        log_covariance: Covariance of their logarithms; empty when it is not known.
        count: How many draws; none is allowed.
        stream: Names the source of randomness.

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
    drawn = parameter_draws(parameters, log_covariance, count, stream)
    return {name: np.concatenate([[parameters[name]], values]) for name, values in drawn.items()}


def natural_covariance(parameters: Mapping[str, float], log_covariance: Matrix) -> Matrix:
    """Covariance of the parameters, given that of their logarithms.

    Example:
        >>> natural_covariance({"r": 2.0, "alpha": 3.0}, ((0.5, 0.25), (0.25, 1.0)))
        ((2.0, 1.5), (1.5, 9.0))
    """
    values = list(parameters.values())
    return tuple(
        tuple(one * other * entry for other, entry in zip(values, row, strict=True))
        for one, row in zip(values, log_covariance, strict=bool(log_covariance))
    )


def standard_errors(parameters: Mapping[str, float], log_covariance: Matrix) -> dict[str, float]:
    """Standard errors of the parameters by name; none when the covariance is not known.

    Example:
        >>> standard_errors({"r": 2.0, "alpha": 3.0}, ((0.25, 0.1), (0.1, 1.0)))
        {'r': 1.0, 'alpha': 3.0}
    """
    pairs = zip(parameters.items(), range(len(log_covariance)), strict=False)
    return {name: value * math.sqrt(log_covariance[i][i]) for (name, value), i in pairs}


def as_matrix(covariance: Floats) -> Matrix:
    """A symmetric array as a tuple of its rows, symmetric to the last bit.

    Example:
        >>> as_matrix(np.array([[1.0, 2.0], [2.0, 3.0]]))
        ((1.0, 2.0), (2.0, 3.0))
    """
    even = (covariance + covariance.T) / 2
    return tuple(tuple(float(entry) for entry in row) for row in even)


def _normal(
    parameters: Mapping[str, float], log_covariance: Matrix
) -> tuple[Coordinates, Floats, Floats]:
    """Coordinates, the point in them, and a root of the covariance there."""
    if not log_covariance:
        raise InputError("The covariance of the parameters is not known: the fit is not 'ok'.")
    coordinates = coordinates_of(tuple(parameters))
    point = coordinates.forward(np.array(list(parameters.values())))
    values, vectors = np.linalg.eigh(np.array(log_covariance))
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    return coordinates, point, np.linalg.inv(coordinates.jacobian(point)) @ root


def _named(names: list[str], coordinates: Coordinates, point: Floats) -> dict[str, float]:
    values = np.exp(coordinates.backward(point))
    return dict(zip(names, values.tolist(), strict=True))


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
