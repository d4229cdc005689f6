"""From purchases to money: revenue, margin and value of a customer from its parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class CustomerValue:
    """Money a customer is expected to bring, one value per customer.

    Attributes:
        revenue: Expected net revenue of the period of the plain purchases.
        clv_revenue: Discounted net revenue over the horizon.
        clv_margin: Discounted margin over the horizon.
        residual_revenue: Discounted net revenue without horizon.
        residual_margin: Discounted margin without horizon.
    """

    revenue: Floats
    clv_revenue: Floats
    clv_margin: Floats
    residual_revenue: Floats
    residual_margin: Floats


def customer_value(
    *,
    purchases: ArrayLike,
    discounted_purchases: ArrayLike,
    residual_purchases: ArrayLike,
    order_value: ArrayLike,
    return_rate: ArrayLike,
    margin_rate: ArrayLike,
) -> CustomerValue:
    """Values customers: purchases times what a purchase leaves after refunds and costs.

    margin times E(M) times discounted expected purchases; Fader, Hardie and Lee (2005), JMR 42,
    eq. 1. NaN in a part gives NaN in what depends on it.

    Args:
        purchases: Expected purchases in the period of the revenue.
        discounted_purchases: Discounted expected purchases over the horizon.
        residual_purchases: The same without horizon.
        order_value: Expected gross amount of a purchase, in money.
        return_rate: Share of the gross amount that is refunded, 0 to 1.
        margin_rate: Margin per unit of net revenue.

    Example:
        >>> value = customer_value(purchases=2.0, discounted_purchases=1.8, residual_purchases=5.0,
        ...     order_value=50.0, return_rate=0.2, margin_rate=0.25)
        >>> float(value.revenue), float(value.clv_margin), float(value.residual_margin)
        (80.0, 18.0, 50.0)
    """
    net = _doubles(order_value) * (1 - _doubles(return_rate))
    margin = _doubles(margin_rate) * net
    return CustomerValue(
        revenue=_doubles(purchases) * net,
        clv_revenue=_doubles(discounted_purchases) * net,
        clv_margin=_doubles(discounted_purchases) * margin,
        residual_revenue=_doubles(residual_purchases) * net,
        residual_margin=_doubles(residual_purchases) * margin,
    )


def past_margin(
    *,
    margin_amount: ArrayLike,
    gross_amount: ArrayLike,
    refund_amount: ArrayLike,
    margin_rate: ArrayLike,
) -> Floats:
    """Margin a customer has brought so far: as recorded, else the margin rate times net revenue.

    Never below zero: refunds beyond the purchases seen belong to purchases from before the data
    begin.

    Args:
        margin_amount: Recorded margin; NaN where the source has none.
        gross_amount: Money of all sales.
        refund_amount: Money given back, not negative.
        margin_rate: Margin per unit of net revenue.

    Example:
        >>> past_margin(margin_amount=[np.nan, 30.0, np.nan], gross_amount=[100.0, 100.0, 10.0],
        ...     refund_amount=[20.0, 20.0, 50.0], margin_rate=0.25).tolist()
        [20.0, 30.0, 0.0]
    """
    recorded = _doubles(margin_amount)
    estimated = _doubles(margin_rate) * (_doubles(gross_amount) - _doubles(refund_amount))
    return np.maximum(np.where(np.isnan(recorded), estimated, recorded), 0.0)


def shrunk_rate(
    own_part: ArrayLike, own_base: ArrayLike, prior_rate: ArrayLike, prior_base: ArrayLike
) -> Floats:
    """A customer's own rate, drawn towards everybody's as long as the customer is little known.

    (own_part + prior_base prior_rate) / (own_base + prior_base), kept within 0 and 1. Without any
    base it is the prior rate.

    Args:
        own_part: The customer's part, say refunded money.
        own_base: What it is a part of, say gross money.
        prior_rate: The rate of everybody.
        prior_base: How much of the customer's own base weighs as much as everybody's rate.

    Example:
        >>> shrunk_rate([0.0, 50.0, 500.0], [0.0, 100.0, 100.0], 0.1, 100.0).tolist()
        [0.1, 0.3, 1.0]
    """
    part = _doubles(own_part) + _doubles(prior_base) * _doubles(prior_rate)
    base = _doubles(own_base) + _doubles(prior_base)
    part, base, prior = np.broadcast_arrays(part, base, _doubles(prior_rate))
    rate = np.divide(part, base, out=prior.astype(np.float64), where=base > 0)
    return np.clip(rate, 0.0, 1.0)


def _doubles(values: ArrayLike) -> Floats:
    return np.asarray(values, dtype=np.float64)
