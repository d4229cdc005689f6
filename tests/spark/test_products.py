"""Purchases by category against a few lines of plain Python, on many small worlds at once."""

from __future__ import annotations

import datetime as dt
import random
from collections import defaultdict
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession

from clv_spark.config import ProductsConfig, TransactionsSource
from clv_spark.lake import trusted_session
from clv_spark.transforms.conform import conform
from clv_spark.transforms.products import (
    customer_products,
    fold_products,
    pieces_of_customer_products,
    pieces_of_product_days,
    product_days,
    sum_products,
)

FIRST = dt.date(2011, 1, 20)
MIDDLE = FIRST + dt.timedelta(days=15)
LAST = FIRST + dt.timedelta(days=30)
COLUMNS = "customer STRING, day DATE, cents BIGINT, category STRING"
SOURCE = TransactionsSource.model_validate(
    {
        "path": "-",
        "columns": {
            "customer_id": "customer",
            "event_time": "day",
            "amount": "CAST(cents / 100 AS DOUBLE)",
            "category": "category",
        },
    }
)
NAMES = ("purchase_days", "first_day", "last_day", "gross_amount", "interval_days", "next_date")


class Line(NamedTuple):
    customer: str
    day: dt.date
    cents: int
    category: str | None


LINE = st.builds(
    Line,
    customer=st.sampled_from(["x", "y", "z"]),
    day=st.integers(0, 35).map(lambda days: FIRST + dt.timedelta(days=days)),
    cents=st.one_of(st.just(0), st.integers(-3000, 5000)),
    category=st.sampled_from(["toys", "books", " books", "O'Brien's", "", None]),
)


def worlds() -> list[list[Line]]:
    """Many small worlds; the same ones in every run."""
    found: list[list[Line]] = []

    @settings(max_examples=80, database=None, derandomize=True)
    @given(st.lists(LINE, min_size=8, max_size=40))
    def collect(lines: list[Line]) -> None:
        found.append(lines)

    collect()
    return found


def by_hand(
    lines: list[Line], segment_of: dict[str, str], config: ProductsConfig
) -> dict[tuple[str, str], tuple[Any, ...]]:
    """The rows of customer_products of some lines, by customer and category."""
    days: dict[tuple[str, str], dict[dt.date, int]] = defaultdict(lambda: defaultdict(int))
    for line in lines:
        if line.cents >= 0 and line.day <= LAST:
            category = (line.category or "").strip() or "(unknown)"
            days[line.customer, category][line.day] += line.cents
    spans: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for (customer, category), held in days.items():
        span = spans[segment_of[customer], category]
        span[0] += (max(held) - min(held)).days
        span[1] += len(held) - 1
    found = {}
    for (customer, category), held in days.items():
        all_days, number = spans[segment_of[customer], category]
        interval = None
        weight = config.mean_weight
        if len(held) >= config.min_purchase_days and number and len(held) - 1 + weight:
            own = (max(held) - min(held)).days
            interval = (own + weight * (all_days / number)) / (len(held) - 1 + weight)
        amount = Decimal(sum(held.values())) / 100
        due = None
        if interval is not None:
            # Half days up, as money is rounded.
            due = max(held) + dt.timedelta(days=int(interval + 0.5))
        found[customer, category] = (len(held), min(held), max(held), amount, interval, due)
    return found


@pytest.fixture(scope="module")
def many() -> list[Line]:
    """The customers of each world under names of its own."""
    return [
        line._replace(customer=f"{line.customer}{number}")
        for number, world in enumerate(worlds())
        for line in world
    ]


def days_of(spark: SparkSession, lines: list[Line], partitions: int = 2) -> DataFrame:
    frame = spark.createDataFrame(lines, COLUMNS).repartition(partitions)
    conformed = conform(frame, SOURCE, currency=None, segments=())
    return product_days(sum_products(conformed))


def segments(lines: list[Line]) -> dict[str, str]:
    """A few worlds share a segment."""
    return {line.customer: f"s{int(line.customer[1:]) % 20}" for line in lines}


def rows_of(folded: DataFrame, lines: list[Line], config: ProductsConfig) -> dict[Any, Any]:
    spark = folded.sparkSession
    where = spark.createDataFrame(
        sorted(segments(lines).items()), "customer_id STRING, segment STRING"
    )
    rows = customer_products(folded, where, LAST, config).collect()
    assert {row["as_of_date"] for row in rows} == {LAST}
    return {
        (row["customer_id"], row["category"]): tuple(row[name] for name in NAMES) for row in rows
    }


@pytest.mark.parametrize(
    "config",
    [
        ProductsConfig(),
        ProductsConfig(min_purchase_days=1, mean_weight=0.7),
        ProductsConfig(min_purchase_days=1, mean_weight=0),
    ],
)
def test_products_agree_with_plain_python(
    spark: SparkSession, many: list[Line], config: ProductsConfig
) -> None:
    with trusted_session(spark):
        folded = fold_products(pieces_of_product_days(days_of(spark, many), LAST))
        found = rows_of(folded, many, config)
    expected = by_hand(many, segments(many), config)
    assert len(expected) > 400
    assert found == expected
    assert any(row[-1] is None for row in found.values()) or config.min_purchase_days == 1
    assert sum(row[-1] is not None for row in found.values()) > 50


@pytest.mark.long
def test_order_and_split_change_no_bit(spark: SparkSession, many: list[Line]) -> None:
    mixed = list(many)
    random.Random(5).shuffle(mixed)
    config = ProductsConfig()
    with trusted_session(spark):
        days = days_of(spark, mixed, partitions=5)
        early = fold_products(pieces_of_product_days(days, MIDDLE))
        none = spark.createDataFrame([], "customer_id STRING, segment STRING")
        snapshot = customer_products(early, none, MIDDLE, config)
        pieces = pieces_of_customer_products(snapshot).unionByName(
            pieces_of_product_days(days, LAST, after=MIDDLE)
        )
        found = rows_of(fold_products(pieces), many, config)
        whole = fold_products(pieces_of_product_days(days_of(spark, many), LAST))
        assert found == rows_of(whole, many, config)


def test_few_purchases_are_drawn_to_the_segment_and_many_are_not(spark: SparkSession) -> None:
    """By hand: ten customers buy every 10 days; one came back after 40, another every 40."""
    day = dt.timedelta(days=1)
    lines = [Line(f"c{n}", FIRST + 10 * k * day, 100, "toys") for n in range(10) for k in range(2)]
    lines += [Line("c10", FIRST + 40 * k * day, 100, "toys") for k in range(2)]
    lines += [Line("c11", FIRST + 2 * k * day, 100, "toys") for k in range(16)]
    where = spark.createDataFrame(
        [(f"c{n}", "all") for n in range(12)], "customer_id STRING, segment STRING"
    )
    as_of = FIRST + 40 * day
    with trusted_session(spark):
        folded = fold_products(pieces_of_product_days(days_of(spark, lines), as_of))
        rows = customer_products(folded, where, as_of, ProductsConfig()).collect()
    mean = (10 * 10 + 40 + 30) / (10 + 1 + 15)
    found = {row["customer_id"]: row["interval_days"] for row in rows}
    assert found["c10"] == (40 + 2 * mean) / 3
    assert found["c11"] == (30 + 2 * mean) / 17
    due = {row["customer_id"]: row["next_date"] for row in rows}
    assert due["c10"] == FIRST + 40 * day + round(found["c10"]) * day
