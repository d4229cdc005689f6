"""How a living customer's buying fades with time: three curves, interpolated.

A customer who is alive buys at a Gamma(k, A) distributed rate and drops out after each purchase
with a Beta(a, b) distributed probability p. All that is asked of the model s time units ahead is
an average over p, with z = s / A:

    fade(z)  = E_p[(1 + p z)^-(k + 1)]           the purchase rate is k / A fade(z)
    again(z) = E_p[(1 - p) (1 + p z)^-(k + 2)]   a purchase then and another before
    stay(z)  = E_p[(1 + p z)^-k]                 the probability of still being alive

These are Gauss's hypergeometric functions. ``scipy.special.hyp2f1`` returns inf or nan for heavy
buyers, the closed forms of their integrals (Fader, Hardie and Lee 2005, eqs. 9 and 10) are 0/0 at
a = 1, and either costs too much for every customer at every point of an integral. Averages of
positive terms have no such trouble, and one interpolation serves all ages T.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from clv_spark.models.arrays import Floats, Integers, distinct
from clv_spark.models.quadrature import beta_rule

# The curves are analytic in y = log(1 + c z) in a strip of half width pi, so the error of their
# interpolation falls exponentially: below 1e-9 with this many nodes on [0, y]. A rate that falls
# fast, where c is far above one, needs some more.
FEWEST_NODES, NODES_PER_UNIT, NODES_PER_LOG_C, MOST_NODES = 8, 2.5, 8.0, 96
# Ages whose A lies within so many powers of two share an interpolation: with fewer there would be
# more of them, with more each would have to reach further.
STRIDE = 4


@dataclass(frozen=True)
class Living:
    """Customers who are alive, one value each: rate ~ Gamma(k, A), dropout ~ Beta(a, b)."""

    k: Floats
    A: Floats
    a: Floats
    b: Floats


@dataclass(frozen=True)
class Curves:
    """The curves of some customers up to one time ahead.

    Attributes:
        rows: Which customers.
        scale: Their time scale B, in which y = log(1 + s / B).
        span: Largest y, one per customer.
        shortest_scale: No B in this block is shorter; the same in whatever company.
        log_fade: Chebyshev coefficients; shape (nodes, customers), as below.
        again_by_fade: Of again / fade.
        log_stay_by_fade: Of the logarithm of stay / fade.
    """

    rows: Integers
    scale: Floats
    span: Floats
    shortest_scale: float
    log_fade: Floats
    again_by_fade: Floats
    log_stay_by_fade: Floats

    def at(self, coefficients: Floats, y: Floats) -> Floats:
        """Evaluates one of the curves by Clenshaw's recurrence; y has shape (points, customers)."""
        u = np.ascontiguousarray(2 * y / self.span - 1)
        twice = 2 * u
        one, two, last = np.zeros_like(u), np.zeros_like(u), np.empty_like(u)
        for coefficient in coefficients[:0:-1]:
            np.multiply(twice, one, out=last)
            np.subtract(last, two, out=last)
            np.add(last, coefficient, out=last)
            one, two, last = last, one, two
        value: Floats = u * one - two + coefficients[0]
        return value


def curves(living: Living, end: float, block: int) -> Iterator[Curves]:
    """The curves of all customers from now to ``end``, in blocks of at most so many customers.

    Customers of the same k, a, b and an A of the same power of 16 share an interpolation, which
    therefore does not depend on who else is there.
    """
    power = STRIDE * ((np.frexp(living.A)[1] - 1) // STRIDE)
    chosen, inverse = distinct([living.a, living.b, living.k, power.astype(np.float64)])
    fits = [
        _interpolated(k, a, b, end / 2.0**exponent)
        for k, a, b, exponent in zip(
            *(v[chosen].tolist() for v in (living.k, living.a, living.b, power)), strict=True
        )
    ]
    sizes = np.array([fit.coefficients.shape[1] for fit in fits])
    for size in np.unique(sizes).tolist():
        same = np.flatnonzero(sizes == size)
        table = np.stack([fits[i].coefficients for i in same.tolist()], axis=-1)
        ratio = np.array([fits[i].ratio for i in same.tolist()])
        span = np.array([fits[i].span for i in same.tolist()])
        shortest = end / math.expm1((size - FEWEST_NODES) / NODES_PER_UNIT)
        place = np.zeros(sizes.size, dtype=np.int64)
        place[same] = np.arange(same.size)
        members = np.flatnonzero(sizes[inverse] == size)
        for first in range(0, members.size, block):
            rows = members[first : first + block]
            own = place[inverse[rows]]
            yield Curves(
                rows,
                living.A[rows] / ratio[own],
                span[own],
                shortest,
                *(np.ascontiguousarray(np.take(curve, own, axis=1)) for curve in table),
            )


@dataclass(frozen=True)
class _Interpolation:
    coefficients: Floats
    ratio: float
    span: float


# A worker meets the same parameters in batch after batch; 32,768 interpolations are 40 MB.
@lru_cache(maxsize=32768)
def _interpolated(k: float, a: float, b: float, reach: float) -> _Interpolation:
    """Chebyshev coefficients of the three curves in y = log(1 + c z) for z up to ``reach``."""
    # With many purchases ahead at a high risk the rate falls faster than 1 / (1 + z).
    c = max(1.0, (k + 1) * a / (a + b))
    span = max(math.log1p(c * reach), 1e-9)
    more = NODES_PER_UNIT * span + NODES_PER_LOG_C * math.log(c)
    size = min(FEWEST_NODES + math.ceil(more), MOST_NODES)
    nodes, waves = _chebyshev(size)
    z = np.expm1(span * (nodes + 1) / 2) / c
    rule = beta_rule(a, b, (k + 1) * reach)
    slowing = np.multiply.outer(z, rule.p)
    terms = rule.log_weights - (k + 1) * np.log1p(slowing)
    largest = np.max(terms, axis=1)
    shares = np.exp(terms - largest[:, np.newaxis])
    slowing += 1
    fade = np.sum(shares, axis=1)
    again = np.sum(shares * rule.complement / slowing, axis=1)
    stay = np.sum(shares * slowing, axis=1)
    values = np.stack([np.log(fade) + largest, again / fade, np.log(stay / fade)])
    # Not a matrix product: the last digits of a BLAS depend on the machine.
    coefficients = (values[:, np.newaxis, :] * waves).sum(axis=2)
    coefficients.flags.writeable = False
    return _Interpolation(coefficients, c, span)


@lru_cache(maxsize=MOST_NODES)
def _chebyshev(size: int) -> tuple[Floats, Floats]:
    """Nodes in (-1, 1), and the rows by which values there become coefficients; both read-only."""
    angles = np.pi * (np.arange(size) + 0.5) / size
    waves = np.cos(np.multiply.outer(np.arange(size), angles)) * (2 / size)
    waves[0] /= 2
    nodes = np.cos(angles)
    for array in (nodes, waves):
        array.flags.writeable = False
    return nodes, waves
