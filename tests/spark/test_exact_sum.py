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
    for ordered, parts, squares in ((rows, 1, False), (rows[::-1], 7, False), (rows, 3, True)):
        frame = spark.createDataFrame(ordered, "name STRING, amount DOUBLE").repartition(parts)
        total = exact_sum(F.col("amount"), squares=squares).alias("total")
        found = {row["name"]: row["total"] for row in frame.groupBy("name").agg(total).collect()}
        for name, amounts in AMOUNTS.items():
            some = [round(Decimal(amount), 6) for amount in amounts if amount is not None]
            assert found[name] == (sum(some) if some else None), name


@pytest.mark.parametrize(("squares", "largest"), [(False, 10**18), (True, 10**21)])
@pytest.mark.parametrize("sign", [1, -1])
def test_no_amount_is_too_large_and_none_makes_the_sum_overflow(spark, squares, largest, sign):
    found = spark.range(5000).select(exact_sum(F.lit(sign * 1e30), squares=squares)).first()[0]
    assert abs(found / (5000 * sign * Decimal(largest)) - 1) < Decimal("1e-15")
