"""How long contracts run: what the models of contracts share.

A contract is renewed or lost at the end of each period. S(t) is the probability that it survives t
periods; in both models a contract is lost with a probability of its own, and these probabilities
are beta distributed over contracts, so that those who stay are ever more those who mean to stay.

Time counts in periods. Observation of a contract may begin late: of those lost before it began the
data know nothing, so everything is conditional on having survived to the beginning (delayed
entry). A contract in the data is

- ``entry``: periods survived when observation began, 0 for one observed from its start;
- ``tenure``: the period in which it was lost, or the periods it has survived so far;
- ``lost``: 1 for lost, 0 for still running.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import digamma, gammaln

from clv_spark.models.arrays import Columns, Floats, Parameters, read_columns, require
from clv_spark.models.model import Evaluate

COLUMNS = ("entry", "tenure", "lost")
# Parameters beyond these say that contracts do not differ, or are lost at once or never.
LOWEST, HIGHEST = 1e-5, 1e6
# From here on the series has all digits of a double.
STIRLING_FROM = 30.0


def read(data: Mapping[str, ArrayLike]) -> Columns:
    """The columns of a fit.

    Raises:
        InputError: a column is missing or not finite, tenures are no whole periods, a contract is
            lost before observation began, or ``lost`` is neither 0 nor 1.
    """
    columns = read_columns(data, COLUMNS)
    entry, tenure, lost = (columns[name] for name in COLUMNS)
    require((lost == 0) | (lost == 1), "lost must be 1 (lost) or 0 (running)")
    whole = (tenure == np.floor(tenure)) & (entry == np.floor(entry))
    require(whole & (entry >= 0), "entry and tenure must be whole periods, not negative")
    require(tenure >= entry + lost, "a contract can't be lost before it came under observation")
    return columns


def log_survival(alpha: ArrayLike, beta: ArrayLike, u: ArrayLike) -> Floats:
    """The logarithm of B(alpha, beta + u) / B(alpha, beta), u being the time or a power of it.

    Example:
        >>> np.exp(log_survival(1.0, 1.0, [0.0, 1.0, 3.0])).round(4).tolist()
        [1.0, 0.5, 0.25]
    """
    alpha, beta = np.asarray(alpha, dtype=np.float64), np.asarray(beta, dtype=np.float64)
    return _log_gamma_ratio(beta, alpha) - _log_gamma_ratio(beta + np.asarray(u), alpha)


def log_likelihood(
    log_s: Callable[[Parameters, ArrayLike], Floats],
    params: Parameters,
    entry: ArrayLike,
    tenure: ArrayLike,
    lost: ArrayLike,
) -> Floats:
    """The logarithm of the probability of each contract, given that it survived to its entry.

    Fader and Hardie (2007), eqs. 5 and 6; divided by S(entry) for delayed entry.

    Args:
        log_s: of the model: parameters and times to the logarithm of S.
        params: of the model.
        entry: periods survived when observation began.
        tenure: period of the loss, or periods survived so far.
        lost: 1 for lost, 0 for running.
    """
    tenure = np.asarray(tenure, dtype=np.float64)
    last = log_s(params, tenure)
    loss = _log_loss(log_s(params, np.maximum(tenure - 1, 0)), last)
    return cast(Floats, np.where(np.asarray(lost) == 1, loss, last) - log_s(params, entry))


def likelihood(columns: Columns, weights: Floats, *, power: bool) -> Evaluate:
    """The mean log-likelihood and its gradient by the logarithms of parameters.

    Args:
        columns: as :func:`read` gives them.
        weights: contracts behind each row.
        power: whether a third parameter c turns the time t into t^c.
    """
    entry, tenure, lost = (columns[name] for name in COLUMNS)
    shares = weights / np.sum(weights)
    is_lost = lost == 1
    # ln S and its derivatives are worked out once per distinct time.
    times, inverse = np.unique(
        np.concatenate([entry, np.maximum(tenure - 1, 0), tenure]), return_inverse=True
    )
    at_entry, at_before, at_tenure = np.split(inverse, 3)
    log_times = np.log(np.maximum(times, 1.0))

    def evaluate(point: Floats) -> tuple[float, Floats]:
        alpha, beta = point[0], point[1]
        u = times ** point[2] if power else times
        value = log_survival(alpha, beta, u)
        both = digamma(alpha + beta) - digamma(alpha + beta + u)
        by_beta = digamma(beta + u) - digamma(beta) + both
        slopes = [alpha * both, beta * by_beta]
        if power:
            by_u = -_digamma_rise(beta + u, alpha)
            slopes.append(np.where(times > 0, point[2] * u * log_times * by_u, 0.0))
        gap = value[at_before] - value[at_tenure]
        # d ln(S1 - S2) = d ln S1 + (d ln S1 - d ln S2) / (S1 / S2 - 1)
        share_of_gap = np.exp(-gap) / -np.expm1(-np.where(is_lost, gap, 1.0))
        logs = np.where(is_lost, _log_loss(value[at_before], value[at_tenure]), value[at_tenure])
        gradient = []
        for slope in slopes:
            before, last = slope[at_before], slope[at_tenure]
            each = np.where(is_lost, before + (before - last) * share_of_gap, last)
            gradient.append((shares * (each - slope[at_entry])).sum())
        return float((shares * (logs - value[at_entry])).sum()), np.array(gradient)

    return evaluate


def starts(columns: Columns, weights: Floats) -> list[tuple[float, float]]:
    """Pairs (alpha, beta) with the observed share of losses, alike and different contracts."""
    entry, tenure, lost = (columns[name] for name in COLUMNS)
    losses = float(np.sum(weights * lost))
    at_risk = float(np.sum(weights * np.maximum(tenure - entry, 0)))
    share = min(max((losses + 0.5) / (at_risk + 1.0), 1e-4), 1 - 1e-4)
    return [(total * share, total * (1 - share)) for total in (2.0, 0.5, 10.0)]


def caveat(columns: Columns, params: Mapping[str, float]) -> str:
    """Why no fit can be used: nobody was lost."""
    return "" if np.any(columns["lost"] == 1) else "no contract was lost"


def _log_loss(before: Floats, after: Floats) -> Floats:
    """The logarithm of S1 - S2, from theirs."""
    with np.errstate(divide="ignore"):
        return before + np.log(-np.expm1(np.minimum(after - before, 0.0)))


def _log_gamma_ratio(x: Floats, a: Floats) -> Floats:
    """The logarithm of Gamma(x + a) / Gamma(x), to the last digits also where both are huge.

    Stirling's series, Abramowitz and Stegun 6.1.41: its terms are subtracted one by one.
    """
    small = x < STIRLING_FROM
    near = np.where(small, x, 1.0)
    far = np.where(small, STIRLING_FROM, x)
    series = [(1 / 12, 1), (-1 / 360, 3), (1 / 1260, 5), (-1 / 1680, 7)]
    rest = sum(factor * ((far + a) ** -power - far**-power) for factor, power in series)
    stirling = (far - 0.5) * np.log1p(a / far) + a * (np.log(far + a) - 1) + rest
    return cast(Floats, np.where(small, gammaln(near + a) - gammaln(near), stirling))


def _digamma_rise(x: Floats, a: Floats) -> Floats:
    """digamma(x + a) - digamma(x), likewise; Abramowitz and Stegun 6.3.18, term by term."""
    small = x < STIRLING_FROM
    near = np.where(small, x, 1.0)
    far = np.where(small, STIRLING_FROM, x)
    growth = np.log1p(a / far)
    series = [(-1 / 2, 1), (-1 / 12, 2), (1 / 120, 4), (-1 / 252, 6), (1 / 240, 8)]
    rest = sum(factor * far**-power * np.expm1(-power * growth) for factor, power in series)
    return cast(Floats, np.where(small, digamma(near + a) - digamma(near), growth + rest))


def letters(params: Parameters, names: tuple[str, ...]) -> tuple[Floats, ...]:
    """The parameters as arrays, in order."""
    return tuple(np.asarray(params[name], dtype=np.float64) for name in names)
