"""What it cost to win a customer: by segment, or by segment key and month of the first purchase."""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Iterable
from typing import Any

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from clv_spark.config import AcquisitionSpend
from clv_spark.transforms.conform_costs import day_of
from clv_spark.transforms.mapping import (
    OURS,
    cents_of,
    map_expressions,
    segment_value,
    widen_integers,
)
from clv_spark.transforms.segments import GLOBAL

# The day that a row of spend is dated by; a segment key may be called day.
_DAY = f"{OURS}day"
# From so many days in a month on, on average, a table is taken to hold spend by day.
_DAYS_OF_A_MONTH = 2


def conform_spend(source: DataFrame, config: AcquisitionSpend) -> DataFrame:
    """Money spent on winning customers, by month and segment key.

    Returns:
        month (its first day), the keys, amount_cents and the day; NULL where a row does not say.

    Raises:
        InputError: a mapped expression has a type that can't carry its meaning.
    """
    mapped = source.transform(widen_integers).transform(map_expressions, config, config.columns)
    day = day_of(mapped, config, "month")
    return mapped.select(
        F.trunc(day, "MM").alias("month"),
        *(segment_value(key).alias(key) for key in config.keys),
        cents_of(mapped, config, "amount").alias("amount_cents"),
        day.alias(_DAY),
    )


def unusable_spend() -> Column:
    """Whether a row of :func:`conform_spend` lacks its month or an amount of at least 0."""
    cents = F.col("amount_cents")
    return F.col("month").isNull() | cents.isNull() | (cents < 0)


def is_dated(keys: tuple[str, ...]) -> Column:
    """Whether rows of :func:`conform_spend` tell days and not only months; an aggregate."""
    months, days = (F.countDistinct(name, *keys) for name in ("month", _DAY))
    return days >= _DAYS_OF_A_MONTH * months


def spend_until(spend: DataFrame, as_of: dt.date, *, dated: bool) -> DataFrame:
    """What was spent up to a day.

    Of a month that is not over only some of its customers have come: they would bear all of it,
    and cost the more the earlier one looks.

    Args:
        spend: what :func:`conform_spend` gives.
        as_of: the last day that counts.
        dated: whether rows are of days. Else each is of a month, spent evenly over its days.
    """
    if dated:
        return spend.where(F.col(_DAY) <= F.lit(as_of))
    start = as_of.replace(day=1)
    length = calendar.monthrange(as_of.year, as_of.month)[1]
    part = F.round(F.col("amount_cents") * as_of.day / length).cast("bigint")
    cents = F.when(F.col("month") == F.lit(start), part).otherwise(F.col("amount_cents"))
    return spend.where(F.col("month") <= F.lit(start)).withColumn("amount_cents", cents)


def spend_and_customers(spend: DataFrame, scored: DataFrame, keys: tuple[str, ...]) -> DataFrame:
    """What was spent in each month, and how many customers were new in it: a handful of rows.

    Args:
        spend: what :func:`spend_until` gives, every row usable.
        scored: scored customers, with the columns ``month`` and the keys.
        keys: the segment keys that the spend is split by.

    Returns:
        month, the keys, cents (NULL where nothing was spent) and customers (NULL where nobody was
        new).
    """
    names = ["month", *keys]
    spent = spend.groupBy(*names).agg(F.sum("amount_cents").alias("cents"))
    new = scored.groupBy(*names).agg(F.count(F.lit(1)).alias("customers"))
    return spent.join(new, names, "full").select(*names, "cents", "customers")


def since_first_customer(rows: Iterable[Row]) -> tuple[list[Row], int]:
    """Leaves out what was spent before anybody is known to have come.

    Data begin on some day, and who was won before is not in them; charged with a past of spend,
    the first who are would cost many times what they did.

    Args:
        rows: what :func:`spend_and_customers` gives.

    Returns:
        The other rows, and how many months of spend, those of each value of the keys counted
        apart, were left out.

    Example:
        >>> months = [("2023-12", 100, None), ("2024-01", 100, 2), ("2024-02", 150, None)]
        >>> kept, early = since_first_customer(
        ...     [Row(month=m, cents=c, customers=n) for m, c, n in months])
        >>> [row.month for row in kept], early
        (['2024-01', '2024-02'], 1)
    """
    given = list(rows)
    first = min((row["month"] for row in given if row["customers"]), default=None)
    kept = [row for row in given if first is None or row["month"] >= first]
    return kept, len(given) - len(kept)


def spend_per_customer(
    rows: Iterable[Row], keys: tuple[str, ...]
) -> tuple[list[tuple[Any, ...]], int]:
    """Spend divided by new customers; that of months without any counts in the next with some.

    Dropped, it would make customers look the cheaper the fewer are won. In a month with spend on
    some value of the keys, nothing was spent on those it does not name; of a month without any
    nothing is known.

    Args:
        rows: what :func:`spend_and_customers` gives.
        keys: as there.

    Returns:
        month, the keys and acquisition_cost, in money; and how many months of spend, those of each
        value of the keys counted apart, come after the last new customer of that value, or are of
        one that has won nobody.

    Example:
        >>> months = [("2024-01", 100, None), ("2024-02", 150, 2), ("2024-03", 100, None)]
        >>> spend_per_customer([Row(month=m, cents=c, customers=n) for m, c, n in months], ())
        ([('2024-02', 1.25)], 1)
    """
    rows = sorted(rows, key=lambda row: row["month"])
    known = {row["month"] for row in rows if row["cents"] is not None}
    found: list[tuple[Any, ...]] = []
    waiting: dict[tuple[str, ...], list[int]] = {}
    for row in rows:
        place = tuple(row[key] for key in keys)
        spent = waiting.setdefault(place, [])
        if row["cents"] is not None:
            spent.append(row["cents"])
        in_table = row["month"] in known and None not in place
        if row["customers"] and (spent or in_table):
            found.append((row["month"], *place, sum(spent) / 100 / row["customers"]))
            spent.clear()
    return found, sum(map(len, waiting.values()))


def acquisition_month() -> Column:
    """The month of a scored customer's first purchase or first contract."""
    return F.trunc(F.date_sub("as_of_date", F.col("T")), "MM")


def key_of_segment(keys: tuple[str, ...], key: str) -> Column:
    """The value of one segment key, from the name that ``segment_name`` gives a customer."""
    if len(keys) == 1:
        return F.when(F.col("segment") == f"{key}={GLOBAL}", GLOBAL).otherwise(F.col("segment"))
    part = F.element_at(F.split("segment", "/"), keys.index(key) + 1)
    return F.replace(F.replace(part, F.lit("%2F"), F.lit("/")), F.lit("%25"), F.lit("%"))
