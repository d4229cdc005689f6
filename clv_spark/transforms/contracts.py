"""Conformed rows of contracts -> rows of table contracts: the stretches of each life, in order."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from clv_spark.schemas import CONTRACTS, Shape
from clv_spark.transforms.conform_contracts import CONTRACT
from clv_spark.transforms.money import money


def contract_rows(lines: DataFrame, shape: Shape) -> DataFrame:
    """Number the lives of each contract, and say how each row begins.

    A row that begins where the one before ends, or a day later (for sources whose end is the last
    day), goes on: its amount is an upgrade or downgrade. With another period it begins a new life,
    since renewals fall on other days, but nothing was lost. A row that begins later still is a
    reactivation after a pause: the contract was lost, and begins a new life.

    Args:
        lines: conformed rows; those with a reason are left out.
        shape: id type and segment keys of contracts.

    Returns:
        Rows of ``contracts``.
    """
    used = lines.where(F.col("reason").isNull())
    rows = Window.partitionBy(*CONTRACT).orderBy("start_date", "end_date")
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
    ordered = used.select(
        "*",
        position.alias("position"),
        begins.alias("begins"),
        is_followed.alias("is_followed"),
        # Without the day between: a row holds until the next one begins.
        F.when(is_followed, later).otherwise(F.col("end_date")).alias("until"),
    )
    numbered = ordered.withColumn(
        "life", F.sum((F.col("begins") != "continued").cast("int")).over(rows).cast("int")
    )
    # By the same window: a life of its own would be sorted once more.
    first = F.when(F.col("begins") != "continued", F.col("start_date"))
    life_start = F.last(first, ignorenulls=True).over(rows)
    return numbered.select(
        "customer_id",
        "contract_id",
        "position",
        "life",
        *shape.segment_keys,
        life_start.alias("life_start_date"),
        "start_date",
        F.col("until").alias("end_date"),
        "begins",
        "is_followed",
        "period",
        money(F.col("amount_cents"), 18).alias("periodic_amount"),
        money(F.col("margin_cents"), 18).alias("periodic_margin"),
        "tenure",
        "is_lost",
    ).select(*CONTRACTS.of(shape).column_names)


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
