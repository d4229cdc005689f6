"""How often a customer bought, as the last purchase left it, in the models of continuous time.

In the BG/NBD, the MBG/NBD and the Pareto/NBD a customer buys at a rate that is Gamma(r, alpha)
distributed over customers. The silence since the last purchase says whether the customer has left;
it is no part of the rhythm that it is held against.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from clv_spark.models.arrays import Floats, Parameters


def purchase_interval(params: Parameters, x: ArrayLike, t_x: ArrayLike) -> Floats:
    """Expected time between two purchases of a customer, as known at the last one.

    Whoever has just bought for the x-th time again, at t_x, has a rate that is
    Gamma(r + x, alpha + t_x) distributed (Fader, Hardie and Lee 2005, Marketing Science 24(2),
    section 3); here one over its mean.

    Args:
        params: r and alpha; others do not matter.
        x: Purchases after the first one.
        t_x: Time of the last of them since the first purchase.

    Example:
        >>> params = {"r": 0.243, "alpha": 4.414}
        >>> purchase_interval(params, [0, 2], [0.0, 30.43]).round(2).tolist()
        [18.16, 15.53]
    """
    x, t_x = np.asarray(x, dtype=np.float64), np.asarray(t_x, dtype=np.float64)
    interval: Floats = (np.asarray(params["alpha"]) + t_x) / (np.asarray(params["r"]) + x)
    return interval
