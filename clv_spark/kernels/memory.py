"""Numbers that are worked out once and looked up for all who share them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Slopes are taken at numbers with so many leading bits: they change slowly with x and with times.
# The bounds of an interval move by less than a hundredth of their distance, most by a thousandth.
LEADING_BITS = 4


@dataclass
class Memory:
    """Rows of numbers by key, learned when first asked for."""

    width: int
    size: int = 0
    # Keys in ascending order, and where the row of each is.
    keys: Integers = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    places: Integers = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    rows: Floats = field(init=False)

    def __post_init__(self) -> None:
        """Begins with nothing known."""
        self.rows = np.empty((0, self.width))

    def of(self, key: Integers, learn: Callable[[Integers], Floats]) -> Floats:
        """The numbers of these keys, a column each.

        Args:
            key: One per column, in any order and not distinct.
            learn: Gives the columns of some positions of ``key``.
        """
        # Sorted, so that the search in sorted keys goes through memory in order.
        wanted, first, inverse = np.unique(key, return_index=True, return_inverse=True)
        place = np.searchsorted(self.keys, wanted)
        new = np.append(self.keys, -1)[place] != wanted
        if new.any():
            self._add(wanted[new], learn(first[new]))
            place = np.searchsorted(self.keys, wanted)
        rows = self.rows.take(self.places[place].take(inverse), axis=0)
        return np.ascontiguousarray(rows.T)

    def _add(self, keys: Integers, columns: Floats) -> None:
        end = self.size + keys.size
        if end > self.rows.shape[0]:
            # Twice what is needed, so that growing costs little however small the steps are.
            rows = np.empty((2 * end, self.width))
            rows[: self.size] = self.rows[: self.size]
            self.rows = rows
        self.rows[self.size : end] = columns.T
        keys = np.concatenate([self.keys, keys])
        places = np.concatenate([self.places, np.arange(self.size, end)])
        order = np.argsort(keys, kind="stable")
        self.keys, self.places, self.size = keys[order], places[order], end


def rounded(values: Integers) -> Integers:
    """Numbers to their leading bits, off by a sixteenth at most, so that few are left.

    Example:
        >>> rounded(np.array([0, 7, 300, 1095])).tolist()
        [0, 7, 288, 1152]
    """
    lost = np.maximum(np.frexp(values.astype(np.float64))[1] - LEADING_BITS, 0)
    half = (1 << lost) >> 1
    found: Integers = (values + half) >> lost << lost
    return found
