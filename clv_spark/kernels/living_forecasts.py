"""What living customers will buy: worked out once per parameters, frequency and age in a worker.

Given that a customer is alive, a forecast depends on the parameters, x and T alone, and few pairs
of x and T differ among millions of customers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from clv_spark.economics import rate_per_unit
from clv_spark.models import PURCHASE_MODELS
from clv_spark.models.model import PurchaseModel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

PERIODS = (30, 90, 365)
# Rows of the result; slope_0 and so on are derivatives of the logarithm of "discounted" by the
# logarithms of the parameters.
NAMES = (
    *(f"expected_{days}" for days in PERIODS),
    "none_365",
    "purchases",
    "none",
    "discounted",
    "discounted_square",
    "stays",
    "residual",
)
SLOPES = 4
# A step in the logarithm of a parameter. Not smaller: a forecast is exact to 1e-8.
SLOPE_WIDTH = 1e-3
# Pairs kept per worker before it begins anew: 2 million are about 200 MB.
MOST_PAIRS = 2_000_000
# Bits of a key: parameters, then frequency, then age in days.
_X_BITS, _T_BITS = 22, 20


@dataclass(frozen=True)
class PurchaseParameters:
    """The purchase parameters of one or more segments.

    Attributes:
        model: Name of the model.
        unit_days: Days per time unit.
        values: By the model's order of letters.
        uncertain: Whether the parameters are so uncertain that a customer's interval shows it.
    """

    model: str
    unit_days: int
    values: tuple[float, ...]
    uncertain: bool


@dataclass
class LivingForecasts:
    """A worker's memory of forecasts; results do not depend on what it holds.

    Attributes:
        horizon_days: How far clv looks ahead.
        annual_discount_rate: 0.10 for ten percent a year.
    """

    horizon_days: int
    annual_discount_rate: float
    _numbers: dict[PurchaseParameters, int] = field(default_factory=dict)
    _keys: Integers = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    _values: Floats = field(default_factory=lambda: np.empty((len(NAMES) + SLOPES, 0)))

    def of(
        self, sets: Sequence[PurchaseParameters], codes: Integers, x: Integers, T: Integers
    ) -> dict[str, Floats]:
        """Forecasts of customers who are alive.

        Args:
            sets: Parameters of one model.
            codes: Position of each customer's parameters in ``sets``.
            x: Repeat purchases.
            T: Age in days.

        Returns:
            By ``NAMES`` and slope_0 to slope_3 one value per customer; residual is NaN without a
            discount rate.
        """
        if self._keys.size > MOST_PAIRS:
            self._numbers.clear()
            self._keys, self._values = self._keys[:0], self._values[:, :0]
        numbers = [self._numbers.setdefault(one, len(self._numbers)) for one in sets]
        number = np.array(numbers, dtype=np.int64)[codes]
        key = (number << (_X_BITS + _T_BITS)) | (x << _T_BITS) | T
        wanted, first, inverse = np.unique(key, return_index=True, return_inverse=True)
        known = np.isin(wanted, self._keys, assume_unique=True)
        new = first[~known]
        if new.size:
            self._learn(wanted[~known], sets, codes[new], x[new], T[new])
        values = self._values[:, np.searchsorted(self._keys, wanted)][:, inverse]
        names = (*NAMES, *(f"slope_{number}" for number in range(SLOPES)))
        return dict(zip(names, values, strict=True))

    def _learn(
        self,
        keys: Integers,
        sets: Sequence[PurchaseParameters],
        codes: Integers,
        x: Integers,
        T: Integers,
    ) -> None:
        values = np.empty((self._values.shape[0], keys.size))
        values[: len(NAMES)] = self._forecast(sets, codes, x, T, 0, 0.0)
        uncertain = np.array([one.uncertain for one in sets])[codes]
        values[len(NAMES) :] = 0.0
        rows = np.flatnonzero(uncertain)
        if rows.size:
            discounted = NAMES.index("discounted")
            for letter in range(len(sets[0].values)):
                up, down = (
                    self._forecast(sets, codes[rows], x[rows], T[rows], letter, sign * SLOPE_WIDTH)
                    for sign in (1, -1)
                )
                slope = log_slope(up[discounted], down[discounted], SLOPE_WIDTH)
                values[len(NAMES) + letter, rows] = slope
        order = np.argsort(np.concatenate([self._keys, keys]), kind="stable")
        self._keys = np.concatenate([self._keys, keys])[order]
        self._values = np.concatenate([self._values, values], axis=1)[:, order]

    def _forecast(
        self,
        sets: Sequence[PurchaseParameters],
        codes: Integers,
        x: Integers,
        T: Integers,
        letter: int,
        step: float,
    ) -> Floats:
        """``NAMES`` by customers, with one parameter moved by a step in its logarithm."""
        model, unit = PURCHASE_MODELS[sets[0].model], sets[0].unit_days
        params = parameters_of(sets, codes, model)
        params[model.MODEL.parameters[letter]] = params[model.MODEL.parameters[letter]] * np.exp(
            step
        )
        x_, T_ = x.astype(np.float64), T / unit
        days = sorted({*PERIODS, self.horizon_days})
        rate = rate_per_unit(self.annual_discount_rate, unit)
        found = model.forecast_if_alive(params, [day / unit for day in days], rate, x_, T_)
        year, end = days.index(365), days.index(self.horizon_days)
        # Any last purchase will do: given alive it makes no difference.
        t_x = np.where(x_ > 0, T_, 0.0)
        today = model.probability_alive(params, x_, t_x, T_)
        later = model.probability_alive(params, x_, t_x, T_, self.horizon_days / unit)
        residual = np.full(x.size, np.nan) if found.residual is None else found.residual
        rows = {
            **{f"expected_{day}": found.expected[days.index(day)] for day in PERIODS},
            "none_365": found.none[year],
            "purchases": found.expected[end],
            "none": found.none[end],
            "discounted": found.discounted[end],
            "discounted_square": found.discounted_square[end],
            "stays": np.divide(later, today, out=np.zeros_like(today), where=today > 0),
            "residual": residual,
        }
        return np.stack([rows[name] for name in NAMES])


def parameters_of(
    sets: Sequence[PurchaseParameters], codes: Integers, model: PurchaseModel
) -> dict[str, Floats]:
    """Each customer's parameters by letter."""
    table = np.array([one.values for one in sets], dtype=np.float64)
    return {name: table[codes, place] for place, name in enumerate(model.MODEL.parameters)}


def log_slope(up: Floats, down: Floats, width: float) -> Floats:
    """Derivative of a logarithm from its ends; 0 where there is nothing to take it of."""
    some = (up > 0) & (down > 0)
    slope: Floats = np.log(np.where(some, up, 1.0) / np.where(some, down, 1.0)) / (2 * width)
    return slope
