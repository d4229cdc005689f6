"""A run with costs and reports is killed between its tables, and the next run heals the lake."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from clv_spark import pipelines
from clv_spark.config import load_config
from tests.costed import costed_config, costed_once
from tests.faults.test_kills import killed_at
from tests.operations import AS_OF, Finished, contents, copied, write_sections

POINTS = (
    "customer_costs:rejected_written",
    "revenue_history:read",
    "clv_scores:tier_migration_written",
    "clv_scores:segment_summary_written",
    "clv_scores:revenue_forecast_written",
    "clv_scores:cohort_summary_written",
)


@pytest.mark.long
@pytest.mark.parametrize("point", POINTS)
def test_killed_between_tables_of_costs_and_reports(
    spark: SparkSession,
    finished: Finished,
    tmp_path_factory: pytest.TempPathFactory,
    tmp_path: Path,
    point: str,
) -> None:
    costed = costed_once(spark, tmp_path_factory)
    ours = Finished(costed.source, copied(finished.lake, tmp_path / "lake"))
    given = costed_config(finished, ours).model_dump(mode="json", by_alias=True, exclude_unset=True)
    given.pop("lake")
    conf = write_sections(tmp_path, ours.lake, given, compiled=False)
    killed_at(conf, point, tmp_path / "log")
    again = pipelines.run(spark, load_config(conf), AS_OF)
    assert again["status"] == "done"
    tables = [name for name in contents(costed.lake) if name != "pipeline_runs"]
    found, expected = contents(ours.lake, tables), contents(costed.lake, tables)
    for name in tables:
        assert found[name] == expected[name], name
    assert pipelines.run(spark, load_config(conf), AS_OF)["status"] == "already_done"
