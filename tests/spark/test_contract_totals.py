"""What is known of a customer's contracts together, against plain Python on days."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from clv_spark.kernels.begun_contracts import contract_prices, contracts_of_a_customer
from clv_spark.kernels.several_contracts import BEHIND_VALUE
from clv_spark.transforms.contract_scores import (
    _ITEM,
    _OF_NEWEST,
    customer_rows,
    customer_totals,
    lone_contracts,
    with_customer,
)
from clv_spark.transforms.contract_sums import new_contract_sums

LIVES = (
    "customer_id INT, contract_id STRING, life INT, age_days INT, days_since_end INT, "
    "is_active BOOLEAN, renewals INT, periods_paid INT, lives INT"
)
NUMBERS = ("start_days", "days_since_renewal", "paid_amount", "early_days_ahead")


def scored(spark: SparkSession, rows: list[tuple[Any, ...]]) -> DataFrame:
    """Scored contracts of which nothing else matters here."""
    given = spark.createDataFrame(rows, LIVES)
    texts = {name: F.lit("ok") for name in _OF_NEWEST} | {"period": F.lit("month")}
    zeros = {name: F.lit(0.0) for name in (*_ITEM, *BEHIND_VALUE, *NUMBERS)}
    more = {name: value for name, value in (texts | zeros).items() if name not in given.columns}
    return given.withColumns(more)


@pytest.fixture(scope="module")
def customers() -> dict[int, list[tuple[int, int, int]]]:
    """Begin and end of each contract in days before today, and its payments, by customer."""
    draw = random.Random(5)
    lives = {}
    for customer in range(60):
        spans = []
        for _ in range(draw.choice((1, 2, 2, 3, 5))):
            age = draw.randrange(0, 900)
            spans.append((age, draw.choice((0, draw.randrange(0, age + 1))), draw.randrange(0, 9)))
        lives[customer] = spans
    # At the edges of a year: began on the day, ended on the day, ended the day after.
    lives |= {60: [(365, 0, 1)], 61: [(800, 365, 1)], 62: [(800, 364, 1)], 63: [(364, 0, 1)]}
    # One after the other, one within the other, twice the same.
    lives |= {64: [(90, 60, 2), (60, 0, 3)], 65: [(90, 0, 4), (60, 30, 1)], 66: [(9, 0, 1)] * 2}
    return lives


def test_days_under_contract_count_once_and_every_payment(
    spark: SparkSession, customers: dict[int, list[tuple[int, int, int]]]
) -> None:
    rows = [
        (customer, f"c{place}", 1, age, end, end == 0, paid, paid, len(spans))
        for customer, spans in customers.items()
        for place, (age, end, paid) in enumerate(spans)
    ]
    random.Random(1).shuffle(rows)
    lives = scored(spark, rows)
    names = ("customer_id", "served_days", "periods_paid", "ran_a_year_ago")
    parts = [part.select(*names) for part in (lone_contracts(lives), customer_totals(lives))]
    found = {row[0]: tuple(row)[1:] for row in parts[0].unionByName(parts[1]).collect()}
    expected = {
        customer: (
            len({day for age, end, _ in spans for day in range(end, age)}),
            sum(paid for *_, paid in spans),
            any(age >= 365 > end for age, end, _ in spans),
        )
        for customer, spans in customers.items()
    }
    assert found == expected
    assert {ran for *_, ran in expected.values()} == {True, False}


def begun_sums(spark: SparkSession, lives: list[tuple[Any, ...]]) -> list[dict[str, Any]]:
    """What new customers of the last year began with, half of which is margin."""
    names = (
        "customer_id INT, contract_id STRING, life INT, age_days INT, start_days INT, "
        "is_active BOOLEAN, segment STRING, period STRING, amount DOUBLE"
    )
    given = spark.createDataFrame(lives, names).withColumn("margin_rate", F.lit(0.5))
    summed = new_contract_sums(with_customer(given), recent_days=365, begin_days=30)
    return [row.asDict() for row in summed.collect()]


def test_what_new_customers_begin_with(spark: SparkSession) -> None:
    """Who came lately, with all they began with, lost since or not; not what others begin now."""
    plans = {
        "m": ("mobile", "month", 20.0),
        "y": ("mobile", "year", 200.0),
        "f": ("fixed", "month", 30.0),
    }
    lives = [
        # customer, contract, life, age_days, start_days, is_active, plan
        *((n, f"{n}", 1, 100 + n, 900 - n, n % 2 == 0, "m") for n in range(10)),  # half are lost
        *((n, f"{n}", 1, 50, 950, True, "y") for n in range(10, 14)),
        (10, "10 b", 1, 40, 960, True, "m"),  # ten days after the first
        (11, "11 b", 1, 9, 991, True, "m"),  # more than thirty after it
        (12, "12", 2, 20, 980, True, "m"),  # the yearly one goes on by the month
        (14, "14", 1, 2000, -1000, True, "y"),  # of long, adds one
        (14, "14 b", 1, 10, 990, True, "m"),
        (15, "15", 1, 900, 100, True, "f"),  # nobody is new there
        (15, "15 b", 1, 800, 200, True, "f"),
        (16, "16", 1, 900, 100, False, "f"),
    ]
    rows = [(*life[:-1], *plans[life[-1]]) for life in lives]
    random.Random(2).shuffle(rows)
    summed = begun_sums(spark, rows)
    begun = contracts_of_a_customer(summed)
    assert begun["mobile"] == {
        ("mobile", "month"): pytest.approx(11 / 14),
        ("mobile", "year"): pytest.approx(4 / 14),
    }
    assert begun["fixed"] == {("fixed", "month"): 2.0}
    prices = contract_prices(summed)
    assert prices == {
        ("mobile", "month"): (20.0, 0.5),
        ("mobile", "year"): (200.0, 0.5),
        ("fixed", "month"): (30.0, 0.5),
    }


def test_a_customer_is_at_home_where_the_newest_contract_that_runs_is(spark: SparkSession) -> None:
    lives = [
        (1, "a", 1, 300, 700, True, "mobile", "month", 20.0),
        (1, "b", 1, 295, 705, True, "fixed", "month", 30.0),
        (1, "c", 1, 290, 710, False, "mobile", "year", 200.0),
    ]
    summed = begun_sums(spark, lives)
    everything = {("mobile", "month"): 1.0, ("fixed", "month"): 1.0, ("mobile", "year"): 1.0}
    assert contracts_of_a_customer(summed) == {"fixed": everything}


def test_a_new_contract_of_an_old_customer_makes_no_new_customer(spark: SparkSession) -> None:
    rows = [
        # Customer, contract, age, days since the end; the newest that runs says how it was scored.
        (1, "old", 3000, 0),
        (1, "young", 5, 0),
        (2, "left", 3000, 900),
        (2, "young", 5, 0),
        (3, "young", 5, 0),
        (4, "young", 5, 0),
        (4, "younger", 3, 0),
        (5, "young", 29, 0),
        (6, "older", 30, 0),
        (7, "old", 3000, 0),
        (7, "like its parent", 5, 0),
        (8, "left", 3000, 900),
    ]
    lives = Counter(customer for customer, *_ in rows)
    given = [(who, name, 1, age, end, end == 0, 0, 0, lives[who]) for who, name, age, end in rows]
    status = (
        F.when(~F.col("is_active"), "lost")
        .when(F.col("contract_id") == "like its parent", "parent_model")
        .when(F.col("age_days") < 30, "new")
        .otherwise("ok")
    )
    found = scored(spark, given).withColumns(
        {"score_status": status, "start_days": -F.col("age_days"), "amount": F.lit(0.0)}
    )
    totals = lone_contracts(found).unionByName(customer_totals(found).drop("items"))
    statuses = {
        row["customer_id"]: row["score_status"] for row in customer_rows(totals, 30).collect()
    }
    assert statuses == {
        **{1: "ok", 2: "ok", 3: "new", 4: "new"},
        **{5: "new", 6: "ok", 7: "parent_model", 8: "lost"},
    }


def test_the_rhythm_of_a_contract_is_its_period(spark: SparkSession) -> None:
    rows = [
        # Of several the newest that runs, else the newest.
        (1, "year", 3000, 0),
        (2, "month", 400, 0),
        (2, "quarter", 90, 0),
        (2, "year", 30, 10),
        (3, "month", 400, 300),
        (3, "year", 200, 100),
    ]
    lives = Counter(customer for customer, *_ in rows)
    given = [(who, name, 1, age, end, end == 0, 0, 0, lives[who]) for who, name, age, end in rows]
    found = scored(spark, given).withColumns(
        {"period": F.col("contract_id"), "start_days": -F.col("age_days"), "amount": F.lit(0.0)}
    )
    totals = lone_contracts(found).unionByName(customer_totals(found).drop("items"))
    days = {row["customer_id"]: row["rhythm_days"] for row in customer_rows(totals, 30).collect()}
    assert days == {1: 365.0, 2: 91.25, 3: 365.0}
