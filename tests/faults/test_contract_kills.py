"""A run on contracts is killed where it writes its tables, and the next run heals the lake."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from clv_spark import pipelines
from clv_spark.config import Config
from tests.contract_world import contract_sections, contracts, write_contracts
from tests.faults.test_kills import check_healed, killed_at
from tests.operations import AS_OF, Finished, write_sections

STAGES = (
    "contracts",
    "contract_features",
    "model_parameters",
    "clv_scores",
    "subscription_metrics",
    "clv_scores_latest",
)
POINTS = (
    *(
        f"{stage}:{end}"
        for stage in ("contracts", "contract_features", "subscription_metrics")
        for end in ("start", "committed")
    ),
    "contracts:read",
    "contracts:rejected_written",
    "contract_features:read",
    "clv_scores:contracts_scored",
    "clv_scores:contract_scores_written",
    "subscription_metrics:metrics_written",
)


@pytest.fixture(scope="module")
def held(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A lake after one clean run on contracts."""
    folder = tmp_path_factory.mktemp("contracts")
    source = write_contracts(contracts(900, as_of=AS_OF), folder / "source")
    values = {**contract_sections(source), "lake": {"path": str(folder / "lake")}}
    pipelines.run(spark, Config.model_validate(values), AS_OF)
    return Finished(source, folder / "lake")


@pytest.mark.long
@pytest.mark.parametrize("point", POINTS)
def test_killed_between_tables_of_contracts(
    spark: SparkSession, held: Finished, tmp_path: Path, point: str
) -> None:
    lake = tmp_path / "lake"
    conf = write_sections(tmp_path, lake, contract_sections(held.source), compiled=False)
    killed_at(conf, point, tmp_path / "log")
    check_healed(spark, conf, lake, held, STAGES)
