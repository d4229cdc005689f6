"""What is published is read by others than Spark, also literally as the demo says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import deltalake
import duckdb
import duckdb_extension_delta
import polars as pl
import pytest
from pyspark.sql import SparkSession

from clv_spark.config import Config
from clv_spark.lake import Lake
from clv_spark.reports.demo import how_to_read
from tests.operations import Finished, read_table, versions

# In a shop that sends nothing late and takes nothing back from those who never bought.
MAY_BE_EMPTY = ("late_changes", "refund_only_customers", "tier_migration")
SUMS = ("clv", "total_clv", "historical_clv", "p_active_365d", "frequency", "T")


@pytest.fixture(scope="module")
def database() -> duckdb.DuckDBPyConnection:
    (folder,) = duckdb_extension_delta.__path__
    (file,) = Path(folder).rglob("delta.duckdb_extension")
    connection = duckdb.connect()
    connection.load_extension(str(file))
    return connection


def test_every_table_is_read_alike_and_needs_reader_version_1(
    spark: SparkSession, lake: Path, database: duckdb.DuckDBPyConnection
) -> None:
    for name in versions(lake):
        folder = str(lake / name)
        protocol = deltalake.DeltaTable(folder).protocol()
        assert protocol.min_reader_version == 1, name
        assert not protocol.reader_features
        rows = read_table(folder).num_rows
        assert rows > 0 or name in MAY_BE_EMPTY, name
        (count,) = database.sql(f"SELECT count(*) FROM delta_scan('{folder}')").fetchall()
        assert count == (rows,)
        assert pl.scan_delta(folder).select(pl.len()).collect().item() == rows
    latest = str(lake / "clv_scores_latest")
    in_spark = spark.read.format("delta").load(latest).toPandas()
    in_polars = pl.read_delta(latest)
    in_delta_rs = read_table(latest)
    for column in SUMS:
        (total,) = database.sql(f"SELECT fsum({column}) FROM delta_scan('{latest}')").fetchall()
        expected = in_spark[column].sum()
        assert expected > 0
        for found in (
            total[0],
            in_polars[column].sum(),
            in_delta_rs[column].to_pandas().sum(),
        ):
            assert found == pytest.approx(expected, rel=1e-12)


def ways(spark: SparkSession, lake: Path) -> dict[str, str]:
    """The copy-paste examples at the end of the demo, by tool."""
    config = Config.model_validate({"lake": {"path": str(lake)}})
    text = how_to_read(Lake(spark, config))
    found = re.findall(r"^(Spark SQL|DuckDB|Polars) .*\n((?:  .*\n)+)", text, re.MULTILINE)
    return {tool: re.sub(r"^  ", "", code, flags=re.MULTILINE) for tool, code in found}


def last_value(code: str) -> Any:
    """What a notebook shows under a cell with this code."""
    *head, last = code.strip().splitlines()
    names: dict[str, Any] = {}
    exec("\n".join(head), names)
    return eval(last, names)


def test_the_ways_to_read_that_the_demo_prints_work(
    spark: SparkSession, lake: Path, finished: Finished
) -> None:
    best = sorted(read_table(lake / "clv_scores_latest")["clv"].to_pylist(), reverse=True)[:10]
    printed = ways(spark, lake)
    assert set(printed) == {"Spark SQL", "DuckDB", "Polars"}
    statement = printed["Spark SQL"].strip().rstrip(";")
    assert [row["clv"] for row in spark.sql(statement).collect()] == best
    assert [row[1] for row in last_value(printed["DuckDB"]).fetchall()] == best
    assert last_value(printed["Polars"])["clv"].to_list() == best
