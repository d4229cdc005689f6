"""What money is worth later: one yearly rate, said in the units that others need."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DAYS_PER_YEAR = 365


def rate_per_unit(annual_rate: float, unit_days: int) -> float:
    """Turns a yearly discount rate into the continuous rate per time unit of a model.

    ln(1 + d) unit_days / 365, so that a year of 365 days discounts by exactly 1 + d.

    Args:
        annual_rate: For example 0.10 for ten percent a year.
        unit_days: Days per time unit, for example 7.

    Example:
        >>> round(rate_per_unit(0.10, 7), 8)
        0.00182787
    """
    return math.log1p(annual_rate) * unit_days / DAYS_PER_YEAR


def discounted_time(t: Floats, rate: float) -> Floats:
    """How long the time up to each t counts, later time being worth less.

    The integral of exp(-rate u) over u from 0 to t.

    Args:
        t: Time from now, in some unit.
        rate: Continuous discount rate per unit.

    Example:
        >>> discounted_time(np.array([0.0, 2.0]), 0.0).tolist()
        [0.0, 2.0]
        >>> discounted_time(np.array([365.0]), rate_per_unit(0.10, 1)).round(3).tolist()
        [348.146]
    """
    return t if rate == 0 else np.asarray(-np.expm1(-rate * t) / rate)
