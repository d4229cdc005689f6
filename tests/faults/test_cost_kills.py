"""A run with more than the shop is killed between its tables, and the next run heals the lake."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from clv_spark import pipelines
from clv_spark.config import Config, load_config
from tests.costed import costed_config, costed_once
from tests.faults.test_kills import killed_at
from tests.held import beside, held_once
from tests.operations import AS_OF, Finished, contents, copied, write_sections

COST_POINTS = (
    *(
        f"{stage}:{end}"
        for stage in ("customer_costs", "revenue_history", "cohort_history")
        for end in ("start", "committed")
    ),
    "customer_costs:read",
    "customer_costs:rejected_written",
    "revenue_history:read",
    "cohort_history:read",
    "clv_scores:tier_migration_written",
    "clv_scores:segment_summary_written",
    "clv_scores:what_if_written",
    "clv_scores:revenue_forecast_written",
    "clv_scores:cohort_summary_written",
)
PRODUCT_POINTS = (
    "customer_days:products_written",
    "customer_products:start",
    "customer_products:read",
    "customer_products:committed",
    "clv_scores:segment_products_written",
)
POINTS = (*COST_POINTS, *PRODUCT_POINTS)


def check_killed_and_healed(
    spark: SparkSession, config: Config, clean: Finished, point: str, folder: Path
) -> None:
    """The run on the lake of the configuration ends as the clean one did, whatever the kill left.

    Args:
        spark: The session of this process.
        config: On a lake of its own, as the clean run found it.
        clean: What the run ends as.
        point: Where it is killed.
        folder: For the configuration and what the child says.
    """
    assert config.lake.path is not None
    lake = Path(config.lake.path)
    given = config.model_dump(mode="json", by_alias=True, exclude_unset=True)
    given.pop("lake")
    conf = write_sections(folder, lake, given, compiled=False)
    killed_at(conf, point, folder / "log")
    again = pipelines.run(spark, load_config(conf), AS_OF)
    assert again["status"] == "done"
    tables = [name for name in contents(clean.lake) if name != "pipeline_runs"]
    found, expected = contents(lake, tables), contents(clean.lake, tables)
    for name in tables:
        assert found[name] == expected[name], name
    assert pipelines.run(spark, load_config(conf), AS_OF)["status"] == "already_done"


@pytest.mark.long
@pytest.mark.parametrize("point", COST_POINTS)
def test_killed_between_tables_of_costs_and_reports(
    spark: SparkSession,
    finished: Finished,
    tmp_path_factory: pytest.TempPathFactory,
    tmp_path: Path,
    point: str,
) -> None:
    costed = costed_once(spark, tmp_path_factory)
    ours = Finished(costed.source, copied(finished.lake, tmp_path / "lake"))
    check_killed_and_healed(spark, costed_config(finished, ours), costed, point, tmp_path)


@pytest.fixture(scope="module")
def held(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return held_once(spark, tmp_path_factory)


@pytest.mark.long
@pytest.mark.parametrize("point", PRODUCT_POINTS)
def test_killed_between_tables_of_products(
    spark: SparkSession, finished: Finished, held: Finished, tmp_path: Path, point: str
) -> None:
    lake = copied(finished.lake, tmp_path / "lake")
    config = beside(finished.source, lake, held.source)
    check_killed_and_healed(spark, config, held, point, tmp_path)
