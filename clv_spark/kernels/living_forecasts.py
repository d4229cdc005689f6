"""What living customers will buy: worked out once per parameters, frequency and age in a worker.

Given that a customer is alive, a forecast depends on the parameters, x and T alone, and few pairs
of x and T differ among millions of customers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from clv_spark.economics import living_share, rate_per_unit
from clv_spark.economics.interval import MANY_PURCHASES
from clv_spark.kernels.memory import LEADING_BITS, Memory, rounded
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
    "stays_half",
    "living_days",
    "residual",
)
SLOPES = 4
# A step in the logarithm of a parameter. Not smaller: a forecast is exact to 1e-8.
SLOPE_WIDTH = 1e-3
# Pairs kept per worker before it begins anew: 2 million are about 200 MB.
MOST_PAIRS = 2_000_000
# Bits of a key: parameters, then frequency, then age in days.
_X_BITS, _T_BITS = 22, 20
# Bits of a rounded number in the key of a slope.
_SHORT_BITS = 9


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
        with_time: Whether the time as a customer is worked out, which costs as much as the rest.
    """

    horizon_days: int
    annual_discount_rate: float
    with_time: bool = False
    _numbers: dict[PurchaseParameters, int] = field(default_factory=dict)
    _forecasts: Memory = field(init=False)
    _slopes: Memory = field(init=False)
    _alive_slopes: Memory = field(init=False)

    def __post_init__(self) -> None:
        """Begins with nothing known."""
        self._forget()

    @property
    def pairs(self) -> int:
        """How many forecasts are known."""
        return self._forecasts.size

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
            discount rate, living_days 0 unless ``with_time``.
        """
        if self._forecasts.size > MOST_PAIRS:
            self._forget()
        number = self._number(sets)[codes]

        def learn(new: Integers) -> Floats:
            return self._learn(number[new], sets, codes[new], x[new], T[new])

        values = self._forecasts.of(_key(number, x, T), learn)
        names = (*NAMES, *(f"slope_{number}" for number in range(SLOPES)))
        return dict(zip(names, values, strict=True))

    def alive_slopes(
        self,
        sets: Sequence[PurchaseParameters],
        codes: Integers,
        x: Integers,
        T: Integers,
        gap: Integers,
    ) -> list[Floats]:
        """Derivatives of the logarithm of P(alive) by the logarithms of the parameters.

        Args:
            sets: Parameters of one model.
            codes: Position of each customer's parameters in ``sets``.
            x: Repeat purchases.
            T: Age in days.
            gap: Days since the last purchase.
        """
        if self._alive_slopes.size > MOST_PAIRS:
            self._forget()
        x, T, gap = rounded(x), rounded(T), np.minimum(rounded(gap), rounded(T))
        key = self._number(sets)[codes]
        for values in (x, T, gap):
            key = (key << _SHORT_BITS) | _short(values)

        def learn(new: Integers) -> Floats:
            return self._alive_slopes_of(sets, codes[new], x[new], T[new], gap[new])

        return list(self._alive_slopes.of(key, learn))

    def _alive_slopes_of(
        self,
        sets: Sequence[PurchaseParameters],
        codes: Integers,
        x: Integers,
        T: Integers,
        gap: Integers,
    ) -> Floats:
        model, unit = PURCHASE_MODELS[sets[0].model], sets[0].unit_days
        params = parameters_of(sets, codes, model)
        pattern = (x.astype(np.float64), (T - gap) / unit, T / unit)
        return np.stack(log_slopes(lambda moved: model.probability_alive(moved, *pattern), params))

    def _number(self, sets: Sequence[PurchaseParameters]) -> Integers:
        """The number of each of some parameters."""
        numbers = [self._numbers.setdefault(one, len(self._numbers)) for one in sets]
        return np.array(numbers, dtype=np.int64)

    def _forget(self) -> None:
        self._numbers.clear()
        self._forecasts, self._slopes = Memory(len(NAMES) + SLOPES), Memory(SLOPES)
        self._alive_slopes = Memory(SLOPES)

    def _learn(
        self,
        number: Integers,
        sets: Sequence[PurchaseParameters],
        codes: Integers,
        x: Integers,
        T: Integers,
    ) -> Floats:
        values = np.zeros((len(NAMES) + SLOPES, x.size))
        values[: len(NAMES)] = self._forecast(sets, codes, x, T)
        rows = np.flatnonzero(np.array([one.uncertain for one in sets])[codes])
        if rows.size:
            codes, x, T = codes[rows], rounded(x[rows]), rounded(T[rows])

            def learn(new: Integers) -> Floats:
                return self._slopes_of(sets, codes[new], x[new], T[new])

            values[len(NAMES) :, rows] = self._slopes.of(_key(number[rows], x, T), learn)
        return values

    def _forecast(
        self, sets: Sequence[PurchaseParameters], codes: Integers, x: Integers, T: Integers
    ) -> Floats:
        """``NAMES`` by customers."""
        model, unit = PURCHASE_MODELS[sets[0].model], sets[0].unit_days
        params = parameters_of(sets, codes, model)
        x_, T_ = x.astype(np.float64), T / unit
        days = sorted({*PERIODS, self.horizon_days})
        rate = rate_per_unit(self.annual_discount_rate, unit)
        found = model.forecast_if_alive(params, [day / unit for day in days], rate, x_, T_)
        year, end = days.index(365), days.index(self.horizon_days)
        residual = np.full(x.size, np.nan) if found.residual is None else found.residual
        rows = {
            **{f"expected_{day}": found.expected[days.index(day)] for day in PERIODS},
            "none_365": found.none[year],
            "purchases": found.expected[end],
            "none": found.none[end],
            "discounted": found.discounted[end],
            "discounted_square": found.discounted_square[end],
            "stays": np.ones(x.size),
            "stays_half": np.ones(x.size),
            "living_days": np.zeros(x.size),
            "residual": residual,
        }
        # Where few purchases are to come it does not matter who stays, and it costs as much as the
        # rest.
        many = np.flatnonzero(rows["purchases"] > MANY_PURCHASES * (1 - rows["none"]))
        few = {name: values[many] for name, values in params.items()}
        for name, days_ahead in (
            ("stays", self.horizon_days),
            ("stays_half", self.horizon_days / 2),
        ):
            rows[name][many] = _stays(model, few, x_[many], T_[many], days_ahead / unit)
        if self.with_time:
            horizon = self.horizon_days / unit
            share = living_share(
                lambda part: _stays(model, params, x_, T_, part * horizon),
                discount=rate * horizon,
                years=self.horizon_days / 365,
            )
            rows["living_days"] = self.horizon_days * share
        return np.stack([rows[name] for name in NAMES])

    def _slopes_of(
        self, sets: Sequence[PurchaseParameters], codes: Integers, x: Integers, T: Integers
    ) -> Floats:
        """Slopes of the logarithm of "discounted" by the logarithms of the parameters."""
        model, unit = PURCHASE_MODELS[sets[0].model], sets[0].unit_days
        params = parameters_of(sets, codes, model)
        times = [self.horizon_days / unit]
        rate = rate_per_unit(self.annual_discount_rate, unit)

        def discounted(moved: Mapping[str, Floats]) -> Floats:
            forecast = model.forecast_if_alive(
                moved, times, rate, x.astype(np.float64), T / unit, endless=False
            )
            until: Floats = forecast.discounted[0]
            return until

        return np.stack(log_slopes(discounted, params))


@lru_cache(maxsize=1)
def worker_forecasts(
    horizon_days: int, annual_discount_rate: float, with_time: bool
) -> LivingForecasts:
    """The memory of this process: a worker of Spark keeps it from one partition to the next."""
    return LivingForecasts(horizon_days, annual_discount_rate, with_time)


def _stays(
    model: PurchaseModel, params: Mapping[str, Floats], x: Floats, T: Floats, t: float
) -> Floats:
    """Probability that who is alive still is t time units ahead."""
    # Any last purchase will do: given alive it makes no difference.
    t_x = np.where(x > 0, T, 0.0)
    today = model.probability_alive(params, x, t_x, T)
    later = model.probability_alive(params, x, t_x, T, t)
    return np.divide(later, today, out=np.zeros_like(today), where=today > 0)


def _key(number: Integers, x: Integers, T: Integers) -> Integers:
    key: Integers = (number << (_X_BITS + _T_BITS)) | (x << _T_BITS) | T
    return key


def _short(values: Integers) -> Integers:
    """A small number for each number of few leading bits.

    Example:
        >>> _short(np.array([0, 7, 15, 16, 288, 1152, 4_194_304])).tolist()
        [0, 7, 15, 24, 89, 121, 312]
    """
    lost = np.maximum(np.frexp(values.astype(np.float64))[1] - LEADING_BITS, 0)
    found: Integers = (lost << LEADING_BITS) | (values >> lost)
    return found


def parameters_of(
    sets: Sequence[PurchaseParameters], codes: Integers, model: PurchaseModel
) -> dict[str, Floats]:
    """Each customer's parameters by letter."""
    table = np.array([one.values for one in sets], dtype=np.float64)
    return {name: table[codes, place] for place, name in enumerate(model.MODEL.parameters)}


def log_slopes(
    value: Callable[[Mapping[str, Floats]], Floats], params: Mapping[str, Floats]
) -> list[Floats]:
    """Derivatives of the logarithm of a value by the logarithm of each parameter, in their order.

    0 where there is nothing to take a logarithm of.
    """
    here = value(params)
    slopes: list[Floats] = []
    for name, values in params.items():
        up = value({**params, name: values * np.exp(SLOPE_WIDTH)})
        some = (up > 0) & (here > 0)
        slopes.append(np.log(np.where(some, up, 1.0) / np.where(some, here, 1.0)) / SLOPE_WIDTH)
    return slopes
