"""How sure a customer's value is: the distribution of the margin that one customer will bring.

The value is V = margin * (Z_1 w_1 + ... + Z_N w_N) over the N purchases until the horizon, with
spend Z and discount weights w, D = w_1 + ... + w_N. Nobody knows the distribution of such a sum in
closed form, but three facts come near:

- V is zero with the probability 1 - P(alive) P(some purchase | alive).
- With gamma-gamma spend, Z = Gamma(p) / nu and nu ~ Gamma(q + p x, rate gamma + x m_x) (Fader and
  Hardie 2013, note 025). The sum of N of them is (gamma + x m_x) Gamma(p N) / Gamma(q + p x): a
  beta prime distribution, which also copes with q + p x <= 2, where the variance is infinite.
- Given some purchase, a gamma distribution with the mean and variance of the sum of Gamma(p) w_i
  stands for the first gamma. Its shape k follows from
  1 / k = 1 / (p E[N | N > 0]) + Var[D | N > 0] / E[D | N > 0]^2.

Where many purchases are to come there are two such parts, since a customer who stays to the end
buys far more than one who leaves on the way, and one gamma can't have two humps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc, betaln, ndtri

from clv_spark.economics.beta_share import beta_share
from clv_spark.economics.staying import staying

Floats = NDArray[np.float64]

# With fewer purchases to come, chance hides whether somebody left on the way.
MANY_PURCHASES = 6.0
# Below this probability the lower bound counts as zero; coverage changes by no more than it.
SMALLEST_LEVEL = 1e-6
# From log-odds this near, for one part and for two, one step that is not longer meets the level to
# 1e-4, and to 2e-3 between humps far apart.
NEAR, LONGEST_LAST_STEP = (0.5, 0.05), 0.5
# A bracket is this wide to either side, in the logarithm of the amount, and is halved so often.
WIDEST, MOST_STEPS = 60.0, 60
SMALLEST_SLOPE = 1e-6


@dataclass(frozen=True)
class ValueDistribution:
    """The distribution of customers' values: zero, or a mixture of scaled beta primes.

    Attributes:
        active: Probability of a value above zero.
        unit: Money by which the rest is multiplied: margin * (gamma + x m_x).
        spend_shape: Second shape of all beta primes, q + p x.
        stays: Weight of the part of who stays to the end; 1 where there is only one part.
        whole_shape: First shape of the one beta prime with the moments of the whole.
        whole_mean: Mean of its gamma, in units of ``unit``.
        stay_shape: First shape of that part.
        stay_mean: Mean of its gamma.
        leave_shape: First shape of the part of who leaves on the way.
        leave_mean: Mean of its gamma.
    """

    active: Floats
    unit: Floats
    spend_shape: Floats
    stays: Floats
    whole_shape: Floats
    whole_mean: Floats
    stay_shape: Floats
    stay_mean: Floats
    leave_shape: Floats
    leave_mean: Floats


def value_distribution(
    *,
    alive: ArrayLike,
    stays: ArrayLike,
    stays_half: ArrayLike,
    none: ArrayLike,
    purchases: ArrayLike,
    discounted: ArrayLike,
    discounted_square: ArrayLike,
    p: ArrayLike,
    q: ArrayLike,
    gamma: ArrayLike,
    x: ArrayLike,
    m_x: ArrayLike,
    margin: ArrayLike,
    relative_variance: ArrayLike = 0.0,
) -> ValueDistribution:
    """Describes how much margin each customer may bring up to the horizon.

    All arguments are floats or one value per customer; NaN in one of them gives NaN bounds. The
    mean of the distribution is the expected value P(alive) E[D] E[Z] margin, exactly.

    Args:
        alive: Probability of being a customer today.
        stays: Probability, given alive today, of still being a customer at the horizon.
        stays_half: The same at half the horizon.
        none: Probability of no purchase up to the horizon, given alive.
        purchases: Expected purchases up to the horizon, given alive.
        discounted: E[D] given alive.
        discounted_square: E[D^2] given alive.
        p: First shape of the gamma-gamma model.
        q: Its second shape.
        gamma: Its scale, in money.
        x: Purchases behind the mean spend; 0 for customers of whom none is known.
        m_x: Mean spend; what stands here for x = 0 does not matter.
        margin: What stays of a unit of gross spend, not negative: margin rate * (1 - return rate).
        relative_variance: Variance of the logarithm of the expected value that comes from the
            parameters' uncertainty (delta method); widens the distribution.

    Example:
        >>> customer = value_distribution(alive=0.7266, stays=0.6, stays_half=0.75, none=0.26,
        ...     purchases=2.2, discounted=2.1, discounted_square=10.0, p=6.25, q=3.74,
        ...     gamma=15.44, x=2, m_x=22.35, margin=0.3)
        >>> low, high = predictive_interval(customer)
        >>> float(low), round(float(high), 1), float(customer.active.round(4))
        (0.0, 33.9, 0.5377)
    """
    alive, none, purchases, discounted, square, inflation = _doubles(
        alive, none, purchases, discounted, discounted_square, relative_variance
    )
    p, q, gamma, x, m_x, margin = _doubles(p, q, gamma, x, m_x, margin)
    # No more customers buy than there are purchases; what is rounded away can't be divided by. The
    # last term makes what is unknown in one place unknown in all.
    some = np.minimum(1 - none, purchases) + 0.0 * discounted
    buys = (some > 0) & (discounted > 0)
    some = np.where(buys | np.isnan(some), some, 1.0)
    count = np.where(buys, purchases / some, 1.0)
    mean = np.where(buys, discounted / some, 1.0)
    second = np.maximum(np.where(buys, square / some, 1.0) / mean**2, 1.0)
    stays, half = _doubles(stays, stays_half)
    stays = np.where(count > MANY_PURCHASES, stays + 0.0 * half, 1.0)
    stays, stay, leave = _split(stays, half, x, count, second)
    shapes_and_means = [
        column
        for part in (_Part(np.ones(()), second), stay, leave)
        for column in (_shape(p, count * part.mean, part.second, inflation), p * mean * part.mean)
    ]
    spent = np.where(x > 0, x * m_x, 0.0)
    columns = np.broadcast_arrays(
        np.where(buys | np.isnan(some), alive * some, 0.0),
        margin * (gamma + spent),
        q + p * x,
        stays,
        *shapes_and_means,
    )
    return ValueDistribution(*columns)


def predictive_interval(
    distribution: ValueDistribution, level: float = 0.8
) -> tuple[Floats, Floats]:
    """The range in which a customer's value will lie with the probability ``level``.

    Its ends are quantiles, at 0.1 and 0.9 for a level of 0.8. Customers who are likely never to
    come back have a lower bound of zero, or both. A customer's bounds are the same, to the last
    bit, whoever else is in the arrays.

    Returns:
        Lower and upper bounds in money, of the shape of the distribution.

    Example:
        >>> gone = value_distribution(alive=0.05, stays=0.8, stays_half=0.9, none=0.5,
        ...     purchases=1.0, discounted=1.0, discounted_square=3.0, p=2.0, q=3.0, gamma=20.0,
        ...     x=0, m_x=0.0, margin=0.3)
        >>> [float(bound) for bound in predictive_interval(gone)]
        [0.0, 0.0]
    """
    tail = (1 - level) / 2
    return _quantile(distribution, tail), _quantile(distribution, 1 - tail)


def predictive_cdf(distribution: ValueDistribution, value: ArrayLike) -> Floats:
    """Probability of a value of at most this much.

    At zero it is the probability of no purchase; for the randomised probability integral transform
    of a customer without value draw uniformly between zero and that.

    Example:
        >>> customer = value_distribution(alive=0.9, stays=0.8, stays_half=0.9, none=0.5,
        ...     purchases=1.0, discounted=1.0, discounted_square=3.0, p=2.0, q=3.0, gamma=20.0,
        ...     x=0, m_x=0.0, margin=0.3)
        >>> predictive_cdf(customer, [-1.0, 0.0, 5.0, 1e9]).round(4).tolist()
        [0.0, 0.55, 0.7262, 1.0]
    """
    value = np.asarray(value, dtype=np.float64)
    unit = np.where(distribution.unit > 0, distribution.unit, np.nan)
    amount = np.maximum(np.where(value > 0, value, 0.0) / unit, 0.0)
    below = np.zeros(amount.shape)
    for weight, shape, mean in _parts(distribution):
        ratio = amount * shape / mean
        share = np.where(np.isinf(ratio), 1.0, ratio / (1 + ratio))
        below = below + weight * betainc(shape, distribution.spend_shape, share)
    worthless = (distribution.unit == 0) | (distribution.active == 0)
    below = np.where(worthless, 1.0, below)
    cdf = 1 - distribution.active + distribution.active * below
    return np.where(value < 0, 0.0, cdf)


class _Part(NamedTuple):
    """One of a customer's two ways, relative to the whole."""

    mean: Floats
    second: Floats


def _split(
    stays: Floats, half: Floats, x: Floats, count: Floats, second: Floats
) -> tuple[Floats, _Part, _Part]:
    """Splits the sum of discounts into that of who stays to the end and of who leaves on the way.

    Whoever stays until the fraction f of the horizon has f times the purchases.
    """
    stays, half, x, count, second = np.broadcast_arrays(stays, half, x, count, second)
    stay_mean, leave_mean = np.ones(stays.shape), np.ones(stays.shape)
    stay_second, leave_second = second.copy(), second.copy()
    weight = stays.copy()
    both = stays < 1
    way = staying(half[both], stays[both])
    mean_fraction = way.end + (1 - way.end) * way.mean
    square_fraction = way.end + (1 - way.end) * way.square
    # The rest of the spread is that of the pace of buying, which x purchases tell no better than to
    # 1 / (r + x); as r is not known here, half of that with r = 1 is the least.
    pace = second[both] * mean_fraction**2 / square_fraction
    pace = np.maximum(pace, 1 + 0.5 / (x[both] + 1) + 0.5 * mean_fraction / count[both])
    weight[both] = way.end
    stay_mean[both], stay_second[both] = 1 / mean_fraction, pace
    leave_mean[both] = way.mean / mean_fraction
    leave_second[both] = pace * way.square / way.mean**2
    return weight, _Part(stay_mean, stay_second), _Part(leave_mean, leave_second)


def _shape(p: Floats, count: Floats, second: Floats, inflation: Floats) -> Floats:
    """Shape of the gamma distribution in place of a sum of ``count`` purchases on average."""
    spread = 1 / (p * count) + second - 1
    # One purchase has the shape p: a gamma that rises to infinity at zero is none of more.
    spread = np.minimum(spread, 1 / np.minimum(p, 1.0))
    shape: Floats = 1 / ((1 + spread) * (1 + inflation) - 1)
    return shape


def _parts(distribution: ValueDistribution) -> list[tuple[Floats, Floats, Floats]]:
    """Weight, shape and mean of each part."""
    return [
        (distribution.stays, distribution.stay_shape, distribution.stay_mean),
        (1 - distribution.stays, distribution.leave_shape, distribution.leave_mean),
    ]


def _quantile(distribution: ValueDistribution, level: float) -> Floats:
    active = distribution.active
    # A chance too small to be divided by leaves the level below zero, as none at all does.
    inner = (level - (1 - active)) / np.maximum(active, 1e-300)
    # NaN where anything is unknown.
    first, second = distribution.stay_shape, distribution.spend_shape
    amount = np.array(0.0 * (active + distribution.unit + distribution.stays + first + second))
    positive = (inner > SMALLEST_LEVEL) & ~np.isnan(amount)
    for count in (1, 2):
        rows = positive & ((distribution.stays < 1) == (count == 2))
        chosen = ValueDistribution(*(column[rows] for column in vars(distribution).values()))
        amount[rows] = _solve(_Mixture.of(chosen, count), _start(chosen, inner[rows]), inner[rows])
    return amount * distribution.unit


class _Mixture(NamedTuple):
    """Beta primes with a common second shape; parts by rows, customers by columns."""

    second: Floats
    weight: Floats
    shape: Floats
    mean: Floats
    norm: Floats

    @classmethod
    def of(cls, distribution: ValueDistribution, count: int) -> _Mixture:
        columns = zip(*_parts(distribution)[:count], strict=True)
        weight, shape, mean = (np.stack(column) for column in columns)
        second = distribution.spend_shape[np.newaxis]
        return cls(second, weight, shape, mean, betaln(shape, second))

    def take(self, rows: NDArray[np.int64]) -> _Mixture:
        return _Mixture(*(values[:, rows] for values in self))


def _solve(mixture: _Mixture, start: Floats, level: Floats) -> Floats:
    """The amount at which the distribution reaches the level, from the logarithm of a good guess.

    Steps of Halley's method, of third order. Between two humps the distribution has a flat stretch,
    where a step may lead far off: then the bracket is halved instead.
    """
    aim = np.log(level / (1 - level))
    near = NEAR[mixture.weight.shape[0] - 1]
    point = start.copy()
    low, high = start - WIDEST, start + WIDEST
    rows = np.arange(start.size)
    for _ in range(MOST_STEPS):
        here = point[rows]
        gap, step = _halley(mixture.take(rows), here, aim[rows])
        low[rows] = np.where(gap < 0, here, low[rows])
        high[rows] = np.where(gap > 0, here, high[rows])
        there = here - step
        inside = (there >= low[rows]) & (there <= high[rows])
        point[rows] = np.where(inside, there, (low[rows] + high[rows]) / 2)
        last = inside & (np.abs(gap) < near) & (np.abs(step) < LONGEST_LAST_STEP)
        rows = rows[~last]
        if rows.size == 0:
            break
    return np.exp(point)


def _halley(mixture: _Mixture, point: Floats, aim: Floats) -> tuple[Floats, Floats]:
    """How far the log-odds of the distribution are off at this logarithm of the amount; the step.

    The log-odds are nearly a straight line in both tails.
    """
    second, weight, shape, mean, norm = mixture
    log_ratio = point + np.log(shape / mean)
    ratio = np.exp(log_ratio)
    log_one_more = np.log1p(ratio)
    share = ratio / (1 + ratio)
    density = np.exp(shape * log_ratio - (shape + second) * log_one_more - norm)
    parts = weight * density
    shares = weight * beta_share(shape, second, share, density)
    below = np.clip(np.sum(shares, axis=0), 1e-15, 1 - 1e-15)
    both = below * (1 - below)
    first = np.maximum(np.sum(parts, axis=0) / both, SMALLEST_SLOPE)
    slope = np.sum(parts * (shape - (shape + second) * share), axis=0)
    curvature = slope / both - first * first * (1 - 2 * below)
    gap = np.log(below / (1 - below)) - aim
    newton = gap / first
    return gap, newton / np.maximum(1 - 0.5 * newton * curvature / first, 0.5)


def _start(distribution: ValueDistribution, level: Floats) -> Floats:
    """Logarithm of the quantile of the whole as one beta prime, after Cornish and Fisher (1938)."""
    shape = distribution.whole_shape
    mean_1, variance_1, third_1 = _log_gamma_cumulants(shape)
    mean_2, variance_2, third_2 = _log_gamma_cumulants(distribution.spend_shape)
    deviation = np.sqrt(variance_1 + variance_2)
    skewness = (third_1 - third_2) / deviation**3
    z = ndtri(level)
    z = z + skewness * (z * z - 1) / 6 - skewness**2 * (2 * z**3 - 5 * z) / 36
    middle = mean_1 - mean_2 + np.log(distribution.whole_mean / shape)
    start: Floats = middle + deviation * z
    return start


def _log_gamma_cumulants(shape: Floats) -> tuple[Floats, Floats, Floats]:
    """Mean, variance and third cumulant of the logarithm of a Gamma(shape).

    The polygamma functions of shape + 1 by their asymptotic series, then one step of recurrence.
    """
    i = 1 / (shape + 1)
    mean = np.log(shape + 1) - i / 2 - i**2 / 12 + i**4 / 120 - 1 / shape
    variance = i + i**2 / 2 + i**3 / 6 - i**5 / 30 + 1 / shape**2
    third = -(i**2) - i**3 - i**4 / 2 + i**6 / 6 - 2 / shape**3
    return mean, variance, third


def _doubles(*values: ArrayLike) -> tuple[Floats, ...]:
    return tuple(np.asarray(value, dtype=np.float64) for value in values)
