"""customer_days and customer_features against a few lines of plain Python, on many small worlds.

All examples go through one Spark run, the customers of each under a name of its own.
"""

from __future__ import annotations

import datetime as dt
import random
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from clv_spark.config import Config
from clv_spark.lake import trusted_session
from clv_spark.pipelines.fold_customers import segment_codes
from clv_spark.schemas import Shape
from clv_spark.transforms.conform import conform
from clv_spark.transforms.features import customer_features, fold, pieces_of_days
from clv_spark.transforms.segments import Codes, decode, encode
from tests.conforming import days_of_conformed

FIRST = dt.date(2011, 1, 20)
MIDDLE = FIRST + dt.timedelta(days=15)
LAST = FIRST + dt.timedelta(days=30)
SHAPE = Shape("STRING", ("country",))
COLUMNS = "customer STRING, day DATE, cents BIGINT, margin BIGINT, orders STRING, place STRING"
MAPPING = {
    "customer_id": "customer",
    "event_time": "day",
    "amount": "CAST(cents / 100 AS DOUBLE)",
    "margin": "CAST(margin AS DECIMAL(18,2)) / 100",
    "transaction_id": "orders",
    "country": "place",
}


class Line(NamedTuple):
    customer: str
    day: dt.date
    cents: int
    margin: int
    order: str | None
    place: str | None


LINE = st.builds(
    Line,
    customer=st.sampled_from(["x", "y"]),
    day=st.integers(0, 30).map(lambda days: FIRST + dt.timedelta(days=days)),
    cents=st.one_of(st.just(0), st.integers(-3000, 5000), st.integers(-10_000_000, 10_000_000)),
    margin=st.integers(-500, 500),
    order=st.sampled_from(["o1", "o2", "o3", None]),
    place=st.sampled_from(["Peru", "Chile", "O'Brien", None]),
)


def random_worlds(number: int) -> list[list[Line]]:
    worlds: list[list[Line]] = []

    @settings(max_examples=number, derandomize=True, database=None, deadline=None)
    @given(st.lists(LINE, min_size=1, max_size=14))
    def keep(world: list[Line]) -> None:
        worlds.append(world)

    keep()
    return worlds


# Cases that chance may leave out: two orders on a day, two countries on a day and a refund only.
BY_HAND = [
    [
        Line("x", FIRST, 1000, 10, "o1", "Peru"),
        Line("x", FIRST, 500, 5, "o1", "Peru"),
        Line("x", FIRST, 250, 0, "o2", "Chile"),
        Line("x", MIDDLE, 700, 7, "o3", "Peru"),
        Line("x", MIDDLE, -700, -7, "o3", "Peru"),
        Line("x", LAST, 300, 3, "o4", "Chile"),
        Line("y", MIDDLE, -100, 0, "o5", None),
    ],
    [Line("x", FIRST, 0, 0, "o1", None), Line("y", LAST, 0, 0, None, "Peru")],
    # The refund's country comes on a day without a sale: it does not move the customer.
    [Line("x", FIRST, 100, 0, "o1", "Peru"), Line("x", MIDDLE, -100, 0, "o1", "Chile")],
]


@pytest.fixture(scope="module")
def lines() -> list[Line]:
    worlds = BY_HAND + random_worlds(150)
    return [
        line._replace(customer=f"{number}-{line.customer}")
        for number, world in enumerate(worlds)
        for line in world
    ]


def plain_days(lines: list[Line]) -> dict[tuple[str, dt.date], dict[str, Any]]:
    groups: dict[tuple[str, dt.date], list[Line]] = defaultdict(list)
    for line in lines:
        groups[line.customer, line.day].append(line)
    return {
        key: {
            "country": min(line.place or "(unknown)" for line in group),
            "transactions": len({line.order for line in group if line.cents >= 0}),
            "line_count": len(group),
            "gross_amount": money(sum(line.cents for line in group if line.cents >= 0)),
            "refund_amount": money(-sum(line.cents for line in group if line.cents < 0)),
            "margin_amount": money(sum(line.margin for line in group)),
        }
        for key, group in groups.items()
    }


def money(cents: int) -> Decimal:
    return Decimal(cents).scaleb(-2)


def plain_features(
    days: dict[tuple[str, dt.date], dict[str, Any]], as_of: dt.date, assignment: str
) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for customer in {customer for customer, _ in days}:
        seen = {day: row for (who, day), row in days.items() if who == customer and day <= as_of}
        bought = sorted(day for day, row in seen.items() if row["transactions"] > 0)
        if not bought:
            continue
        first, last, frequency = bought[0], bought[-1], len(bought) - 1
        repeat = sum((seen[day]["gross_amount"] for day in bought[1:]), Decimal(0))
        found[customer] = {
            "as_of_date": as_of,
            "country": seen[last if assignment == "latest" else first]["country"],
            "first_purchase_date": first,
            "last_purchase_date": last,
            "frequency": frequency,
            "recency": (last - first).days,
            "T": (as_of - first).days,
            "days_since_last_purchase": (as_of - last).days,
            "first_day_amount": seen[first]["gross_amount"],
            "repeat_amount": repeat,
            "monetary_value": float(repeat) / frequency if frequency else None,
            "transactions": sum(row["transactions"] for row in seen.values()),
            "gross_amount": sum(row["gross_amount"] for row in seen.values()),
            "refund_amount": sum(row["refund_amount"] for row in seen.values()),
            "margin_amount": sum(row["margin_amount"] for row in seen.values()),
        }
    return found


def config(assignment: str = "latest") -> Config:
    return Config.model_validate(
        {
            "segments": ["country"],
            "segment_assignment": {"country": assignment},
            "source": {"transactions": {"path": "-", "columns": MAPPING}},
        }
    )


def days_of(source: DataFrame, *, by_transaction: bool = True) -> DataFrame:
    settings_ = config()
    with trusted_session(source.sparkSession):
        conformed = conform(
            source,
            settings_.source.transactions,
            currency=None,
            segments=settings_.segments,
        )
        return days_of_conformed(conformed, by_transaction=by_transaction).localCheckpoint()


def as_plain(days: DataFrame) -> dict[tuple[str, dt.date], dict[str, Any]]:
    rows = [row.asDict() for row in days.collect()]
    found = {(row.pop("customer_id"), row.pop("event_date")): row for row in rows}
    assert len(found) == len(rows), "a customer and day in two rows"
    for (_, day), row in found.items():
        assert row.pop("event_month") == day.replace(day=1)
    return found


@pytest.fixture(scope="module")
def days(spark: SparkSession, lines: list[Line]) -> DataFrame:
    return days_of(spark.createDataFrame(lines, COLUMNS))


def test_customer_days_are_what_plain_python_says(days: DataFrame, lines: list[Line]) -> None:
    assert as_plain(days) == plain_days(lines)


@pytest.mark.parametrize("how", ["shuffled in five partitions", "split over files"])
def test_customer_days_are_the_same_for_any_order_and_split(
    spark: SparkSession, days: DataFrame, lines: list[Line], tmp_path: Path, how: str
) -> None:
    mixed = random.Random(7).sample(lines, len(lines))
    source = spark.createDataFrame(mixed, COLUMNS)
    if how == "shuffled in five partitions":
        source = source.repartition(5)
    else:
        source.repartition(7, F.rand(3)).write.parquet(str(tmp_path / "lines"))
        source = spark.read.parquet(str(tmp_path / "lines"))
    assert as_plain(days_of(source)) == as_plain(days)


def test_without_transaction_ids_every_sale_line_is_a_transaction(
    spark: SparkSession, lines: list[Line]
) -> None:
    source = spark.createDataFrame(lines[:200], COLUMNS)
    expected: dict[tuple[str, dt.date], int] = defaultdict(int)
    for line in lines[:200]:
        expected[line.customer, line.day] += line.cents >= 0
    found = as_plain(days_of(source, by_transaction=False))
    assert {key: row["transactions"] for key, row in found.items()} == expected


@pytest.mark.parametrize("assignment", ["latest", "first"])
@pytest.mark.parametrize("as_of", [MIDDLE, LAST, LAST + dt.timedelta(days=400)])
def test_features_are_what_plain_python_says(
    days: DataFrame, lines: list[Line], as_of: dt.date, assignment: str
) -> None:
    pieces = pieces_of_days(days, ("country",), as_of)
    folded = fold(pieces, segment_codes(pieces, ("country",)), config(assignment))
    rows = [row.asDict() for row in customer_features(folded, SHAPE, as_of).collect()]
    found = {row.pop("customer_id"): row for row in rows}
    assert len(found) == len(rows)
    assert found == plain_features(plain_days(lines), as_of, assignment)


def test_a_key_that_spend_is_split_by_has_its_first_value(
    days: DataFrame, lines: list[Line]
) -> None:
    """What won a customer stays so when the customer buys elsewhere."""
    spend = {"path": "-", "columns": {"month": "m", "amount": "a", "country": "c"}}
    values = config().model_dump(by_alias=True, exclude={"segment_assignment"})
    values["costs"]["acquisition"]["spend"] = spend
    pieces = pieces_of_days(days, ("country",), LAST)
    folded = fold(pieces, segment_codes(pieces, ("country",)), Config.model_validate(values))
    found = {row["customer_id"]: row["country"] for row in folded.collect()}
    expected = plain_features(plain_days(lines), LAST, "first")
    assert {who: found[who] for who in expected} == {
        who: row["country"] for who, row in expected.items()
    }


def test_the_worlds_hold_what_they_are_for(lines: list[Line]) -> None:
    """Both sides could agree on nothing: the hard cases must be among the examples."""
    by_day = plain_days(lines)
    latest = plain_features(by_day, LAST, "latest")
    first = plain_features(by_day, LAST, "first")
    assert any(row["transactions"] > 1 for row in by_day.values())
    assert any(row["transactions"] == 0 for row in by_day.values())
    assert any(latest[who]["country"] != first[who]["country"] for who in latest)
    assert any(row["days_since_last_purchase"] == 0 for row in latest.values())
    assert any(row["frequency"] >= 3 for row in latest.values())
    assert len({who for who, _ in by_day}) > len(latest), "nobody without a purchase"
    assert plain_features(by_day, MIDDLE, "latest").keys() < latest.keys()


def test_an_amount_beyond_doubles_is_summed_exactly(spark: SparkSession) -> None:
    rows = [Line("x", FIRST, 90_000_000_000_000_001, 0, "o1", None)] * 3
    source = spark.createDataFrame(rows, COLUMNS)
    settings_ = config().source.transactions
    exact = settings_.model_copy(
        update={"columns": {**MAPPING, "amount": "CAST(cents AS DECIMAL(20,2)) / 100"}}
    )
    with trusted_session(spark):
        conformed = conform(source, exact, currency=None, segments=("country",))
        row = days_of_conformed(conformed).first()
    assert row["gross_amount"] == Decimal("2700000000000000.03")


@pytest.mark.parametrize("most_branches", [0, 50])
def test_texts_become_numbers_in_the_order_of_their_values(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, most_branches: int
) -> None:
    monkeypatch.setattr("clv_spark.transforms.segments._MOST_BRANCHES", most_branches)
    texts = ["Peru", " Peru\t", "O'Brien", 'a "b" \\ c', "", None]
    codes = Codes.of_texts(texts)
    rows = spark.createDataFrame([(text,) for text in [*texts, "unheard of"]], "text STRING")
    coded = encode(rows.withColumn("same", F.col("text")), "text", codes, "code")
    found = {
        row["same"]: row["name"]
        for row in coded.select("same", decode("code", codes).alias("name")).collect()
    }
    assert found == {
        "Peru": "Peru",
        " Peru\t": "Peru",
        "O'Brien": "O'Brien",
        'a "b" \\ c': 'a "b" \\ c',
        "": "(unknown)",
        None: "(unknown)",
        "unheard of": None,
    }
