"""A Delta source with partitions, whose files are in their folders, or in others."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from tests.nights import FIRST, SCHEMA, Delta
from tests.spark.nights.conftest import Follower

pytestmark = pytest.mark.slow


def _append(spark: SparkSession, source: Delta, day: dt.date, **same: str) -> None:
    """Lines of a day, by Spark, in partitions by place."""
    lines = [{**line, "day": str(day), **same} for line in source.lines.of(day, 9)]
    rows = spark.createDataFrame(pa.Table.from_pylist(lines, SCHEMA)).coalesce(1)
    rows.write.format("delta").partitionBy("place").mode("append").save(str(source.folder))


def _at_random_prefixes(folder: Path) -> None:
    """The files are where other writers than this Delta put them, which has the columns in them."""
    for commit in (folder / "_delta_log").glob("*.json"):
        commit.write_text(re.sub(r'"place=[^/"]*/', '"Ab/', commit.read_text()))
        (folder / "_delta_log" / f".{commit.name}.crc").unlink(missing_ok=True)
    (folder / "Ab").mkdir()
    for file in folder.glob("place=*/*.parquet"):
        file.rename(folder / "Ab" / file.name)


def _forget_logs(spark: SparkSession) -> None:
    jvm: Any = spark.sparkContext._jvm
    jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()


def _partitioned(
    follow: Callable[..., Follower], spark: SparkSession, days: int, **same: str
) -> tuple[Follower, dt.date]:
    """A follower of a table of so many days, in a folder of its own, and the last of them."""
    shop = follow("delta", seed=3, deduplicate="none")
    shop.table.folder = shop.folder / "its lines"
    for number in range(days):
        day = FIRST + dt.timedelta(days=number)
        _append(spark, shop.table, day, **same)
    return shop, day


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("escaped names", marks=pytest.mark.long),
        "random prefixes",
        pytest.param("clone", marks=pytest.mark.long),
    ],
)
def test_partitions_are_known_wherever_their_files_are(
    follow: Callable[..., Follower], spark: SparkSession, kind: str
) -> None:
    shop, day = _partitioned(follow, spark, days=2)
    source = shop.table
    if kind == "clone":
        folder, source.folder = source.folder, shop.folder / "cloned lines"
        spark.sql(f"CREATE TABLE delta.`{source.folder}` SHALLOW CLONE delta.`{folder}`")
    elif kind == "random prefixes":
        _at_random_prefixes(source.folder)
    _forget_logs(spark)
    shop.days()
    _append(spark, source, day)
    shop.days()
    shop.check_days()


def test_a_deletion_vector_of_a_file_whose_address_is_spelled_otherwise(
    follow: Callable[..., Follower], spark: SparkSession, caplog: pytest.LogCaptureFixture
) -> None:
    """The file stays where it is: nothing but the log says that it has lost a line."""
    shop, _ = _partitioned(follow, spark, days=3, place="Perú", who="c1")
    source = shop.table
    # As a writer puts it that leaves no letter beyond ASCII in an address.
    log = source.folder / "_delta_log"
    for commit in log.glob("*.json"):
        commit.write_text(commit.read_text().replace('"place=Perú/', '"place=Per%C3%BA/'))
    for checksum in log.glob(".*.crc"):
        checksum.unlink()
    _forget_logs(spark)
    vectors = "SET TBLPROPERTIES ('delta.enableDeletionVectors' = 'true')"
    spark.sql(f"ALTER TABLE delta.`{source.folder}` {vectors}")
    shop.days()

    spark.sql(f"DELETE FROM delta.`{source.folder}` WHERE line = 1")
    shop.days()
    assert "everything is read" not in caplog.text
    shop.check_days()
