"""What every model needs of arrays: checked columns, equal rows merged, one fixed order.

Spark hands rows over in any order, and the sum of doubles depends on the order. Sorting by all
columns and merging equal rows first makes a fit a function of the data alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clv_spark.errors import InputError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Ranks = NDArray[np.int64] | NDArray[np.uint16]
Columns = dict[str, Floats]
Parameters = Mapping[str, float | Floats]

# A column with at least so many rows is looked up in a table of so many places: of whole days and
# counts each has a place of its own, and a sort is saved.
TABLE = 1 << 16
# Rows are numbered by a table, too, if it has no more than this many places per row.
CELLS_PER_ROW = 4
LARGEST_KEY = 1 << 62
# Rows are worked through in blocks of this many, so that a block stays in the cache.
BLOCK = 8_192
# Whole numbers up to here add up exactly in any order.
LARGEST_EXACT = 2.0**53


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
    keys, size = _keys(columns)
    if 0 < size <= CELLS_PER_ROW * keys.size:
        return _numbered(keys, size)
    order = np.argsort(keys, kind="stable") if size else np.lexsort(tuple(reversed(columns)))
    differs = np.zeros(order.size, dtype=bool)
    differs[:1] = True
    for column in [keys] if size else columns:
        ordered = column[order]
        differs[1:] |= ordered[1:] != ordered[:-1]
    inverse = np.empty(order.size, dtype=np.int64)
    inverse[order] = np.cumsum(differs) - 1
    return order[differs], inverse


def ranked(column: Floats) -> tuple[Floats, Ranks]:
    """The distinct values of a column in ascending order, and for every row the number of its own.

    As ``np.unique``, but without sorting where the values are few, as days and counts are.

    Example:
        >>> ranked(np.array([2.0, 1.0, 2.0]))
        (array([1., 2.]), array([1, 0, 1]))
    """
    found = _few(column)
    if found is None:
        values, ranks = np.unique(column, return_inverse=True)
        return values, ranks
    return found


def merge_equal_rows(columns: Columns, weights: Floats) -> tuple[Columns, Floats]:
    """Merges equal rows, adds up their weights, and drops rows without weight.

    The result is sorted by all columns, so it does not depend on the order of the rows.

    Example:
        >>> merge_equal_rows({"x": np.array([2.0, 1.0, 2.0])}, np.ones(3))
        ({'x': array([1., 2.])}, array([1., 2.]))
    """
    kept = weights > 0
    if not kept.all():
        columns, weights = {name: column[kept] for name, column in columns.items()}, weights[kept]
    if _ascending(list(columns.values())):
        # Counted patterns often come so: nothing is to be done.
        return columns, weights
    if not np.all(weights == np.floor(weights)) or np.sum(weights) > LARGEST_EXACT:
        # A sum of unequal doubles depends on their order, too.
        order = np.argsort(weights, kind="stable")
        columns, weights = {name: column[order] for name, column in columns.items()}, weights[order]
    chosen, inverse = distinct(list(columns.values()))
    totals = np.bincount(inverse, weights=weights, minlength=chosen.size).astype(np.float64)
    return {name: column[chosen] for name, column in columns.items()}, totals


def _ascending(columns: Sequence[Floats]) -> bool:
    """Whether every row comes after the one before, by the first column in which they differ."""
    for first in range(0, columns[0].size - 1, BLOCK):
        rows = min(BLOCK, columns[0].size - 1 - first)
        later, tied = np.zeros(rows, dtype=bool), np.ones(rows, dtype=bool)
        for column in columns:
            here, after = column[first : first + rows], column[first + 1 : first + rows + 1]
            later |= tied & (after > here)
            tied &= after == here
        if not later.all():
            return False
    return True


def _keys(columns: Sequence[Floats]) -> tuple[Integers, int]:
    """One number per row, in the order of the rows, and how many there may be; 0 for too many."""
    keys, size = np.zeros(columns[0].size, dtype=np.int64), 1
    for column in columns:
        found = _few(column)
        if found is None or size > LARGEST_KEY // found[0].size:
            return keys, 0
        values, ranks = found
        keys *= values.size
        keys += ranks
        size *= values.size
    return keys, size


def _few(column: Floats) -> tuple[Floats, NDArray[np.uint16]] | None:
    """What ``ranked`` finds of a long column of few values, by a table; None for any other."""
    if column.size < TABLE:
        return None
    low, high = float(np.min(column)), float(np.max(column))
    width = high - low
    if not 0 < width < math.inf:
        return None
    places = np.empty(column.size, dtype=np.uint16)
    values = np.full(TABLE, np.nan)
    for rows in _blocks(column.size):
        # A larger value never has a smaller place, so that distinct values come in order.
        places[rows] = (column[rows] - low) / width * (TABLE - 1)
        values[places[rows]] = column[rows]
        if not np.array_equal(values[places[rows]], column[rows]):
            return None
    # Of values that share a place a later one took it from an earlier one.
    for rows in _blocks(column.size):
        if not np.array_equal(values[places[rows]], column[rows]):
            return None
    taken = ~np.isnan(values)
    number = (np.cumsum(taken) - 1).astype(np.uint16)
    for rows in _blocks(column.size):
        places[rows] = number[places[rows]]
    return values[taken], places


def _numbered(places: Integers, size: int) -> tuple[Integers, Integers]:
    """A row of each place that is taken, in ascending order, and every row's number among them."""
    row = np.full(size, -1, dtype=np.int64)
    for rows in _blocks(places.size):
        row[places[rows]] = np.arange(rows.start, rows.start + places[rows].size)
    taken = row >= 0
    number = np.cumsum(taken) - 1
    for rows in _blocks(places.size):
        places[rows] = number[places[rows]]
    return row[taken], places


def _blocks(size: int) -> list[slice]:
    """Rows of so few at a time that they stay in the cache."""
    return [slice(first, first + BLOCK) for first in range(0, size, BLOCK)]


def _doubles(name: str, values: ArrayLike) -> Floats:
    try:
        column = np.ascontiguousarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must be a column of numbers.") from error
    if column.ndim != 1:
        raise InputError(f"{name} has {column.ndim} dimensions; a column has one.")
    return column
