"""A log of service events that begins long after the first customers came, up to values."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from clv_spark.config import Config, ServiceEvents
from clv_spark.lake import Commit
from clv_spark.pipelines.run_context import Run
from clv_spark.pipelines.value_customers import Valued, value_customers
from clv_spark.schemas import CUSTOMER_COSTS, Shape
from clv_spark.transforms.conform_costs import conform_events
from clv_spark.transforms.customer_costs import customer_costs, customer_starts

pytestmark = pytest.mark.slow

AS_OF = dt.date(2024, 6, 30)
EVERY = 73
COLUMNS = {"customer_id": "who", "event_date": "day", "kind": "kind"}
KINDS = {
    "call": {"unit_cost": 1, "grows_with": "time"},
    "delivery": {"unit_cost": 3, "grows_with": "purchases"},
}


def customers() -> list[dict[str, Any]]:
    """Of five years, who buy every 73 days up to today, or did for the first half of their time."""
    rows = []
    for who in range(120):
        age, stays = 15 * (who + 1), who % 4 > 0
        frequency = (age if stays else age // 2) // EVERY
        rows.append(
            {"customer_id": who, "T": age, "frequency": frequency, "recency": frequency * EVERY}
            | {"p_alive": float(stays)}
        )
    return rows


def log(since: int) -> Iterator[tuple[int, dt.date, str]]:
    """Ten calls a year while somebody is there, and a delivery with each purchase."""
    for row in customers():
        who, age, last = row["customer_id"], row["T"], row["recency"]
        until = age if row["p_alive"] else last
        ages = [(round(36.5 * n) + who % 36, "call") for n in range(51)]
        ages += [(EVERY * n, "delivery") for n in range(row["frequency"] + 1)]
        for when, kind in ages:
            if when <= until and age - when <= since:
                yield who, AS_OF - dt.timedelta(days=age - when), kind


def valued(spark: SparkSession, folder: Path, days: int, **events: Any) -> Valued:
    """The customers with their value, by a log of so many days."""
    config = Config.model_validate(
        {
            "lake": {"path": str(folder / "lake")},
            "source": {
                "transactions": {
                    "path": "lines",
                    "columns": {"customer_id": "a", "event_time": "b", "amount": "c"},
                }
            },
            "fit": {"min_customers": 10},
            "costs": {
                "service": {
                    "per_purchase": 2.0,
                    "per_year": 5.0,
                    "events": {"path": "events", "columns": COLUMNS, **events},
                    "kinds": KINDS,
                }
            },
        }
    )
    run, service = Run(spark, config, "score-customers", AS_OF), config.costs.service
    assert isinstance(service.events, ServiceEvents)
    source = spark.createDataFrame(list(log(days)), "who BIGINT, day DATE, kind STRING")
    lines = conform_events(source, service.events, service)
    people = customers()
    firsts = [(row["customer_id"], AS_OF - dt.timedelta(days=row["T"])) for row in people]
    bought = spark.createDataFrame(firsts, "customer_id BIGINT, first_purchase_date DATE")
    costs = customer_costs(lines, None, customer_starts(bought, None), service, AS_OF)
    spec = CUSTOMER_COSTS.of(Shape("BIGINT"))
    run.lake.ensure(spec)
    run.lake.replace(spec, costs, Commit("a", AS_OF.isoformat(), "b", "c", "d", "e"), AS_OF)
    scored = spark.createDataFrame(
        [tuple(row.values()) for row in people],
        "customer_id BIGINT, T INT, frequency INT, recency INT, p_alive DOUBLE",
    ).selectExpr(
        "*",
        "'purchases' AS relationship",
        "'uk' AS segment",
        "CAST(NULL AS INT) AS served_days",
        "CAST(NULL AS INT) AS periods_paid",
        "CAST(NULL AS DOUBLE) AS early_days_ahead",
        *(f"p_alive * {n} / {EVERY} AS expected_purchases_{n}d" for n in (30, 90, 365)),
        f"p_alive * 365 / {EVERY} AS purchases_ahead",
        "p_alive * 365 AS days_ahead",
        *(f"100D AS {name}" for name in ("clv", "clv_low", "clv_high", "clv_margin")),
        "100D AS residual_clv",
        "100D AS historical_revenue",
        "100D AS historical_margin",
    )
    with ExitStack() as kept:
        return value_customers(run, scored, None, {}, kept)


@pytest.mark.parametrize("days", [365, 10_000])
def test_rates_are_those_of_the_time_that_the_log_tells_of(
    spark: SparkSession, tmp_path: Path, days: int
) -> None:
    found = valued(spark, tmp_path, days)
    rates = found.events["purchases", "uk"]
    assert rates["per_later_day"] * 365 == pytest.approx(10, rel=0.03)
    assert rates["per_early_day"] * 365 == pytest.approx(10, rel=0.15)
    assert rates["per_purchase"] == pytest.approx(3, rel=0.05)
    for row in found.rows.where("T > 365").collect():
        if row["p_alive"]:
            # Five purchases and ten calls, and what is configured beside them.
            assert row["clv_service_cost"] == pytest.approx(5 * (3 + 2) + 10 + 5, rel=0.06)
        logged = [kind for who, _, kind in log(days) if who == row["customer_id"]]
        counted = 3 * logged.count("delivery") + logged.count("call")
        there = row["T"] if row["p_alive"] else row["recency"]
        configured = 2 * (row["frequency"] + 1) + 5 * there / 365
        assert row["historical_service_cost"] == pytest.approx(counted + configured)


def test_a_log_may_be_said_to_begin_before_its_first_event_or_after(
    spark: SparkSession, tmp_path: Path
) -> None:
    begins = {days: str(AS_OF - dt.timedelta(days=days)) for days in (10_000, 365, 200)}
    rates = {
        days: valued(spark, tmp_path / str(days), 365, since=day).events["purchases", "uk"]
        for days, day in begins.items()
    }
    for days in (365, 200):
        # With half a year of events rejected the rest makes the same rates.
        assert rates[days]["per_later_day"] * 365 == pytest.approx(10, rel=0.05)
        assert rates[days]["per_purchase"] == pytest.approx(3, rel=0.08)
    # All the time of customers of five years, of which one year had a call.
    assert rates[10_000]["per_later_day"] * 365 < 5
