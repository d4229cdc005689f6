"""Contracts of a plan that came after the fit: scores and forecast know them alike."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from clv_spark import pipelines
from clv_spark.config import Config
from clv_spark.kernels.contract_parameters import contract_parameters
from clv_spark.kernels.forecast_subscriptions import (
    forecast_rows,
    forecast_subscriptions,
    new_subscriptions,
)
from clv_spark.kernels.newcomers import newcomer_rows
from clv_spark.lake import Lake
from clv_spark.pipelines.newcomers import new_contract_segments
from clv_spark.pipelines.run_context import Run
from clv_spark.schemas import CONTRACT_FEATURES, MODEL_PARAMETERS
from clv_spark.transforms.contract_scores import contract_score_input
from clv_spark.transforms.subscriptions import arrival_sums, running_patterns
from tests.contract_world import AS_OF, contract_sections, contracts, write_contracts
from tests.operations import read_table

NEW = "student"


@pytest.mark.long
def test_a_plan_that_came_after_the_fit_is_forecast_as_unsure_as_plans_differ(
    spark: SparkSession, tmp_path: Path
) -> None:
    rows = contracts()
    place = {"lake": {"path": str(tmp_path / "lake")}}
    config = Config.model_validate({**place, **contract_sections(tmp_path / "plans")})
    write_contracts(rows, tmp_path / "plans")
    pipelines.build_contracts(spark, config)
    pipelines.build_features(spark, config, AS_OF)
    pipelines.fit_models(spark, config, AS_OF)
    copies = [
        {**row, "customer": 10_000 + row["customer"], "plan": NEW}
        for row in rows
        if row["plan"] == "basic"
    ]
    shutil.rmtree(tmp_path / "plans")
    write_contracts([*rows, *copies], tmp_path / "plans")
    pipelines.build_contracts(spark, config)
    pipelines.build_features(spark, config, AS_OF)
    pipelines.score_customers(spark, config, AS_OF)

    scores = read_table(tmp_path / "lake" / "contract_scores").to_pylist()
    expected = sum(row["p_active_365d"] for row in scores if row["segment"] == NEW)
    forecast = {
        row["months_ahead"]: row
        for row in read_table(tmp_path / "lake" / "subscription_forecast").to_pylist()
        if row["segment"] == NEW
    }
    assert forecast[12]["running_contracts"] == pytest.approx(expected)

    lake = Lake(spark, config)
    fits = lake.read(MODEL_PARAMETERS, AS_OF).where("chosen AND relationship = 'contract'")
    fitted = [row.asDict() for row in fits.where("time_unit = 'month'").collect()]
    inputs = contract_score_input(lake.read(CONTRACT_FEATURES, AS_OF), ("plan",), AS_OF)
    patterns = running_patterns(inputs.where(f"segment = '{NEW}'")).toPandas()
    known = contract_parameters(fitted, newcomer_rows([NEW], fitted, nested=False))
    (arrived,) = arrival_sums(inputs.where(f"segment = '{NEW}'"), 0.3, 1, 365).collect()
    ((oldest,),) = inputs.agg(F.max("age_days")).collect()
    to_come = new_subscriptions(known[NEW, "month"], arrived.asDict(), min(365, 1 + oldest))
    wanted, narrow = (
        forecast_rows([forecast_subscriptions(patterns, known[name, "month"])], [to_come])
        for name in (NEW, "global")
    )
    for row, sure in zip(wanted, narrow, strict=True):
        found = forecast[row["months_ahead"]]
        assert {name: found[name] for name in row} == pytest.approx(row)
        assert found["running_contracts"] == pytest.approx(sure["running_contracts"])
    widths = [
        np.array([row["running_high"] - row["running_low"] for row in rows])
        for rows in (wanted, narrow)
    ]
    assert (widths[0][5:] > 1.2 * widths[1][5:]).all()


def test_new_segments_of_contracts_are_looked_for_by_period(spark: SparkSession) -> None:
    place = {"lake": {"path": "lake"}}
    config = Config.model_validate({**place, **contract_sections("plans")})
    root = {
        "model": "sbg",
        "segment": "global",
        "parent_segment": None,
        "time_unit": "month",
        "status": "ok",
        "parameters": {"alpha": 0.7, "beta": 6.0},
        "covariance": None,
        "parameters_segment": "global",
        "message": "",
    }
    fitted = [root, {**root, "segment": "basic", "parent_segment": "global"}]
    there = [("basic", "month"), ("student", "month"), ("student", "month"), ("basic", "year")]
    contracts_now = spark.createDataFrame(there, "segment STRING, period STRING")
    yesterday = AS_OF - dt.timedelta(days=1)
    for job, fit_date, wanted in (
        ("score-customers", AS_OF, ["student"]),
        ("run", yesterday, ["student"]),
        # This run fitted what it scores.
        ("run", AS_OF, []),
    ):
        run = Run(spark, config, job, AS_OF)
        found = new_contract_segments(run, fit_date, contracts_now, fitted)
        assert [row["segment"] for row in found] == wanted
        assert all(row["time_unit"] == "month" for row in found)
