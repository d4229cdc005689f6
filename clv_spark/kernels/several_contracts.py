"""A customer with several contracts that run: the interval of their value, the time any runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from clv_spark.economics.discounting import discounted_time, rate_per_unit
from clv_spark.kernels.contract_forecasts import (
    HIGH,
    LOW,
    VINTILES,
    Outlook,
    discounted_vintiles,
    running_after,
)
from clv_spark.kernels.contract_parameters import ContractParameters
from clv_spark.kernels.score_contracts import days_left_early

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# At most so many days share one chance that a contract runs.
_STEP_DAYS = 7
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
    batch: pa.RecordBatch,
    outlook: Outlook,
    parameters: Sequence[ContractParameters],
    early_days: int,
) -> pa.RecordBatch:
    """Replaces the bounds of each customer by those of the sum, and the days by those of any.

    Each contract stands for ``VINTILES`` equally likely values; the sums of two are as many as
    their pairs, and where another contract follows, their own vintiles stand for them. Given the
    parameters the contracts are taken as independent.

    Args:
        batch: clv_low, clv_high, days_ahead and early_days_ahead (of the contract that is expected
            to last longest), T, and items: per customer a list of contracts with ``BEHIND_VALUE``;
            all that run have parameters. Other columns stay as they are, and so do all where the
            list is empty.
        outlook: Horizon and discount rate.
        parameters: What parameters_place refers to.
        early_days: Length of the early phase of a customer's life.

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
    field, owner = {name: column[rows] for name, column in field.items()}, owner[rows]
    low, high = _bounds(_values(field, outlook, parameters), owner, len(items))
    age = pc.cast(batch.column("T"), pa.float64()).to_numpy(zero_copy_only=False)
    ends = [
        np.full(len(items), float(outlook.horizon_days)),
        days_left_early(age, early_days, outlook.horizon_days),
    ]
    days = _days_of_any(field, owner, ends, outlook, parameters)
    columns = {name: batch.column(name) for name in batch.schema.names if name != "items"}
    are_summed = pc.greater(pc.list_value_length(items), 0)
    for name, bound in (("clv_low", low), ("clv_high", high)):
        columns[name] = pc.if_else(are_summed, pa.array(bound), columns[name])
    for name, of_any in zip(("days_ahead", "early_days_ahead"), days, strict=True):
        longer = pc.max_element_wise(columns[name], pa.array(of_any))
        columns[name] = pc.if_else(are_summed, longer, columns[name])
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def _values(
    field: dict[str, Floats], outlook: Outlook, parameters: Sequence[ContractParameters]
) -> Floats:
    """The vintiles of each running contract, in money."""
    values = np.empty((field["tenure"].size, VINTILES))
    for place, ours, tenure, phase in _by_parameters(field):
        values[ours] = discounted_vintiles(parameters[place], outlook, tenure, phase)
    values *= field["value_margin"][:, np.newaxis]
    return values


def _by_parameters(
    field: dict[str, Floats],
) -> Iterator[tuple[int, Integers, Integers, Floats]]:
    """Place of the parameters, rows of the contracts that have them, their tenure and phase."""
    places = field["parameters_place"].astype(np.int64)
    phase = np.clip(field["days_to_renewal"] / field["period_days"], 0.0, 1.0)
    tenure = field["tenure"].astype(np.int64)
    for place in np.unique(places):
        ours = np.flatnonzero(places == place)
        yield int(place), ours, tenure[ours], phase[ours]


def _days_of_any(
    field: dict[str, Floats],
    owner: Integers,
    ends: Sequence[Floats],
    outlook: Outlook,
    parameters: Sequence[ContractParameters],
) -> list[Floats]:
    """Expected discounted days on which at least one contract runs, up to each of some ends.

    Each end is one value per customer, and at most the horizon.
    """
    edges = np.linspace(0, outlook.horizon_days, -(-outlook.horizon_days // _STEP_DAYS) + 1)
    rate = rate_per_unit(outlook.annual_discount_rate, 1)
    days = (edges[:-1] + edges[1:]) / 2
    ended = np.ones((ends[0].size, days.size))
    for place, ours, tenure, phase in _by_parameters(field):
        running = running_after(days, parameters[place], outlook, tenure, phase)
        np.multiply.at(ended, owner[ours], 1 - running)
    weights = [
        np.diff(discounted_time(np.minimum(edges, end[:, np.newaxis]), rate)) for end in ends
    ]
    # Row by row, as a product of matrices would depend on the rows beside.
    return [np.sum((1 - ended) * weight, axis=1) for weight in weights]


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
