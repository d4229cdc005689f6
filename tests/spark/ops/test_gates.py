"""What stops a run, and that nothing of it is published."""

from __future__ import annotations

import datetime as dt
import importlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from clv_spark import pipelines
from clv_spark.config import Config, TransactionsSource
from clv_spark.errors import ConfigError, FitError, GateError, InputError
from clv_spark.lake import Commit, Lake
from clv_spark.pipelines.line_totals import check_refused
from clv_spark.pipelines.run_context import Run, StageResult
from clv_spark.pipelines.run_rows import failed_row
from clv_spark.schemas import CLV_SCORES, Shape
from tests.contract_world import contracts, write_contracts
from tests.held import beside
from tests.operations import (
    AS_OF,
    LATER,
    Finished,
    contents,
    runs,
    shop,
    versions,
    write_lines,
)

Configured = Callable[..., Config]
LONG_AFTER = dt.date(2024, 3, 31)
PUBLISHED = ("customer_features", "model_parameters", "clv_scores", "clv_scores_latest")


def failed_run(lake: Path) -> dict[str, Any]:
    rows = [row for row in runs(lake) if row["status"] == "failed"]
    assert len(rows) == 1
    return rows[0]


def check_stopped(lake: Path, before: dict[str, int], stage: str) -> dict[str, Any]:
    """Only pipeline_runs has a new commit."""
    after = versions(lake)
    assert {**after, "pipeline_runs": 0} == {**before, "pipeline_runs": 0}
    row = failed_run(lake)
    assert row["stage"] == stage
    return row


def test_too_many_refused_lines(spark: SparkSession, lake: Path, configured: Configured) -> None:
    before = versions(lake)
    values = configured().model_dump(by_alias=True)
    values["source"]["transactions"]["reject"] = {"cheap": "amount < 50"}
    values["gates"]["max_rejected_share"] = 0.1
    with pytest.raises(GateError, match=r"max_rejected_share.*'cheap'"):
        pipelines.run(spark, Config.model_validate(values), AS_OF)
    row = check_stopped(lake, before, "customer_days")
    assert "max_rejected_share" in row["message"]
    assert (row["job"], row["as_of_date"]) == ("run", AS_OF)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda lines: lines.where("amount_cents <> 724"), "line_count"),
        (lambda lines: lines.withColumn("amount_cents", F.col("amount_cents") + 1), "cents"),
    ],
)
def test_a_source_that_changes_between_the_first_look_and_the_sums(
    spark: SparkSession,
    lake: Path,
    configured: Configured,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[DataFrame], DataFrame],
    what: str,
) -> None:
    before = versions(lake)
    # The package has a function of the module's name.
    module = importlib.import_module("clv_spark.pipelines.build_customer_days")
    sum_lines = module.sum_lines
    monkeypatch.setattr(
        module, "sum_lines", lambda lines, codes, **how: sum_lines(change(lines), codes, **how)
    )
    # Other settings, so that everything is read again.
    config = configured().model_copy(update={"currency": "GBP"})
    with pytest.raises(GateError, match=f"customer_days does not reconcile.* {what} were summed"):
        pipelines.build_customer_days(spark, config)
    assert {**versions(lake), "pipeline_runs": 0} == {**before, "pipeline_runs": 0}


@pytest.mark.faults
@pytest.mark.long
def test_a_drop_of_customers(
    spark: SparkSession, lake: Path, configured: Configured, finished: Finished, tmp_path: Path
) -> None:
    few = write_lines(shop(900), tmp_path / "few")
    with pytest.raises(GateError, match="max_customer_drop"):
        pipelines.run(spark, configured(few), AS_OF + dt.timedelta(days=1))
    assert contents(lake, PUBLISHED) == contents(finished.lake, PUBLISHED)
    assert failed_run(lake)["stage"] == "customer_features"


def test_a_source_that_is_too_old(spark: SparkSession, lake: Path, configured: Configured) -> None:
    before = versions(lake)
    with pytest.raises(GateError, match="max_source_age_days"):
        pipelines.run(spark, configured(gates={"max_source_age_days": 3}), LONG_AFTER)
    check_stopped(lake, before, "customer_features")


@pytest.mark.long
def test_a_line_of_a_mistyped_year_makes_no_old_source_new(
    spark: SparkSession, lake: Path, configured: Configured, finished: Finished, tmp_path: Path
) -> None:
    lines = tmp_path / "lines"
    shutil.copytree(finished.source, lines)
    (number,) = [shop().column_names.index(name) for name in ("event_time",)]
    one = shop().slice(0, 1)
    far = pa.array([dt.datetime(2099, 1, 1)], one.schema.field("event_time").type)
    pq.write_table(one.set_column(number, "event_time", far), lines / "part-9.parquet")
    with pytest.raises(GateError, match="max_source_age_days"):
        pipelines.run(spark, configured(lines, gates={"max_source_age_days": 3}), LONG_AFTER)


def test_too_many_segments_without_a_fit(
    spark: SparkSession, lake: Path, configured: Configured
) -> None:
    before = versions(lake)
    with pytest.raises(FitError, match="max_failed_share") as caught:
        pipelines.run(spark, configured(fit={"min_customers": 100_000}), AS_OF)
    assert caught.value.exit_code == 30
    check_stopped(lake, before, "model_parameters")


# What the clv of no row with status ok is, and what may refuse it.
NEVER = {"double('NaN')": "money", "-1D": "money", "NULL": "money|ranks"}


def test_the_scores_refuse_a_value_that_says_nothing(
    spark: SparkSession, lake: Path, configured: Configured
) -> None:
    """Whatever computes them: it is the table that refuses, also what others write."""
    tables, before = Lake(spark, configured()), versions(lake)
    scores = tables.read(CLV_SCORES, AS_OF)
    ((one,),) = scores.where("score_status = 'ok'").agg(F.min("customer_id")).collect()
    spec = CLV_SCORES.of(Shape("BIGINT", (), "margin"))
    planned = Commit("again", AS_OF.isoformat(), "again", "source", "config", "version")
    for value, constraint in NEVER.items():
        changed = F.when(F.col("customer_id") == one, F.expr(value)).otherwise(F.col("clv"))
        rows = scores.withColumn("clv", changed)
        with pytest.raises(GateError, match=f"clv_scores: .*constraint '({constraint})'"):
            tables.replace(spec, rows, planned, AS_OF)
    assert versions(lake) == before
    for name in ("clv_scores", "clv_scores_latest"):
        held = deltalake.DeltaTable(str(lake / name)).metadata().configuration
        for constraint, check in CLV_SCORES.checks.items():
            assert held[f"delta.constraints.{constraint}"] == check


def test_input_errors_leave_every_table_as_it_was(
    spark: SparkSession, lake: Path, configured: Configured, finished: Finished, tmp_path: Path
) -> None:
    before = versions(lake)
    empty = write_lines(shop().slice(0, 0), tmp_path / "empty", files=1)
    broken = write_lines(shop(), tmp_path / "broken")
    file = broken / "part-1.parquet"
    content = bytearray(file.read_bytes())
    content[4 : len(content) // 2] = bytes(len(content) // 2 - 4)
    file.write_bytes(bytes(content))
    sold = shop()
    signs = pc.multiply_checked(pc.abs_checked(sold["amount"]), -1)
    returned = sold.set_column(sold.column_names.index("amount"), "amount", signs)
    sources = {
        "no line": empty,
        "failed": broken,
        "cannot be read": tmp_path / "nowhere",
        "only refunds": write_lines(returned, tmp_path / "returned"),
    }
    for message, source in sources.items():
        with pytest.raises(InputError, match=message):
            pipelines.run(spark, configured(source), AS_OF)
        assert versions(lake) == before, message
    with pytest.raises(InputError, match="within the data"):
        pipelines.run(spark, configured(), dt.date(2021, 12, 31))
    assert versions(lake) == before
    assert contents(lake) == contents(finished.lake)


@pytest.mark.parametrize("name", ["clv_scores_latest", "tier_migration"])
def test_a_table_of_another_schema_version_stops_before_anything_is_written(
    spark: SparkSession, lake: Path, configured: Configured, name: str
) -> None:
    table = deltalake.DeltaTable(str(lake / name))
    table.alter.set_table_properties({"clv_spark.schemaVersion": "0"}, False)
    before = versions(lake)
    with pytest.raises(InputError, match=f"{name} in the lake has schema version 0"):
        pipelines.run(spark, configured(), LATER)
    assert versions(lake) == before


@pytest.mark.parametrize("what", ["contracts", "a column of contracts", "ids", "events"])
def test_a_later_source_that_is_missing_or_empty_stops_before_anything_is_written(
    spark: SparkSession, finished: Finished, tmp_path: Path, what: str
) -> None:
    lake = tmp_path / "lake"
    config = beside(finished.source, lake, write_contracts(contracts(20), tmp_path / "held"))
    values = config.model_dump(by_alias=True)
    message = "contracts.*cannot be read"
    if what == "contracts":
        values["source"]["contracts"]["path"] = str(tmp_path / "nowhere")
    elif what == "a column of contracts":
        values["source"]["contracts"]["columns"]["periodic_amount"] = "cost"
        message = r"source\.contracts\.columns\.periodic_amount"
    elif what == "ids":
        values["source"]["contracts"]["columns"]["customer_id"] = "CAST(customer AS STRING)"
        message = r"source\.contracts\.columns\.customer_id is STRING, .* it is BIGINT"
    else:
        none = pa.table({"who": [1], "day": [AS_OF], "kind": ["call"]}).slice(0, 0)
        pq.write_table(none, tmp_path / "events.parquet")
        columns = {"customer_id": "who", "event_date": "day", "kind": "kind"}
        events = {"path": str(tmp_path / "events.parquet"), "columns": columns}
        kinds = {"call": {"unit_cost": 1.0}}
        values["costs"]["service"] |= {"events": events, "kinds": kinds}
        message = r"costs\.service\.events: the source has no line"
    with pytest.raises(InputError, match=message):
        pipelines.run(spark, Config.model_validate(values), AS_OF)
    assert versions(lake) == {}


def test_a_failure_between_two_stages_has_a_row_of_its_own(
    spark: SparkSession, configured: Configured
) -> None:
    run = Run(spark, configured(), "run", AS_OF)
    run.current_stage = "customer_features"
    assert failed_row(run, GateError("no"))["stage"] == "customer_features"
    done = Commit("r", None, "f", "s", "c", "v")
    run.results.append(StageResult("customer_features", "done", 1.0, done))
    assert failed_row(run, GateError("no"))["stage"] == "after customer_features"


def test_refused_rows_that_are_not_those_counted_are_not_written(spark: SparkSession) -> None:
    columns = {"customer_id": "c", "event_time": "t", "amount": "a"}
    source = TransactionsSource.model_validate({"path": "x", "columns": columns})
    refused = spark.sql("SELECT CAST(2.5 AS DECIMAL(18,2)) amount, '{}' line FROM range(2)")
    check_refused(refused, {"rows_rejected": 2, "amount_rejected": "5.00"}, source)
    for rows, amount in ((1, "5.00"), (2, "5.01")):
        with pytest.raises(GateError, match=r"do not reconcile.*Nothing was published"):
            check_refused(refused, {"rows_rejected": rows, "amount_rejected": amount}, source)


def test_a_source_that_may_lose_lines_in_silence_is_refused(
    spark: SparkSession, tmp_path: Path, configured: Configured
) -> None:
    for option in ({"ignoreCorruptFiles": "true"}, {"MODE": "dropmalformed"}):
        values = configured().model_dump(by_alias=True)
        values["source"]["transactions"]["options"] = option
        with pytest.raises(ConfigError, match=next(iter(option))):
            pipelines.run(spark, Config.model_validate(values), AS_OF)
    assert not (tmp_path / "lake" / "customer_days").exists()
