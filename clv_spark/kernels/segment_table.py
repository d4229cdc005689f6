"""Parameters of segments, spread over the rows of a batch.

A batch may hold thousands of segments. Each is looked up once; the rows then take their numbers
by position.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PURCHASE_LETTERS = ("r", "alpha", "a", "b")
SPEND_LETTERS = ("p", "q", "gamma")


@dataclass(frozen=True)
class SegmentParameters:
    """What scoring needs to know of one segment.

    Attributes:
        segment: Its name.
        purchases: r, alpha, a, b of the BG/NBD, or None.
        purchases_segment: Whose parameters these are: its own or an ancestor's.
        spend: p, q, gamma of the gamma-gamma, or None.
        spend_segment: Whose parameters these are.
        return_rate: Refunded share of the segment's gross amount.
        return_prior_amount: How much gross amount of a customer weighs as much as that share.
        margin_rate: Margin per unit of net revenue.
    """

    segment: str
    purchases: Mapping[str, float] | None
    purchases_segment: str | None
    spend: Mapping[str, float] | None
    spend_segment: str | None
    return_rate: float
    return_prior_amount: float
    margin_rate: float


@dataclass(frozen=True)
class SegmentTable:
    """The parameters of the segments of a batch and the segment of each row.

    Attributes:
        names: Distinct segments of the batch; None for rows without segment.
        entries: Their parameters; None where there are none.
        codes: Position of each row's segment.
    """

    names: Sequence[str | None]
    entries: Sequence[SegmentParameters | None]
    codes: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        segments: pa.Array,
        parameters: Mapping[str, SegmentParameters],
        default: SegmentParameters | None,
    ) -> SegmentTable:
        """Looks up each distinct segment of a column once.

        Example:
            >>> table = SegmentTable.of(pa.array(["uk", None, "uk"]), {}, None)
            >>> table.names, table.codes.tolist()
            (['uk', None], [0, 1, 0])
        """
        encoded = segments.dictionary_encode(null_encoding="encode")
        names = encoded.dictionary.to_pylist()
        codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        return cls(names, [parameters.get(name, default) for name in names], codes)

    def purchases(self) -> dict[str, Floats]:
        """r, alpha, a, b per row; NaN where the segment has none."""
        values = [entry.purchases if entry else None for entry in self.entries]
        return self._letters(values, PURCHASE_LETTERS)

    def spend(self) -> dict[str, Floats]:
        """p, q, gamma per row; NaN where the segment has none."""
        values = [entry.spend if entry else None for entry in self.entries]
        return self._letters(values, SPEND_LETTERS)

    def purchases_code(self) -> Floats:
        """A number per row that is equal where the purchase parameters are."""
        keys = [
            tuple(entry.purchases[name] for name in PURCHASE_LETTERS)
            if entry and entry.purchases
            else ()
            for entry in self.entries
        ]
        numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
        return self._spread([float(numbers[key]) for key in keys])

    def return_rate(self) -> Floats:
        """Return rate of the segment per row; 0 where nothing is known of the segment."""
        return self._spread([entry.return_rate if entry else 0.0 for entry in self.entries])

    def return_prior_amount(self) -> Floats:
        """Weight of that rate per row, in money; 0 where nothing is known of the segment."""
        return self._spread([entry.return_prior_amount if entry else 0.0 for entry in self.entries])

    def margin_rate(self) -> Floats:
        """Margin rate per row; NaN where nothing is known of the segment."""
        return self._spread([entry.margin_rate if entry else math.nan for entry in self.entries])

    def purchases_segment(self) -> pa.Array:
        """Per row whose purchase parameters are used; null for nobody's."""
        return self._texts([entry.purchases_segment if entry else None for entry in self.entries])

    def spend_segment(self) -> pa.Array:
        """Per row whose spend parameters are used; null for nobody's."""
        return self._texts([entry.spend_segment if entry else None for entry in self.entries])

    def is_taken(self) -> NDArray[np.bool_]:
        """True where some parameters come from another segment than the row's own."""
        taken = [
            entry is not None and {entry.purchases_segment, entry.spend_segment} != {name}
            for name, entry in zip(self.names, self.entries, strict=True)
        ]
        return np.array(taken, dtype=np.bool_)[self.codes]

    def _letters(
        self, values: Sequence[Mapping[str, float] | None], letters: Sequence[str]
    ) -> dict[str, Floats]:
        return {
            letter: self._spread([entry[letter] if entry else math.nan for entry in values])
            for letter in letters
        }

    def _spread(self, values: Sequence[float]) -> Floats:
        return np.array(values, dtype=np.float64)[self.codes]

    def _texts(self, values: Sequence[str | None]) -> pa.Array:
        return pa.array(values, pa.string()).take(pa.array(self.codes))
