"""How the options, the schema and the layout of a source decide what its lines say."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from clv_spark.config import Config, TransactionsSource
from clv_spark.errors import ConfigError, InputError
from clv_spark.lake import open_source, read_source, trusted_session
from clv_spark.pipelines import build_customer_days
from clv_spark.transforms.conform import conform

COLUMNS = {"customer_id": "who", "event_time": "id", "amount": "id"}


def test_inferred_times_are_local_times(spark: SparkSession, tmp_path: Path) -> None:
    """Read as instants in UTC, 23:30 of a London summer evening would be the next day."""
    (tmp_path / "lines.csv").write_text("who,at,amount\nx,2011-06-15 23:30:00,1.00\n")
    columns = {"customer_id": "who", "event_time": "at", "amount": "amount"}
    source = TransactionsSource.model_validate(
        {
            "format": "csv",
            "path": str(tmp_path),
            "timezone": "Europe/London",
            "options": {"inferSchema": True},
            "columns": columns,
        }
    )
    with trusted_session(spark):
        read = read_source(spark, source)
        assert read.schema["at"].dataType.simpleString() == "timestamp_ntz"
        (line,) = conform(read, source, currency=None, segments=()).collect()
    assert line["event_date"] == dt.date(2011, 6, 15)


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_times_that_the_schema_calls_instants_are_local_times(
    spark: SparkSession, tmp_path: Path, kind: str
) -> None:
    text = {
        "csv": "who,at,amount,land\nx,2011-06-15 23:30:00,1.00,Peru\n",
        "json": '{"who": "x", "at": "2011-06-15 23:30:00", "amount": "1.00", "land": "Peru"}\n',
    }
    (tmp_path / f"lines.{kind}").write_text(text[kind])
    columns = {"customer_id": "who", "event_time": "at", "amount": "amount", "country": "land"}
    values = {
        "format": kind,
        "path": str(tmp_path),
        "schema": "who STRING, at TIMESTAMP, amount STRING, land STRING",
        "columns": columns,
    }

    def day(zone: Any, **more: Any) -> dt.date:
        source = TransactionsSource.model_validate({**values, "timezone": zone, **more})
        with trusted_session(spark):
            rows = read_source(spark, source)
            (line,) = conform(rows, source, currency=None, segments=()).collect()
        return line["event_date"]

    evening = dt.date(2011, 6, 15)
    for zone in ("Europe/London", "Asia/Tokyo", "America/Lima", "UTC"):
        assert day(zone) == evening
    # In Tokyo it is the next morning, when the text is said to be of London.
    assert day("Asia/Tokyo", options={"timeZone": "Europe/London"}) == dt.date(2011, 6, 16)
    zones = {"default": "UTC", "Peru": "America/Lima"}
    with pytest.raises(ConfigError, match="TIMESTAMP_NTZ"):
        day(zones)
    local = "who STRING, at TIMESTAMP_NTZ, amount STRING, land STRING"
    assert day(zones, schema=local) == evening


@pytest.mark.parametrize("zone", ["Factory", {"default": "UTC", "Peru": "Factory"}])
def test_a_zone_that_java_does_not_know_is_named(
    spark: SparkSession, tmp_path: Path, zone: Any
) -> None:
    """Python knows it; so it is with a zone that is younger than the Java."""
    (tmp_path / "lines.csv").write_text("who,id\nx,1\n")
    values = {"format": "csv", "path": str(tmp_path), "timezone": zone}
    columns = {**COLUMNS, "country": "'Peru'"}
    source = TransactionsSource.model_validate({**values, "columns": columns})
    before = spark.conf.get("spark.sql.session.timeZone")
    with pytest.raises(ConfigError, match=r"transactions\.timezone: 'Factory' is no time zone"):
        open_source(spark, source)
    assert spark.conf.get("spark.sql.session.timeZone") == before


def test_a_schema_that_is_no_ddl_is_looked_for(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "lines.csv").write_text("who,id\nx,1\n")
    values = {"format": "csv", "path": str(tmp_path), "schema": "who STRING id BIGINT"}
    source = TransactionsSource.model_validate({**values, "columns": COLUMNS})
    with pytest.raises(InputError, match=r"PARSE_SYNTAX_ERROR.*Check .*schema"):
        open_source(spark, source)


def test_the_columns_of_a_csv_are_known_by_their_names(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("who,at,amount,tax\nx,2011-06-15,100,19\n")
    (tmp_path / "b.csv").write_text("who,at,tax,amount\ny,2011-06-15,19,100\n")
    columns = {"customer_id": "who", "event_time": "at", "amount": "amount", "country": "'Peru'"}
    source = {"format": "csv", "path": str(tmp_path), "columns": columns}
    values = {"lake": {"path": str(tmp_path / "lake")}, "source": {"transactions": source}}
    with pytest.raises(InputError):
        build_customer_days(spark, Config.model_validate(values))
    assert not (tmp_path / "lake" / "customer_days").exists()


def test_another_version_than_the_newest_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    for option in ("versionAsOf", "TimestampAsOf"):
        values = {"format": "delta", "path": str(tmp_path), "options": {option: "0"}}
        source = TransactionsSource.model_validate({**values, "columns": COLUMNS})
        with pytest.raises(ConfigError, match=option):
            open_source(spark, source)


def test_the_files_of_a_delta_table_have_its_columns_in_its_order(
    spark: SparkSession, tmp_path: Path
) -> None:
    lines = spark.sql("SELECT 'Peru' AS `a.b`, id, 'x' AS who FROM range(2)")
    for _ in range(2):
        lines.write.format("delta").mode("append").partitionBy("a.b").save(str(tmp_path))
    values = {"format": "delta", "path": str(tmp_path), "columns": COLUMNS}
    source = open_source(spark, TransactionsSource.model_validate(values))
    assert source.delta is not None
    some = source.of_files(sorted(source.files or {})[:1])
    assert some.columns == lines.columns
    assert {row["a.b"] for row in some.collect()} == {"Peru"}
    # A table that was put back from a backup is older than what was read of it.
    assert source.delta.files_in_log(source.delta.version) == {}
    assert source.delta.files_in_log(source.delta.version + 1) is None
