"""Sums of doubles that do not depend on their order, against Python's decimals."""

from __future__ import annotations

from decimal import Decimal

import pytest
from pyspark.sql import functions as F

from clv_spark.transforms.money import exact_sum

pytestmark = pytest.mark.spark

AMOUNTS = {
    "mixed": [0.1, 0.2, -3.333333, 1e9 + 0.25, -7.125, 123456.789012],
    "negative": [-0.000001, -1e-7, -2.5, -8589.934592, -8589.934593],
    "with nothing": [None, 1.5, None],
    "nothing": [None, None],
    "large": [7.3e13, -1e15, 2.0**50, 3.0],
}


def test_sums_are_those_of_decimals_in_any_order(spark):
    rows = [(name, amount) for name, amounts in AMOUNTS.items() for amount in amounts]
    for ordered, parts in ((rows, 1), (rows[::-1], 7)):
        frame = spark.createDataFrame(ordered, "name STRING, amount DOUBLE").repartition(parts)
        total = exact_sum(F.col("amount")).alias("total")
        found = {row["name"]: row["total"] for row in frame.groupBy("name").agg(total).collect()}
        for name, amounts in AMOUNTS.items():
            some = [round(Decimal(amount), 6) for amount in amounts if amount is not None]
            assert found[name] == (sum(some) if some else None), name


def test_no_amount_is_too_large_and_none_makes_the_sum_overflow(spark):
    found = spark.range(5000).select(exact_sum(F.lit(1e30))).first()[0]
    assert abs(found / (5000 * Decimal(10) ** 21) - 1) < Decimal("1e-15")
