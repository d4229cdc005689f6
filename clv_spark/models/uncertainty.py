"""How sure one may be of parameters, and of whatever is computed from them.

The covariance of the parameters is the inverse of the observed information. A prediction's
standard error follows from it by the delta method; sums over customers take draws of the
parameters (``draws``), which all customers of a segment share.

Both work in the coordinates of ``transform``, in which the likelihood is closest to normal, and in
which no draw and no step leaves the range where the parameters make sense (q stays above 1).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from clv_spark.errors import InputError
from clv_spark.models.arrays import Floats
from clv_spark.models.transform import Coordinates, coordinates_of

# Rows of a symmetric matrix in the order of the parameters; empty when it is not known. Tuples,
# so that results of fits can be compared.
Matrix: TypeAlias = tuple[tuple[float, ...], ...]

# A step in a coordinate for the slope of a prediction. Not smaller: a forecast is exact to 1e-8.
SLOPE_WIDTH = 1e-3


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
    coordinates, point, inward = frame_of(fitted.parameters)
    root = inward @ root_of(fitted.log_covariance)
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


def log_covariance(values: Sequence[float], covariance: Sequence[float] | None) -> Matrix:
    """Covariance of the logarithms of parameters from that of the parameters.

    Args:
        values: The parameters.
        covariance: Row by row, as in model_parameters; None where there is none.

    Example:
        >>> log_covariance([2.0, 5.0], [4.0, 1.0, 1.0, 25.0])
        ((1.0, 0.1), (0.1, 1.0))
    """
    if covariance is None or not values:
        return ()
    size = len(values)
    return tuple(
        tuple(covariance[size * i + j] / (values[i] * values[j]) for j in range(size))
        for i in range(size)
    )


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


def natural_loadings(parameters: Mapping[str, float], log_loadings: Matrix) -> Matrix:
    """Loadings of the parameters, given those of their logarithms.

    Example:
        >>> natural_loadings({"r": 2.0, "alpha": 3.0}, ((0.5,), (1.0,)))
        ((1.0,), (3.0,))
    """
    pairs = zip(parameters.values(), log_loadings, strict=bool(log_loadings))
    return tuple(tuple(value * entry for entry in row) for value, row in pairs)


def widened(
    parameters: Mapping[str, float], log_covariance: Matrix, distance: Sequence[float]
) -> Matrix:
    """Covariance of the logarithms of parameters that are taken from elsewhere.

    Args:
        parameters: Values by name.
        log_covariance: Of their logarithms, where they come from.
        distance: Standard deviation of each coordinate between there and here.

    Example:
        >>> widened({"alpha": 1.0, "beta": 1.0}, ((0.5, 0.0), (0.0, 0.5)), (1.0, 0.0))
        ((0.75, -0.25), (-0.25, 0.75))
    """
    coordinates, point, _ = frame_of(parameters)
    moved = coordinates.jacobian(point) * np.array(distance)
    return as_matrix(np.array(log_covariance) + moved @ moved.T)


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


def root_of(log_covariance: Matrix) -> Floats:
    """A root of a covariance: times its own transpose it gives the covariance again.

    Raises:
        InputError: The covariance is not known.
    """
    if not log_covariance:
        raise InputError("The covariance of the parameters is not known: the fit is not 'ok'.")
    values, vectors = np.linalg.eigh(np.array(log_covariance))
    root: Floats = vectors * np.sqrt(np.maximum(values, 0.0))
    return root


def frame_of(parameters: Mapping[str, float]) -> tuple[Coordinates, Floats, Floats]:
    """Coordinates, the point in them, and derivatives of them by the logarithms of parameters."""
    coordinates = coordinates_of(tuple(parameters))
    point = coordinates.forward(np.array(list(parameters.values())))
    return coordinates, point, np.linalg.inv(coordinates.jacobian(point)).astype(np.float64)


def _named(names: list[str], coordinates: Coordinates, point: Floats) -> dict[str, float]:
    values = np.exp(coordinates.backward(point))
    return dict(zip(names, values.tolist(), strict=True))
