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
# Spreads keys over the slots of a table: 2^64 over the golden ratio (Knuth, TAOCP 3, 6.4).
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_FEWEST_SLOTS = 1 << 10


@dataclass
class Memory:
    """Columns of numbers by key, learned when first asked for; keys are not negative."""

    width: int
    size: int = 0
    # The numbers, a column per key in the order in which they were learned.
    columns: Floats = field(init=False)
    # A hash table of linear probing: the key in each slot, -1 in a free one, and its column.
    _keys: Integers = field(init=False)
    _places: Integers = field(init=False)

    def __post_init__(self) -> None:
        """Begins with nothing known."""
        self.columns = np.empty((self.width, 0))
        self._clear(_FEWEST_SLOTS)

    def of(self, key: Integers, learn: Callable[[Integers], Floats]) -> Floats:
        """The numbers of these keys, a column each.

        Args:
            key: One per column, in any order and not distinct.
            learn: Gives the columns of some positions of ``key``.
        """
        place = self._find(key)
        unknown = np.flatnonzero(place < 0)
        if unknown.size:
            new, first = np.unique(key[unknown], return_index=True)
            self._add(new, learn(unknown[first]))
            place[unknown] = self._find(key[unknown])
        return self.columns.take(place, axis=1)

    def _add(self, keys: Integers, columns: Floats) -> None:
        end = self.size + keys.size
        if end > self.columns.shape[1]:
            # Twice what is needed, so that growing costs little however small the steps are.
            grown = np.empty((self.width, 2 * end))
            grown[:, : self.size] = self.columns[:, : self.size]
            self.columns = grown
        self.columns[:, self.size : end] = columns
        places = np.arange(self.size, end)
        self.size = end
        if 2 * end > self._keys.size:
            known = np.flatnonzero(self._keys >= 0)
            keys = np.concatenate([self._keys[known], keys])
            places = np.concatenate([self._places[known], places])
            # Half of the slots stay free at least, so that few keys meet.
            self._clear(1 << (4 * end - 1).bit_length())
        self._insert(keys, places)

    def _clear(self, slots: int) -> None:
        self._keys = np.full(slots, -1, dtype=np.int64)
        self._places = np.empty(slots, dtype=np.int64)

    def _slots(self, key: Integers) -> Integers:
        """Where the search for each key begins."""
        unused = np.uint64(65 - self._keys.size.bit_length())
        return ((key.astype(np.uint64) * _SPREAD) >> unused).astype(np.int64)

    def _find(self, key: Integers) -> Integers:
        """The column of each key, -1 where it is not known."""
        slot = self._slots(key)
        held = self._keys[slot]
        found: Integers = np.where(held == key, self._places[slot], -1)
        rest = np.flatnonzero((held != key) & (held >= 0))
        while rest.size:
            slot[rest] = (slot[rest] + 1) % self._keys.size
            held = self._keys[slot[rest]]
            same = held == key[rest]
            found[rest[same]] = self._places[slot[rest[same]]]
            rest = rest[~same & (held >= 0)]
        return found

    def _insert(self, keys: Integers, places: Integers) -> None:
        """Puts distinct keys that are not there yet into the next free slots."""
        slot, rest = self._slots(keys), np.arange(keys.size)
        while rest.size:
            here = slot[rest]
            free = self._keys[here] < 0
            # Of several that want the same slot one gets it.
            self._keys[here[free]] = keys[rest[free]]
            taken = self._keys[here] == keys[rest]
            self._places[here[taken]] = places[rest[taken]]
            rest = rest[~taken]
            slot[rest] = (slot[rest] + 1) % self._keys.size


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
