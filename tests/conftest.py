"""Shared by all tests: one Spark session a process, configurations, markers by folder."""

from __future__ import annotations

import datetime as dt
import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.groups import place_of, pytest_xdist_make_scheduler
from tests.small_spark import TEST_SPARK, compiled

# This file is read before any process starts to look for tests, also where none needs Spark.
if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from clv_spark.config import Config
    from clv_spark.lake import Lake

__all__ = ["pytest_xdist_make_scheduler"]  # a hook: pytest finds it here

ROOT = Path(__file__).parent.parent
DEMO_AS_OF = dt.date(2011, 12, 9)
# Tests in these folders need a JVM, child processes, a cluster or seconds of simulation; of all
# others those run in test-fast that have no such marker of their own.
MARKED_FOLDERS = ("spark", "cli", "cluster", "faults", "studies")


def pytest_collection_finish() -> None:
    """What was imported stays, and tests leave few cycles: looking for them took a thirtieth."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        # The folder under tests/ counts, so that tests/spark/ops is spark too.
        folder = item.path.relative_to(ROOT).parts[1]
        if folder in MARKED_FOLDERS:
            item.add_marker(getattr(pytest.mark, folder))
    items.sort(key=lambda item: place_of(item.nodeid))


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """The one session of a test process."""
    from clv_spark.config import Config
    from clv_spark.session import get_session

    warehouse = str(tmp_path_factory.mktemp("warehouse"))
    conf = {**TEST_SPARK, "spark.sql.warehouse.dir": warehouse}
    session = get_session(Config.model_validate({"spark": {"master": "local[2]", "conf": conf}}))
    yield session
    session.stop()


@pytest.fixture(scope="session")
def demo_lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """The lake of the demo: Online Retail II, run once as of its last day. Only to be read."""
    from clv_spark.config import load_config
    from clv_spark.lake import Lake
    from clv_spark.pipelines import run

    folder = tmp_path_factory.mktemp("demo") / "lake"
    lines = ROOT / "data" / "online_retail_ii.parquet"
    overrides = [f"lake.path={folder}", f"source.transactions.path={lines}"]
    config = load_config(ROOT / "conf" / "demo.yml", overrides, environ={})
    with compiled(spark):
        run(spark, config, DEMO_AS_OF)
    return Lake(spark, config)


@pytest.fixture
def config_for(tmp_path: Path) -> Callable[..., Config]:
    """Makes a configuration with a lake of its own; sections are given as keywords."""
    from clv_spark.config import Config

    def make(**sections: Any) -> Config:
        return Config.model_validate({"lake": {"path": str(tmp_path / "lake")}, **sections})

    return make
