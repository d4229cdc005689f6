"""What money is worth later: one yearly rate, said in the units that others need."""

from __future__ import annotations

import math

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
