"""How long slices, and files of replaced rows, are kept."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import deltalake
from pyspark.sql import SparkSession

from clv_spark.config import Config
from clv_spark.lake import Lake
from clv_spark.pipelines.run import kept_from
from clv_spark.schemas import CLV_SCORES, MODEL_PARAMETERS, PIPELINE_RUNS

MONDAY, TUESDAY, WEDNESDAY = (dt.date(2024, 1, day) for day in (1, 2, 3))


def test_retention_follows_the_settings_also_where_nothing_is_written(
    spark: SparkSession, tmp_path: Path
) -> None:
    def lake_with(days: int) -> Lake:
        retention = {"deleted_file_days": days, "history_days": 10 * days}
        place = {"path": str(tmp_path / "lake")}
        return Lake(spark, Config.model_validate({"lake": place, "retention": retention}))

    lake_with(7).ensure(PIPELINE_RUNS)
    lake = lake_with(1)
    lake.keep_as_configured(PIPELINE_RUNS)
    properties = deltalake.DeltaTable(lake.path(PIPELINE_RUNS)).metadata().configuration
    assert properties["delta.deletedFileRetentionDuration"] == "interval 1 days"
    assert properties["delta.logRetentionDuration"] == "interval 10 days"


def test_parameters_are_kept_as_long_as_scores_made_with_them() -> None:
    held = {"clv_scores": [MONDAY, WEDNESDAY], "model_parameters": [MONDAY, TUESDAY]}
    lake = SimpleNamespace(
        oldest_slice=lambda spec, since: min(d for d in held[spec.name] if d >= since),
        newest_slice=lambda spec, up_to: max(d for d in held[spec.name] if d <= up_to),
    )
    run: Any = SimpleNamespace(lake=lake)
    # Wednesday's scores were made with Tuesday's parameters, Monday's are about to go.
    assert kept_from(run, MODEL_PARAMETERS, WEDNESDAY) == TUESDAY
    assert kept_from(run, CLV_SCORES, WEDNESDAY) == WEDNESDAY
