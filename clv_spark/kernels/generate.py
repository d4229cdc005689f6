"""A known world of customers: synthetic transactions whose true parameters can be looked up.

Every country buys by a BG/NBD process and spends by a gamma-gamma model with parameters of its
own, so a fit can be judged against the truth. Three things keep the data honest:

* **Whole days.** Purchases happen in continuous time and are rounded to the nearest day. One that
  meets the purchase before it on the same day moves to the day after, so none is merged away: the
  number of purchases is exactly the model's and their times are off by half a day at most, or by a
  day or so after such a move. Fits on 100,000 customers a country show no bias.
* **Exact cents.** A purchase day's amount is split over its lines in whole cents.
* **Blocks.** Customers come in blocks of ``BLOCK_CUSTOMERS``, each with a random stream of its
  own: the same seed gives the same lines for any number of partitions, in any order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from clv_spark.errors import ConfigError

BLOCK_CUSTOMERS = 8192
CHUNK_LINES = 1 << 17
CURRENCY = "EUR"
PRODUCTS = pa.array([f"P{number:04d}" for number in range(400)])
OPENS, CLOSES = 9 * 3600, 20 * 3600  # seconds after midnight
SECOND_ORDER_SHARE = 0.1  # of purchase days with two or more lines
FULL_REFUND_SHARE = 0.7
REFUND_DAYS = 30  # a line comes back at most so many days later
IDS_PER_BLOCK = 1 << 32  # block * IDS_PER_BLOCK + n: unique without knowing the other blocks
PILOT_BLOCKS = 8
DAY_MICROSECONDS = 86_400_000_000

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Rng = np.random.Generator
Ids = Literal["int", "string"]


@dataclass(frozen=True)
class CountryWorld:
    """The truth about one country.

    ``share`` is its weight among customers; ``r, alpha, a, b`` are the BG/NBD parameters with time
    in weeks; ``p, q, gamma`` the gamma-gamma parameters of the amount per purchase day;
    ``refund_rate`` the share of lines that come back later, whole or in part.
    """

    country: str
    share: float
    r: float
    alpha: float
    a: float
    b: float
    p: float
    q: float
    gamma: float
    refund_rate: float

    def __post_init__(self) -> None:
        """Refuse a world whose means do not exist."""
        numbers = {name: value for name, value in asdict(self).items() if name != "country"}
        bad = [name for name, value in numbers.items() if not value > 0 and name != "refund_rate"]
        if bad or not 0 <= self.refund_rate < 1 or self.q <= 2:
            raise ConfigError(
                f"the world of {self.country} has {numbers}; all must be positive, "
                "refund_rate in [0, 1) and q above 2, so that the variance of the spend exists."
            )


WORLD: tuple[CountryWorld, ...] = (
    CountryWorld("Germany", 0.22, 0.55, 6.0, 0.80, 3.0, 5.0, 4.0, 22.0, 0.06),
    CountryWorld("France", 0.18, 0.85, 12.0, 0.60, 4.0, 4.0, 3.5, 30.0, 0.03),
    CountryWorld("Spain", 0.14, 0.35, 5.0, 1.10, 2.5, 3.5, 4.5, 18.0, 0.04),
    CountryWorld("Italy", 0.12, 1.10, 14.0, 0.70, 2.2, 6.0, 3.8, 14.0, 0.02),
    CountryWorld("Poland", 0.11, 0.70, 8.0, 0.50, 2.0, 6.5, 5.0, 11.0, 0.05),
    CountryWorld("Netherlands", 0.09, 0.45, 4.0, 0.90, 4.5, 4.5, 3.2, 38.0, 0.08),
    CountryWorld("Sweden", 0.08, 1.20, 10.0, 1.20, 5.0, 3.0, 3.6, 26.0, 0.07),
    CountryWorld("Portugal", 0.06, 0.28, 7.0, 0.65, 3.4, 5.5, 4.2, 35.0, 0.01),
)


def truth(world: Sequence[CountryWorld] = WORLD) -> dict[str, dict[str, float]]:
    """Return the parameters of each country, shares scaled to one.

    >>> truth()["Germany"]["alpha"]
    6.0
    >>> round(sum(country["share"] for country in truth().values()), 12)
    1.0
    """
    total = sum(place.share for place in world)
    found: dict[str, dict[str, float]] = {}
    for place in world:
        numbers = asdict(place)
        found[numbers.pop("country")] = {**numbers, "share": place.share / total}
    return found


def transactions(
    first_id: int,
    n_customers: int,
    *,
    world: Sequence[CountryWorld] = WORLD,
    start: date,
    end: date,
    lines_per_purchase: float = 3.0,
    ids: Ids = "int",
    seed: int = 0,
    acquisition_share: float = 0.6,
) -> Iterator[pa.RecordBatch]:
    """Yield the lines of customers ``first_id`` to ``first_id + n_customers - 1``.

    ``first_id`` starts a block, so it is a multiple of ``BLOCK_CUSTOMERS``. First purchases fall
    uniformly on the first ``acquisition_share`` of the period, which includes both ``start`` and
    ``end``. ``lines_per_purchase`` is the mean number of sale lines of a purchase day, one or more.
    A batch holds about ``CHUNK_LINES`` lines and memory stays within a few batches.

    >>> batches = transactions(0, 100, start=date(2022, 1, 1), end=date(2023, 12, 31))
    >>> lines = pa.Table.from_batches(batches)
    >>> lines.column_names[:4]
    ['customer_id', 'transaction_id', 'line_id', 'event_time']
    """
    if first_id % BLOCK_CUSTOMERS or first_id < 0 or n_customers < 0:
        raise ConfigError(
            f"customers {first_id} to {first_id + n_customers - 1} do not start a block; "
            f"take a first_id that is a multiple of {BLOCK_CUSTOMERS} and a count of 0 or more."
        )
    if lines_per_purchase < 1:
        raise ConfigError(f"lines_per_purchase is {lines_per_purchase}; it is at least 1.")
    if ids not in ("int", "string") or seed < 0:
        raise ConfigError(
            f"ids is '{ids}', seed {seed}; ids are 'int' or 'string', seeds 0 or more."
        )
    _check(world, start, end, acquisition_share)
    for first in range(first_id, first_id + n_customers, BLOCK_CUSTOMERS):
        n = min(BLOCK_CUSTOMERS, first_id + n_customers - first)
        rng = _stream(seed, first // BLOCK_CUSTOMERS)
        purchases = _draw(rng, n, world, (end - start).days, acquisition_share)
        yield from _lines(rng, purchases, first, world, (start, end), lines_per_purchase, ids)


def lines_per_purchase_for(
    lines: int,
    customers: int,
    *,
    world: Sequence[CountryWorld] = WORLD,
    start: date,
    end: date,
    acquisition_share: float = 0.6,
) -> float:
    """Return the mean number of lines per purchase day that makes about ``lines`` lines in all.

    A pilot of fixed seed counts purchase days and refunds, which is exact enough for a target:
    the real total differs by about one percent for 100,000 customers.

    >>> period = {"start": date(2022, 1, 1), "end": date(2023, 12, 31)}
    >>> 4 < lines_per_purchase_for(20_000_000, 600_000, **period) < 12
    True
    """
    if lines < 1 or customers < 1:
        raise ConfigError(f"{lines} lines for {customers} customers; ask for at least one of each.")
    _check(world, start, end, acquisition_share)
    rates = np.array([place.refund_rate for place in world])
    per_customer = 0.0
    for block in range(PILOT_BLOCKS):
        rng = _stream(0, block)
        drawn = _draw(rng, BLOCK_CUSTOMERS, world, (end - start).days, acquisition_share)
        per_customer += float(np.sum(1.0 + rates[drawn.country[drawn.customer]]))
    per_customer /= PILOT_BLOCKS * BLOCK_CUSTOMERS
    mean = lines / (customers * per_customer)
    if mean < 1.0:
        raise ConfigError(
            f"{lines} lines are too few for {customers} customers, who buy on "
            f"{per_customer:.1f} days each and need a line a day; "
            f"ask for at least {int(customers * per_customer * 1.02) + 1} lines or fewer customers."
        )
    return mean


def blocks(customers: int) -> int:
    """Return the number of blocks that hold so many customers.

    >>> blocks(8192), blocks(8193)
    (1, 2)
    """
    return -(-customers // BLOCK_CUSTOMERS)


def lines_schema(ids: Ids) -> pa.Schema:
    """Return the columns of a batch of lines; ``event_time`` is local and has no time zone."""
    return pa.schema(
        {
            "customer_id": pa.string() if ids == "string" else pa.int64(),
            "transaction_id": pa.int64(),
            "line_id": pa.int64(),
            "event_time": pa.timestamp("us"),
            "amount": pa.float64(),
            "currency": pa.string(),
            "country": pa.string(),
            "product": pa.string(),
        }
    )


def string_ids(ids: Ints) -> pa.Array:
    """Return a text of 36 characters, in the form of a UUID, for each id; no two ids share one.

    >>> string_ids(np.array([7]))[0].as_py()
    '63cbe1e4-5932-0dd7-b8b4-c2977eabce45'
    """
    high = _mixed(ids.astype(np.uint64))
    low = _mixed(high)
    both = np.stack([high, low], axis=1).astype(">u8").view(np.uint8)
    digits = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
    hexes = np.stack([digits[both >> 4], digits[both & 15]], axis=2).reshape(len(ids), 32)
    text = np.full((len(ids), 36), ord("-"), dtype=np.uint8)
    text[:, [i for i in range(36) if i not in (8, 13, 18, 23)]] = hexes
    offsets = np.arange(len(ids) + 1, dtype=np.int32) * 36
    return pa.StringArray.from_buffers(len(ids), pa.py_buffer(offsets), pa.py_buffer(text))


def _mixed(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Scramble 64-bit numbers one to one (the finaliser of splitmix64)."""
    z = values + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _stream(seed: int, block: int) -> Rng:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, block])))


def _check(world: Sequence[CountryWorld], start: date, end: date, share: float) -> None:
    """Refuse arguments that describe no world."""
    if not world:
        raise ConfigError("the world has no country; name at least one.")
    if end <= start:
        raise ConfigError(f"the period ends on {end}, not after its start {start}; swap the dates.")
    if not 0 < share <= 1:
        raise ConfigError(f"acquisition_share is {share}; choose a number above 0, up to 1.")


@dataclass(frozen=True)
class _Purchases:
    """The purchase days of one block, ordered by day: which customer, which day, how many cents."""

    country: Ints  # per customer: index into the world
    customer: Ints  # per purchase day: index into the block
    day: Ints  # per purchase day: days after the start
    cents: Ints


def _draw(rng: Rng, n: int, world: Sequence[CountryWorld], days: int, share: float) -> _Purchases:
    """Draw ``n`` customers, who come in the first ``share`` of ``days``, and what they buy."""
    facts = {
        name: np.array([getattr(place, name) for place in world], dtype=np.float64)
        for name in ("share", "r", "alpha", "a", "b", "p", "q", "gamma")
    }
    country = rng.choice(len(world), size=n, p=facts["share"] / facts["share"].sum())
    own = {name: values[country] for name, values in facts.items()}
    first = rng.integers(0, max(1, round(days * share)), size=n)
    customer, day = _purchase_days(rng, own, first, days)
    order = np.argsort(day, kind="stable")
    customer, day = customer[order], day[order]
    nu = rng.gamma(own["q"]) / own["gamma"]
    money = rng.gamma(own["p"][customer]) / nu[customer]
    cents = np.maximum(1, np.rint(100.0 * money)).astype(np.int64)
    return _Purchases(country, customer, day, cents)


def _purchase_days(rng: Rng, own: dict[str, Floats], first: Ints, days: int) -> tuple[Ints, Ints]:
    """Return customer and day of every purchase, the first ones included.

    A customer may leave after each repeat purchase, never after the first one: so says the BG/NBD.
    """
    rate = np.maximum(rng.gamma(own["r"]) / own["alpha"], 1e-12) / 7.0
    leaves = rng.beta(own["a"], own["b"])
    customer, day, clock = np.arange(len(first)), first.astype(np.int64), first.astype(np.float64)
    customers, all_days = [customer], [day]
    while len(customer):
        clock = clock + rng.standard_exponential(len(customer)) / rate[customer]
        next_day = np.maximum(day + 1, np.rint(np.minimum(clock, days + 1)).astype(np.int64))
        buys = (clock <= days) & (next_day <= days)
        customers.append(customer[buys])
        all_days.append(next_day[buys])
        stays = buys & (rng.random(len(customer)) >= leaves[customer])
        customer, day, clock = customer[stays], next_day[stays], clock[stays]
    return np.concatenate(customers), np.concatenate(all_days)


def _lines(
    rng: Rng,
    purchases: _Purchases,
    first_id: int,
    world: Sequence[CountryWorld],
    period: tuple[date, date],
    lines_per_purchase: float,
    ids: Ids,
) -> Iterator[pa.RecordBatch]:
    """Yield the sale and refund lines of one block in batches, purchase days in order of time."""
    start, end = period
    wanted = 1 + rng.poisson(lines_per_purchase - 1.0, size=len(purchases.cents))
    counts = np.minimum(wanted, purchases.cents)
    ends = np.cumsum(counts)
    customer_ids = np.arange(first_id, first_id + len(purchases.country), dtype=np.int64)
    shown = string_ids(customer_ids) if ids == "string" else pa.array(customer_ids)
    names = pa.array([place.country for place in world])
    rates = np.array([place.refund_rate for place in world])
    next_id = first_id // BLOCK_CUSTOMERS * IDS_PER_BLOCK
    low = 0
    while low < len(counts):
        done = int(ends[low - 1]) if low else 0
        high = max(low + 1, int(np.searchsorted(ends, done + CHUNK_LINES, side="right")))
        part = slice(low, high)
        lines = _chunk(rng, purchases, part, counts[part], rates, (end - start).days)
        size = len(lines["cents"])
        time = ((start - date(1970, 1, 1)).days + lines["day"]) * DAY_MICROSECONDS
        columns: list[Any] = [
            shown.take(pa.array(lines["customer"])),
            pa.array(next_id + lines["order"]),
            pa.array(np.arange(next_id, next_id + size)),
            pa.array(time + lines["second"] * 1_000_000).cast(pa.timestamp("us")),
            pa.array(lines["cents"] / 100.0),
            pa.repeat(pa.scalar(CURRENCY), size),
            names.take(pa.array(purchases.country[lines["customer"]])),
            PRODUCTS.take(pa.array(lines["product"])),
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=lines_schema(ids))
        next_id += 2 * size  # an order needs at most two numbers a line
        low = high


def _chunk(
    rng: Rng, purchases: _Purchases, part: slice, counts: Ints, rates: Floats, days: int
) -> dict[str, Ints]:
    """Split some purchase days into lines and append the lines that come back."""
    purchase = np.repeat(np.arange(len(counts)), counts)
    position = np.arange(len(purchase)) - (np.cumsum(counts) - counts)[purchase]
    amounts = _split(rng, purchases.cents[part], counts)
    two = (rng.random(len(counts)) < SECOND_ORDER_SHARE) & (counts > 1)
    second_order = (two[purchase] & (position >= counts[purchase] // 2)).astype(np.int64)
    clock = rng.integers(OPENS, CLOSES, size=(len(counts), 2))
    skew = rng.random(len(purchase)) ** 3  # some products sell far more than others
    sale = {
        "customer": purchases.customer[part][purchase],
        "order": 2 * purchase + second_order,
        "day": purchases.day[part][purchase],
        "second": clock[purchase, second_order],
        "cents": amounts,
        "product": (len(PRODUCTS) * skew).astype(np.int64),
    }
    left = np.minimum(days - sale["day"], REFUND_DAYS)
    rate = rates[purchases.country[sale["customer"]]]
    back = np.flatnonzero((rng.random(len(purchase)) < rate) & (left > 0))
    n = len(back)
    share = np.where(rng.random(n) < FULL_REFUND_SHARE, 1.0, rng.random(n))
    refund = {
        "customer": sale["customer"][back],
        "order": 2 * len(counts) + np.arange(n),
        "day": sale["day"][back] + 1 + (rng.random(n) * left[back]).astype(np.int64),
        "second": rng.integers(OPENS, CLOSES, size=n),
        "cents": -np.maximum(1, np.floor(share * amounts[back])).astype(np.int64),
        "product": sale["product"][back],
    }
    return {name: np.concatenate([sale[name], refund[name]]) for name in sale}


def _split(rng: Rng, cents: Ints, counts: Ints) -> Ints:
    """Split each amount over its lines at random: whole cents, at least one each, sums exact.

    ``counts`` is at least one and at most ``cents``.

    >>> parts = _split(_stream(0, 0), np.array([1000, 3]), np.array([4, 3]))
    >>> int(parts[:4].sum()), parts[4:].tolist()
    (1000, [1, 1, 1])
    """
    ends = np.cumsum(counts)
    starts = ends - counts
    weight = np.cumsum(rng.standard_exponential(int(ends[-1])))
    before = np.where(starts > 0, weight[starts - 1], 0.0)
    share = (weight - np.repeat(before, counts)) / np.repeat(weight[ends - 1] - before, counts)
    cut = np.floor(share * np.repeat(cents - counts, counts)).astype(np.int64)
    parts: Ints = np.diff(cut, prepend=0)
    parts[starts] = cut[starts]
    parts += 1
    return parts
