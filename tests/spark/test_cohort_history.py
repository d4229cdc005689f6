"""Cells of cohorts: what customers did is taken from one cohort and added to another, exactly."""

from __future__ import annotations

import datetime as dt
import random
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from clv_spark.transforms.cohort_history import (
    add_up,
    cells_of_rows,
    cohort_cells,
    cohorts_that_differ,
    members,
    rows_of_cells,
    who_moved,
)

FIRST, SINCE, AS_OF = dt.date(2024, 1, 1), dt.date(2024, 3, 1), dt.date(2024, 4, 20)
CUSTOMERS = 40


@pytest.fixture(scope="module")
def days(spark: SparkSession) -> DataFrame:
    """Customer-days of four months, some of them with refunds alone or with a recorded margin."""
    draw = random.Random(3)
    rows = []
    for customer in range(CUSTOMERS):
        for number in draw.sample(range(120), draw.randrange(1, 9)):
            date = FIRST + dt.timedelta(days=number)
            sold = draw.random() < 0.8
            money = Decimal(draw.randrange(1, 9999)) / 100
            margin = Decimal(draw.randrange(-99, 99)) / 100 if draw.random() < 0.5 else None
            rows.append(
                (
                    customer,
                    date.replace(day=1),
                    date,
                    int(sold),
                    money * sold,
                    money * (not sold),
                    margin,
                )
            )
    kind = "DECIMAL(18,2)"
    return spark.createDataFrame(
        rows,
        "customer_id BIGINT, event_month DATE, event_date DATE, transactions BIGINT, "
        f"gross_amount {kind}, refund_amount {kind}, margin_amount {kind}",
    )


def features(spark: SparkSession, moved: frozenset[int]) -> DataFrame:
    """Who is where: some have another country, another first month, or are gone."""
    rows = []
    for customer in range(CUSTOMERS):
        country, first = f"c{customer % 3}", FIRST + dt.timedelta(days=customer)
        if customer in moved:
            match customer % 3:
                case 0:
                    continue
                case 1:
                    country = "elsewhere"
                case 2:
                    first += dt.timedelta(days=45)
        rows.append((customer, country, first))
    return spark.createDataFrame(
        rows, "customer_id BIGINT, country STRING, first_purchase_date DATE"
    )


def told(cells: DataFrame) -> list[tuple[Any, ...]]:
    return sorted(map(tuple, rows_of_cells(cells).collect()))


def test_cells_of_earlier_months_go_over_into_those_of_now(
    spark: SparkSession, days: DataFrame
) -> None:
    moved = frozenset({3, 4, 5, 7, 12, 20})
    before, now = (members(features(spark, who), ("country",)) for who in (frozenset[int](), moved))
    differing = cohorts_that_differ(before, now)
    ids = who_moved(before, now, differing)
    assert {row[0] for row in ids.collect()} == moved
    assert cohorts_that_differ(before, before).isEmpty()

    early = days.where(F.col("event_month") < F.lit(SINCE))
    late = days.where(F.col("event_month") >= F.lit(SINCE))
    theirs = early.join(ids, "customer_id", "left_semi")
    kept = cells_of_rows(rows_of_cells(cohort_cells(early, before, AS_OF)))
    added = [kept, cohort_cells(late, now, AS_OF), cohort_cells(theirs, now, AS_OF)]
    found = told(add_up(added, taken=cohort_cells(theirs, before, AS_OF)))
    expected = told(cohort_cells(days, now, AS_OF))
    assert found == expected
    # Some cells have a margin, some have none, and some days come after the date.
    assert {row[-1] is None for row in expected} == {True, False}
    assert found != told(cohort_cells(days, now, dt.date(2024, 12, 31)))
