"""The simple formulas as people know them: CLV by hand, CAC and its ratio, payback, budget.

They take numbers of a whole segment and know nothing of who has left and who buys seldom; where
they mislead is told in docs/definitions.md. Where a formula has no answer, say the lifetime at a
churn of zero, the result is None.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clv_spark.errors import InputError

Floats = NDArray[np.float64]

MONTHS_PER_YEAR = 12


@dataclass(frozen=True)
class Variants:
    """The same formula in money of three kinds.

    Attributes:
        revenue: Of revenue after returns.
        margin: Of margin.
        net: Of margin less service cost; may be negative.
    """

    revenue: float | None
    margin: float | None
    net: float | None


def historical_clv(values: ArrayLike) -> float:
    """Historical CLV: what a customer has brought so far, added up.

    Args:
        values: Value of each past period of one customer, or of each customer for their total.

    Example:
        >>> historical_clv([200.0] * 5)
        1000.0
    """
    return float(np.sum(np.asarray(values, dtype=np.float64)))


def mean_historical_clv(values: ArrayLike) -> float | None:
    """Mean historical CLV of some customers; None without any.

    Args:
        values: Historical CLV of each customer.

    Example:
        >>> mean_historical_clv([1000.0, 200.0])
        600.0
    """
    values = np.asarray(values, dtype=np.float64)
    return float(np.mean(values)) if values.size else None


def order_formula_clv(
    order_value: float,
    orders_per_year: float,
    lifetime_years: float | None,
    *,
    margin_rate: float,
    cost_per_order: float = 0.0,
    cost_per_year: float = 0.0,
) -> Variants:
    """Average order value x orders per year x lifetime in years.

    Args:
        order_value: Average revenue of an order, after returns.
        orders_per_year: Orders of an average customer in a year.
        lifetime_years: Years for which a customer stays; None where nobody knows.
        margin_rate: Margin per unit of revenue.
        cost_per_order: Service cost of an order.
        cost_per_year: Service cost of a year.

    Example:
        >>> order_formula_clv(50.0, 4.0, 3.0, margin_rate=0.4, cost_per_order=2.0,
        ...     cost_per_year=10.0)
        Variants(revenue=600.0, margin=240.0, net=186.0)
    """
    yearly = order_value * orders_per_year
    cost = cost_per_order * orders_per_year + cost_per_year
    return _over(lifetime_years, yearly, margin_rate, cost)


def arpu(revenue: float, months: float) -> float | None:
    """Average revenue per user and month: revenue / months since the first purchase.

    For a segment take the sums of both over its customers.

    Args:
        revenue: Revenue so far, after returns.
        months: Months since the first purchase; None comes back for none.

    Example:
        >>> arpu(600.0, 24.0), arpu(50.0, 0.0)
        (25.0, None)
    """
    return revenue / months if months > 0 else None


def churn_formula_clv(
    arpu: float | None,
    churn: float | None,
    *,
    margin_rate: float,
    cost_per_month: float = 0.0,
) -> Variants:
    """ARPU x margin rate / churn: the telecom formula.

    Args:
        arpu: Average revenue per user and month; None where it is not known.
        churn: Share of customers who leave in a month; None or 0 means no end and no answer.
        margin_rate: Margin per unit of revenue.
        cost_per_month: Service cost of a month.

    Example:
        >>> churn_formula_clv(25.0, 0.05, margin_rate=0.4, cost_per_month=3.0)
        Variants(revenue=500.0, margin=200.0, net=140.0)
        >>> churn_formula_clv(25.0, 0.0, margin_rate=0.4).margin is None
        True
    """
    months = None if churn is None else lifetime(churn)
    if arpu is None:
        return Variants(None, None, None)
    return _over(months, arpu, margin_rate, cost_per_month)


def observed_churn(lost: float, retained: float) -> float | None:
    """Share of customers who were lost in a period, of these and those who were kept.

    Of those there when it began it is the share where both count nobody else. Without contract
    ``segment_summary`` keeps also who came back after a long silence: its share is rather too low.

    Args:
        lost: Customers lost in the period.
        retained: Those who were there at its end.

    Example:
        >>> observed_churn(5, 95), observed_churn(0, 0)
        (0.05, None)
    """
    return lost / (lost + retained) if lost + retained > 0 else None


def monthly_churn(yearly: float) -> float:
    """The share that leaves in a month where so many leave in a year: 1 - (1 - yearly)^(1/12).

    Example:
        >>> round(monthly_churn(0.36), 4), monthly_churn(1.0)
        (0.0365, 1.0)
    """
    return -math.expm1(math.log1p(-yearly) / MONTHS_PER_YEAR) if yearly < 1 else 1.0


def lifetime(churn: float) -> float | None:
    """Expected lifetime 1 / churn, in the periods of the churn; None where nobody leaves.

    Example:
        >>> lifetime(0.05), lifetime(0.0)
        (20.0, None)
    """
    return 1 / churn if churn > 0 else None


def clv_to_cac(clv: float | None, cac: float | None) -> float | None:
    """CLV : CAC, before acquisition cost; None where either is not known or the CAC is nothing.

    Example:
        >>> clv_to_cac(3000.0, 300.0)
        10.0
    """
    return clv / cac if clv is not None and cac else None


def payback_days(days: ArrayLike, cumulative_value: ArrayLike, cac: float | None) -> float | None:
    """The first day at which what a customer has brought reaches the acquisition cost.

    Between the days of the curve it rises in a straight line. Two equal days are a jump.

    Args:
        days: Days since the first purchase, ascending.
        cumulative_value: Value up to each of them; it may fall again, where service costs more
            than is sold.
        cac: Acquisition cost; None where it is not known.

    Returns:
        Days, or None where the curve never gets there.

    Raises:
        InputError: The two differ in length, or there is no day.

    Example:
        >>> payback_days([0.0, 10.0, 20.0], [10.0, 30.0, 40.0], 25.0)
        7.5
        >>> payback_days([0.0, 10.0, 20.0], [10.0, 30.0, 40.0], 50.0) is None
        True
    """
    days = np.asarray(days, dtype=np.float64)
    value = np.asarray(cumulative_value, dtype=np.float64)
    if days.shape != value.shape or days.ndim != 1 or not days.size:
        raise InputError(
            f"{days.shape} days and {value.shape} values; a value for each of some days is expected"
        )
    reached = np.flatnonzero(value >= cac) if cac is not None else np.array([], dtype=np.int64)
    if cac is None or not reached.size:
        return None
    after = int(reached[0])
    if after == 0:
        return float(days[0])
    before = after - 1
    share = (cac - value[before]) / (value[after] - value[before])
    return float(days[before] + share * (days[after] - days[before]))


def max_cac(value: float | None, target_ratio: float) -> float | None:
    """The most that a customer may cost so that CLV : CAC reaches the target; never below nothing.

    Args:
        value: Value of a new customer before acquisition.
        target_ratio: Say 3, above zero.

    Example:
        >>> max_cac(300.0, 3.0), max_cac(-20.0, 3.0)
        (100.0, 0.0)
    """
    return None if value is None else max(value, 0.0) / target_ratio


def acquisition_budget(max_cac: float | None, new_customers: float) -> float | None:
    """What so many new customers may cost together.

    Example:
        >>> acquisition_budget(100.0, 250)
        25000.0
    """
    return None if max_cac is None else max_cac * new_customers


def _over(periods: float | None, revenue: float, margin_rate: float, cost: float) -> Variants:
    """Revenue and cost of a period over so many periods."""
    if periods is None:
        return Variants(None, None, None)
    margin = revenue * margin_rate
    return Variants(revenue * periods, margin * periods, (margin - cost) * periods)
