"""Table what_if: the base is what segment_summary says, and each scenario follows from it."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from clv_spark import pipelines
from clv_spark.config import Config
from clv_spark.pipelines.run_context import Run
from clv_spark.pipelines.scores_beside import left_over
from tests.costed import CALLED_OFF, SCENARIOS, costed_config
from tests.operations import AS_OF, Finished, copied, read_table, sections

MONTH = "acquisition_month"
# All its contracts have ended, so that there is nothing to come and nothing that a new one is like.
ENDED = ("contract", CALLED_OFF["plan"])

BOTH = ("clv_sum", "new_customer_value", "cac", "clv_to_cac", "payback_days")
Rows = dict[tuple[str, str, str], dict[str, Any]]


@pytest.fixture(scope="module")
def rows(costed: Finished) -> Rows:
    found = read_table(costed.lake / "what_if").to_pylist()
    return {
        (row["relationship"], row["segment"], row["scenario"]): row
        for row in found
        if row["segment_level"] != MONTH
    }


@pytest.fixture(scope="module")
def summary(costed: Finished) -> dict[tuple[str, str], dict[str, Any]]:
    found = read_table(costed.lake / "segment_summary").to_pylist()
    return {
        (row["relationship"], row["segment"]): row for row in found if row["segment_level"] != MONTH
    }


def test_the_base_is_what_the_summary_says(
    rows: Rows, summary: dict[tuple[str, str], dict[str, Any]]
) -> None:
    assert {key[:2] for key in rows} == summary.keys()
    assert {key[2] for key in rows} == {"base", *SCENARIOS}
    assert len(rows) == len(summary) * (1 + len(SCENARIOS))
    for key, known in summary.items():
        base = rows[*key, "base"]
        for name in BOTH:
            if known[name] is None or (key == ENDED and name != "clv_sum"):
                assert name == "payback_days" or key == ENDED, key
                assert base[name] is None, key
                continue
            # To the cent: the sums were rounded one by one.
            assert base[name] == pytest.approx(known[name], rel=1e-9, abs=0.005), (key, name)
        assert base["clv_service_cost"] == pytest.approx(known["clv_service_cost"], abs=0.005)
        assert base["currency"] == "EUR"
        nothing = rows[*key, "nothing"]
        assert {**nothing, "scenario": "base"} == base
        assert base["clv_change"] == base["clv_service_cost_change"] == 0
        for name in ("clv_to_cac", "payback_days"):
            assert base[f"{name}_change"] == (None if known[name] is None else 0)


def test_a_plan_that_has_ended_and_never_paid_is_worth_nothing(
    summary: dict[tuple[str, str], dict[str, Any]],
) -> None:
    found = summary[ENDED]
    assert found["customers"] == 1
    for name in ("clv_sum", "clv_sum_low", "clv_sum_high", "clv_mean", "historical_revenue"):
        assert found[name] == 0.0, name
    for name, value in found.items():
        assert value is None or not name.startswith("formula_"), name


def test_scenarios_follow_from_the_sums_of_the_summary(
    costed: Finished, rows: Rows, summary: dict[tuple[str, str], dict[str, Any]]
) -> None:
    expected: dict[tuple[str, str], float] = defaultdict(float)
    for row in read_table(costed.lake / "clv_scores_latest").to_pylist():
        for segment in ("global", row["segment"]):
            expected[row["relationship"], segment] += row["expected_purchases_365d"] or 0.0
    for key, known in summary.items():

        def change(scenario: str, key: tuple[str, str] = key) -> float:
            return float(rows[*key, scenario]["clv_change"])

        if key == ENDED:
            assert [change(scenario) for scenario in SCENARIOS] == [0.0] * len(SCENARIOS)
            continue
        revenue, margin = known["clv_revenue"], known["clv_margin"]
        assert change("two points of margin") == pytest.approx(0.02 * revenue, rel=1e-6)
        assert change("orders 5% larger") == pytest.approx(0.05 * margin, rel=1e-6)
        assert change("prices 3% higher") == pytest.approx(0.03 * revenue, rel=1e-6)
        assert change("cheaper to win") == 0
        # Who stays longer brings more margin, and costs more to serve.
        assert -0.1 * known["clv_service_cost"] < change("a tenth less churn") < 0.1 * margin
        assert change("a tenth less churn") != 0
        # Half for each purchase, discounted from its day. A customer with contracts in several
        # segments counts in one, with a part of its purchases as large as that of its value.
        purchases = -change("orders cost more") / 0.5
        if key[0] == "purchases" or key[1] == "global":
            assert 0.94 * expected[key] < purchases < expected[key], key
        assert purchases > 0
        # What is net is less by what serving costs more.
        dearer = rows[*key, "calls cost a third more"]["clv_service_cost_change"]
        assert change("calls cost a third more") == pytest.approx(-dearer, abs=1e-6)
        assert -known["clv_service_cost"] / 3 < change("calls cost a third more") <= 0
        ratio = rows[*key, "cheaper to win"]["clv_to_cac"] / known["clv_to_cac"]
        assert ratio == pytest.approx(1 / 0.8)
        assert rows[*key, "a tenth less churn"]["clv_to_cac_change"] != 0


def test_changes_of_segments_add_up_to_those_of_all(rows: Rows) -> None:
    for relationship in ("purchases", "contract"):
        for scenario in SCENARIOS:
            every = {
                segment: row["clv_change"]
                for (kind, segment, name), row in rows.items()
                if (kind, name) == (relationship, scenario)
            }
            total = every.pop("global")
            assert len(every) >= 2
            assert sum(every.values()) == pytest.approx(total, rel=1e-9, abs=1e-9)


@pytest.mark.long
def test_a_scenario_of_calls_says_what_a_run_with_that_price_of_a_call_says(
    spark: SparkSession, costed: Finished, finished: Finished, rows: Rows, tmp_path: Path
) -> None:
    dearer = Finished(costed.source, copied(costed.lake, tmp_path / "lake"))
    given = costed_config(finished, dearer, {}).model_dump(
        mode="json", by_alias=True, exclude_unset=True
    )
    given["costs"]["service"]["kinds"]["call"]["unit_cost"] *= 4 / 3
    pipelines.run(spark, Config.model_validate(given), AS_OF)
    found = read_table(dearer.lake / "segment_summary").to_pylist()
    changed = 0
    for row in found:
        if row["segment_level"] == MONTH:
            continue
        told = rows[row["relationship"], row["segment"], "calls cost a third more"]
        for name in ("clv_sum", "new_customer_value", "payback_days"):
            if told[name] is not None:
                assert told[name] == pytest.approx(row[name], rel=1e-9, abs=0.005), name
        changed += told["clv_change"] < 0
    assert changed > 1


@pytest.mark.long
def test_another_scenario_is_another_result(
    spark: SparkSession, costed: Finished, finished: Finished, tmp_path: Path
) -> None:
    ours = Finished(costed.source, copied(costed.lake, tmp_path / "lake"))
    assert pipelines.run(spark, costed_config(finished, ours), AS_OF)["status"] == "already_done"
    other = costed_config(finished, ours, {"only": {"price": 0.9}})
    done = pipelines.run(spark, other, AS_OF)
    assert "clv_scores" in {s["stage"] for s in done["stages"] if s["status"] == "done"}
    found = read_table(ours.lake / "what_if").to_pylist()
    assert {row["scenario"] for row in found} == {"base", "only"}
    for row in found:
        if row["scenario"] == "only":
            ended = (row["relationship"], row["segment"]) == ENDED
            assert row["clv_change"] == 0 if ended else row["clv_change"] < 0


# What `reports` switches off, and what these tables go on from.
BESIDE = ("revenue_history", "revenue_forecast", "cohort_history", "cohort_summary")


@pytest.mark.long
def test_what_is_switched_off_leaves_no_slice_of_the_same_date(
    spark: SparkSession, costed: Finished, finished: Finished, tmp_path: Path
) -> None:
    ours = Finished(costed.source, copied(costed.lake, tmp_path / "lake"))
    tables = (*BESIDE, "what_if")
    # What stands there for another date stays.
    month = dt.timedelta(days=30)
    # Of a history not an earlier one, which would hold months that come after it.
    days = {name: AS_OF + month if "history" in name else AS_OF - month for name in tables}
    for name, day in days.items():
        earlier = spark.read.format("delta").load(str(ours.lake / name))
        earlier = earlier.withColumn("as_of_date", F.lit(day))
        earlier.write.format("delta").mode("append").save(str(ours.lake / name))
    there = {name: read_table(ours.lake / name).num_rows for name in tables}
    given = costed_config(finished, ours, {}).model_dump(
        mode="json", by_alias=True, exclude_unset=True
    )
    given["reports"] = {"cohorts": "never", "forecast": False}
    without = Config.model_validate(given)
    pipelines.run(spark, without, AS_OF)
    for name, day in days.items():
        left = read_table(ours.lake / name)
        assert set(left["as_of_date"].to_pylist()) == {day}, name
        assert left.num_rows == there[name] / 2
    assert pipelines.run(spark, without, AS_OF)["status"] == "already_done"
    # Switched on again they are as before.
    assert pipelines.run(spark, costed_config(finished, ours), AS_OF)["status"] == "done"
    assert {name: read_table(ours.lake / name).num_rows for name in tables} == there


def test_tables_of_what_is_not_configured_are_left_over_where_they_hold_the_date(
    spark: SparkSession, costed: Finished, held: Finished, finished: Finished
) -> None:
    values = sections(finished.source)
    plain = {"what_if": {}, "reports": {"cohorts": "never", "forecast": False}}
    for lake, names in (
        (costed.lake, {*BESIDE, "what_if", "contract_scores"}),
        (held.lake, {"contract_scores", "segment_products"}),
    ):
        config = Config.model_validate({**values, **plain, "lake": {"path": str(lake)}})
        for date, expected in ((AS_OF, names), (AS_OF + dt.timedelta(days=1), set())):
            run = Run(spark, config, "run", date)
            assert {spec.name for spec in left_over(run)} == expected
    run = Run(spark, costed_config(finished, costed), "run", AS_OF)
    assert left_over(run) == ()
