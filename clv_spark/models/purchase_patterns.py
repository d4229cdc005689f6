"""What the purchase models of continuous time have in common: the patterns they are fitted on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from clv_spark.errors import InputError
from clv_spark.models.arrays import Columns, Floats, read_columns, require


def read_patterns(data: Mapping[str, ArrayLike]) -> Columns:
    """Takes x, t_x and T of customers, and refuses what no customer can have done.

    Raises:
        InputError: A column is missing or not of finite numbers, or breaks a rule.

    Example:
        >>> read_patterns({"x": [1], "t_x": [3], "T": [9]})
        {'x': array([1.]), 't_x': array([3.]), 'T': array([9.])}
    """
    columns = read_columns(data, ("x", "t_x", "T"))
    x, t_x, T = columns["x"], columns["t_x"], columns["T"]
    require((x >= 0) & (x == np.floor(x)), "x must be a whole number of purchases, not negative")
    require(t_x >= 0, "t_x must not be negative")
    require(t_x <= T, "t_x must not be larger than T")
    require((x > 0) | (t_x == 0), "t_x must be 0 where x is 0")
    return columns


def mean_age(columns: Columns, weights: Floats) -> float:
    """Mean T of the customers, the scale of all times; 1 where all came today.

    Example:
        >>> mean_age({"T": np.array([2.0, 6.0])}, np.array([3.0, 1.0]))
        3.0
    """
    age = float(np.sum(weights * columns["T"]) / np.sum(weights))
    return age if age > 0 else 1.0


def caveat_without_repeats(columns: Columns, params: Mapping[str, float]) -> str:
    """Why a fit can't be used when nobody came back; empty when somebody did.

    Example:
        >>> caveat_without_repeats({"x": np.array([0.0, 1.0])}, {})
        ''
    """
    if not np.any(columns["x"] > 0):
        return "no customer bought a second time, so neither rate nor dropout can be told"
    return ""


def coarsened(columns: Columns, steps: int) -> Columns:
    """Rounds times to so many steps of the longest T, so that many rows become equal.

    Example:
        >>> coarsened({"x": np.ones(2), "t_x": np.array([1.2, 4.0]), "T": np.array([9.0, 10.0])}, 5)
        {'x': array([1., 1.]), 't_x': array([2., 4.]), 'T': array([ 8., 10.])}
    """
    # Rounding keeps the order, hence t_x <= T; x stays as it is.
    width = np.max(columns["T"]) / steps
    if width == 0:
        return columns
    rounded = {name: np.round(columns[name] / width) * width for name in ("t_x", "T")}
    return {"x": columns["x"], **rounded}


def require_discounting(discount_rate: float, horizon: float) -> None:
    """Refuses a discounted sum that is not defined.

    Raises:
        InputError: Negative rate or horizon, or no horizon and no discount.

    Example:
        >>> require_discounting(0.1, np.inf)
    """
    if not (discount_rate >= 0 and horizon >= 0):
        raise InputError(f"discount_rate {discount_rate} and horizon {horizon} must be >= 0.")
    if np.isinf(horizon) and discount_rate == 0:
        raise InputError("Value without horizon is infinite without a discount rate above zero.")
