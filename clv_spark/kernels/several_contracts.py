"""The interval of a customer's value who has several contracts that run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from clv_spark.kernels.contract_forecasts import (
    HIGH,
    LOW,
    VINTILES,
    Outlook,
    discounted_vintiles,
)
from clv_spark.kernels.contract_parameters import ContractParameters

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# What is needed of each contract in the list of a customer.
BEHIND_VALUE = (
    "is_active",
    "parameters_place",
    "tenure",
    "days_to_renewal",
    "period_days",
    "value_margin",
)


def add_up_contracts(
    batch: pa.RecordBatch, outlook: Outlook, parameters: Sequence[ContractParameters]
) -> pa.RecordBatch:
    """Replaces the bounds of each customer by those of the sum of the running contracts.

    Each contract stands for ``VINTILES`` equally likely values; the sums of two are as many as
    their pairs, and where another contract follows, their own vintiles stand for them. Given the
    parameters the contracts are taken as independent.

    Args:
        batch: clv_low, clv_high, and items: per customer a list of contracts with
            ``BEHIND_VALUE``; all that run have parameters. Other columns stay as they are, and so
            do the bounds where the list is empty.
        outlook: Horizon and discount rate.
        parameters: What parameters_place refers to.

    Returns:
        The batch without items.
    """
    items = batch.column("items")
    contracts = items.flatten()
    owner = np.repeat(np.arange(len(items)), pc.list_value_length(items).to_numpy())
    field = {
        name: pc.cast(contracts.field(name), pa.float64()).to_numpy(zero_copy_only=False)
        for name in BEHIND_VALUE
    }
    rows = np.flatnonzero(field["is_active"] == 1)
    values = _values({name: column[rows] for name, column in field.items()}, outlook, parameters)
    low, high = _bounds(values, owner[rows], len(items))
    columns = {name: batch.column(name) for name in batch.schema.names if name != "items"}
    are_summed = pc.greater(pc.list_value_length(items), 0)
    for name, bound in (("clv_low", low), ("clv_high", high)):
        columns[name] = pc.if_else(are_summed, pa.array(bound), columns[name])
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def _values(
    field: dict[str, Floats], outlook: Outlook, parameters: Sequence[ContractParameters]
) -> Floats:
    """The vintiles of each running contract, in money."""
    places = field["parameters_place"].astype(np.int64)
    phase = np.clip(field["days_to_renewal"] / field["period_days"], 0.0, 1.0)
    tenure = field["tenure"].astype(np.int64)
    values = np.empty((places.size, VINTILES))
    for place in np.unique(places):
        ours = np.flatnonzero(places == place)
        values[ours] = discounted_vintiles(parameters[place], outlook, tenure[ours], phase[ours])
    values *= field["value_margin"][:, np.newaxis]
    return values


def _bounds(values: Floats, owner: Integers, customers: int) -> tuple[Floats, Floats]:
    """Quantiles of the sums; the contracts of a customer stand together."""
    first = np.searchsorted(owner, np.arange(customers))
    rank = np.arange(owner.size) - first[owner]
    total = np.zeros((customers, VINTILES))
    low, high = np.zeros(customers), np.zeros(customers)
    size = VINTILES**2
    # As many of the pairs may be undercut, or exceeded.
    below, above = int(size * LOW + 0.5), int(size * HIGH + 0.5) - 1
    for step in range(int(rank.max(initial=-1)) + 1):
        ours = np.flatnonzero(rank == step)
        who = owner[ours]
        pairs = (total[who][:, :, np.newaxis] + values[ours][:, np.newaxis, :]).reshape(-1, size)
        pairs.sort(axis=1)
        low[who], high[who] = pairs[:, below], pairs[:, above]
        half = VINTILES // 2
        total[who] = (pairs[:, half - 1 :: VINTILES] + pairs[:, half::VINTILES]) / 2
    return low, high
