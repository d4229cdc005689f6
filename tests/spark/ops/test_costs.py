"""Cost to serve and to win customers: what is read, what it does to values, that it adds up."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from clv_spark import pipelines
from clv_spark.config import Config
from tests.operations import AS_OF, Finished, copied, read_table, runs, sections

EARLY = 60
KINDS = {
    "call": {"unit_cost": 4.5, "grows_with": "time"},
    "delivery": {"grows_with": "purchases"},
}
COLUMNS = {"customer_id": "who", "event_date": "day", "kind": "kind", "amount": "cost"}
SPEND = {"2023-01": 500.0, "2023-02": 80.0, "2021-01": 7.0}


def first_purchases(lake: Path) -> dict[int, dt.date]:
    rows = read_table(lake / "customer_features").to_pylist()
    return {row["customer_id"]: row["first_purchase_date"] for row in rows}


def events(first: dict[int, dt.date]) -> list[dict[str, Any]]:
    """Deliveries and calls of every third customer, some of them of no use."""
    rows: list[dict[str, Any]] = []
    for number, (customer, day) in enumerate(sorted(first.items())):
        if number % 3 == 0:
            for after in range(0, 200 + number % 50, 45):
                when = day + dt.timedelta(days=after)
                rows.append({"who": customer, "day": when, "kind": "call", "cost": None})
            rows.append({"who": customer, "day": day, "kind": "delivery", "cost": 2.25})
    good = {"who": 1, "day": dt.date(2023, 1, 1), "kind": "call", "cost": None}
    bad = ({"who": None}, {"day": None}, {"kind": " "}, {"kind": "fax"}, {"kind": "delivery"})
    return rows + [good | wrong for wrong in bad] + [good | {"who": 10**9}]


@pytest.fixture(scope="module")
def costed(
    spark: SparkSession, finished: Finished, tmp_path_factory: pytest.TempPathFactory
) -> Finished:
    """The finished run, once more with costs, as net value."""
    folder = tmp_path_factory.mktemp("costs")
    source = folder / "events.parquet"
    pq.write_table(pa.Table.from_pylist(events(first_purchases(finished.lake))), source)
    lake = copied(finished.lake, folder / "lake")
    pipelines.run(spark, configured(finished, lake, source), AS_OF)
    return Finished(source, lake)


def configured(finished: Finished, lake: Path, events: Path, **more: Any) -> Config:
    spend = events.parent / "spend.csv"
    spend.write_text("month,money\n" + "".join(f"{m}-15,{v}\n" for m, v in SPEND.items()))
    values = sections(
        finished.source,
        value={"definition": "net"},
        costs={
            "service": {
                "early_days": EARLY,
                "per_purchase": {"default": 1.0, "Germany": 0.25},
                "per_year": 12.0,
                "per_year_early": 40.0,
                "events": {"path": str(events), "columns": COLUMNS},
                "kinds": KINDS,
            },
            "acquisition": {
                "spend": {
                    "format": "csv",
                    "path": str(spend),
                    "columns": {"month": "month", "amount": "money"},
                }
            },
        },
        **more,
    )
    return Config.model_validate({"lake": {"path": str(lake)}, **values})


def scores(lake: Path) -> list[dict[str, Any]]:
    return list(read_table(lake / "clv_scores_latest").to_pylist())


def test_events_are_summed_per_customer_and_phase_and_refused_with_a_reason(
    costed: Finished, finished: Finished
) -> None:
    first = first_purchases(finished.lake)
    wanted: dict[int, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for event in events(first)[:-6]:
        if event["day"] <= AS_OF:
            late = (event["day"] - first[event["who"]]).days >= EARLY
            column = "purchases" if event["kind"] == "delivery" else ("later" if late else "early")
            wanted[event["who"]][column] += 2.25 if event["kind"] == "delivery" else 4.5
    rows = read_table(costed.lake / "customer_costs").to_pylist()
    found = {row["customer_id"]: row for row in rows}
    stranger = found.pop(10**9)
    assert (stranger["relationship"], stranger["service_events"]) == ("none", 1)
    assert found.keys() == wanted.keys()
    for customer, row in found.items():
        assert row["relationship"] == "purchases"
        assert float(row["service_of_purchases"]) == wanted[customer]["purchases"]
        assert float(row["service_of_early_time"]) == wanted[customer]["early"]
        assert float(row["service_of_later_time"]) == wanted[customer]["later"]
        by_kind = {kind: float(cost) for kind, cost in row["cost_by_kind"]}
        time = wanted[customer]["early"] + wanted[customer]["later"]
        assert by_kind == {"call": time, "delivery": wanted[customer]["purchases"]}
    refused = read_table(costed.lake / "rejected_costs").to_pylist()
    assert Counter(row["reason"] for row in refused) == {
        "missing_customer_id": 1,
        "invalid_date": 1,
        "missing_kind": 1,
        "unknown_kind": 1,
        "no_amount": 1,
    }
    (run,) = (row for row in runs(costed.lake) if row["stage"] == "customer_costs")
    assert run["rows_read"] == run["rows_used"] + 5


def test_values_are_net_of_the_cost_to_serve_and_their_parts_add_up(costed: Finished) -> None:
    losses = 0
    for row in scores(costed.lake):
        assert row["value_definition"] == "net"
        assert row["clv"] == pytest.approx(row["clv_margin"] - row["clv_service_cost"], abs=1e-9)
        history = row["historical_margin"] - row["historical_service_cost"]
        assert row["historical_clv"] == pytest.approx(history, abs=1e-9)
        assert row["total_clv"] == pytest.approx(row["historical_clv"] + row["clv"], abs=1e-9)
        assert row["clv_margin"] == pytest.approx(0.3 * row["clv_revenue"], rel=1e-12)
        assert row["clv_low"] <= row["clv_high"]
        assert row["loss_making"] == (row["clv"] < -1e-4)
        losses += row["loss_making"]
    assert 0 < losses < len(scores(costed.lake))
