"""What counts as value: revenue, margin, or margin less the cost to serve."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clv_spark.errors import InputError

Floats = NDArray[np.float64]

Definition = Literal["revenue", "margin", "net"]
DEFINITIONS: tuple[str, ...] = get_args(Definition)


def value_by_definition(
    definition: str, *, revenue: ArrayLike, margin: ArrayLike, service_cost: ArrayLike
) -> Floats:
    """Chooses what is called value among the parts of the same period.

    Args:
        definition: "revenue", "margin", or "net" for margin less service cost.
        revenue: Money after returns.
        margin: What is left of it after the cost of goods.
        service_cost: What serving the customer costs.

    Raises:
        InputError: There is no such definition.

    Example:
        >>> parts = {"revenue": 420.0, "margin": 210.0, "service_cost": 84.0}
        >>> [float(value_by_definition(name, **parts)) for name in DEFINITIONS]
        [420.0, 210.0, 126.0]
    """
    if definition == "revenue":
        return np.asarray(revenue, dtype=np.float64)
    if definition == "margin":
        return np.asarray(margin, dtype=np.float64)
    if definition == "net":
        net = np.asarray(margin, dtype=np.float64) - np.asarray(service_cost, dtype=np.float64)
        return np.asarray(net, dtype=np.float64)
    raise InputError(f"{definition!r} is no definition of value; there are {list(DEFINITIONS)}.")
