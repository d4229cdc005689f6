"""Rows of sources of costs: what each means, why one is refused, and what customers come to."""

from __future__ import annotations

import datetime as dt
import random
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, Row, SparkSession

from clv_spark.config import AcquisitionCosts, AcquisitionSpend, Config, ServiceConfig
from clv_spark.errors import InputError
from clv_spark.pipelines.acquisition import open_spend, with_acquisition_cost
from clv_spark.pipelines.run_context import Run
from clv_spark.transforms.acquisition import (
    conform_spend,
    spend_and_customers,
    spend_per_customer,
)
from clv_spark.transforms.conform_costs import conform_acquisition, conform_events, rejected_costs
from clv_spark.transforms.customer_costs import customer_costs, customer_starts

AS_OF = dt.date(2024, 6, 30)
KINDS = {"call": {"unit_cost": 1.01, "grows_with": "time"}, "O'Brien's van": {}}
EVENTS: list[tuple[Any, ...]] = [
    # id, day, kind, amount, and the reason or the cents
    ("a", "2024-01-02", "call", None, 101),
    ("a", "2024-01-02 23:59:00", " call ", "2.345", 235),
    ("a", "1969-12-31", "call", " ", 101),
    ("b", "2024-07-01", "call", None, 101),
    ("b", "2024-06-30", "O'Brien's van", "0", 0),
    ("b", "2024-06-30", "O'Brien's van", None, "no_amount"),
    ("b", "2024-06-30", "O'Brien's van", "-1", "no_amount"),
    ("b", "2024-06-30", "call", "NaN", "no_amount"),
    ("b", "2024-06-30", "call", "much", "no_amount"),
    ("b", "2024-06-29", "call", None, 101),
    (" ", "2024-06-30", "call", None, "missing_customer_id"),
    (None, None, None, None, "missing_customer_id"),
    ("b", "30.06.2024", "call", None, "invalid_date"),
    ("b", "2024-06-30", None, "1", "missing_kind"),
    ("b", "2024-06-30", "Call", "1", "unknown_kind"),
    ("test", "2024-06-30", "call", None, "not a customer"),
]
COLUMNS = {"customer_id": "id", "event_date": "day", "kind": "kind", "amount": "amount"}


def service(**changes: Any) -> ServiceConfig:
    events = {"path": "x", "columns": COLUMNS, "reject": {"not a customer": "id = 'test'"}}
    return ServiceConfig.model_validate({"events": events, "kinds": KINDS, **changes})


def frame(spark: SparkSession, rows: list[tuple[Any, ...]], names: str) -> DataFrame:
    return spark.createDataFrame(rows, ", ".join(f"{name} STRING" for name in names.split()))


@pytest.fixture(scope="module")
def events(spark: SparkSession) -> DataFrame:
    config = service()
    assert config.events is not None
    source = frame(spark, [row[:4] for row in EVENTS], "id day kind amount")
    return conform_events(source, config.events, config)


def test_every_event_has_an_amount_or_a_reason(events: DataFrame) -> None:
    found = Counter[Any](
        row["amount_cents"] if row["reason"] is None else row["reason"] for row in events.collect()
    )
    assert found == Counter(row[4] for row in EVENTS)
    config = service().events
    assert config is not None
    refused = rejected_costs(events, config).collect()
    assert len(refused) == sum(isinstance(row[4], str) for row in EVENTS)
    assert {row["source"] for row in refused} == {"costs.service.events"}
    assert all(row["line"].startswith('{"id":') for row in refused)


def test_events_before_the_table_is_whole_are_refused(spark: SparkSession) -> None:
    given = service().model_dump(mode="json", by_alias=True, exclude_unset=True)
    given["events"]["since"] = "2024-06-30"
    config = ServiceConfig.model_validate(given)
    assert config.events is not None
    source = frame(spark, [row[:4] for row in EVENTS], "id day kind amount")
    found = conform_events(source, config.events, config).collect()
    for row, (_, day, _, _, wanted) in zip(found, EVENTS, strict=True):
        early = row["event_date"] is not None and day < "2024-06-30"
        told = row["amount_cents"] if row["reason"] is None else row["reason"]
        assert told == ("before_since" if early else wanted)
    assert Counter(row["reason"] for row in found)["before_since"] == 4


def test_what_customers_cost(spark: SparkSession, events: DataFrame) -> None:
    won = frame(
        spark,
        [("a", "30"), ("a", "4.5"), ("c", "0"), (None, "1"), ("b", "much"), ("b", "-2")],
        "id amount",
    )
    section = AcquisitionCosts.model_validate(
        {"path": "x", "columns": {"customer_id": "id", "amount": "amount"}}
    )
    acquisition = conform_acquisition(won, section)
    reasons = Counter(row["reason"] for row in acquisition.collect())
    assert reasons == {None: 3, "missing_customer_id": 1, "no_amount": 2}
    first = "customer_id STRING, first_purchase_date DATE"
    bought = spark.createDataFrame([("a", dt.date(2023, 1, 1)), ("b", AS_OF)], first)
    start = "customer_id STRING, start_date DATE"
    held = spark.createDataFrame([("b", dt.date(2024, 6, 1)), ("b", dt.date(2024, 2, 1))], start)
    starts = customer_starts(bought, held)
    both = customer_costs(events, acquisition, starts, service(early_days=90), AS_OF)
    found = {row["customer_id"]: row for row in both.collect()}
    assert {name: row["relationship"] for name, row in found.items()} == {
        "a": "purchases",
        "b": "contract",
        "c": "none",
    }
    parts = ("service_of_early_time", "service_of_later_time", "acquisition_cost")
    money = {name: tuple(row[part] for part in parts) for name, row in found.items()}
    # What was served before the first purchase is early; b's contract began 150 days ago.
    assert money == {
        "a": (Decimal("1.01"), Decimal("3.36"), Decimal("34.50")),
        "b": (0, Decimal("1.01"), None),
        "c": (0, 0, Decimal("0.00")),
    }
    # What comes after the date, or was refused, was not the first.
    assert {name: row["first_event_date"] for name, row in found.items()} == {
        "a": dt.date(1969, 12, 31),
        "b": dt.date(2024, 6, 29),
        "c": None,
    }
    assert found["a"]["cost_by_kind"] == {"call": Decimal("4.37")}
    assert found["c"]["cost_by_kind"] is None
    alone = customer_costs(None, acquisition, starts, service(), AS_OF).collect()
    assert {row["customer_id"]: row["acquisition_cost"] for row in alone} == {
        "a": Decimal("34.50"),
        "c": Decimal("0.00"),
    }
    assert {(row["service_events"], row["first_event_date"]) for row in alone} == {(0, None)}


def test_a_column_that_is_not_there_is_named(spark: SparkSession) -> None:
    config = service()
    assert config.events is not None
    source = frame(spark, [("a", "2024-01-02", "call")], "id day what")
    with pytest.raises(InputError, match=r"costs\.service\.events\.columns\.kind.*columns id, day"):
        conform_events(source, config.events, config)


def test_spend_has_a_month_and_keys_of_any_name(spark: SparkSession) -> None:
    columns = {"month": "m", "amount": "a", "country": "c"}
    config = AcquisitionSpend.model_validate({"path": "x", "columns": columns})
    rows = [("2024-02-29", "1.5", " O'Brien "), ("1968-05-06", "2", None), ("soon", "x", "y")]
    found = conform_spend(frame(spark, rows, "m a c"), config).collect()
    assert [tuple(row)[:3] for row in found] == [
        (dt.date(2024, 2, 1), "O'Brien", 150),
        (dt.date(1968, 5, 1), "(unknown)", 200),
        (None, "y", None),
    ]


def test_spend_of_months_without_new_customers_counts_in_the_next_with_some(
    spark: SparkSession,
) -> None:
    random.seed(3)
    months = [dt.date(2022 + n // 12, n % 12 + 1, 1) for n in range(24)]
    won = [(random.choice(months[2:20]), random.choice("aab")) for _ in range(14)]
    # Some months have two rows of spend and some none; nobody is ever won by c.
    spent = [(m, key, random.randrange(50_000)) for m in 2 * months for key in "abc"]
    spent = random.sample(spent, 90)
    spend = spark.createDataFrame(spent, "month DATE, channel STRING, amount_cents BIGINT")
    scored = spark.createDataFrame([*won, (months[5], None)], "month DATE, channel STRING")
    rows = spend_and_customers(spend, scored, ("channel",)).collect()
    found, ahead = spend_per_customer(rows, ("channel",))
    costs = {(month, key): cost for month, key, cost in found}
    assert len(costs) == len(found) > 8
    assert costs.keys() <= set(won)
    for key in "ab":
        for last in {month for month, other in won if other == key}:
            paid = sum(costs.get(one, 0.0) for one in won if one[1] == key and one[0] <= last)
            so_far = sum(cents for m, other, cents in spent if other == key and m <= last)
            assert paid == pytest.approx(so_far / 100)
    latest = {key: max(month for month, other in won if other == key) for key in "ab"}
    never = {(m, key) for m, key, _ in spent if m > latest.get(key, dt.date.min)}
    assert ahead == len(never)


def test_a_channel_without_spend_in_a_known_month_cost_nothing() -> None:
    new = [("2024-01", "ads", 900, 3), ("2024-01", "organic", None, 5), ("2024-02", "ads", None, 2)]
    rows = [Row(month=m, channel=key, cents=cents, customers=n) for m, key, cents, n in new]
    costs, ahead = spend_per_customer(rows, ("channel",))
    # Of February nothing is known, so its customers have no cost.
    assert costs == [("2024-01", "ads", 3.0), ("2024-01", "organic", 0.0)]
    assert ahead == 0


def test_a_key_may_be_called_like_a_column_of_the_scores(
    spark: SparkSession, tmp_path: Path
) -> None:
    (tmp_path / "spend.csv").write_text("month,amount,model\n2024-01-01,30,uk\n", encoding="utf-8")
    spend = {"path": str(tmp_path / "spend.csv"), "format": "csv"}
    columns = {"month": "month", "amount": "amount", "model": "model"}
    config = Config.model_validate(
        {
            "segments": ["model"],
            "costs": {"acquisition": {"spend": {**spend, "columns": columns}}},
        }
    )
    scored = spark.createDataFrame(
        [(1, "purchases", "uk", "bg_nbd", AS_OF, (AS_OF - dt.date(2024, 1, 5)).days)],
        "customer_id INT, relationship STRING, segment STRING, model STRING, as_of_date DATE, "
        "T INT",
    )
    run = Run(spark, config, "run", AS_OF)
    (row,) = with_acquisition_cost(run, scored, open_spend(run), {}).collect()
    assert (row["model"], row["acquisition_cost"]) == ("bg_nbd", 30.0)


def test_what_customers_cost_who_are_won_now_and_then(spark: SparkSession) -> None:
    spent = [(dt.date(2023, month, 1), 100_00) for month in range(1, 13)]
    spend = spark.createDataFrame(spent, "month DATE, amount_cents BIGINT")
    won = [(dt.date(2022, 12, 1),), *((dt.date(2023, month, 1),) for month in (4, 8, 11, 11))]
    rows = spend_and_customers(spend, spark.createDataFrame(won, "month DATE"), ()).collect()
    found, ahead = spend_per_customer(rows, ())
    # Whoever came before any spend has none, and December's is for those to come.
    assert [(month.month, cost) for month, cost in found] == [(4, 400.0), (8, 400.0), (11, 150.0)]
    assert ahead == 1
