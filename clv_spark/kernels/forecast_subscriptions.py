"""How many contracts run in each of the next months, old and new ones, and what they pay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    "margin",
    "new_contracts",
    "new_mrr",
    "new_margin",
)
_MONTH_DAYS = 365 / 12


@dataclass(frozen=True)
class SubscriptionDraws:
    """The months ahead of one segment and period.

    Each has ``MONTHS`` rows of 1 + ``DRAWS`` values, laid out row by row: under the fitted
    parameters, then under draws of them.

    Attributes:
        segment: Its name.
        period: From renewal to renewal.
        running: Expected contracts that still run.
        running_variance: Of their number, from the contracts' own chance.
        mrr: Their expected MRR.
        mrr_variance: Of it.
    """

    segment: str
    period: str
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
    of = (segment, parameters.period)
    return SubscriptionDraws(*of, flat["n"], flat["n_2"], flat["mrr"], flat["mrr_2"])


@dataclass(frozen=True)
class NewSubscriptions:
    """The months ahead of the contracts to come of a segment and period.

    Attributes:
        margin_rate: Margin per unit of MRR of the contracts there are.
        running: By month those that have begun by then and still run.
        mrr: Mean MRR of one.
        margin: Mean monthly margin of one.
    """

    margin_rate: float
    running: Floats
    mrr: float
    margin: float


def new_subscriptions(
    parameters: ContractParameters, sums: Mapping[str, Any], recent_days: int
) -> NewSubscriptions:
    """As many contracts begin in each month as in the recent ones, and renew as all have done.

    Args:
        parameters: Of the segment and period; its values are known.
        sums: A row of ``transforms.subscriptions.arrival_sums``.
        recent_days: The days in which these arrived.

    Example:
        >>> always = ContractParameters(segment="basic", period="month", model="sbg",
        ...     values=(1e-9, 1.0), covariance=(), parameters_segment="basic")
        >>> sums = {"mrr": 500.0, "margin": 100.0, "new": 73, "new_mrr": 730.0, "new_margin": 73.0}
        >>> ahead = new_subscriptions(always, sums, recent_days=365)
        >>> ahead.running[[0, 11]].round(2).tolist(), ahead.mrr, ahead.margin, ahead.margin_rate
        ([6.08, 73.0], 10.0, 1.0, 0.2)
    """
    period = PERIOD_DAYS[parameters.period]
    # Of those of a month half have begun by its middle; they pay for a first period at once.
    renewals = ((np.arange(MONTHS) + 0.5) * _MONTH_DAYS / period).astype(np.int64)
    survival = survival_draws(parameters, int(renewals[-1]) + 1, 0, 0)[0]
    new = float(sums["new"])
    a_month = new * _MONTH_DAYS / recent_days
    return NewSubscriptions(
        margin_rate=sums["margin"] / sums["mrr"] if sums["mrr"] > 0 else 0.0,
        running=a_month * np.cumsum(survival[renewals]),
        mrr=sums["new_mrr"] / new if new else 0.0,
        margin=sums["new_margin"] / new if new else 0.0,
    )


def forecast_rows(
    parts: Sequence[SubscriptionDraws], ahead: Sequence[NewSubscriptions]
) -> list[dict[str, Any]]:
    """The months ahead of a segment that is made of these parts, with 80% intervals.

    Contracts whose segments share parameters share their draws; other draws are independent.

    Args:
        parts: The contracts there are, by segment and period.
        ahead: Those to come of the same segments and periods, in the same order.
    """
    running = [(_by_month(part.running), _by_month(part.running_variance)) for part in parts]
    mrr = [(_by_month(part.mrr), _by_month(part.mrr_variance)) for part in parts]
    rows = []
    for month in range(MONTHS):
        rates = zip(mrr, ahead, strict=True)
        margin = sum(float(mean[month, 0]) * to_come.margin_rate for (mean, _), to_come in rates)
        begun = [(float(one.running[month]), one) for one in ahead]
        numbers = (
            month + 1,
            *_total(running, month),
            *_total(mrr, month),
            margin,
            sum(count for count, _ in begun),
            sum(count * one.mrr for count, one in begun),
            sum(count * one.margin for count, one in begun),
        )
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
