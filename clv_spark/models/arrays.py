"""What every model needs of arrays: checked columns, equal rows merged, one fixed order.

Spark hands rows over in any order, and the sum of doubles depends on the order. Sorting by all
columns and merging equal rows first makes a fit a function of the data alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clv_spark.errors import InputError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Columns = dict[str, Floats]
Parameters = Mapping[str, float | Floats]


def read_columns(data: Mapping[str, ArrayLike], names: Sequence[str]) -> Columns:
    """Takes the named columns of the data as arrays of finite doubles of one length.

    Raises:
        InputError: A column is missing, of another length or shape, or holds NaN or infinity; or
            there is no row.

    Example:
        >>> read_columns({"x": [1, 2], "T": [3, 4], "note": ["", ""]}, ["x", "T"])
        {'x': array([1., 2.]), 'T': array([3., 4.])}
    """
    missing = [name for name in names if name not in data]
    if missing:
        raise InputError(f"The data lack {missing}; found {list(data)}, expected {list(names)}.")
    columns = {name: _doubles(name, data[name]) for name in names}
    lengths = {name: column.size for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(f"Columns of different lengths: {lengths}; one value per row is expected.")
    if not columns[names[0]].size:
        raise InputError("The data have no row; at least one customer is needed for a fit.")
    for name, column in columns.items():
        require(np.isfinite(column), f"{name} must be a finite number (no NaN, no infinity)")
    return columns


def read_weights(weights: ArrayLike | None, size: int) -> Floats:
    """Takes how many customers stand behind each row; without weights each row is one customer.

    Raises:
        InputError: Wrong length, negative or not finite, or all of them zero.

    Example:
        >>> read_weights(None, 3)
        array([1., 1., 1.])
    """
    if weights is None:
        return np.ones(size)
    counts = _doubles("weights", weights)
    if counts.size != size:
        raise InputError(f"{counts.size} weights for {size} rows; one weight per row is expected.")
    require(np.isfinite(counts) & (counts >= 0), "weights must be finite and not negative")
    if not np.any(counts > 0):
        raise InputError("All weights are zero; at least one customer is needed for a fit.")
    return counts


def require(holds: NDArray[np.bool_], rule: str) -> None:
    """Refuses data that break a rule, and says how many rows do, never which.

    Raises:
        InputError: At least one row breaks the rule.

    Example:
        >>> require(np.array([True, False]), "x must not be negative")
        Traceback (most recent call last):
        clv_spark.errors.InputError: x must not be negative: 1 of 2 rows break this rule.
    """
    broken = int(np.count_nonzero(~holds))
    if broken:
        raise InputError(f"{rule}: {broken} of {holds.size} rows break this rule.")


def distinct(columns: Sequence[Floats]) -> tuple[Integers, Integers]:
    """Finds the distinct rows of some columns, in sorted order.

    Returns:
        The position of one representative per distinct row, and for every row the number of its
        representative.

    Example:
        >>> chosen, inverse = distinct([np.array([2.0, 1.0, 2.0])])
        >>> chosen, inverse
        (array([1, 0]), array([1, 0, 1]))
    """
    order = np.lexsort(tuple(reversed(columns)))
    differs = np.zeros(order.size, dtype=bool)
    differs[:1] = True
    for column in columns:
        ordered = column[order]
        differs[1:] |= ordered[1:] != ordered[:-1]
    inverse = np.empty(order.size, dtype=np.int64)
    inverse[order] = np.cumsum(differs) - 1
    return order[differs], inverse


def merge_equal_rows(columns: Columns, weights: Floats) -> tuple[Columns, Floats]:
    """Merges equal rows, adds up their weights, and drops rows without weight.

    The result is sorted by all columns, so it does not depend on the order of the rows.

    Example:
        >>> merge_equal_rows({"x": np.array([2.0, 1.0, 2.0])}, np.ones(3))
        ({'x': array([1., 2.])}, array([1., 2.]))
    """
    kept = weights > 0
    names = list(columns)
    values = [columns[name][kept] for name in names]
    counts = weights[kept]
    # Weights join the sort key: a sum of unequal doubles depends on their order, too.
    order = np.lexsort((counts, *reversed(values)))
    values, counts = [value[order] for value in values], counts[order]
    differs = np.ones(counts.size, dtype=bool)
    if counts.size:
        differs[1:] = np.any([value[1:] != value[:-1] for value in values], axis=0)
    starts = np.flatnonzero(differs)
    merged = {name: value[starts] for name, value in zip(names, values, strict=True)}
    return merged, np.add.reduceat(counts, starts)


def _doubles(name: str, values: ArrayLike) -> Floats:
    try:
        column = np.ascontiguousarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must be a column of numbers.") from error
    if column.ndim != 1:
        raise InputError(f"{name} has {column.ndim} dimensions; a column has one.")
    return column
