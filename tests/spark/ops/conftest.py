"""A lake in which the first run is done; every test works on a copy of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from clv_spark.config import Config
from tests.costed import costed_once
from tests.held import held_once
from tests.operations import Finished, copied, finished_once, sections


@pytest.fixture(scope="session")
def finished(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return finished_once(spark, tmp_path_factory)


@pytest.fixture(scope="session")
def costed(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """That run once more, with contracts, costs and scenarios; its source holds their files."""
    return costed_once(spark, tmp_path_factory)


@pytest.fixture(scope="session")
def held(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """That run once more, with products and contracts; its source is the contracts."""
    return held_once(spark, tmp_path_factory)


@pytest.fixture
def lake(finished: Finished, tmp_path: Path) -> Path:
    """A copy of the finished lake."""
    return copied(finished.lake, tmp_path / "lake")


@pytest.fixture
def configured(finished: Finished, tmp_path: Path) -> Callable[..., Config]:
    """Configuration of the shop on this test's lake, with other sections on top."""

    def make(source: Path | None = None, **more: Any) -> Config:
        values = sections(source or finished.source, **more)
        return Config.model_validate({"lake": {"path": str(tmp_path / "lake")}, **values})

    return make
