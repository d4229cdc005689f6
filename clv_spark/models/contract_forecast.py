"""What is to be expected of contracts, from the survival function of any model of them.

All is conditional on the contract's having survived n periods: S(n + t) / S(n). Fader and Hardie
(2010); a forecast for a running contract that leaves the condition out is too low.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import ArrayLike

from clv_spark.errors import InputError
from clv_spark.models.arrays import Floats, Parameters

# Parameters and whole periods -> ln S.
LogSurvival: TypeAlias = Callable[[Parameters, ArrayLike], Floats]

# A period whose weight is below this does not show in a sum.
NEGLIGIBLE = 1e-17
# Sums beyond this many periods would need a model of centuries.
MOST_PERIODS = 1_000_000


def probability_running(
    log_survival: LogSurvival, params: Parameters, t: ArrayLike, n: ArrayLike
) -> Floats:
    """Probability that a contract which has survived n periods survives t more.

    Example:
        >>> from clv_spark.models import sbg
        >>> params = {"alpha": 0.704, "beta": 1.182}
        >>> probability_running(sbg.log_survival, params, 1, [0, 5]).round(4).tolist()
        [0.6267, 0.8978]
    """
    n, t = np.asarray(n, dtype=np.float64), np.asarray(t, dtype=np.float64)
    return cast(Floats, np.exp(log_survival(params, n + t) - log_survival(params, n)))


def retention_rate(log_survival: LogSurvival, params: Parameters, t: ArrayLike) -> Floats:
    """Share of those who survived t - 1 periods that survive the next: S(t) / S(t - 1).

    Example:
        >>> from clv_spark.models import sbg
        >>> params = {"alpha": 1.0, "beta": 1.0}
        >>> retention_rate(sbg.log_survival, params, [1, 2, 9]).round(4).tolist()
        [0.5, 0.6667, 0.9]
    """
    return probability_running(log_survival, params, 1, np.asarray(t, dtype=np.float64) - 1)


def discounted_renewals(
    log_survival: LogSurvival,
    params: Parameters,
    periods: int,
    discount_rate: float,
    n: ArrayLike,
) -> Floats:
    """Expected renewals within some periods, the k-th weighed by (1 + d)^-(k - 1).

    The first renewal is due now. Without discounting it is the expected number of renewals.

    Args:
        log_survival: of the model.
        params: of the model.
        periods: how many are looked ahead.
        discount_rate: d per period.
        n: periods survived so far.

    Example:
        >>> from clv_spark.models import sbg
        >>> params = {"alpha": 1.0, "beta": 1.0}
        >>> discounted_renewals(sbg.log_survival, params, 2, 0.0, [0, 8]).round(4).tolist()
        [0.8333, 1.7182]
    """
    n = np.asarray(n, dtype=np.float64)
    start, total = log_survival(params, n), np.zeros(n.shape)
    for k in range(1, periods + 1):
        weight = (1 + discount_rate) ** -(k - 1.0)
        total = total + weight * np.exp(log_survival(params, n + k) - start)
    return cast(Floats, total)


def periods_that_count(discount_rate: float) -> int:
    """How far a discounted sum without horizon must go.

    Raises:
        InputError: so far that nobody can wait for it.

    Example:
        >>> periods_that_count(0.1)
        411
    """
    periods = int(np.ceil(-np.log(NEGLIGIBLE) / np.log1p(discount_rate)))
    if periods > MOST_PERIODS:
        raise InputError(
            f"with a discount rate of {discount_rate:.2g} a period a sum without horizon has "
            f"{periods} terms, at most {MOST_PERIODS} are added up; take a higher rate"
        )
    return periods
