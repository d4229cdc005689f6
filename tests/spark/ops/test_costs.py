"""Cost to serve and to win customers: what is read, what it does to values, that it adds up."""

from __future__ import annotations

import datetime as dt
import statistics
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import deltalake
import pytest
from pyspark.sql import SparkSession

from clv_spark.config import Config
from clv_spark.pipelines import check_source
from clv_spark.pipelines.acquisition import HOLDS, with_acquisition_cost
from clv_spark.pipelines.run_context import Run
from clv_spark.reports import source_report
from tests.costed import (
    COLUMNS,
    EARLY,
    SPEND,
    STRANGER,
    USELESS,
    costed_config,
    events,
    first_purchases,
)
from tests.operations import AS_OF, Finished, read_table, runs

MONTH = "acquisition_month"
SUMS = (
    "clv_revenue",
    "clv_margin",
    "clv_service_cost",
    "historical_revenue",
    "historical_margin",
    "historical_service_cost",
    "expected_revenue_365d",
)


@pytest.fixture(scope="module")
def scores(costed: Finished) -> list[dict[str, Any]]:
    return list(read_table(costed.lake / "clv_scores_latest").to_pylist())


@pytest.fixture(scope="module")
def summary(costed: Finished) -> dict[tuple[str, str, str], dict[str, Any]]:
    rows = read_table(costed.lake / "segment_summary").to_pylist()
    return {(row["relationship"], row["segment_level"], row["segment"]): row for row in rows}


def test_events_are_summed_per_customer_and_phase_and_refused_with_a_reason(
    costed: Finished,
) -> None:
    first = first_purchases(costed.lake)
    holders = {}
    for row in read_table(costed.lake / "contract_features").to_pylist():
        begun = holders.get(row["customer_id"], row["start_date"])
        holders[row["customer_id"]] = min(begun, row["start_date"])
    wanted: dict[int, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for event in events(first)[: -USELESS - 1]:
        who = event["who"]
        if event["day"] <= AS_OF:
            start = min(first[who], holders.get(who, first[who]))
            late = (event["day"] - start).days >= EARLY
            column = "purchases" if event["kind"] == "delivery" else ("later" if late else "early")
            wanted[who][column] += 2.25 if event["kind"] == "delivery" else 4.5
    rows = read_table(costed.lake / "customer_costs").to_pylist()
    found = {row["customer_id"]: row for row in rows}
    stranger = found.pop(STRANGER)
    assert (stranger["relationship"], stranger["service_events"]) == ("none", 1)
    assert found.keys() == wanted.keys()
    kinds = Counter(row["relationship"] for row in found.values())
    assert kinds["contract"] > 50
    assert kinds["purchases"] > 50
    for customer, row in found.items():
        assert (row["relationship"] == "contract") == (customer in holders)
        assert float(row["service_of_purchases"]) == wanted[customer]["purchases"]
        assert float(row["service_of_early_time"]) == wanted[customer]["early"]
        assert float(row["service_of_later_time"]) == wanted[customer]["later"]
        by_kind = {kind: float(cost) for kind, cost in row["cost_by_kind"]}
        time = wanted[customer]["early"] + wanted[customer]["later"]
        assert by_kind == {"call": time, "delivery": wanted[customer]["purchases"]}
    rows = read_table(costed.lake / "rejected_costs").to_pylist()
    refused = Counter(row["reason"] for row in rows)
    reasons = ("missing_customer_id", "invalid_date", "missing_kind", "unknown_kind", "no_amount")
    assert refused == dict.fromkeys(reasons, 1)
    (run,) = (row for row in runs(costed.lake) if row["stage"] == "customer_costs")
    assert run["rows_read"] == run["rows_used"] + USELESS


def test_tables_say_what_counts_as_value_and_say_it_anew(
    costed: Finished, finished: Finished
) -> None:
    """The costed lake began as a copy of the finished one, where margin counts."""
    columns = {
        "clv_scores": "clv",
        "clv_scores_latest": "clv",
        "segment_summary": "historical_clv_sum",
    }
    for name, column in columns.items():
        for lake, definition, words in (
            (finished.lake, "margin", "margin"),
            (costed.lake, "net", "margin less cost to serve"),
        ):
            table = deltalake.DeltaTable(str(lake / name))
            assert table.metadata().configuration["clv_spark.valueDefinition"] == definition
            said = {field.name: field.metadata["comment"] for field in table.schema().fields}
            wanted = f"{words} so far" if name == "segment_summary" else f"discounted {words} of"
            assert wanted in said[column], said[column]


def test_values_are_net_of_the_cost_to_serve_and_their_parts_add_up(
    scores: list[dict[str, Any]],
) -> None:
    losses = Counter[str]()
    for row in scores:
        assert row["value_definition"] == "net"
        assert row["clv"] == pytest.approx(row["clv_margin"] - row["clv_service_cost"], abs=1e-9)
        history = row["historical_margin"] - row["historical_service_cost"]
        assert row["historical_clv"] == pytest.approx(history, abs=1e-9)
        assert row["total_clv"] == pytest.approx(row["historical_clv"] + row["clv"], abs=1e-9)
        assert row["clv_low"] <= row["clv_high"]
        assert row["loss_making"] == (row["clv"] < -1e-4)
        losses[row["relationship"]] += row["loss_making"]
        if row["relationship"] == "purchases":
            assert row["clv_margin"] == pytest.approx(0.3 * row["clv_revenue"], rel=1e-12)
    assert 0 < losses["purchases"] < len(scores)


def places_of(row: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Relationship, level and name of every segment and month that a customer belongs to."""
    kind = row["relationship"]
    key = "country" if kind == "purchases" else "plan"
    levels = (("global", "global"), (key, row["segment"]), (MONTH, month_of(row)))
    return [(kind, *level) for level in levels]


def month_of(row: dict[str, Any]) -> str:
    """The month in which a customer was won."""
    return f"{row['as_of_date'] - dt.timedelta(days=row['T']):%Y-%m}"


def test_sums_of_customers_are_those_of_their_segments_to_the_cent(
    scores: list[dict[str, Any]], summary: dict[tuple[str, str, str], dict[str, Any]]
) -> None:
    places: dict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in scores:
        for place in places_of(row):
            places[place].append(row)
    assert places.keys() == summary.keys()
    for place, rows in places.items():
        found = summary[place]
        assert found["customers"] == len(rows)
        assert found["loss_making_customers"] == sum(row["loss_making"] for row in rows)
        for name in SUMS:
            assert found[name] == pytest.approx(sum(row[name] for row in rows), abs=0.005), name
        assert found["clv_sum"] == pytest.approx(sum(row["clv"] for row in rows), abs=0.005)
        values = sorted((row["clv"] for row in rows), reverse=True)
        middle = statistics.median(values)
        assert found["clv_median"] == pytest.approx(middle, rel=0.006, abs=0.02)
        lost = sum(
            row["clv_margin"] - row["clv_service_cost"] for row in rows if row["loss_making"]
        )
        assert sum(dict(found["loss_by_tier"]).values()) == pytest.approx(lost, abs=0.005)
        tiers = dict(found["clv_by_tier"])
        assert sum(tiers.values()) == pytest.approx(found["clv_sum"], abs=0.005)
        assert tiers.keys() == {row["clv_tier"] for row in rows}
        if found["clv_sum"] > 0:
            best = sum(values[: -(-len(values) // 10)])
            assert found["top_tenth_share"] == pytest.approx(best / found["clv_sum"], rel=0.01)


def test_what_winning_cost_is_the_spend_of_the_month_per_new_customer(
    scores: list[dict[str, Any]], summary: dict[tuple[str, str, str], dict[str, Any]]
) -> None:
    # Who buys and holds a contract was won once, for the contract.
    holders = {row["customer_id"] for row in scores if row["relationship"] == "contract"}
    new: dict[str, list[dict[str, Any]]] = defaultdict(list)
    twice = 0
    for row in scores:
        if row["relationship"] == "purchases" and row["customer_id"] in holders:
            assert row["acquisition_cost"] is None
            twice += 1
        else:
            new[month_of(row)].append(row)
    assert twice > 100
    assert min(SPEND) < min(new)
    spent = {month: money for month, money in SPEND.items() if month >= min(new)}
    for month, rows in new.items():
        for row in rows:
            if month in spent:
                assert row["acquisition_cost"] == pytest.approx(spent[month] / len(rows))
            else:
                assert row["acquisition_cost"] is None
    for (kind, level, name), found in summary.items():
        if level == "global":
            ours = [r for r in scores if r["relationship"] == kind and r["T"] < 365]
            costs = [r["acquisition_cost"] for r in ours if r["acquisition_cost"] is not None]
            mean = sum(costs) / len(costs)
            assert found["new_customers"] == len(ours), name
            assert found["cac"] == pytest.approx(mean, rel=1e-6)
            assert found["clv_to_cac"] == pytest.approx(found["new_customer_value"] / found["cac"])
        if level == MONTH:
            # Also of months whose customers are no longer the new ones of the segment.
            ours = [row for row in new[name] if row["relationship"] == kind]
            cost = ours[0]["acquisition_cost"] if ours else None
            assert found["new_customers"] == found["customers"], name
            assert found["cac"] == (None if cost is None else pytest.approx(cost, rel=1e-6))
            assert (found["clv_to_cac"] is None) == (cost is None), name


def test_contracts_cost_until_they_end_and_no_day_counts_twice(
    costed: Finished, scores: list[dict[str, Any]]
) -> None:
    spans: dict[int, list[range]] = defaultdict(list)
    paid = Counter[int]()
    for row in read_table(costed.lake / "contract_features").to_pylist():
        days = (row["start_date"].toordinal(), (row["end_date"] or AS_OF).toordinal())
        spans[row["customer_id"]].append(range(*days))
        paid[row["customer_id"]] += row["periods_paid"]
    had = {row["customer_id"] for row in read_table(costed.lake / "customer_costs").to_pylist()}
    seen = Counter[tuple[bool, int]]()
    for row in scores:
        who = row["customer_id"]
        if row["relationship"] == "contract" and who not in had:
            served = len({day for span in spans[who] for day in span})
            cost = paid[who] * 1.0 + (40 * min(served, EARLY) + 12 * max(served - EARLY, 0)) / 365
            assert row["historical_service_cost"] == pytest.approx(cost)
            # At 12 a year, and a payment a month.
            assert 0 <= row["clv_service_cost"] <= 12 + (40 - 12) * EARLY / 365 + 24
            seen[row["p_alive"] == 1, len(spans[who])] += 1
    assert min(seen[alive, lives] for alive in (True, False) for lives in (1, 2)) > 0


def test_who_holds_a_contract_was_won_once(spark: SparkSession, costed: Finished) -> None:
    config = costed_config(Finished(costed.source, costed.lake), costed)
    given = config.model_dump(mode="json", by_alias=True, exclude_unset=True)
    given["costs"]["acquisition"] = {"per_customer": {"default": 9.0, "Peru": 8.0}}
    run = Run(spark, Config.model_validate(given), "job")
    rows = [("purchases", "Peru", None), ("purchases", "Peru", True), ("contract", "basic", None)]
    scored = spark.createDataFrame(rows, f"relationship STRING, segment STRING, {HOLDS} BOOLEAN")
    found = with_acquisition_cost(run, scored, None, {})
    assert HOLDS not in found.columns
    assert [row["acquisition_cost"] for row in found.collect()] == [8.0, None, 9.0]


def test_costs_by_kind_of_every_segment_and_month_are_those_of_its_customers(
    costed: Finished,
    scores: list[dict[str, Any]],
    summary: dict[tuple[str, str, str], dict[str, Any]],
) -> None:
    rows = read_table(costed.lake / "customer_costs").to_pylist()
    kinds = {(row["relationship"], row["customer_id"]): row["cost_by_kind"] for row in rows}
    wanted: dict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
    for row in scores:
        for place in places_of(row):
            for kind, cost in kinds.get((row["relationship"], row["customer_id"])) or []:
                wanted[place][kind] += float(cost)
    assert wanted.keys() <= summary.keys()
    assert len({name for _, level, name in wanted if level == MONTH}) > 12
    for place, found in summary.items():
        by_kind = found["service_cost_by_kind"]
        assert dict(by_kind or []) == pytest.approx(dict(wanted.get(place, {}))), place
        assert (by_kind is None) == (place not in wanted)


def test_check_source_shows_every_source_of_costs(
    spark: SparkSession, finished: Finished, costed: Finished, tmp_path: Path
) -> None:
    rates = tmp_path / "rates.csv"
    rates.write_text("what,rate\na,0.3\nb,0.2\nb,0.25\nc,1.5\nc2,\n")
    margins = {
        "format": "csv",
        "path": str(rates),
        "columns": {"product": "what", "margin_rate": "rate"},
    }
    given = costed_config(finished, costed).model_dump(
        mode="json", by_alias=True, exclude_unset=True
    )
    given["source"]["transactions"]["columns"]["product"] = "product"
    given["value"] = {"margins": margins}
    found = check_source(spark, Config.model_validate(given))
    contracts, service, spend, shown = found["beside"]
    assert (found["source"], contracts["source"]) == ("source.transactions", "source.contracts")

    assert service["source"] == "costs.service.events"
    good = len(events(first_purchases(costed.lake))) - USELESS
    lines = {reason: one["lines"] for reason, one in service["reasons"].items()}
    bad = ("missing_customer_id", "invalid_date", "missing_kind", "unknown_kind", "no_amount")
    assert lines == {"used": good, **dict.fromkeys(bad, 1)}
    assert {part["column"] for part in service["mapping"]} == COLUMNS.keys()
    assert any("columns.event_date" in text for text in service["advice"])
    assert any("costs.service.kinds" in text for text in service["advice"])

    assert spend["source"] == "costs.acquisition.spend"
    assert spend["reasons"] == {"used": {"lines": len(SPEND), "amount": sum(SPEND.values())}}
    assert spend["first_date"] == dt.date(1999, 1, 1)
    assert spend["advice"] == []

    assert shown["source"] == "value.margins"
    lines = {reason: one["lines"] for reason, one in shown["reasons"].items()}
    assert lines == {"used": 1, "two_rates": 2, "no_rate": 2}
    report = source_report(found)
    for source in (found, *found["beside"]):
        assert f"How each column of {source['source']} is mapped" in report
