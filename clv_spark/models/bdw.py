"""BdW: contracts whose readiness to leave changes with their age.

As sBG, but a contract survives t periods as it would survive t^c under sBG: above c = 1 it is more
readily lost the longer it runs, below less. Beta-discrete-Weibull; Fader, Hardie, Liu, Davin and
Steenburgh (2018).
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from clv_spark.models import contract_lives as lives
from clv_spark.models.arrays import Columns, Floats, Parameters
from clv_spark.models.contract_forecast import discounted_renewals, periods_that_count
from clv_spark.models.model import Model
from clv_spark.models.purchase_patterns import require_discounting

PARAMETERS = ("gamma", "delta", "c")
LOWEST_POWER, HIGHEST_POWER = 1e-2, 1e1


def log_survival(params: Parameters, t: ArrayLike) -> Floats:
    """The logarithm of S(t) = B(gamma, delta + t^c) / B(gamma, delta); eq. 5.

    Example:
        >>> params = {"gamma": 0.25934, "delta": 1.72256, "c": 1.58435}
        >>> np.exp(log_survival(params, [0, 1, 10])).round(4).tolist()
        [1.0, 0.8691, 0.4182]
    """
    gamma, delta, c = lives.letters(params, PARAMETERS)
    return lives.log_survival(gamma, delta, np.asarray(t, dtype=np.float64) ** c)


def log_likelihood(
    params: Parameters, entry: ArrayLike, tenure: ArrayLike, lost: ArrayLike
) -> Floats:
    """How well the parameters explain each contract; see ``contract_lives`` for the columns.

    Example:
        >>> params = {"gamma": 1.0, "delta": 1.0, "c": 1.0}
        >>> np.exp(log_likelihood(params, [0, 0, 2], [1, 3, 3], [1, 0, 1])).round(4).tolist()
        [0.5, 0.25, 0.25]
    """
    return lives.log_likelihood(log_survival, params, entry, tenure, lost)


def discounted_lifetime(params: Parameters, discount_rate: float) -> Floats:
    """Expected discounted periods of a new contract, the first paid at once (DEL), no horizon.

    There is no closed form: summed until what is left can't be seen.

    Example:
        >>> as_sbg = {"gamma": 0.704, "delta": 1.182, "c": 1.0}
        >>> round(float(discounted_lifetime(as_sbg, 0.1)), 3)
        3.695
    """
    return 1 + discounted_residual_lifetime(params, discount_rate, 0) / (1 + discount_rate)


def discounted_residual_lifetime(params: Parameters, discount_rate: float, n: ArrayLike) -> Floats:
    """Expected discounted further periods of a contract that has survived n (DERL), no horizon.

    Example:
        >>> as_sbg = {"gamma": 0.704, "delta": 1.182, "c": 1.0}
        >>> discounted_residual_lifetime(as_sbg, 0.1, [0, 1]).round(3).tolist()
        [2.965, 4.103]
    """
    require_discounting(discount_rate, np.inf)
    periods = periods_that_count(discount_rate)
    return discounted_renewals(log_survival, params, periods, discount_rate, n)


def _starts(columns: Columns, weights: Floats) -> list[Floats]:
    pairs = lives.starts(columns, weights)
    return [np.array([*pair, c]) for pair, c in zip(pairs, (1.0, 0.7, 1.5), strict=True)]


def _box(columns: Columns, weights: Floats) -> tuple[Floats, Floats]:
    low, high = lives.LOWEST, lives.HIGHEST
    return np.array([low, low, LOWEST_POWER]), np.array([high, high, HIGHEST_POWER])


MODEL = Model(
    name="bdw",
    parameters=PARAMETERS,
    read=lives.read,
    likelihood=partial(lives.likelihood, power=True),
    starts=_starts,
    box=_box,
    caveat=lives.caveat,
)
