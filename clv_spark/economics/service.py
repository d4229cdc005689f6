"""What it costs to serve a customer: by purchase and by time, early and later in a life."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ServiceRates:
    """Rates of the cost to serve; nothing when left out.

    The early phase is the first ``early_days`` days after the first purchase, which itself belongs
    to it. Without early days the first purchase has the later rate, too.

    Attributes:
        per_purchase: Money per purchase day in the later phase.
        per_purchase_early: Money per purchase day in the early phase.
        per_year: Money per year of being a customer in the later phase.
        per_year_early: Money per year of being a customer in the early phase.
        early_days: Length of the early phase in days.
    """

    per_purchase: float = 0.0
    per_purchase_early: float = 0.0
    per_year: float = 0.0
    per_year_early: float = 0.0
    early_days: int = 0


def service_cost(
    rates: ServiceRates,
    *,
    purchases: ArrayLike,
    purchases_early: ArrayLike,
    years: ArrayLike,
    years_early: ArrayLike,
) -> Floats:
    """What the purchases and the time of a customer's life cost to serve.

    Where the amounts are discounted the cost is, too.

    Args:
        rates: What each costs.
        purchases: Purchase days of both phases.
        purchases_early: Those in the early phase.
        years: Years of being a customer in both phases.
        years_early: Those in the early phase.

    Example:
        >>> rates = ServiceRates(per_purchase=1.0, per_purchase_early=3.0, per_year=10.0,
        ...     per_year_early=40.0, early_days=90)
        >>> cost = service_cost(rates, purchases=5.0, purchases_early=2.0, years=1.5,
        ...     years_early=0.25)
        >>> float(cost)  # 2 x 3 + 3 x 1 + 0.25 x 40 + 1.25 x 10
        31.5
    """
    parts = (purchases, purchases_early, years, years_early)
    purchases, purchases_early, years, years_early = (
        np.asarray(part, dtype=np.float64) for part in parts
    )
    cost = (
        rates.per_purchase_early * purchases_early
        + rates.per_purchase * (purchases - purchases_early)
        + rates.per_year_early * years_early
        + rates.per_year * (years - years_early)
    )
    return np.asarray(cost, dtype=np.float64)
