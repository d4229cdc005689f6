"""Conformed rows of contracts -> rows of table contracts: the stretches of each life, in order."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from clv_spark.schemas import CONTRACTS, Shape
from clv_spark.transforms.conform_contracts import APART, CONTRACT
from clv_spark.transforms.money import money


def with_lives(lines: DataFrame) -> DataFrame:
    """Number the lives of each contract, and say how each row begins.

    A row that begins where the one before ends, or a day later (for sources whose end is the last
    day), goes on: its amount is an upgrade or downgrade. With another period it begins a new life,
    since renewals fall on other days, but nothing was lost. A row that begins later still is a
    reactivation after a pause: the contract was lost, and begins a new life.

    Args:
        lines: conformed rows; what is said of those with a reason means nothing.
    """
    # Where they were looked through for overlaps they are together already, refused rows apart.
    # Of two rows that begin on one day the first ends on it, and the open one is the newest.
    until = F.col("end_date").asc_nulls_last()
    rows = Window.partitionBy(*CONTRACT, APART, "reason").orderBy("start_date", until)
    earlier, later = F.lag("end_date").over(rows), F.lead("start_date").over(rows)
    goes_on = F.col("start_date") <= F.date_add(earlier, 1)
    same_period = F.col("period") == F.lag("period").over(rows)
    position = F.row_number().over(rows)
    begins = (
        F.when(position == 1, "new")
        .when(~goes_on, "reactivated")
        .when(~same_period, "changed")
        .otherwise("continued")
    )
    is_followed = F.coalesce(later <= F.date_add("end_date", 1), F.lit(False))
    ordered = lines.select(
        "*",
        position.alias("position"),
        begins.alias("begins"),
        is_followed.alias("is_followed"),
        # Without the day between: a row holds until the next one begins.
        F.when(is_followed, later).otherwise(F.col("end_date")).alias("until"),
    )
    # By the same window: a life of its own would be sorted once more.
    first = F.when(F.col("begins") != "continued", F.col("start_date"))
    return ordered.withColumns(
        {
            "life": F.sum((F.col("begins") != "continued").cast("int")).over(rows).cast("int"),
            "life_start_date": F.last(first, ignorenulls=True).over(rows),
        }
    )


def contract_rows(lived: DataFrame, shape: Shape) -> DataFrame:
    """Rows of ``contracts``.

    Args:
        lived: what :func:`with_lives` gives; rows with a reason are left out.
        shape: id type and segment keys of contracts.
    """
    return (
        lived.where(F.col("reason").isNull())
        .withColumns(
            {
                "end_date": F.col("until"),
                "periodic_amount": money(F.col("amount_cents"), 18),
                "periodic_margin": money(F.col("margin_cents"), 18),
            }
        )
        .select(*CONTRACTS.of(shape).column_names)
    )


def rejected_contracts(lines: DataFrame) -> DataFrame:
    """The refused rows, each with its reason and its content as JSON."""
    return lines.where(F.col("reason").isNotNull()).select(
        "reason",
        F.col("start_date"),
        money(F.col("amount_cents"), 18).alias("amount"),
        "line",
    )


def totals_of_contracts(rows: DataFrame) -> DataFrame:
    """What went into table contracts, in one row, to hold against what was read."""
    return rows.agg(
        F.count(F.lit(1)).alias("line_count"),
        (F.sum("periodic_amount") * 100).cast("decimal(38,0)").alias("cents"),
    )
