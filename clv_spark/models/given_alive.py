"""What a customer who is still alive will buy: expected purchases, plain and discounted.

In the BG/NBD a living customer buys at a Gamma(r + x, alpha + T) distributed rate and drops out
after each purchase with a Beta(a, b + x) distributed probability p. The density of purchases s
time units ahead is then, with k = r + x and A = alpha + T,

    rate(s) = E_p[k / A (1 + p s / A)^-(k + 1)]
            = k / A (1 + s / A)^-a E_p[(1 - p s / (A + s))^-(a + b - r - 1)]

(the second line is Pfaff's transformation of Gauss's hypergeometric function), and everything
here is an integral of it. The published closed forms (Fader, Hardie and Lee 2005, eqs. 9 and 10)
are 0/0 at a = 1, and ``scipy.special.hyp2f1`` returns inf or nan for heavy buyers; averages of
positive terms have neither trouble.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clv_spark.models.arrays import Floats, Integers, Parameters, distinct
from clv_spark.models.quadrature import beta_rule, legendre_rule

# Beyond this many units of 1 / discount rate the weight e^-25 = 1e-11 is negligible.
NEGLIGIBLE = 25.0
# Points per panel of log(1 + s / A), in which the rate is smooth: the panel that starts at zero, a
# later one, a later one whose end is more than ten times its start, and the one to infinity.
FIRST_POINTS, NEXT_POINTS, WIDE_POINTS, TAIL_POINTS = 16, 8, 16, 20
# Pfaff's form converges fast for small exponents only; measured, see the accuracy tests.
LARGEST_EXPONENT = 8.0
# Rows are worked through in blocks of this many doubles, so that a block stays in the cache.
BLOCK = 32_768


@dataclass(frozen=True)
class Forecast:
    """Expected purchases of customers who are alive, one column per horizon.

    Attributes:
        expected: Purchases up to each time; shape (times, customers).
        discounted: The same, each purchase weighed by exp(-discount_rate s) at its time s.
        residual: Discounted purchases without horizon; None when the discount rate is zero.
    """

    expected: Floats
    discounted: Floats
    residual: Floats | None


def forecast_given_alive(
    params: Parameters,
    times: Sequence[float],
    discount_rate: float,
    x: Floats,
    T: Floats,
) -> Forecast:
    """Forecasts the purchases of customers under the condition that they are still alive.

    The relative error is below 1e-8 for ordinary parameters and horizons of years; it grows to 1e-6
    for a new customer a century ahead. A customer's values do not depend, to
    the last bit, on who else is in the arrays.

    Args:
        params: r, alpha, a, b; each a float or one value per customer.
        times: Ascending horizons in the time unit of alpha; zero is allowed.
        discount_rate: Continuous discount rate per time unit; not negative.
        x: Repeat purchases, one-dimensional.
        T: Age in time units, one-dimensional.

    Example:
        >>> params = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
        >>> x, T = np.zeros(2), np.array([0.0, 38.86])
        >>> forecast_given_alive(params, [52.0], 0.0, x, T).expected.round(4).tolist()
        [[1.4461, 0.2521]]
    """
    r, alpha, a, b = (np.broadcast_to(params[name], x.shape) for name in ("r", "alpha", "a", "b"))
    chosen, inverse = distinct([r, alpha, a, b, x, T])
    customers = _Customers(*(np.ascontiguousarray(v[chosen]) for v in (r, alpha, a, b, x, T)))
    panels = _panels(times, discount_rate)
    sums = np.zeros((len(panels), 2, chosen.size))
    for size, pfaff, rows in _groups(customers, times, discount_rate):
        sums[:, :, rows] = _integrals(customers.take(rows), panels, discount_rate, size, pfaff)
    sums = sums[:, :, inverse]
    steps = np.cumsum(sums[: len(times)], axis=0)
    residual = None
    if discount_rate > 0:
        last = steps[-1, 1] if len(times) else np.zeros(x.size)
        residual = last + sums[-1, 1]
    return Forecast(expected=steps[:, 0], discounted=steps[:, 1], residual=residual)


@dataclass(frozen=True)
class _Customers:
    r: Floats
    alpha: Floats
    a: Floats
    b: Floats
    x: Floats
    T: Floats

    def take(self, rows: Integers) -> _Customers:
        columns = (self.r, self.alpha, self.a, self.b, self.x, self.T)
        return _Customers(*(column[rows] for column in columns))


@dataclass(frozen=True)
class _Panel:
    start: float
    end: float
    points: int


def _panels(times: Sequence[float], discount_rate: float) -> list[_Panel]:
    # The number of points must not depend on the rows of a batch, so it follows from times alone.
    panels = []
    start = 0.0
    for end in times:
        points = FIRST_POINTS if start == 0 else NEXT_POINTS if end <= 10 * start else WIDE_POINTS
        panels.append(_Panel(start, end, points))
        start = end
    if discount_rate > 0:
        end = max(start, NEGLIGIBLE / discount_rate)
        panels.append(_Panel(start, end, TAIL_POINTS))
    return panels


def _groups(
    customers: _Customers, times: Sequence[float], discount_rate: float
) -> Iterator[tuple[int, bool, Integers]]:
    """Splits rows by the number of points their Beta average needs; by what is theirs alone."""
    A = customers.alpha + customers.T
    # The further ahead one looks compared with the past, the more the smallest p matter.
    reach = (5 / discount_rate if discount_rate > 0 else max(times, default=0.0)) / A
    pfaff = np.abs(customers.a + customers.b - customers.r - 1) <= LARGEST_EXPONENT
    x = customers.x
    by_x = np.select([x < 1, x < 4, x < 8, x < 16], [256, 128, 64, 32], 16)
    near = np.where(x < 1, by_x // 4, np.maximum(by_x // 2, 16))
    direct = np.where(customers.a < 4, 256, 128)
    sizes = np.where(
        pfaff,
        np.where(reach <= 100, near, by_x),
        np.where(reach <= 100, direct // 2, direct),
    )
    for size in np.unique(sizes).tolist():
        for form in (True, False):
            rows = np.flatnonzero((sizes == size) & (pfaff == form))
            step = BLOCK // size
            for first in range(0, rows.size, step):
                yield size, form, rows[first : first + step]


def _integrals(
    customers: _Customers, panels: list[_Panel], discount_rate: float, size: int, pfaff: bool
) -> Floats:
    A, k = customers.alpha + customers.T, customers.r + customers.x
    p, log_weights = _rules(customers, size)
    exponent = customers.a + customers.b - customers.r - 1 if pfaff else k + 1
    sums = np.zeros((len(panels), 2, A.size))
    term = np.empty_like(p)
    for number, panel in enumerate(panels):
        low = np.log1p(panel.start / A)
        width = np.log1p(panel.end / A) - low
        for point, weight in zip(*legendre_rule(panel.points), strict=True):
            y = low + width * point
            tau = np.expm1(y)
            # The logarithm of the weight joins the exponent: no overflow before the product.
            np.multiply(p, -tau / (1 + tau) if pfaff else tau, out=term)
            np.log1p(term, out=term)
            np.multiply(term, exponent, out=term)
            np.subtract(log_weights, term, out=term)
            if pfaff:
                np.subtract(term, customers.a * y, out=term)
            np.exp(term, out=term)
            # ds = A e^y dy, and the rate's factor 1 / A cancels.
            purchases = _halving_sum(term) * (k * np.exp(y) * width * weight)
            sums[number, 0] += purchases
            sums[number, 1] += purchases * np.exp(-discount_rate * A * tau)
    return sums


def _rules(customers: _Customers, size: int) -> tuple[Floats, Floats]:
    chosen, inverse = distinct([customers.a, customers.b, customers.x])
    shapes = zip(
        customers.a[chosen].tolist(), (customers.b + customers.x)[chosen].tolist(), strict=True
    )
    rules = [beta_rule(a, b, size) for a, b in shapes]
    points = np.stack([rule[0] for rule in rules], axis=1)[:, inverse]
    log_weights = np.stack([rule[1] for rule in rules], axis=1)[:, inverse]
    return np.ascontiguousarray(points), np.ascontiguousarray(log_weights)


def _halving_sum(term: NDArray[np.float64]) -> Floats:
    """Adds up a power of two of rows, always in the same order; the input is used up."""
    size = term.shape[0]
    while size > 1:
        size //= 2
        np.add(term[:size], term[size : 2 * size], out=term[:size])
    total: Floats = term[0].copy()
    return total
