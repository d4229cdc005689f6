"""Lines for the tests of conform."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pyspark.sql import DataFrame, SparkSession


@pytest.fixture(scope="module")
def values(spark: SparkSession) -> Callable[..., DataFrame]:
    """A source from rows of SQL, with the names of its columns."""

    def make(columns: str, *rows: str) -> DataFrame:
        return spark.sql(f"SELECT * FROM VALUES {', '.join(rows)} AS t({columns})")

    return make
