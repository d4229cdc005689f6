"""Scores one Arrow batch of contracts: how long they will run, and what that is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from clv_spark.config import of_segment
from clv_spark.errors import InputError
from clv_spark.kernels.contract_forecasts import (
    PERIODS,
    Outlook,
    forecast_contracts,
    living_days,
)
from clv_spark.kernels.contract_parameters import ContractKey, ContractParameters

Floats = NDArray[np.float64]

# In order of precedence; what none of them describes is "ok".
CONTRACT_STATUSES = ("changed", "lost", "insufficient_data", "parent_model", "new", "ok")
INPUT_COLUMNS = (
    "segment",
    "period",
    "tenure",
    "is_active",
    "is_lost",
    "days_to_renewal",
    "period_days",
    "age_days",
    "customer_age",
    "amount",
    "margin",
    "paid_amount",
    "paid_margin",
)
_FORECASTS = (
    "p_active_365d",
    *(f"expected_renewals_{days}d" for days in PERIODS),
    "discounted",
    "low",
    "high",
    "residual",
    "living_days",
    "early_days",
)
# What the kernel adds to the columns it is given; all DOUBLE but the two places.
CONTRACT_OUTPUT = (
    "parameters_place",
    "status_place",
    "p_alive",
    "p_active_365d",
    *(f"expected_renewals_{days}d" for days in PERIODS),
    "expected_revenue_365d",
    "margin_rate",
    "clv_revenue",
    "clv_margin",
    "clv",
    "clv_low",
    "clv_high",
    "residual_clv",
    "historical_revenue",
    "historical_margin",
    # Not in the table: what service costs grow with, and what the sums of a customer's and of a
    # segment's contracts are made of.
    "purchases_ahead",
    "days_ahead",
    "early_days_ahead",
    "value_margin",
)


@dataclass(frozen=True)
class ContractSettings:
    """What scoring needs to know beside the parameters.

    Attributes:
        outlook: Horizon and discount rate.
        margin_rate: Margin per unit of price where the source has no margin, or by segment.
        new_customer_days: Contracts younger than this get the status "new".
        early_days: Length of the phase in which serving a customer has rates of its own.
        value: What clv, its bounds and residual_clv count: revenue or margin.
        keys: Number of segment keys of contracts.
    """

    outlook: Outlook
    margin_rate: float | Mapping[str, float]
    new_customer_days: int
    early_days: int
    value: Literal["revenue", "margin"] = "margin"
    keys: int = 1


def score_contracts(
    batch: pa.RecordBatch,
    settings: ContractSettings,
    parameters: Mapping[ContractKey, ContractParameters],
) -> pa.RecordBatch:
    """Scores every contract of a batch; what can't be known is null and has a status.

    A contract that ended has nothing to come: 0 everywhere. A margin below zero counts as zero, as
    nobody has to go on with it.

    Args:
        batch: ``INPUT_COLUMNS`` and any others: segment, period (text), tenure (periods),
            is_active, is_lost, days_to_renewal (null unless active), period_days (length of the
            current period), age_days, customer_age (days since the customer's first contract
            began), amount, margin (null when unknown; money per period), paid_amount, paid_margin
            (null when unknown; money).
        settings: Horizon, discount rate, margin rate, who is new.
        parameters: By segment and period; a running contract without any has
            "insufficient_data".

    Returns:
        The batch with ``CONTRACT_OUTPUT``; no value is ever NaN. parameters_place is the position
        in ``parameters``, status_place that in ``CONTRACT_STATUSES``.

    Raises:
        InputError: The batch lacks a column.
    """
    missing = [name for name in INPUT_COLUMNS if name not in batch.schema.names]
    if missing:
        raise InputError(f"The batch lacks {missing}; it has {batch.schema.names}.")
    active = batch.column("is_active").to_numpy(zero_copy_only=False)
    lost = batch.column("is_lost").to_numpy(zero_copy_only=False)
    places, taken = _places(batch, parameters)
    found = _forecasts(batch, settings, list(parameters.values()), places, active)
    amount, given = _doubles(batch, "amount"), _doubles(batch, "margin")
    usual = _margin_rates(batch, settings)
    margin = np.maximum(np.where(np.isnan(given), amount * usual, given), 0.0)
    paid, recorded = _doubles(batch, "paid_amount"), _doubles(batch, "paid_margin")
    past = np.where(np.isnan(recorded), paid * usual, recorded)
    # A free contract has no margin, whatever its rate.
    rate = np.divide(margin, amount, out=np.full(amount.size, np.nan), where=amount > 0)
    rate = np.where(np.isnan(rate), usual, np.minimum(rate, 1.0))
    conditions = [
        ~active & ~lost,
        lost,
        np.isnan(found["discounted"]),
        taken,
        _doubles(batch, "age_days") < settings.new_customer_days,
    ]
    status = np.select(conditions, range(len(conditions)), len(conditions))
    counted = amount if settings.value == "revenue" else margin
    scores: dict[str, Floats] = {
        "p_alive": active.astype(np.float64),
        "p_active_365d": found["p_active_365d"],
        **{name: found[name] for name in _FORECASTS if name.startswith("expected_")},
        "expected_revenue_365d": amount * found["expected_renewals_365d"],
        "margin_rate": rate,
        "clv_revenue": amount * found["discounted"],
        "clv_margin": margin * found["discounted"],
        "clv": counted * found["discounted"],
        "clv_low": counted * found["low"],
        "clv_high": counted * found["high"],
        "residual_clv": counted * found["residual"],
        "historical_revenue": np.maximum(paid, 0.0),
        "historical_margin": np.maximum(past, 0.0),
        "purchases_ahead": found["discounted"],
        "days_ahead": found["living_days"],
        "early_days_ahead": found["early_days"],
        "value_margin": counted,
    }
    columns = {name: batch.column(name) for name in batch.schema.names}
    columns["parameters_place"] = pa.array(places.astype(np.int32), mask=places < 0)
    columns["status_place"] = pa.array(status.astype(np.int32))
    for name, values in scores.items():
        columns[name] = pa.array(values, mask=~np.isfinite(values))
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def _places(
    batch: pa.RecordBatch, parameters: Mapping[ContractKey, ContractParameters]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Position of each row's parameters, -1 for none; and whether they are another segment's."""
    numbers = {key: number for number, key in enumerate(parameters)}
    segments, periods = (batch.column(name).dictionary_encode() for name in ("segment", "period"))
    names, units = segments.dictionary.to_pylist(), periods.dictionary.to_pylist()
    table = np.array(
        [[numbers.get((name, unit), -1) for unit in units] for name in names], dtype=np.int64
    ).reshape(len(names), len(units))
    foreign = np.array(
        [entry.parameters_segment != entry.segment for entry in parameters.values()] + [False]
    )
    codes = [part.indices.to_numpy(zero_copy_only=False) for part in (segments, periods)]
    places = table[codes[0], codes[1]]
    return places, foreign[places]


def _margin_rates(batch: pa.RecordBatch, settings: ContractSettings) -> Floats:
    rate, keys = settings.margin_rate, settings.keys
    segments = batch.column("segment").dictionary_encode()
    rates = np.array([of_segment(rate, name, keys) for name in segments.dictionary.to_pylist()])
    codes = segments.indices.to_numpy(zero_copy_only=False)
    return rates[codes] if rates.size else np.zeros(0)


def _forecasts(
    batch: pa.RecordBatch,
    settings: ContractSettings,
    entries: list[ContractParameters],
    places: NDArray[np.int64],
    active: NDArray[np.bool_],
) -> dict[str, Floats]:
    outlook = settings.outlook
    found = {name: np.where(active, np.nan, 0.0) for name in _FORECASTS}
    early = days_left_early(
        _doubles(batch, "customer_age"), settings.early_days, outlook.horizon_days
    )
    tenure = _doubles(batch, "tenure")
    days = _doubles(batch, "days_to_renewal")
    with np.errstate(invalid="ignore"):
        phase = days / _doubles(batch, "period_days")
    for place in np.unique(places[active]):
        entry = entries[place] if place >= 0 else None
        if entry is None or entry.values is None:
            continue
        rows = np.flatnonzero(active & (places == place))
        n = tenure[rows].astype(np.int64)
        left = np.clip(phase[rows], 0.0, 1.0)
        result = forecast_contracts(entry, outlook, n, left, days[rows])
        found["p_active_365d"][rows] = result.running
        for until, values in zip(PERIODS, result.expected, strict=True):
            found[f"expected_renewals_{until}d"][rows] = values
        for name in ("discounted", "low", "high", "residual", "living_days"):
            found[name][rows] = getattr(result, name)
        found["early_days"][rows] = living_days(entry, outlook, n, left, early[rows])
    return found


def days_left_early(age: Floats, early_days: int, horizon_days: int) -> Floats:
    """Days of the early phase that customers of some age have before them within the horizon.

    Example:
        >>> days_left_early(np.array([0.0, 70.0, 900.0]), 90, 60).tolist()
        [60.0, 20.0, 0.0]
    """
    return np.clip(early_days - age, 0.0, float(horizon_days))


def _doubles(batch: pa.RecordBatch, name: str) -> Floats:
    values: Floats = pc.cast(batch.column(name), pa.float64()).to_numpy(zero_copy_only=False)
    return values
