"""What is published is read by others than Spark, also literally as the demo says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import deltalake
import duckdb
import duckdb_extension_delta
import polars as pl
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from clv_spark.config import Config
from clv_spark.lake import Lake
from clv_spark.reports.demo import how_to_read
from tests.operations import KEYS, Finished, read_table, versions

# In a shop that sends nothing late and takes nothing back from those who never bought, beside
# contracts without a mistake.
MAY_BE_EMPTY = ("late_changes", "refund_only_customers", "tier_migration", "rejected_contracts")
SUMS = ("clv", "total_clv", "historical_clv", "p_active_365d", "frequency", "T")


@pytest.fixture(scope="module")
def database() -> duckdb.DuckDBPyConnection:
    (folder,) = duckdb_extension_delta.__path__
    (file,) = Path(folder).rglob("delta.duckdb_extension")
    connection = duckdb.connect()
    connection.load_extension(str(file))
    return connection


def in_order(read: pa.Table, expected: pa.Table, key: tuple[str, ...]) -> pa.Table:
    """What somebody read, with the types and the order in which it can be compared."""
    assert sorted(read.column_names) == sorted(expected.column_names)
    flat = [field.name for field in expected.schema if not pa.types.is_nested(field.type)]
    rows = read.select(expected.column_names).cast(expected.schema)
    return rows.sort_by([(name, "ascending") for name in key or flat])


def read_by_all(database: duckdb.DuckDBPyConnection, folder: Path) -> dict[str, pa.Table]:
    """Every row and column of a table, by reader."""
    return {
        "delta-rs": read_table(folder),
        "DuckDB": database.execute("FROM delta_scan(?)", [str(folder)]).to_arrow_table(),
        "Polars": pl.scan_delta(str(folder)).collect().to_arrow(),
    }


def test_every_table_is_read_alike_and_needs_reader_version_1(
    lake: Path, held: Finished, costed: Finished, database: duckdb.DuckDBPyConnection
) -> None:
    filled, there = set(MAY_BE_EMPTY), set()
    for folder in (lake, held.lake, costed.lake):
        for name in versions(folder):
            protocol = deltalake.DeltaTable(str(folder / name)).protocol()
            assert protocol.min_reader_version == 1, name
            assert not protocol.reader_features
            read = read_by_all(database, folder / name)
            expected = in_order(read["delta-rs"], read["delta-rs"], KEYS[name])
            for reader, rows in read.items():
                assert in_order(rows, expected, KEYS[name]).equals(expected), (name, reader)
            there.add(name)
            if expected.num_rows:
                filled.add(name)
    assert filled == there == set(KEYS)


def test_spark_reads_the_same_sums(
    spark: SparkSession, lake: Path, database: duckdb.DuckDBPyConnection
) -> None:
    latest = lake / "clv_scores_latest"
    in_spark = spark.read.format("delta").load(str(latest)).toPandas()
    for reader, rows in read_by_all(database, latest).items():
        assert rows.num_rows == len(in_spark)
        for column in SUMS:
            expected = in_spark[column].sum()
            assert expected > 0
            found = rows[column].to_pandas().sum()
            assert found == pytest.approx(expected, rel=1e-12), (reader, column)


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
