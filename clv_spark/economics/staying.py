"""When a customer leaves within the horizon, from the probabilities of staying at two times.

Risks of leaving differ between customers, so that fewer and fewer of those who are left go: with
Gamma(c) distributed risks the probability of staying is a Lomax curve (1 + k s)^-c, s being the
fraction of the horizon. In the Pareto/NBD it is exactly that; in the BG family, whose risks are
those of buying times dropping out, nearly. Its limits are an exponential curve, where all have one
risk, and a step at once, where all who leave at all leave at once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import exprel

Floats = NDArray[np.float64]

# Where nearly all stay, the moments of who leaves would be differences of equal numbers.
ENDS = (1e-300, 1 - 1e-4)
# The range of the logarithm of 1 + k; nearer to zero nothing is left but rounding.
GROWTHS = (1e-3, 50.0)
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


def living_share(half: ArrayLike, end: ArrayLike, discount: float) -> Floats:
    """Expected share of the horizon as a customer, each moment weighed by its discount.

    Exact without a discount; with one, all of the time weighs as its mean moment does.

    Args:
        half: Probability of being a customer at half the horizon, given today.
        end: The same at the end.
        discount: Logarithm of what money at the end of the horizon loses: -log of its weight.

    Example:
        >>> round(float(living_share(half=0.5**0.5, end=0.5, discount=0.0)), 3)  # .5 / log(2)
        0.721
    """
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
