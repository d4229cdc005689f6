"""contracts -> contract_features: what is known of each life of a contract as of one date."""

from __future__ import annotations

import datetime as dt

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from clv_spark.config import PERIOD_MONTHS
from clv_spark.schemas import CONTRACT_FEATURES, Shape
from clv_spark.transforms.conform_contracts import CONTRACT
from clv_spark.transforms.money import cents, money

_LIFE = (*CONTRACT, "life")


def contract_features(
    rows: DataFrame, shape: Shape, as_of: dt.date, snapshot_window: int | None
) -> DataFrame:
    """Fold the rows of each life that has begun by a date.

    A renewal is due at the end of every whole period since the start of the life; a contract is
    lost at the first renewal that does not come, which is the end of the period it ends in. Each
    period is paid on its first day, at the amount of the row that holds then.

    Args:
        rows: rows of ``contracts``.
        shape: id type and segment keys of contracts.
        as_of: last day that counts.
        snapshot_window: periods within which lost contracts of a snapshot were lost; None for rows
            with dates.

    Returns:
        Rows of ``contract_features``. A life that begins later has none.
    """
    dated = rows if snapshot_window is None else dated_rows(rows, as_of)
    begun = dated.where(F.col("start_date") <= F.lit(as_of))
    lives = _fold(begun.withColumn("paid", _paid(as_of, snapshot_window)), shape)
    return _with_tenure(lives, as_of, snapshot_window).select(
        *CONTRACT_FEATURES.of(shape).column_names
    )


def months() -> Column:
    """Months of the column period."""
    lengths = [item for name, n in PERIOD_MONTHS.items() for item in (F.lit(name), F.lit(n))]
    return F.element_at(F.create_map(*lengths), F.col("period"))


def periods_until(start: Column, day: Column) -> Column:
    """Whole periods from a start up to and including a day; -1 before the start.

    The k-th renewal falls on the day of the month of the start, or on the last of a shorter month.
    """
    apart = (F.year(day) - F.year(start)) * 12 + F.month(day) - F.month(start)
    whole = F.floor(apart / months()).cast("int")
    too_many = F.add_months(start, whole * months()) > day
    return F.greatest(F.when(too_many, whole - 1).otherwise(whole), F.lit(-1))


def dated_rows(rows: DataFrame, as_of: dt.date) -> DataFrame:
    """A snapshot's tenures as the dates they would have if a period had just ended."""
    start = F.add_months(F.lit(as_of), -F.col("tenure") * months())
    return rows.withColumns(
        {
            "life_start_date": start,
            "start_date": start,
            "end_date": F.when(F.col("is_lost"), F.lit(as_of)),
        }
    )


def _paid(as_of: dt.date, snapshot_window: int | None) -> Column:
    """How many periods a row has paid, each on its first day."""
    if snapshot_window is not None:
        # Not by dates: months before the last of a month are not always so many periods apart.
        return F.col("tenure") + F.when(F.col("is_lost"), 0).otherwise(1)
    after = F.date_add(F.lit(as_of), 1)
    until = F.least(F.coalesce("end_date", after), after)
    life_start = F.col("life_start_date")
    return periods_until(life_start, F.date_sub(until, 1)) - periods_until(
        life_start, F.date_sub("start_date", 1)
    )


def _fold(begun: DataFrame, shape: Shape) -> DataFrame:
    """One row per life: its newest row, and the sums over all."""
    # Texts among the newest values make Spark sort: before the shuffle it would sort once more.
    paid_rows = begun.repartition(*CONTRACT)
    newest = ("end_date", "is_followed", "periodic_amount", "periodic_margin", *shape.segment_keys)
    folded = paid_rows.groupBy(*_LIFE, "period", "life_start_date").agg(
        F.max_by(F.struct(*newest), "position").alias("newest"),
        F.sum("paid").cast("int").alias("periods_paid"),
        F.sum(cents(F.col("periodic_amount")) * F.col("paid")).alias("amount"),
        F.sum(cents(F.col("periodic_margin")) * F.col("paid")).alias("margin"),
        F.max("tenure").alias("snapshot_tenure"),
    )
    return folded.select(
        *_LIFE,
        "period",
        F.col("life_start_date").alias("start_date"),
        "newest.*",
        "periods_paid",
        money(F.col("amount"), 28).alias("paid_amount"),
        money(F.col("margin"), 28).alias("paid_margin"),
        "snapshot_tenure",
    )


def _with_tenure(lives: DataFrame, as_of: dt.date, snapshot_window: int | None) -> DataFrame:
    today, start, end = F.lit(as_of), F.col("start_date"), F.col("end_date")
    is_active = F.coalesce(end > today, F.lit(True))
    is_lost = ~is_active & ~F.col("is_followed")
    # An end within a period or at its renewal is a loss at that renewal.
    begun = F.greatest(periods_until(start, F.date_sub(end, 1)) + 1, F.lit(1))
    last = F.when(is_active, today).otherwise(end)
    tenure = F.when(is_lost, begun).otherwise(periods_until(start, last))
    entry = F.lit(0)
    if snapshot_window is not None:
        tenure = F.col("snapshot_tenure")
        # The lost were lost within the window, on average in its middle.
        exposed = F.when(is_active, snapshot_window).otherwise((snapshot_window + 2) // 2)
        entry = F.greatest(tenure - exposed, F.lit(0))
    survived = F.when(is_lost, tenure - 1).otherwise(tenure)
    return lives.withColumns(
        {
            "as_of_date": today,
            "entry_tenure": entry.cast("int"),
            "tenure": tenure.cast("int"),
            "is_active": is_active,
            "is_lost": is_lost,
            "last_renewal_date": F.add_months(start, survived * months()),
            "next_renewal_date": F.when(is_active, F.add_months(start, (tenure + 1) * months())),
            "end_date": F.when(~is_active, end),
        }
    )


def counts_of_lives(lives: DataFrame) -> DataFrame:
    """Contracts, those that run, and lost lives, in one row."""
    return lives.agg(
        F.count(F.when(F.col("life") == F.lit(1), 1)).alias("contracts"),
        F.count(F.when(F.col("is_active"), 1)).alias("active"),
        F.count(F.when(F.col("is_lost"), 1)).alias("lost"),
    )
