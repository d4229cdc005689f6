"""When a customer leaves within the horizon, from the probabilities of staying at two times.

Risks of leaving differ between customers, so that fewer and fewer of those who are left go: with
Gamma(c) distributed risks the probability of staying is a Lomax curve (1 + k s)^-c, s being the
fraction of the horizon. In the Pareto/NBD it is exactly that; in the BG family, whose risks are
those of buying times dropping out, nearly. Its limits are an exponential curve, where all have one
risk, and a step at once, where all who leave at all leave at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import exprel

Floats = NDArray[np.float64]

# Where nearly all stay, the moments of who leaves would be differences of equal numbers.
ENDS = (1e-300, 1 - 1e-4)
# The range of the logarithm of 1 + k; nearer to zero nothing is left but rounding.
GROWTHS = (1e-3, 50.0)
# A part of the horizon in which money loses no more than this, as -log of its weight, may weigh as
# its mean moment does: that is .3% off at most. And longer no curve of its own is near enough.
MOST_LOST, MOST_YEARS = 0.25, 5
# What weighs less than this counts for nothing.
LEAST_WEIGHT = 1e-4
# Newton's steps, for a relative error below 1e-7.
STEPS = 3


class Staying(NamedTuple):
    """The two ways of a customer.

    Attributes:
        end: Probability of staying to the end.
        mean: Mean fraction of the horizon after which who leaves on the way leaves.
        square: Mean of its square.
    """

    end: Floats
    mean: Floats
    square: Floats


def staying(half: ArrayLike, end: ArrayLike) -> Staying:
    """The Lomax curve through the probabilities of staying at half the horizon and at its end.

    Args:
        half: Probability of being a customer at half the horizon, given today.
        end: The same at the end; counts as within ``ENDS``.

    Example:
        >>> staying(half=(1 + 2 / 2) ** -3.0, end=(1 + 2) ** -3.0).mean.round(6).tolist()
        0.192308
        >>> staying(half=0.5**0.5, end=0.5).mean.round(3).tolist()  # one risk: 1 / log(2) - 1
        0.443
    """
    half, end = (np.asarray(values, dtype=np.float64) for values in (half, end))
    end = np.clip(end, *ENDS)
    fall = -np.log(end)
    share = np.log(np.maximum(half, ENDS[0])) / np.log(end)
    growth = _growth(share)
    scale = exprel(growth)
    # The integrals of (1 + k s)^-c and of s (1 + k s)^-c, k being e^growth - 1 and c fall / growth.
    area = exprel(growth - fall)
    moment = (exprel(2 * growth - fall) - area) / np.expm1(growth)
    mean, square = area / scale, 2 * moment / scale
    return Staying(end, (mean - end) / (1 - end), (square - end) / (1 - end))


def living_share(stays: Callable[[float], Floats], discount: float, years: float) -> Floats:
    """Expected share of the horizon as a customer, each moment weighed by its discount.

    A long horizon is taken in parts of equal length, each of which has a curve of its own.

    Args:
        stays: Probability of being a customer after a fraction of the horizon, given today.
        discount: Logarithm of what money at the end of the horizon loses: -log of its weight.
        years: Length of the horizon.

    Example:
        >>> float(living_share(lambda s: np.array(0.5**s), 0.0, years=1).round(3))  # .5 / log(2)
        0.721
        >>> share = living_share(lambda s: np.array(0.5**s), 3.0, years=31)
        >>> float(share.round(2))  # (1 - e^-d) / d, d being 3 + log(2)
        0.26
    """
    parts = max(1, math.ceil(discount / MOST_LOST), math.ceil(years / MOST_YEARS))
    lost = discount / parts
    there: Floats = np.ones(())
    total: Floats = np.zeros(())
    for part in range(parts):
        weight = math.exp(-lost * part)
        if weight < LEAST_WEIGHT:
            break
        half, end = stays((part + 0.5) / parts), stays((part + 1) / parts)
        given = [
            np.divide(later, there, out=np.zeros_like(later), where=there > 0)
            for later in (half, end)
        ]
        total = total + weight * there * _weighed_share(given[0], given[1], lost) / parts
        there = end
    return total


def _weighed_share(half: Floats, end: Floats, discount: float) -> Floats:
    """The share of one part; all of its time weighs as the mean moment of it does."""
    ways = staying(half, end)
    leaves = 1 - ways.end
    share = ways.mean * leaves + ways.end
    moment = (ways.square * leaves + ways.end) / 2
    weighed: Floats = share * np.exp(-discount * moment / share)
    return weighed


def _growth(share: Floats) -> Floats:
    """Solves log((1 + e^z) / 2) = share z for z, the logarithm of 1 + k.

    ``share`` is how much of the fall of the curve's logarithm is in the first half: half of it
    where all have one risk, all of it where who leaves leaves at once.
    """
    excess = np.clip(2 * share - 1, 0.0, 1 - 1e-3)
    z = np.clip(excess * (4 - 2.614 * excess) / (1 - excess), *GROWTHS)
    for _ in range(STEPS):
        ratio = np.log((1 + np.exp(z)) / 2) / z
        slope = (1 / (1 + np.exp(-z)) - ratio) / z
        z = np.clip(z + ((1 + excess) / 2 - ratio) / slope, *GROWTHS)
    return z
