"""customer_features and cohort_history -> acquisition cohorts by month of age."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from clv_spark.transforms.cohort_history import members
from clv_spark.transforms.money import cents, money, summand
from clv_spark.transforms.segments import GLOBAL

_CELL = ("segment", "cohort_month", "age_months")
_SEEN = ("active_customers", "purchase_days", "revenue", "margin")
_EXPECTED = {
    "expected": "expected_cumulative_revenue",
    "expected_margin": "expected_cumulative_margin",
}
_SUMS = ("customers", *_SEEN, *_EXPECTED)


def cohort_sizes(features: DataFrame, keys: tuple[str, ...]) -> DataFrame:
    """The cohorts of each leaf segment.

    Returns:
        segment, cohort_month, customers, and late: the sum of their days from the first of the
        month to the first purchase.
    """
    late = F.datediff(F.col("first_purchase_date"), F.col("cohort_month"))
    return (
        members(features, keys)
        .groupBy("segment", "cohort_month")
        .agg(F.count(F.lit(1)).alias("customers"), F.sum(late).alias("late"))
    )


def cohort_months(
    history: DataFrame, *, margin_rates: Mapping[str, float], keeps_refunds: bool
) -> DataFrame:
    """What each cohort of each leaf segment did at each age with a line.

    Args:
        history: A slice of ``cohort_history``.
        margin_rates: By leaf segment, for months without a recorded margin.
        keeps_refunds: Whether refunds are left out.

    Returns:
        segment, cohort_month, age_months, active_customers, purchase_days, and revenue and margin
        in cents.
    """
    net = cents(F.col("gross_amount"))
    if not keeps_refunds:
        net = net - cents(F.col("refund_amount"))
    age = F.greatest(_months("month") - _months("cohort_month"), F.lit(0))
    rates = F.from_json(F.lit(json.dumps(dict(margin_rates))), "map<string,double>")
    cells = history.groupBy(*_CELL[:2], age.alias(_CELL[2])).agg(
        *(F.sum(name).alias(name) for name in ("active_customers", "purchase_days")),
        F.sum(net).alias("revenue"),
        F.sum(cents(F.col("margin_amount"))).alias("margin"),
    )
    estimated = F.round(F.col("revenue") * F.element_at(rates, F.col("segment"))).cast("bigint")
    return cells.withColumn("margin", F.coalesce("margin", estimated))


def cohort_summary(
    sizes: DataFrame, months: DataFrame, expected: DataFrame, as_of: dt.date
) -> DataFrame:
    """Every cohort at every age, also in months without a line; leaf segments and 'global'.

    Args:
        sizes: See ``cohort_sizes``.
        months: See ``cohort_months``.
        expected: segment, cohort_month, age_months and the expected cumulative revenue and margin.
        as_of: Last day that counts.

    Returns:
        The columns of ``cohort_summary`` but for relationship and as_of_date.
    """
    ages = F.sequence(F.lit(0), _months_of(F.lit(as_of)) - _months("cohort_month"))
    grid = sizes.select("segment", "cohort_month", "customers", F.explode(ages).alias(_CELL[2]))
    whole = grid.join(months, list(_CELL), "left").join(expected, list(_CELL), "left")
    # Sums of decimals do not depend on their order.
    leaves = whole.select(
        *_CELL,
        "customers",
        *(F.coalesce(name, F.lit(0)).alias(name) for name in _SEEN),
        *(summand(F.col(name)).alias(name) for name in _EXPECTED),
    )
    rows = leaves.where(F.col("segment") != GLOBAL).unionByName(
        leaves.groupBy(F.lit(GLOBAL).alias("segment"), *_CELL[1:]).agg(
            *(F.sum(name).alias(name) for name in _SUMS)
        )
    )
    so_far = Window.partitionBy("segment", "cohort_month").orderBy("age_months")
    return rows.select(
        *_CELL,
        "customers",
        "active_customers",
        "purchase_days",
        *(money(F.col(name), 28).alias(name) for name in ("revenue", "margin")),
        *(
            money(F.sum(name).over(so_far), 28).alias(f"cumulative_{name}")
            for name in ("revenue", "margin")
        ),
        *(F.col(name).cast("double").alias(told) for name, told in _EXPECTED.items()),
    )


def _months(name: str) -> Column:
    return _months_of(F.col(name))


def _months_of(day: Column) -> Column:
    return F.year(day) * 12 + F.month(day)
