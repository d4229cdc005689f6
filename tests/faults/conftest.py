"""The clean run that every healed lake is compared with."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession

from tests.operations import Finished, finished_once


@pytest.fixture(scope="session")
def finished(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return finished_once(spark, tmp_path_factory)
