"""sBG: contracts that are lost, at each renewal, with a constant probability of their own.

These probabilities are beta distributed over contracts with parameters alpha and beta, so that the
retention rate of a cohort rises although nobody's own does: the sorting effect. Shifted-beta-
geometric; Fader and Hardie (2007), and (2010) for the value of those who are still there.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from clv_spark.models import contract_lives as lives
from clv_spark.models.arrays import Columns, Floats, Parameters
from clv_spark.models.bg_bb_given_alive import residual_opportunities
from clv_spark.models.model import Model
from clv_spark.models.purchase_patterns import require_discounting

PARAMETERS = ("alpha", "beta")


def log_survival(params: Parameters, t: ArrayLike) -> Floats:
    """The logarithm of S(t), eq. 6 of Fader and Hardie (2007).

    Example:
        >>> params = {"alpha": 0.668, "beta": 3.806}
        >>> np.exp(log_survival(params, [0, 1, 7])).round(4).tolist()
        [1.0, 0.8507, 0.4889]
    """
    alpha, beta = lives.letters(params, PARAMETERS)
    return lives.log_survival(alpha, beta, np.asarray(t, dtype=np.float64))


def log_likelihood(
    params: Parameters, entry: ArrayLike, tenure: ArrayLike, lost: ArrayLike
) -> Floats:
    """How well the parameters explain each contract; see ``contract_lives`` for the columns.

    Example:
        >>> params = {"alpha": 1.0, "beta": 1.0}
        >>> np.exp(log_likelihood(params, [0, 0, 2], [1, 3, 3], [1, 0, 1])).round(4).tolist()
        [0.5, 0.25, 0.25]
    """
    return lives.log_likelihood(log_survival, params, entry, tenure, lost)


def discounted_lifetime(params: Parameters, discount_rate: float) -> Floats:
    """Expected discounted periods of a new contract, the first paid at once (DEL), no horizon.

    Fader and Hardie (2010), eq. 5: 2F1(1, beta; alpha + beta; 1 / (1 + d)).

    Args:
        params: alpha, beta.
        discount_rate: d per period, above zero: without discounting it may be infinite.

    Example:
        >>> round(float(discounted_lifetime({"alpha": 0.704, "beta": 1.182}, 0.1)), 3)
        3.695
    """
    return 1 + discounted_residual_lifetime(params, discount_rate, 0) / (1 + discount_rate)


def discounted_residual_lifetime(params: Parameters, discount_rate: float, n: ArrayLike) -> Floats:
    """Expected discounted further periods of a contract that has survived n (DERL), no horizon.

    The next period is paid at its renewal, now. Fader and Hardie (2010), eq. 9, whose n counts the
    renewal that is due: n + 1 here. As the Gauss function loses its digits at low rates, it is
    worked out as a continued fraction.

    Example:
        >>> params = {"alpha": 0.704, "beta": 1.182}
        >>> discounted_residual_lifetime(params, 0.1, [0, 1]).round(3).tolist()
        [2.965, 4.103]
    """
    require_discounting(discount_rate, np.inf)
    alpha, beta = lives.letters(params, PARAMETERS)
    leave, stay = np.broadcast_arrays(alpha, beta + np.asarray(n, dtype=np.float64))
    found = residual_opportunities(leave.ravel(), stay.ravel(), float(np.log1p(discount_rate)))
    return (1 + discount_rate) * found.reshape(stay.shape)


def _starts(columns: Columns, weights: Floats) -> list[Floats]:
    return [np.array(pair) for pair in lives.starts(columns, weights)]


def _box(columns: Columns, weights: Floats) -> tuple[Floats, Floats]:
    return np.full(2, lives.LOWEST), np.full(2, lives.HIGHEST)


MODEL = Model(
    name="sbg",
    parameters=PARAMETERS,
    read=lives.read,
    likelihood=partial(lives.likelihood, power=False),
    starts=_starts,
    box=_box,
    caveat=lives.caveat,
)
