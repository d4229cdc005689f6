"""A Delta source that is put back from a backup, and has moved on when the next night comes."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Callable
from typing import Any

import pytest
from pyspark.sql import SparkSession

from tests.nights import FIRST
from tests.spark.nights.conftest import Follower

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("appends", [2, pytest.param(3, marks=pytest.mark.long)])
def test_a_delta_source_is_put_back_and_moves_on(
    follow: Callable[..., Follower],
    spark: SparkSession,
    caplog: pytest.LogCaptureFixture,
    appends: int,
) -> None:
    """To as many versions as were read, or more: the log since then names the last files only."""
    shop = follow("delta", seed=12, deduplicate="none")
    source = shop.table
    day, backup = FIRST + dt.timedelta(days=1), shop.folder / "backup"
    source.append(source.lines.of(FIRST, 10))
    source.append(source.lines.of(FIRST, 10))
    shutil.copytree(source.folder, backup)
    for _ in range(2):
        source.append(source.lines.of(day, 5))
    shop.days()

    shutil.rmtree(source.folder)
    shutil.copytree(backup, source.folder)
    for _ in range(appends):
        source.append(source.lines.of(day, 5))
    # Every night is a session of its own, which knows nothing of the log.
    jvm: Any = spark.sparkContext._jvm
    jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()
    shop.days()
    assert "or put back from a backup" in caplog.text
    shop.check_days()
