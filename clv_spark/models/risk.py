"""What if customers left more, or less, readily: forecasts of that world, without a new fit.

What is known of today stays: whether customers are still there, how often they buy, how they
differ. Only the rate at which each leaves from now on is f times as high. As these rates are
constant in all models, whoever leaves at f times the rate lives f times as fast, so far as leaving
is concerned. With S(t) the probability that who is alive today still is t later,

    S_f(t) = S(f t),    E_f[X(t)] = E[X(f t)] / f,    E_f[D(t), delta] = E[D(f t), delta / f] / f,

exactly, in the Pareto/NBD and in the BG family alike. Where leaving is a chance at each opportunity
or renewal, to stay has its f-th power: (1 - theta)^f, which no factor makes negative, and which is
1 - f theta where theta is small.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from clv_spark.errors import ConfigError
from clv_spark.models import bdw, bg_bb, bg_nbd, contract_lives, mbg_nbd, pareto_nbd, sbg
from clv_spark.models.arrays import Floats, Parameters, distinct
from clv_spark.models.bg_bb_likelihood import letters


class Purchases(NamedTuple):
    """Expected purchases up to each of some times, plain and discounted; (times, customers)."""

    expected: Floats
    discounted: Floats


def purchases_at_risk(
    model: str,
    params: Parameters,
    times: Sequence[float],
    discount_rate: float,
    x: Floats,
    T: Floats,
    factor: float,
) -> Purchases:
    """What customers will buy who are alive today and leave at ``factor`` times the rate.

    Args:
        model: Name of a purchase model.
        params: Its parameters, each a float or one value per customer.
        times: Ascending horizons in the unit of the parameters.
        discount_rate: Continuous rate per time unit.
        x: Repeat purchases, one-dimensional.
        T: Time from first purchase to today, one-dimensional.
        factor: Of the rate of leaving, above zero; 1 leaves everything as it is.

    Raises:
        ConfigError: There is no such purchase model.

    Example:
        >>> params, one = {"r": 0.55, "alpha": 10.58, "s": 0.61, "beta": 11.67}, np.ones(1)
        >>> for factor in (1.0, 0.5):
        ...     found = purchases_at_risk("pareto_nbd", params, [52.0], 0.0, one, 30 * one, factor)
        ...     print(found.expected.round(4).tolist())
        [[1.5161]]
        [[1.699]]
    """
    module = _module(model)
    if factor != 1 and module.MODEL.counts_opportunities:
        return _at_opportunities(params, times, discount_rate, x, T, factor)
    ahead = [time * factor for time in times]
    found = module.forecast_if_alive(params, ahead, discount_rate / factor, x, T, endless=False)
    return Purchases(found.expected / factor, found.discounted / factor)


def staying_at_risk(
    model: str, params: Parameters, times: Sequence[float], x: Floats, T: Floats, factor: float
) -> Floats:
    """Probability that who is alive today still is at each time; shape (times, customers).

    Args:
        model: Name of a purchase model.
        params: As for :func:`purchases_at_risk`, like the rest.
        times: Times ahead.
        x: Repeat purchases.
        T: Time from first purchase to today.
        factor: Of the rate of leaving.

    Raises:
        ConfigError: There is no such purchase model.

    Example:
        >>> params, zero = {"r": 0.55, "alpha": 10.58, "s": 0.61, "beta": 11.67}, np.zeros(1)
        >>> staying_at_risk("pareto_nbd", params, [26.0], zero, zero, 1.5).round(4).tolist()
        [[0.4083]]
    """
    module = _module(model)
    if factor != 1 and module.MODEL.counts_opportunities:
        steps = np.floor(np.array(times, dtype=np.float64))[:, np.newaxis]
        _, _, gamma, delta = letters(params)
        logs = contract_lives.log_survival(gamma, delta + np.floor(T), factor * steps)
        return np.asarray(np.exp(logs))
    staying: Floats = module.staying_if_alive(params, [time * factor for time in times], x, T)
    return staying


class New(NamedTuple):
    """New customers as living ones: these, as many as the weight says, of this model."""

    weight: Floats
    model: str


def new_at_risk(model: str, params: Parameters, factor: float) -> list[New]:
    """Who is there right after the first purchase, as parts to be added up, all with x = T = 0.

    In the MBG/NBD a customer may leave with the first purchase already, at ``factor`` times the
    probability p. 1 - f p = (1 - f) + f (1 - p): the second part are customers as ever, the first
    some of whom nobody has left yet, as in the BG/NBD. It is negative above f = 1, where it
    overstates what changes a little, since f p may exceed 1.

    Args:
        model: Name of a purchase model.
        params: Its parameters, one-dimensional.
        factor: Of the rate of leaving.

    Raises:
        ConfigError: There is no such purchase model.

    Example:
        >>> params = {name: np.ones(1) for name in ("r", "alpha", "a", "b")}
        >>> [(part.model, part.weight.tolist()) for part in new_at_risk("mbg_nbd", params, 0.75)]
        [('mbg_nbd', [0.375]), ('bg_nbd', [0.25])]
    """
    zero = np.zeros(np.shape(next(iter(params.values()))))
    today: Floats = _module(model).probability_alive(params, zero, zero, zero)
    if model != "mbg_nbd" or factor == 1:
        return [New(today, model)]
    return [New(factor * today, model), New(np.full(zero.shape, 1 - factor), "bg_nbd")]


def contract_running(
    model: str, params: Parameters, k: ArrayLike, n: ArrayLike, factor: float
) -> Floats:
    """Probability that a contract which has survived n periods survives k more at another risk.

    Args:
        model: Name of a model of contracts.
        params: Its parameters, each a float or an array that broadcasts with k and n.
        k: Periods ahead.
        n: Periods survived so far.
        factor: Of the rate of leaving, above zero.

    Raises:
        ConfigError: There is no such model of contracts.

    Example:
        >>> params = {"alpha": 1.0, "beta": 1.0}
        >>> [contract_running("sbg", params, 1, [0, 8], f).round(3).tolist() for f in (1.0, 0.5)]
        [[0.5, 0.9], [0.667, 0.947]]
    """
    if model not in _CONTRACTS:
        raise ConfigError(f"Nothing is known of the risk of leaving in the model {model!r}.")
    (leaves, stays), age = _CONTRACTS[model]
    n, k = np.asarray(n, dtype=np.float64), np.asarray(k, dtype=np.float64)
    survived = age(params, n)
    ahead = factor * (age(params, n + k) - survived)
    logs = contract_lives.log_survival(params[leaves], params[stays] + survived, ahead)
    running: Floats = np.exp(logs)
    return running


def _at_opportunities(
    params: Parameters,
    times: Sequence[float],
    discount_rate: float,
    x: Floats,
    T: Floats,
    factor: float,
) -> Purchases:
    """The sums over whole opportunities of the BG/BB: E[p] S(f s), s = 1, 2, ..."""
    alpha, beta, gamma, delta, x, n = np.broadcast_arrays(*letters(params), x, np.floor(T))
    mean = (alpha + x) / (alpha + beta + n)
    # How long somebody stays depends on age alone.
    chosen, inverse = distinct([gamma, delta, n])
    leaves, stays = gamma[chosen], delta[chosen] + n[chosen]
    ends = np.floor(np.array(times, dtype=np.float64)).astype(np.int64)
    sums = np.zeros((2, ends.size, chosen.size))
    plain, weighed = np.zeros((2, chosen.size))
    for s in range(1, int(ends.max(initial=0)) + 1):
        staying = np.exp(contract_lives.log_survival(leaves, stays, factor * s))
        plain, weighed = plain + staying, weighed + staying * np.exp(-discount_rate * s)
        sums[:, ends == s] = np.stack([plain, weighed])[:, np.newaxis]
    expected, discounted = mean * sums[:, :, inverse]
    return Purchases(expected, discounted)


def _module(model: str) -> ModuleType:
    if model not in _PURCHASES:
        raise ConfigError(f"Nothing is known of the risk of leaving in the model {model!r}.")
    return _PURCHASES[model]


_PURCHASES = {"bg_nbd": bg_nbd, "mbg_nbd": mbg_nbd, "pareto_nbd": pareto_nbd, "bg_bb": bg_bb}
# The Beta distribution of the chance to be lost, and what a time counts for.
_CONTRACTS: dict[str, tuple[Sequence[str], Callable[[Parameters, Floats], Floats]]] = {
    "sbg": (sbg.PARAMETERS, lambda params, t: t),
    "bdw": (bdw.PARAMETERS[:2], lambda params, t: t ** np.asarray(params["c"])),
}
