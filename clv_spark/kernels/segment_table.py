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

from clv_spark.kernels.living_forecasts import PurchaseParameters
from clv_spark.models import PURCHASE_MODELS
from clv_spark.models.draws import Shared, fit_and_draws

Floats = NDArray[np.float64]

SPEND_STREAM = "spend"
SPEND_LETTERS = ("p", "q", "gamma")
# Below this variance of every log-parameter a customer's own chance hides the parameters' error:
# it would widen an interval by less than a hundredth.
SMALL_VARIANCE = 2e-4

# Covariance of the logarithms of parameters, row by row; empty where it is not known.
Matrix = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class SegmentParameters:
    """What scoring needs to know of one segment.

    Attributes:
        segment: Its name.
        model: The chosen model of purchases.
        unit_days: Days per time unit of its parameters.
        purchases: Its parameters in the order of its letters, or None.
        purchases_covariance: Of their logarithms.
        purchases_shared: The part of it that other segments have, too.
        purchases_segment: Whose parameters these are: its own or an ancestor's.
        spend: p, q, gamma of the gamma-gamma, or None.
        spend_covariance: Of their logarithms.
        spend_shared: The part of it that other segments have, too.
        spend_segment: Whose parameters these are.
        return_rate: Refunded share of the segment's gross amount.
        return_prior_amount: How much gross amount of a customer weighs as much as that share.
        margin_rate: Margin per unit of net revenue.
    """

    segment: str
    model: str
    unit_days: int
    purchases: tuple[float, ...] | None
    purchases_covariance: Matrix
    purchases_segment: str | None
    spend: Mapping[str, float] | None
    spend_covariance: Matrix
    spend_segment: str | None
    return_rate: float
    return_prior_amount: float
    margin_rate: float
    purchases_shared: tuple[Shared, ...] = ()
    spend_shared: tuple[Shared, ...] = ()

    @property
    def age_step(self) -> float:
        """A week in the unit of the parameters, at most one unit; see ``drawn_forecasts``."""
        return min(1.0, 7 / self.unit_days)

    def purchase_draws(self, count: int) -> dict[str, Floats]:
        """The parameters of purchases as fitted, then draws of them.

        What is shared with other segments is drawn as there, and the same way every time.

        Args:
            count: How many draws; all are the fit itself where nothing is known of its error.
        """
        letters = PURCHASE_MODELS[self.model].MODEL.parameters
        values = dict(zip(letters, self.purchases or (), strict=True))
        stream = f"{self.model} {self.segment}"
        return fit_and_draws(
            values, self.purchases_covariance, count, stream, self.purchases_shared
        )

    def spend_draws(self, count: int) -> dict[str, Floats]:
        """The same of spend, which is drawn apart."""
        values = {name: float((self.spend or {})[name]) for name in SPEND_LETTERS}
        stream = f"{SPEND_STREAM} {self.segment}"
        return fit_and_draws(values, self.spend_covariance, count, stream, self.spend_shared)


@dataclass(frozen=True)
class ModelRows:
    """The rows of a batch whose segments use one model.

    Attributes:
        model: Name of the model.
        unit_days: Days per time unit of its parameters.
        rows: Positions in the batch.
        sets: The distinct parameters among them.
        codes: For each of these rows the position of its parameters in ``sets``.
    """

    model: str
    unit_days: int
    rows: NDArray[np.int64]
    sets: Sequence[PurchaseParameters]
    codes: NDArray[np.int64]


@dataclass(frozen=True)
class Covariances:
    """The covariances of segments, for the rows where they make a difference.

    Attributes:
        rows: Positions in the batch.
        codes: Position of each of these rows' matrix in ``table``.
        table: One matrix per segment.
    """

    rows: NDArray[np.int64]
    codes: NDArray[np.int64]
    table: Floats


@dataclass(frozen=True)
class SegmentTable:
    """The parameters of the segments of a batch and the segment of each row.

    Attributes:
        names: Distinct segments of the batch; None for rows without segment.
        entries: Their parameters; None where there are none.
        numbers: Their positions among all segments with parameters; None where there are none.
        codes: Position of each row's segment in these.
    """

    names: Sequence[str | None]
    entries: Sequence[SegmentParameters | None]
    numbers: Sequence[int | None]
    codes: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        segments: pa.Array,
        parameters: Mapping[str, SegmentParameters],
    ) -> SegmentTable:
        """Looks up each distinct segment of a column once.

        Example:
            >>> table = SegmentTable.of(pa.array(["uk", None, "uk"]), {})
            >>> table.names, table.codes.tolist()
            (['uk', None], [0, 1, 0])
        """
        encoded = segments.dictionary_encode(null_encoding="encode")
        names = encoded.dictionary.to_pylist()
        codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        numbers = {name: number for number, name in enumerate(parameters)}
        entries = [parameters.get(name) for name in names]
        return cls(names, entries, [numbers.get(name) for name in names], codes)

    def by_model(self) -> list[ModelRows]:
        """The rows that have purchase parameters, model by model."""
        sets = [_purchase_parameters(entry) for entry in self.entries]
        kinds: dict[tuple[str, int], dict[PurchaseParameters, int]] = {}
        for one in sets:
            if one is not None:
                places = kinds.setdefault((one.model, one.unit_days), {})
                places.setdefault(one, len(places))
        parts = []
        for (model, unit_days), places in sorted(kinds.items()):
            place = [-1 if one is None else places.get(one, -1) for one in sets]
            codes = np.array(place, dtype=np.int64)[self.codes]
            rows = np.flatnonzero(codes >= 0)
            parts.append(ModelRows(model, unit_days, rows, list(places), codes[rows]))
        return parts

    def spend(self) -> dict[str, Floats]:
        """p, q, gamma per row; NaN where the segment has none."""
        values = [entry.spend if entry else None for entry in self.entries]
        return {
            letter: self._spread([entry[letter] if entry else math.nan for entry in values])
            for letter in SPEND_LETTERS
        }

    def purchases_covariance(self) -> Covariances:
        """Where it counts, the covariance of the logarithms of purchase parameters."""
        return self._covariance([e.purchases_covariance if e else () for e in self.entries])

    def spend_covariance(self) -> Covariances:
        """The same for the parameters of spend."""
        return self._covariance([e.spend_covariance if e else () for e in self.entries])

    def places(self) -> pa.Array:
        """Per row the position of its segment among all with parameters; null for none."""
        return pa.array(self.numbers, pa.int32()).take(pa.array(self.codes))

    def return_rate(self) -> Floats:
        """Return rate of the segment per row; 0 where nothing is known of the segment."""
        return self._spread([entry.return_rate if entry else 0.0 for entry in self.entries])

    def return_prior_amount(self) -> Floats:
        """Weight of that rate per row, in money; 0 where nothing is known of the segment."""
        return self._spread([entry.return_prior_amount if entry else 0.0 for entry in self.entries])

    def margin_rate(self) -> Floats:
        """Margin rate per row; NaN where nothing is known of the segment."""
        return self._spread([entry.margin_rate if entry else math.nan for entry in self.entries])

    def is_taken(self) -> NDArray[np.bool_]:
        """True where some parameters come from another segment than the row's own."""
        taken = [
            entry is not None and {entry.purchases_segment, entry.spend_segment} != {name}
            for name, entry in zip(self.names, self.entries, strict=True)
        ]
        return np.array(taken, dtype=np.bool_)[self.codes]

    def _covariance(self, matrices: Sequence[Matrix]) -> Covariances:
        counts = [is_uncertain(matrix) for matrix in matrices]
        size = max((len(matrix) for matrix in matrices), default=0)
        zero = np.zeros((size, size))
        table = np.array([m if c else zero for m, c in zip(matrices, counts, strict=True)])
        rows = np.flatnonzero(np.array(counts, dtype=np.bool_)[self.codes])
        return Covariances(rows, self.codes[rows], table)

    def _spread(self, values: Sequence[float]) -> Floats:
        return np.array(values, dtype=np.float64)[self.codes]


def is_uncertain(covariance: Matrix) -> bool:
    """Whether parameters with this covariance of their logarithms make an interval wider.

    Example:
        >>> is_uncertain(((1e-6, 0.0), (0.0, 1e-2))), is_uncertain(())
        (True, False)
    """
    return any(line[place] > SMALL_VARIANCE for place, line in enumerate(covariance))


def _purchase_parameters(entry: SegmentParameters | None) -> PurchaseParameters | None:
    if entry is None or entry.purchases is None:
        return None
    uncertain = is_uncertain(entry.purchases_covariance)
    return PurchaseParameters(entry.model, entry.unit_days, entry.purchases, uncertain)
