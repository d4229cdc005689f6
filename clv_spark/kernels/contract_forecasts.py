"""What running contracts will bring: worked out once per parameters and tenure in a worker.

A contract that has survived n periods renews at t_k = (phase + k - 1) L days from now, phase being
the share of the period that is left and L its length in days. It pays at each renewal while it
lasts, so all it will bring follows from R_k = S(n + k) / S(n) alone. Renewals of the next weeks
are counted by the true days to the next one: months are shorter or longer than L.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from clv_spark.economics.discounting import discounted_time, rate_per_unit
from clv_spark.kernels.contract_parameters import PERIOD_DAYS, ContractParameters
from clv_spark.kernels.segment_table import is_uncertain
from clv_spark.models import CONTRACT_MODELS
from clv_spark.models.contract_forecast import periods_that_count, probability_running

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

PERIODS = (30, 90, 365)
# An even number: draws come in pairs.
DRAWS = 64
# Chances that a bound leaves below and above.
LOW, HIGH = 0.1, 0.9
# Equally likely values that stand for a contract's distribution in a sum.
VINTILES = 20
# Older contracts are taken as this old: beyond it hardly any risk is left to be learned.
LONGEST = 1200
# Days: the twelfth month ends on day 365, whatever the rounding.
_SLACK = 1e-6


@dataclass(frozen=True)
class Outlook:
    """How far a forecast looks ahead, and what later money is worth.

    Attributes:
        horizon_days: How far clv looks ahead.
        annual_discount_rate: Value t days ahead weighs (1 + rate)^(-t / 365).
    """

    horizon_days: int
    annual_discount_rate: float

    def most_renewals(self, period: str) -> int:
        """The largest number of renewals within the horizon or a year."""
        return int(max(self.horizon_days, 365) / PERIOD_DAYS[period] + _SLACK) + 1

    def weight(self, period: str) -> float:
        """What money one period later is worth now."""
        return float((1 + self.annual_discount_rate) ** (-PERIOD_DAYS[period] / 365))


@dataclass(frozen=True)
class ContractForecast:
    """One value per contract, per unit of money paid at each renewal.

    Attributes:
        expected: Renewals in the next 30, 90 and 365 days.
        running: Probability to run after 365 days.
        discounted: Expected discounted renewals within the horizon.
        low: Discounted renewals within the horizon that are undercut with probability 0.1 at most.
        high: Those that are exceeded with probability 0.1 at most.
        residual: As discounted without horizon; NaN without a discount rate.
        living_days: Expected discounted days within the horizon on which the contract runs.
    """

    expected: tuple[Floats, ...]
    running: Floats
    discounted: Floats
    low: Floats
    high: Floats
    residual: Floats
    living_days: Floats


def forecast_contracts(
    parameters: ContractParameters,
    outlook: Outlook,
    tenure: Integers,
    phase: Floats,
    days_to_renewal: Floats | None = None,
) -> ContractForecast:
    """Forecasts running contracts of one segment and period.

    The values of a contract do not depend, to the last bit, on those beside it.

    Args:
        parameters: Of the segment and period; its values are known.
        outlook: Horizon and discount rate.
        tenure: Whole periods survived so far.
        phase: Share of the current period that is left, above 0 and up to 1.
        days_to_renewal: True days to the next renewal, for the renewals of the next 30 and 90 days;
            by default as many as the phase says.
    """
    period = parameters.period
    n, place = np.unique(np.minimum(tenure, LONGEST), return_inverse=True)
    rows = [_life(parameters, outlook, int(one)) for one in n]
    v = outlook.weight(period)
    ahead = v**phase
    horizon = renewals_within(outlook.horizon_days, period, phase)
    soon = phase if days_to_renewal is None else days_to_renewal / PERIOD_DAYS[period]
    # A year has as many renewals as periods, whatever their days.
    in_days = [renewals_within(days, period, soon) for days in PERIODS[:-1]]
    in_days.append(renewals_within(PERIODS[-1], period, phase))
    renewals = np.array([row.renewals for row in rows])
    geometric = _geometric(v, outlook.most_renewals(period))
    low, high = (
        np.minimum(np.array([getattr(row, name) for row in rows])[place], horizon)
        for name in ("low", "high")
    )
    return ContractForecast(
        expected=tuple(renewals[place, count] for count in in_days),
        running=np.array([row.running for row in rows])[place, in_days[-1]],
        discounted=ahead * np.array([row.discounted for row in rows])[place, horizon],
        low=ahead * geometric[low],
        high=ahead * geometric[high],
        residual=ahead * _residual(parameters, v)[n][place],
        living_days=living_days(parameters, outlook, tenure, phase),
    )


def living_days(
    parameters: ContractParameters,
    outlook: Outlook,
    tenure: Integers,
    phase: Floats,
    days: Floats | None = None,
) -> Floats:
    """Expected discounted days on which each contract runs, within so many from now.

    Args:
        parameters: Of the segment and period; its values are known.
        outlook: Horizon and discount rate.
        tenure: Whole periods survived so far.
        phase: Share of the current period that is left, above 0 and up to 1.
        days: From now, at most the horizon; by default the horizon.
    """
    until = np.full(phase.size, float(outlook.horizon_days)) if days is None else days
    n, place = np.unique(np.minimum(tenure, LONGEST), return_inverse=True)
    rows, period = [_life(parameters, outlook, int(one)) for one in n], parameters.period
    renewals = renewals_within(until, period, phase)
    # What is left of the period that runs, whole periods, and the part of the last one.
    length, rate = PERIOD_DAYS[period], rate_per_unit(outlook.annual_discount_rate, 1)
    end = discounted_time(until, rate)
    first = discounted_time(phase * length, rate)
    periods = np.array([row.discounted for row in rows])[place, np.maximum(renewals - 1, 0)]
    whole = periods * outlook.weight(period) ** phase * discounted_time(np.array(length), rate)
    begins = discounted_time((phase + renewals - 1) * length, rate)
    last = np.array([row.running for row in rows])[place, renewals] * (end - begins)
    return np.where(renewals > 0, first + whole + last, end)


def discounted_vintiles(
    parameters: ContractParameters, outlook: Outlook, tenure: Integers, phase: Floats
) -> Floats:
    """The discounted renewals within the horizon, as ``VINTILES`` equally likely values.

    They stand for the whole distribution where contracts are added up.

    Args:
        parameters: Of the segment and period; its values are known.
        outlook: Horizon and discount rate.
        tenure: Whole periods survived so far.
        phase: Share of the current period that is left, above 0 and up to 1.

    Returns:
        One row per contract, ascending.
    """
    period = parameters.period
    n, place = np.unique(np.minimum(tenure, LONGEST), return_inverse=True)
    counts = np.array([_life(parameters, outlook, int(one)).vintiles for one in n])[place]
    horizon = renewals_within(outlook.horizon_days, period, phase)[:, np.newaxis]
    v = outlook.weight(period)
    geometric = _geometric(v, outlook.most_renewals(period))
    values: Floats = (v**phase)[:, np.newaxis] * geometric[np.minimum(counts, horizon)]
    return values


def running_after(
    days: Floats,
    parameters: ContractParameters,
    outlook: Outlook,
    tenure: Integers,
    phase: Floats,
) -> Floats:
    """Probability that each contract runs after so many days, at most the horizon or a year.

    Args:
        days: From now.
        parameters: Of the segment and period; its values are known.
        outlook: Horizon and discount rate.
        tenure: Whole periods survived so far.
        phase: Share of the current period that is left, above 0 and up to 1.

    Returns:
        One row per contract, one column per day.
    """
    n, place = np.unique(np.minimum(tenure, LONGEST), return_inverse=True)
    running = np.array([_life(parameters, outlook, int(one)).running for one in n])
    renewals = renewals_within(days, parameters.period, phase[:, np.newaxis])
    found: Floats = running[place[:, np.newaxis], renewals]
    return found


def renewals_within(days: float | Floats, period: str, phase: Floats) -> Integers:
    """How many renewals fall within so many days from now, if the contract lasts.

    Example:
        >>> renewals_within(365, "month", np.array([1.0, 0.5])).tolist()
        [12, 12]
        >>> renewals_within(365, "year", np.array([1.0, 0.01])).tolist()
        [1, 1]
    """
    whole = np.floor((days + _SLACK) / PERIOD_DAYS[period] - phase) + 1
    count: Integers = np.maximum(whole, 0).astype(np.int64)
    return count


def survival_draws(parameters: ContractParameters, count: int, n: int, draws: int) -> Floats:
    """S(n + k) / S(n) for k = 0 ... count under the fitted parameters, then under draws of them.

    Returns:
        One row per set of parameters: 1 + ``draws``, all the same where nothing is uncertain.
    """
    model, k = CONTRACT_MODELS[parameters.model], np.arange(count + 1)
    columns = {name: drawn[:, np.newaxis] for name, drawn in parameters.draws(draws).items()}
    return probability_running(model.log_survival, columns, k, n)


def discounted_sums(running: Floats, v: float) -> tuple[Floats, Floats]:
    """E[W] and E[W^2] of the discounted renewals W among the first 0 ... K, at phase 0.

    W = 1 + v + ... + v^(J - 1) where J renewals come; J is at least k with probability R_k.

    Args:
        running: R_0 ... R_K along the last axis.
        v: What money one period later is worth.
    """
    count = running.shape[-1] - 1
    weight = v ** np.arange(count)
    whole = _geometric(v, count)
    step = weight * (2 * whole[:-1] + weight)
    zero = np.zeros((*running.shape[:-1], 1))
    first = np.cumsum(running[..., 1:] * weight, axis=-1)
    second = np.cumsum(running[..., 1:] * step, axis=-1)
    return (
        np.concatenate([zero, first], axis=-1),
        np.concatenate([zero, second], axis=-1),
    )


@dataclass(frozen=True)
class _Life:
    """A running contract of one tenure, by the number of renewals looked ahead.

    ``low`` and ``high`` are the renewals that come with probability 0.9 and 0.1, ``vintiles`` as
    many as come with 0.975, 0.925 and so on.
    """

    running: Floats
    renewals: Floats
    discounted: Floats
    low: int
    high: int
    vintiles: Integers


@lru_cache(maxsize=20_000)
def _life(parameters: ContractParameters, outlook: Outlook, n: int) -> _Life:
    v = outlook.weight(parameters.period)
    # Of one contract a small error of the parameters does not show beside its own chance.
    draws = DRAWS if is_uncertain(parameters.covariance) else 0
    sets = survival_draws(parameters, outlook.most_renewals(parameters.period), n, draws)
    fitted = sets[0]
    # What is to be expected is the fit's; how sure it is, the average over plausible parameters.
    average = sets[1:].mean(axis=0) if len(sets) > 1 else fitted
    middles = (np.arange(VINTILES) + 0.5) / VINTILES
    return _Life(
        running=fitted,
        renewals=np.concatenate([[0.0], np.cumsum(fitted[1:])]),
        discounted=discounted_sums(fitted, v)[0],
        low=int(np.sum(average[1:] > 1 - LOW)),
        high=int(np.sum(average[1:] > 1 - HIGH)),
        vintiles=np.sum(average[1:, np.newaxis] > 1 - middles, axis=0),
    )


@lru_cache(maxsize=1_000)
def _residual(parameters: ContractParameters, v: float) -> Floats:
    """Expected discounted renewals without horizon at phase 0, by tenure 0 ... LONGEST.

    A(n) = R (1 + v A(n + 1)) with R the next retention rate, from so far that the start does not
    show.
    """
    if v >= 1:
        return np.full(LONGEST + 1, math.nan)
    last = LONGEST + periods_that_count(1 / v - 1)
    model = CONTRACT_MODELS[parameters.model]
    values = dict(zip(model.MODEL.parameters, parameters.values or (), strict=True))
    logs = model.log_survival(values, np.arange(last + 2))
    rates: Sequence[float] = np.exp(np.diff(logs)).tolist()
    value = 0.0
    table = np.empty(LONGEST + 1)
    for n in range(last, -1, -1):
        value = rates[n] * (1 + v * value)
        if n <= LONGEST:
            table[n] = value
    return table


def _geometric(v: float, count: int) -> Floats:
    """1 + v + ... for 0 ... count terms."""
    terms = np.concatenate([[0.0], np.cumsum(v ** np.arange(count))])
    return np.asarray(terms, dtype=np.float64)
