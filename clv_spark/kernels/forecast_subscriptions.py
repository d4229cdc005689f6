"""How many contracts of a segment still run in each of the next months, and what they pay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv_spark.economics.total import TotalDraws, total_interval
from clv_spark.kernels.contract_forecasts import (
    DRAWS,
    LONGEST,
    renewals_within,
    survival_draws,
)
from clv_spark.kernels.contract_parameters import PERIOD_DAYS, ContractParameters

Floats = NDArray[np.float64]

MONTHS = 24
FORECAST = (
    "months_ahead",
    "running_contracts",
    "running_low",
    "running_high",
    "mrr",
    "mrr_low",
    "mrr_high",
)
_MONTH_DAYS = 365 / 12


@dataclass(frozen=True)
class SubscriptionDraws:
    """The months ahead of one segment and period.

    Each has ``MONTHS`` rows of 1 + ``DRAWS`` values, laid out row by row: under the fitted
    parameters, then under draws of them.

    Attributes:
        segment: Its name.
        running: Expected contracts that still run.
        running_variance: Of their number, from the contracts' own chance.
        mrr: Their expected MRR.
        mrr_variance: Of it.
    """

    segment: str
    running: Sequence[float]
    running_variance: Sequence[float]
    mrr: Sequence[float]
    mrr_variance: Sequence[float]


def forecast_subscriptions(rows: pd.DataFrame, parameters: ContractParameters) -> SubscriptionDraws:
    """Adds up the contracts of a segment and period month by month.

    Args:
        rows: The rows of ``transforms.subscriptions.running_patterns`` of one segment and period,
            in any order.
        parameters: Of the segment and period; its values are known.
    """
    rows = rows.sort_values(["tenure", "days_to_renewal", "period_days"])
    days = np.arange(1, MONTHS + 1) * _MONTH_DAYS
    most = int(days[-1] / PERIOD_DAYS[parameters.period]) + 2
    sums = {name: np.zeros((MONTHS, DRAWS + 1)) for name in ("n", "n_2", "mrr", "mrr_2")}
    for tenure, ours in rows.groupby("tenure", sort=True):
        phase = (ours["days_to_renewal"] / ours["period_days"]).to_numpy(np.float64)
        # Of many contracts the error that they share counts, however small.
        sets = survival_draws(parameters, most, min(int(str(tenure)), LONGEST), DRAWS)
        columns = {name: ours[name].to_numpy(np.float64) for name in ("contracts", "mrr", "mrr_2")}
        for month, ahead in enumerate(days):
            count = renewals_within(float(ahead), parameters.period, np.clip(phase, 0.0, 1.0))
            runs = sets[:, count]
            chance = runs * (1 - runs)
            sums["n"][month] += np.sum(runs * columns["contracts"], axis=-1)
            sums["n_2"][month] += np.sum(chance * columns["contracts"], axis=-1)
            sums["mrr"][month] += np.sum(runs * columns["mrr"], axis=-1)
            sums["mrr_2"][month] += np.sum(chance * columns["mrr_2"], axis=-1)
    flat = {name: values.ravel().tolist() for name, values in sums.items()}
    segment = str(rows["segment"].iloc[0])
    return SubscriptionDraws(segment, flat["n"], flat["n_2"], flat["mrr"], flat["mrr_2"])


def forecast_rows(parts: Sequence[SubscriptionDraws]) -> list[dict[str, Any]]:
    """The months ahead of a segment that is made of these parts, with 80% intervals.

    Contracts whose segments share parameters share their draws; other draws are independent.
    """
    running = [(_by_month(part.running), _by_month(part.running_variance)) for part in parts]
    mrr = [(_by_month(part.mrr), _by_month(part.mrr_variance)) for part in parts]
    rows = []
    for month in range(MONTHS):
        numbers = (month + 1, *_total(running, month), *_total(mrr, month))
        rows.append(dict(zip(FORECAST, numbers, strict=True)))
    return rows


def _by_month(values: Sequence[float]) -> Floats:
    return np.array(values).reshape(MONTHS, DRAWS + 1)


def _total(parts: Sequence[tuple[Floats, Floats]], month: int) -> tuple[float, float, float]:
    """What the fitted parameters expect, and the bounds over the draws."""
    expected = float(sum(mean[month, 0] for mean, _ in parts))
    draws = [TotalDraws(mean[month, 1:], variance[month, 1:]) for mean, variance in parts]
    interval = total_interval(draws)
    return expected, interval.low, interval.high
