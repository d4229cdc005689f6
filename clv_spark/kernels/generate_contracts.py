"""A known world of contracts: synthetic rows whose true parameters can be looked up.

Every plan loses its contracts by an sBG process of its own. Some customers have two contracts;
some contracts are upgraded, some lost ones begin again after a pause. Customers come in blocks, as
in ``generate``: the same seed gives the same rows for any number of partitions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from clv_spark.errors import ConfigError
from clv_spark.kernels.generate import BLOCK_CUSTOMERS, CURRENCY, Ids, string_ids

SECOND_CONTRACT_SHARE = 0.15
UPGRADE_CHANCE = 0.01  # at each renewal; once a contract
UPGRADE = 1.25
RETURN_SHARE = 0.1  # of lost contracts, after one to three months
MARGIN_RATE = 0.45
MOST_PERIODS = 600  # nobody lives longer than that
STREAM = 7_001  # apart from the streams of transactions

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PlanWorld:
    """The truth about one plan.

    ``share`` is its weight among contracts, ``months`` the length of a period, ``alpha, beta`` the
    sBG parameters per period, ``price`` the mean amount of a period.
    """

    plan: str
    share: float
    months: int
    alpha: float
    beta: float
    price: float


PLANS: tuple[PlanWorld, ...] = (
    PlanWorld("flex", 0.5, 1, 0.8, 9.0, 15.0),
    PlanWorld("family", 0.25, 1, 0.6, 20.0, 45.0),
    PlanWorld("business", 0.1, 3, 0.9, 14.0, 240.0),
    PlanWorld("annual", 0.15, 12, 0.7, 2.8, 160.0),
)
PERIOD_NAMES = {1: "month", 3: "quarter", 12: "year"}


def contracts_schema(ids: Ids) -> pa.Schema:
    """Columns of generated contracts."""
    return pa.schema(
        [
            ("customer_id", pa.string() if ids == "string" else pa.int64()),
            ("contract_id", pa.int64()),
            ("start_date", pa.date32()),
            ("end_date", pa.date32()),
            ("period", pa.string()),
            ("periodic_amount", pa.float64()),
            ("periodic_margin", pa.float64()),
            ("currency", pa.string()),
            ("plan", pa.string()),
        ]
    )


def contracts(
    first_id: int,
    n_customers: int,
    *,
    start: date,
    end: date,
    ids: Ids = "int",
    seed: int = 0,
    world: Sequence[PlanWorld] = PLANS,
) -> pa.RecordBatch:
    """The rows of customers ``first_id`` to ``first_id + n_customers - 1``, one block at most.

    Contracts begin uniformly between ``start`` and ``end``; what ends later still runs.

    >>> rows = contracts(0, 100, start=date(2022, 1, 1), end=date(2023, 12, 31))
    >>> rows.schema.names[:4]
    ['customer_id', 'contract_id', 'start_date', 'end_date']
    """
    if first_id % BLOCK_CUSTOMERS or not 0 <= n_customers <= BLOCK_CUSTOMERS or first_id < 0:
        raise ConfigError(
            f"customers {first_id} and {n_customers} more are no block; take a first_id that is a "
            f"multiple of {BLOCK_CUSTOMERS} and a count up to that."
        )
    if start >= end or seed < 0:
        raise ConfigError(f"contracts from {start} to {end} with seed {seed}: nothing to make.")
    sequence = np.random.SeedSequence([seed, first_id // BLOCK_CUSTOMERS, STREAM])
    rng = np.random.Generator(np.random.Philox(sequence))
    second = np.flatnonzero(rng.random(n_customers) < SECOND_CONTRACT_SHARE)
    owner = np.concatenate([np.arange(n_customers), second])
    number = np.concatenate([np.zeros(n_customers), np.ones(second.size)]).astype(np.int64)
    return _rows(rng, first_id + owner, number, (start, end), ids, world)


def block_contracts(
    batches: Iterable[pa.RecordBatch], *, customers: int, arguments: dict[str, Any]
) -> Iterator[pa.RecordBatch]:
    """Turn numbers of blocks into the contracts of their customers."""
    for batch in batches:
        for block in batch.column(0).to_pylist():
            first = block * BLOCK_CUSTOMERS
            yield contracts(first, min(BLOCK_CUSTOMERS, customers - first), **arguments)


def _rows(
    rng: np.random.Generator,
    owner: Ints,
    number: Ints,
    span: tuple[date, date],
    ids: Ids,
    world: Sequence[PlanWorld],
) -> pa.RecordBatch:
    size = owner.size
    share = np.array([plan.share for plan in world])
    place = rng.choice(len(world), size=size, p=share / share.sum())
    alpha, beta, price = (
        np.array([getattr(plan, name) for plan in world])[place]
        for name in ("alpha", "beta", "price")
    )
    months = np.array([plan.months for plan in world])[place]
    begin, day = _starts(rng, size, span)
    lived = _periods(rng, alpha, beta)
    upgraded = np.minimum(rng.geometric(UPGRADE_CHANCE, size), MOST_PERIODS)
    again = (rng.random(size) < RETURN_SHARE) & (lived < MOST_PERIODS)
    returned = begin + lived * months + rng.integers(1, 4, size)
    lived_again = _periods(rng, alpha, beta)
    amount = np.round(price * np.exp(rng.normal(0.0, 0.25, size)), 2)
    ended = begin + lived * months
    raised = begin + upgraded * months
    rises = raised < ended
    pieces = [
        (np.arange(size), begin, np.where(rises, raised, ended), amount),
        (np.flatnonzero(rises), raised, ended, np.round(amount * UPGRADE, 2)),
        (np.flatnonzero(again), returned, returned + lived_again * months, amount),
    ]
    which = np.concatenate([rows for rows, *_ in pieces])
    first, last, paid = (
        np.concatenate([piece[column][piece[0]] for piece in pieces]) for column in (1, 2, 3)
    )
    order = np.lexsort((first, which))
    which, first, last, paid = which[order], first[order], last[order], paid[order]
    starts, ends = _days(first, day[which]), _days(last, day[which])
    today = np.datetime64(span[1])
    seen = starts <= today
    which, starts, ends, paid = which[seen], starts[seen], ends[seen], paid[seen]
    names, units = ([plan.plan for plan in world], [PERIOD_NAMES[plan.months] for plan in world])
    customer = owner[which]
    columns = [
        string_ids(customer) if ids == "string" else pa.array(customer),
        pa.array(customer * 10 + number[which]),
        pa.array(starts, pa.date32()),
        pa.array(ends, pa.date32(), mask=ends > today),
        pa.array(np.array(units)[place[which]]),
        pa.array(paid),
        pa.array(np.round(paid * MARGIN_RATE, 2)),
        pa.array([CURRENCY] * which.size, pa.string()),
        pa.array(np.array(names)[place[which]]),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=contracts_schema(ids))


def _starts(rng: np.random.Generator, size: int, span: tuple[date, date]) -> tuple[Ints, Ints]:
    """Months since 1970 and days of the month, up to 28, so that every month has them."""
    days = rng.integers(0, (span[1] - span[0]).days, size)
    dates = np.datetime64(span[0]) + days
    month = dates.astype("datetime64[M]")
    day = (dates - month.astype("datetime64[D]")).astype(np.int64)
    return month.astype(np.int64), np.minimum(day, 27)


def _days(months: Ints, day: Ints) -> npt.NDArray[np.datetime64]:
    firsts = months.astype("datetime64[M]").astype("datetime64[D]")
    return np.asarray(firsts + day.astype("timedelta64[D]"))


def _periods(rng: np.random.Generator, alpha: Floats, beta: Floats) -> Ints:
    churn = np.maximum(rng.beta(alpha, beta), 1e-9)
    lived: Ints = np.minimum(rng.geometric(churn), MOST_PERIODS).astype(np.int64)
    return lived
