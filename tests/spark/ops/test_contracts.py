"""A run on contracts beside transactions, and alone: published, repeatable, checked."""

from __future__ import annotations

import csv
import datetime as dt
from collections import defaultdict
from pathlib import Path
from typing import Any

import deltalake
import pyarrow.compute as pc
import pytest
from pyspark.sql import SparkSession

from clv_spark import pipelines
from clv_spark.config import Config
from clv_spark.errors import GateError, InputError
from clv_spark.pipelines.run_context import SECTIONS, Run
from clv_spark.schemas import ACTION_COLUMNS, TABLES, Shape
from tests.contract_world import PLANS, contract_sections, contracts, write_contracts
from tests.held import beside
from tests.operations import (
    AS_OF,
    KEYS,
    Finished,
    contents,
    copied,
    read_table,
    rows_of,
    runs,
    sections,
    versions,
)

ROOT = Path(__file__).parents[3]
STAGES = (
    "contracts",
    "contract_features",
    "model_parameters",
    "clv_scores",
    "subscription_metrics",
    "clv_scores_latest",
)
FACTS = (
    "contracts",
    "contract_features",
    "contract_scores",
    "subscription_metrics",
    "subscription_forecast",
)
# These hold both worlds.
SHARED = ("model_parameters", "segment_summary", "clv_scores", "clv_scores_latest")
# Tiers, and what follows from them, are of all customers, with and without contract.
OF_ALL = (
    *("clv_tier", "recommended_action", "action_reason", "customers_by_tier", "clv_by_tier"),
    *("clv_revenue_by_tier", "service_cost_by_tier", "loss_making_by_tier"),
    "loss_by_tier",
)


def alone(lake: Path, source: Path | str, **more: Any) -> Config:
    return Config.model_validate({"lake": {"path": str(lake)}, **contract_sections(source, **more)})


def rows_by(lake: Path, name: str, *key: str) -> dict[Any, dict[str, Any]]:
    """The rows of contracts by their key."""
    rows = read_table(lake / name).to_pylist()
    rows = [row for row in rows if row.get("relationship", "contract") == "contract"]
    return {tuple(row[part] for part in key): row for row in rows}


def test_the_contracts_of_a_customer_are_one_row(held: Finished) -> None:
    scores = rows_by(held.lake, "clv_scores_latest", "customer_id")
    assert 600 < len(scores) < 900
    details: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in read_table(held.lake / "contract_scores").to_pylist():
        details[row["customer_id"]].append(row)
    names = ("clv", "historical_margin", "residual_clv", "expected_revenue_365d")
    for (customer,), row in scores.items():
        parts = details[customer]
        for name in names:
            assert row[name] == pytest.approx(sum(part[name] for part in parts), abs=1e-9)
        running = [part for part in parts if part["p_alive"] == 1]
        assert row["p_alive"] == (1.0 if running else 0.0)
        assert (row["score_status"] == "lost") == (not running)
        if len(running) == 1:
            assert (row["clv_low"], row["clv_high"]) == (
                running[0]["clv_low"],
                running[0]["clv_high"],
            )
    assert max(len(parts) for parts in details.values()) == 2


def test_fits_are_near_the_truth_and_apart_by_period(held: Finished) -> None:
    rows = rows_by(held.lake, "model_parameters", "segment", "time_unit", "model").values()
    fits = [row for row in rows if row["chosen"]]
    assert {(row["segment"], row["time_unit"]) for row in fits} == {
        ("global", "month"),
        ("global", "year"),
        ("basic", "month"),
        ("plus", "month"),
        ("annual", "year"),
    }
    for row in fits:
        assert (row["relationship"], row["status"]) == ("contract", "ok")
        if row["segment"] != "global" and row["model"] == "sbg":
            alpha, beta, _, _ = PLANS[row["segment"]]
            found = dict(row["parameters"])
            mean = found["alpha"] / (found["alpha"] + found["beta"])
            assert mean == pytest.approx(alpha / (alpha + beta), rel=0.35)


def test_a_summary_of_contracts_adds_up(held: Finished) -> None:
    summary = rows_by(held.lake, "segment_summary", "segment")
    scores = read_table(held.lake / "contract_scores").to_pylist()
    total = sum(row["clv"] for row in scores)
    assert summary["global",]["clv_sum"] == pytest.approx(total, rel=1e-6)
    for row in summary.values():
        assert row["relationship"] == "contract"
        assert row["clv_sum_low"] < row["clv_sum"] < row["clv_sum_high"]


def test_the_churn_of_a_year_is_that_of_contracts_that_ran_a_year_ago(held: Finished) -> None:
    lives: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for row in read_table(held.lake / "contract_features").to_pylist():
        end = row["end_date"]
        since = -1 if end is None else (AS_OF - end).days
        lives[row["customer_id"]].append(((AS_OF - row["start_date"]).days, since))
    there = [own for own in lives.values() if any(age >= 365 > since for age, since in own)]
    lost = sum(all(since >= 0 for _, since in own) for own in there)
    assert 0 < lost < len(there)
    found = rows_by(held.lake, "segment_summary", "relationship", "segment")["contract", "global"]
    assert found["observed_churn"] == pytest.approx(lost / len(there))
    assert found["formula_churn_revenue"] > 0


def test_metrics_end_where_the_features_are(held: Finished) -> None:
    metrics = rows_by(held.lake, "subscription_metrics", "segment", "month")
    features = read_table(held.lake / "contract_features").to_pylist()
    last = AS_OF.replace(day=1)
    for segment in ("global", *PLANS):
        ours = [row for row in features if segment in ("global", row["plan"])]
        running = [row for row in ours if row["is_active"]]
        row = metrics[segment, last]
        assert row["running_end"] == len(running)
        months = {"month": 1, "year": 12}
        monthly = [round(float(r["periodic_amount"]) / months[r["period"]], 2) for r in running]
        assert float(row["mrr_end"]) == pytest.approx(sum(monthly), abs=1e-6)
        assert row["arpu"] == pytest.approx(sum(monthly) / len(running))
        lost = sum(r["lost_contracts"] for key, r in metrics.items() if key[0] == segment)
        assert lost == sum(r["is_lost"] for r in ours)
        # Those who stay mean to stay: the formula, which takes the churn of all, understates.
        assert row["model_clv"] > 0
    for name in ("running_end", "mrr_end", "new_mrr", "churned_mrr", "lost_contracts"):
        for month in {key[1] for key in metrics}:
            parts = [metrics[plan, month][name] for plan in PLANS if (plan, month) in metrics]
            assert metrics["global", month][name] == sum(parts)


def test_a_forecast_falls_and_adds_up(held: Finished) -> None:
    rows = rows_by(held.lake, "subscription_forecast", "segment", "months_ahead")
    assert set(rows) == {(s, m) for s in ("global", *PLANS) for m in range(1, 25)}
    running = sum(r["is_active"] for r in read_table(held.lake / "contract_features").to_pylist())
    previous = float(running)
    for month in range(1, 25):
        row = rows["global", month]
        parts = [rows[plan, month]["running_contracts"] for plan in PLANS]
        assert row["running_contracts"] == pytest.approx(sum(parts))
        assert row["running_low"] < row["running_contracts"] < row["running_high"] <= running * 1.1
        assert row["running_contracts"] <= previous
        previous = row["running_contracts"]
    # After a year it is what the scores say.
    scores = read_table(held.lake / "contract_scores").to_pylist()
    expected = sum(row["p_active_365d"] for row in scores)
    assert rows["global", 12]["running_contracts"] == pytest.approx(expected)


def test_every_table_has_its_comments_and_needs_reader_version_1(held: Finished) -> None:
    for spec in TABLES:
        if (held.lake / spec.name).exists():
            table = deltalake.DeltaTable(str(held.lake / spec.name))
            assert table.metadata().description == spec.comment
            assert table.protocol().min_reader_version == 1
            comments = {f.name: f.metadata.get("comment") for f in table.schema().fields}
            key = "plan" if "contract" in spec.name else "country"
            for column in spec.of(Shape("BIGINT", (key,))).columns:
                assert comments[column.name] == column.comment


def test_months_ahead_hold_what_they_bring_and_the_contracts_to_come(held: Finished) -> None:
    rows = read_table(held.lake / "subscription_forecast").to_pylist()
    months: dict[int, dict[str, dict[str, Any]]] = defaultdict(dict)
    for row in rows:
        months[row["months_ahead"]][row["segment"]] = row
    assert len(months) == 24
    names = ("running_contracts", "mrr", "margin", "new_contracts", "new_mrr", "new_margin")
    for segments in months.values():
        every = segments.pop("global")
        assert len(segments) == 3
        for name in names:
            assert every[name] == pytest.approx(sum(row[name] for row in segments.values())), name
    for name, grows in (("running_contracts", False), ("new_contracts", True)):
        basic = [months[month]["basic"][name] for month in range(1, 25)]
        assert sorted(basic, reverse=not grows) == basic
    # As many begin in a month as in one of the last twelve.
    features = read_table(held.lake / "contract_features").to_pylist()
    lately = [
        row for row in features if row["life"] == 1 and (AS_OF - row["start_date"]).days < 365
    ]
    yearly = [row for row in lately if row["period"] == "year"]
    assert months[1]["annual"]["new_contracts"] == pytest.approx(len(yearly) / 12)
    paid = sum(float(row["periodic_amount"]) / 12 for row in yearly)
    assert months[1]["annual"]["new_mrr"] == pytest.approx(paid / 12)


def test_purchases_are_as_without_contracts_and_products(
    spark: SparkSession, held: Finished, finished: Finished
) -> None:
    of_purchases = ("customer_days", "customer_features")
    assert contents(held.lake, of_purchases) == contents(finished.lake, of_purchases)
    for name in SHARED:
        table = read_table(held.lake / name)
        ours = table.filter(pc.field("relationship") == "purchases")
        alone = read_table(finished.lake / name)
        # A tier is a place among all customers, and what to do depends on it and on products.
        tiers = [column for column in table.column_names if column.endswith("_tier")]
        among_all = (*tiers, *ACTION_COLUMNS)
        found, expected = (rows_of(rows, KEYS[name], among_all) for rows in (ours, alone))
        assert found == expected, name
    kinds: dict[int, set[str]] = defaultdict(set)
    for row in read_table(held.lake / "clv_scores_latest").to_pylist():
        kinds[row["customer_id"]].add(row["relationship"])
    assert {frozenset(kind) for kind in kinds.values()} == {
        frozenset({"purchases"}),
        frozenset({"contract"}),
        frozenset({"purchases", "contract"}),
    }


def test_contracts_do_not_make_the_days_and_features_of_buyers_due(
    spark: SparkSession, held: Finished, finished: Finished
) -> None:
    values, contracts_too = sections(finished.source), contract_sections(held.source)
    both = {**values, "source": {**values["source"], **contracts_too["source"]}}
    for name in ("customer_days", "customer_features"):
        found = [
            Run(spark, Config.model_validate({"lake": {"path": "lake"}, **one}), "run")
            for one in (values, {**both, "contract_segments": ["plan"]})
        ]
        before, after = (run.config_hash(SECTIONS[name]) for run in found)
        assert after == before


def test_again_is_already_done(spark: SparkSession, held: Finished, finished: Finished) -> None:
    before = versions(held.lake)
    again = pipelines.run(spark, beside(finished.source, held.lake, held.source), AS_OF)
    assert (again["status"], versions(held.lake)) == ("already_done", before)


@pytest.mark.long
def test_alone_and_in_other_partitions_no_bit_is_changed(
    spark: SparkSession, held: Finished, tmp_path: Path
) -> None:
    turned = write_contracts(contracts(900, as_of=AS_OF)[::-1], tmp_path / "turned", files=3)
    settings = {
        "spark.sql.shuffle.partitions": "5",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "67",
    }
    old = {key: spark.conf.get(key) for key in settings}
    lake = tmp_path / "lake"
    try:
        for key, value in settings.items():
            spark.conf.set(key, value)
        done = pipelines.run(spark, alone(lake, turned), AS_OF)
    finally:
        for key, value in old.items():
            spark.conf.set(key, str(value))
    assert tuple(stage["stage"] for stage in done["stages"]) == STAGES
    assert contents(lake, FACTS) == contents(held.lake, FACTS)
    for name in SHARED:
        table = read_table(held.lake / name)
        ours = table.filter(pc.field("relationship") == "contract")
        tables = (ours, read_table(lake / name))
        one, other = (rows_of(table, KEYS[name], OF_ALL) for table in tables)
        assert one == other, name


@pytest.mark.slow
def test_bad_input_as_a_whole_leaves_every_table_as_it_was(
    spark: SparkSession, held: Finished, finished: Finished, tmp_path: Path
) -> None:
    lake = copied(held.lake, tmp_path / "lake")
    before = versions(lake)
    empty = write_contracts([], tmp_path / "empty", files=1)
    useless = write_contracts(
        [{**row, "unit": "day"} for row in contracts(20)], tmp_path / "useless"
    )
    for message, source in {
        "has no line": empty,
        "none of the lines": useless,
        "cannot be read": tmp_path / "nowhere",
    }.items():
        with pytest.raises(InputError, match=f"source.contracts.*{message}") as caught:
            pipelines.build_contracts(spark, beside(finished.source, lake, source))
        assert caught.value.exit_code == 11
        assert versions(lake) == before, message
    few = beside(finished.source, lake, write_contracts(contracts(100), tmp_path / "few"))
    pipelines.build_contracts(spark, few)
    with pytest.raises(GateError, match="max_customer_drop"):
        pipelines.build_features(spark, few, AS_OF + dt.timedelta(days=1))
    (failed,) = (row for row in runs(lake) if row["status"] == "failed")
    assert failed["stage"] == "contract_features"
    early = alone(lake, tmp_path / "few", retention={"slice_days": None})
    with pytest.raises(InputError, match="within the data"):
        pipelines.build_features(spark, early, dt.date(2020, 1, 1))
    assert contents(lake, SHARED) == contents(held.lake, SHARED)


def test_refused_rows_are_kept_with_their_reason(
    spark: SparkSession, held: Finished, tmp_path: Path
) -> None:
    lake = copied(held.lake, tmp_path / "lake")
    rows = contracts(900, as_of=AS_OF)
    broken = [{**rows[0], "contract": "x", "price": -1.0}, {**rows[1], "contract": None}, rows[2]]
    source = write_contracts(rows + broken, tmp_path / "source")
    outcome = pipelines.build_contracts(spark, alone(lake, source))
    (stage,) = outcome["stages"]
    assert (stage["rows_read"], stage["rows_used"], stage["rows_rejected"]) == (993, 990, 3)
    reasons = sorted(read_table(lake / "rejected_contracts")["reason"].to_pylist())
    assert reasons == ["duplicate", "invalid_amount", "missing_contract_id"]
    assert contents(lake, ["contracts"]) == contents(held.lake, ["contracts"])


@pytest.mark.long
def test_the_window_decides_the_churn_of_a_snapshot(spark: SparkSession, tmp_path: Path) -> None:
    """Month-to-month customers of the Telco sample: .427 lost a month, without the window .024.

    Lost by month at risk; what the models make of both is in tests/models/test_golden_contracts.py.
    """
    path = ROOT / "data" / "telco_customer_churn.csv"
    config = {
        "lake": {"path": str(tmp_path / "lake")},
        "contract_segments": ["plan"],
        "source": {
            "contracts": {
                "format": "csv",
                "path": str(path),
                "shape": "snapshot",
                "snapshot_window": 1,
                "columns": {
                    "customer_id": "customerID",
                    "contract_id": "customerID",
                    "tenure": "tenure",
                    "is_lost": "Churn = 'Yes'",
                    "period": "'month'",
                    "periodic_amount": "MonthlyCharges",
                    "plan": "Contract",
                },
            }
        },
    }
    telco = Config.model_validate(config)
    pipelines.build_contracts(spark, telco)
    pipelines.build_features(spark, telco, AS_OF)
    pipelines.fit_models(spark, telco, AS_OF)
    with path.open(encoding="utf-8") as file:
        lines = [row for row in csv.DictReader(file) if row["Contract"] == "Month-to-month"]
    features = [
        row
        for row in read_table(tmp_path / "lake" / "contract_features").to_pylist()
        if row["plan"] == "Month-to-month"
    ]
    lost = sum(row["is_lost"] for row in features)
    at_risk = sum(row["tenure"] - row["entry_tenure"] for row in features)
    assert (len(lines), lost) == (3875, 1655)
    assert lost / at_risk == pytest.approx(0.427, abs=5e-4)
    assert lost / sum(int(row["tenure"]) for row in lines) == pytest.approx(0.02368, abs=5e-6)
    fits = rows_by(tmp_path / "lake", "model_parameters", "segment", "model")
    two = fits["Two year", "sbg"]
    assert (two["status"], two["parameters_segment"]) == ("degenerate", "global")
    assert two["parameters"] == fits["global", "sbg"]["parameters"]
