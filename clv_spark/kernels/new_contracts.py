"""What a new contract will bring, day by day: paid at its start and at each renewal it survives."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from clv_spark.economics import rate_per_unit
from clv_spark.economics.discounting import DAYS_PER_YEAR
from clv_spark.errors import InputError
from clv_spark.kernels.contract_parameters import PERIOD_DAYS, ContractParameters
from clv_spark.kernels.new_customers import (
    PAYBACK_DAYS,
    NewCustomerCurve,
    days_of_curve,
    early_phase,
)
from clv_spark.models.risk import contract_running

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Days: the twelfth month ends on day 365, whatever the rounding.
_DIGITS = 6


def new_contract_curve(
    parameters: ContractParameters,
    *,
    order_value: float,
    margin_rate: float,
    horizon_days: int,
    annual_discount_rate: float,
    early_days: int,
    draws: int,
    churn: float = 1.0,
    target_payback_days: int = PAYBACK_DAYS,
) -> NewCustomerCurve:
    """The curve of a contract that begins today.

    Args:
        parameters: Of the segment and period, its values known.
        order_value: Mean price of a period; NaN where there is none.
        margin_rate: Margin per unit of price.
        horizon_days: How far the value looks ahead; a payment due then is the next one's.
        annual_discount_rate: 0.10 for ten percent a year.
        early_days: Length of the early phase; 0 for none.
        draws: Draws of the parameters, even and at least 12, or none. They are those of
            ``sum_contracts`` where they are as many.
        churn: Factor on the rate at which every contract is lost; see ``models.risk``.
        target_payback_days: Within how many days a new customer should pay back.

    Raises:
        InputError: The segment has no parameters of contracts.

    Example:
        >>> plan = ContractParameters(segment="basic", period="year", model="sbg",
        ...     values=(1.0, 1.0), covariance=(), parameters_segment="basic")
        >>> curve = new_contract_curve(plan, order_value=100.0, margin_rate=0.5, horizon_days=730,
        ...     annual_discount_rate=0.0, early_days=0, draws=0)
        >>> curve.plain.purchases[0, curve.days == 365].round(4).tolist()  # before and after
        [1.0, 1.5]
        >>> float(curve.plain.years[0, curve.days == 730][0])
        1.5
    """
    if parameters.values is None:
        raise InputError(f"The segment {parameters.segment!r} has no parameters of contracts.")
    length = PERIOD_DAYS[parameters.period]
    sets = parameters.draws(draws if parameters.covariance else 0)
    every = days_of_curve(horizon_days, early_days, target_payback_days)
    days, renewals = _days_and_renewals(every, length)
    k = np.arange(int(renewals[-1]) + 1)
    columns = {name: values[:, np.newaxis] for name, values in sets.items()}
    survival = contract_running(parameters.model, columns, k, 0, churn)
    plain, discounted = (
        early_phase(
            days,
            purchases=_sum(survival * np.exp(-rate * length * k))[:, renewals + 1],
            years=_time(survival, days, renewals, length, rate) / DAYS_PER_YEAR,
            early_days=early_days,
        )
        for rate in (0.0, rate_per_unit(annual_discount_rate, 1))
    )
    return NewCustomerCurve(
        days=days,
        plain=plain,
        discounted=discounted,
        order_value=np.full(draws + 1, order_value),
        kept=1.0,
        margin_rate=margin_rate,
        horizon_days=horizon_days,
        early_days=early_days,
    )


def _days_and_renewals(days: Floats, length: float) -> tuple[Floats, Integers]:
    """Adds the days of the renewals, each before and after, with the renewals up to then."""
    times = np.round(length * np.arange(1, int(days[-1] / length) + 2), _DIGITS)
    times = times[times <= days[-1]]
    number = np.arange(1, times.size + 1)
    passed = np.searchsorted(times, days, side="right")
    every = np.concatenate([days, times, times])
    count = np.concatenate([passed, number - 1, number])
    order = np.lexsort((count, every))
    return every[order], count[order].astype(np.int64)


def _time(survival: Floats, days: Floats, renewals: Integers, length: float, rate: float) -> Floats:
    """Expected days of the contract up to each day, weighed by exp(-rate t)."""

    def weight_until(t: Floats) -> Floats:
        return t if rate == 0 else -np.expm1(-rate * t) / rate

    begins = length * np.arange(survival.shape[1] + 1)
    whole = _sum(survival * np.diff(weight_until(begins)))
    rest = np.maximum(weight_until(days) - weight_until(begins[renewals]), 0.0)
    time: Floats = whole[:, renewals] + survival[:, renewals] * rest
    return time


def _sum(terms: Floats) -> Floats:
    """Sums of the first 0, 1, ... terms of each row."""
    return np.concatenate([np.zeros((len(terms), 1)), np.cumsum(terms, axis=1)], axis=1)
