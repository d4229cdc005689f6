"""How a segment's purchases, money and time change when its customers leave more or less readily.

Nothing is fitted again, and P(alive) of today stays as it is; see ``models.risk``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv_spark.economics import rate_per_unit
from clv_spark.economics.discounting import DAYS_PER_YEAR, discounted_time
from clv_spark.kernels.contract_forecasts import LONGEST, Outlook, renewals_within
from clv_spark.kernels.contract_parameters import PERIOD_DAYS, ContractParameters
from clv_spark.kernels.segment_table import SPEND_LETTERS, SegmentParameters
from clv_spark.models import CONTRACT_MODELS, PURCHASE_MODELS
from clv_spark.models.quadrature import legendre_rule
from clv_spark.models.risk import contract_running, purchases_at_risk, staying_at_risk

Floats = NDArray[np.float64]

# Points of the integral over the time alive, which falls smoothly.
TIME_POINTS = 16
_PATTERN = ["frequency", "recency", "T", "spend_x"]


@dataclass(frozen=True)
class ChurnRatios:
    """By what the discounted sums up to the horizon are multiplied; 1 where nothing changes.

    Attributes:
        revenue: Revenue and margin: purchases weighed by what each customer spends.
        purchases: Number of purchase days, or of payments.
        time: Time of being a customer.
    """

    revenue: float = 1.0
    purchases: float = 1.0
    time: float = 1.0


@dataclass(frozen=True)
class Future:
    """What customers will do up to the horizon, discounted, and how another churn changes it.

    Attributes:
        purchases: Expected purchase days, or payments, of all of them.
        years: Expected years of being a customer, of all of them.
        ratios: By factor on the rate of leaving; a factor of 1 may be left out.
    """

    purchases: float
    years: float
    ratios: Mapping[float, ChurnRatios] = field(default_factory=dict)


def future_of_customers(
    rows: pd.DataFrame,
    parameters: SegmentParameters,
    factors: Sequence[float],
    *,
    horizon_days: int,
    annual_discount_rate: float,
) -> Future:
    """Adds up the customers of a segment, as they are and at other rates of leaving.

    Args:
        rows: The segment's rows of ``transforms.summary.value_sums``, in any order.
        parameters: Of the segment, purchases and spend both known.
        factors: Of the rate of leaving, above zero.
        horizon_days: How far clv looks ahead.
        annual_discount_rate: As for clv.
    """
    rows = rows.sort_values(_PATTERN)
    unit = parameters.unit_days
    x, t_x, T, spend_x, customers, kept, kept_spent = (
        rows[name].to_numpy(np.float64) for name in (*_PATTERN, "customers", "kept", "kept_spent")
    )
    model = PURCHASE_MODELS[parameters.model]
    params = dict(zip(model.MODEL.parameters, parameters.purchases or (), strict=True))
    alive = model.probability_alive(params, x, t_x / unit, T / unit)
    p, q, gamma = (float((parameters.spend or {})[name]) for name in SPEND_LETTERS)
    # The sum of kept x expected order value over the customers of a row.
    spend = p * (gamma * kept + kept_spent) / (p * spend_x + q - 1)
    horizon, rate = horizon_days / unit, rate_per_unit(annual_discount_rate, unit)
    places, weights = legendre_rule(TIME_POINTS)
    times = horizon * places
    weights = weights * np.exp(-rate * times)

    def sums(factor: float) -> tuple[float, float, float]:
        life = (x, T / unit, factor)
        bought = purchases_at_risk(parameters.model, params, [horizon], rate, *life).discounted[0]
        staying = staying_at_risk(parameters.model, params, times.tolist(), *life)
        time = np.sum(staying * weights[:, np.newaxis], axis=0)
        return (
            float(np.sum(alive * bought * spend)),
            float(np.sum(alive * bought * customers)),
            float(np.sum(alive * time * customers)) * horizon_days / DAYS_PER_YEAR,
        )

    return _future(sums, factors)


def future_of_contracts(
    rows: pd.DataFrame, parameters: ContractParameters, factors: Sequence[float], outlook: Outlook
) -> Future:
    """The same for the running contracts of a segment and period.

    Args:
        rows: The rows of ``transforms.contract_sums.contract_value_sums`` of one segment and
            period, in any order.
        parameters: Of the segment and period; its values are known.
        factors: Of the rate of leaving, above zero.
        outlook: Horizon and discount rate.
    """
    rows = rows.sort_values(["tenure", "days_to_renewal", "period_days"])
    period, length = parameters.period, PERIOD_DAYS[parameters.period]
    letters = CONTRACT_MODELS[parameters.model].MODEL.parameters
    params = dict(zip(letters, parameters.values or (), strict=True))
    rate = rate_per_unit(outlook.annual_discount_rate, 1)
    k = np.arange(outlook.most_renewals(period) + 1)

    def sums(factor: float) -> tuple[float, float, float]:
        money = payments = time = 0.0
        for tenure, ours in rows.groupby("tenure", sort=True):
            phase = (ours["days_to_renewal"] / ours["period_days"]).to_numpy(np.float64)
            phase = np.clip(phase, 0.0, 1.0)
            n = min(int(str(tenure)), LONGEST)
            running = contract_running(parameters.model, params, k, n, factor)
            begins = (phase[:, np.newaxis] + k - 1) * length
            paid = k <= renewals_within(outlook.horizon_days, period, phase)[:, np.newaxis]
            paid[:, 0] = False
            worth = np.sum(np.where(paid, running * np.exp(-rate * begins), 0.0), axis=1)
            until = discounted_time(np.clip(begins + length, 0.0, outlook.horizon_days), rate)
            since = discounted_time(np.clip(begins, 0.0, outlook.horizon_days), rate)
            lived = np.sum(running * (until - since), axis=1)
            count = ours["contracts"].to_numpy(np.float64)
            money += float(np.sum(worth * ours["margin"].to_numpy(np.float64)))
            payments += float(np.sum(worth * count))
            time += float(np.sum(lived * count)) / DAYS_PER_YEAR
        return money, payments, time

    return _future(sums, factors)


def joint_future(parts: Sequence[Future], weights: Sequence[float]) -> Future:
    """The customers of several parts as one.

    Args:
        parts: With the same factors.
        weights: How much of the value each part has; they add up to 1.

    Example:
        >>> one = Future(10.0, 2.0, {0.9: ChurnRatios(1.1, 1.1, 1.1)})
        >>> two = Future(30.0, 2.0, {0.9: ChurnRatios(1.5, 1.3, 1.1)})
        >>> both = joint_future([one, two], [0.25, 0.75])
        >>> both.purchases, both.years, round(both.ratios[0.9].revenue, 9)
        (40.0, 4.0, 1.4)
        >>> round(both.ratios[0.9].purchases, 9), round(both.ratios[0.9].time, 9)
        (1.25, 1.1)
    """

    def mean(factor: float, name: str, sizes: Sequence[float]) -> float:
        total = sum(sizes)
        ratios = [getattr(part.ratios[factor], name) for part in parts]
        weighed = sum(size * ratio for size, ratio in zip(sizes, ratios, strict=True))
        return weighed / total if total > 0 else 1.0

    bought, lived = [part.purchases for part in parts], [part.years for part in parts]
    ratios = {
        factor: ChurnRatios(
            revenue=mean(factor, "revenue", weights),
            purchases=mean(factor, "purchases", bought),
            time=mean(factor, "time", lived),
        )
        for factor in parts[0].ratios
    }
    return Future(sum(bought), sum(lived), ratios)


def _future(
    sums: Callable[[float], tuple[float, float, float]], factors: Sequence[float]
) -> Future:
    base = sums(1.0)

    def ratio(value: float, usual: float) -> float:
        return value / usual if usual > 0 else 1.0

    ratios = {
        factor: ChurnRatios(*(ratio(*pair) for pair in zip(sums(factor), base, strict=True)))
        for factor in factors
    }
    return Future(base[1], base[2], ratios)
