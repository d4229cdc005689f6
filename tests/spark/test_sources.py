"""The same lines give the same customer days from any format, and a bad source leaves no trace."""

from __future__ import annotations

import datetime as dt
import json
import re
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from delta.tables import DeltaTable
from pyspark.sql import Row, SparkSession

from clv_spark.config import Config, TransactionsSource
from clv_spark.errors import ConfigError, InputError
from clv_spark.lake import Lake, open_source, trusted_session
from clv_spark.pipelines import build_customer_days, check_source, run
from clv_spark.schemas import CUSTOMER_DAYS, TABLES
from clv_spark.transforms.conform import conform
from tests.conforming import days_of_conformed

OF_DAYS = "customer_days late_changes pipeline_runs rejected_transactions source_files"
NAMES = ("Customer ID", "Invoice", "at", "Quantity", "Price", "Country")
ROWS = [
    ("12346", "489434", "2011-06-15 23:30:00", 6, "2.55", "O'Brien"),
    ("12346", "489434", "2011-06-15 23:31:00", 1, "0.105", "O'Brien"),
    ("12346", "C48944", "2011-06-16 00:10:00", -1, "2.55", "O'Brien"),
    ("12347", "489435", "2010-01-31 12:00:00", 80995, "2.08", "global"),
    ("12347", "489436", "2011-02-01 12:00:00", 1, "0", "global"),
    (None, "489437", "2011-02-01 12:00:00", 3, "1.00", "Peru"),
    ("12348", "489438", "rubbish", 3, "1.00", "Peru"),
]
COLUMNS = {
    "customer_id": "CAST(`Customer ID` AS STRING)",
    "transaction_id": "Invoice",
    "event_time": "to_timestamp(at)",
    "amount": "Quantity * Price",
    "country": "Country",
}
TABLE = pa.table(
    {name: pa.array([row[i] for row in ROWS]) for i, name in enumerate(NAMES)}
).set_column(4, "Price", pa.array([float(row[4]) for row in ROWS]))


def settings(**source: Any) -> dict[str, Any]:
    return {"timezone": "Europe/London", "columns": COLUMNS, **source}


def write_parquet(folder: Path, files: int = 1) -> str:
    folder.mkdir()
    step = -(-TABLE.num_rows // files)
    for number in range(files):
        pq.write_table(TABLE.slice(number * step, step), folder / f"part-{number}.parquet")
    return str(folder)


def parquet(spark: SparkSession, folder: Path) -> dict[str, Any]:
    return {"format": "parquet", "path": write_parquet(folder)}


def one_file(spark: SparkSession, folder: Path) -> dict[str, Any]:
    return {"format": "parquet", "path": write_parquet(folder) + "/part-0.parquet"}


def many_files_in_a_folder_of_any_name(spark: SparkSession, folder: Path) -> dict[str, Any]:
    path = write_parquet(folder.with_name("a b%20c [1]"), files=4)
    # The path in the configuration is a pattern, so brackets are escaped there.
    return {"format": "parquet", "path": path.replace("[", "\\[").replace("]", "\\]")}


def csv(spark: SparkSession, folder: Path) -> dict[str, Any]:
    folder.mkdir()
    pyarrow.csv.write_csv(TABLE, folder / "lines.csv")
    return {"format": "csv", "path": str(folder)}


def csv_inferred(spark: SparkSession, folder: Path) -> dict[str, Any]:
    found = csv(spark, folder)
    rubbish = {"timestampFormat": "yyyy-MM-dd HH:mm:ss", "inferSchema": True}
    return {**found, "options": rubbish}


def json_lines(spark: SparkSession, folder: Path) -> dict[str, Any]:
    folder.mkdir()
    text = "".join(json.dumps(row) + "\n" for row in TABLE.to_pylist())
    (folder / "lines.json").write_text(text, encoding="utf-8")
    return {"format": "json", "path": str(folder)}


def delta_path(spark: SparkSession, folder: Path) -> dict[str, Any]:
    lines = spark.read.parquet(write_parquet(folder.with_name("for_delta")))
    lines = lines.withColumnRenamed("Customer ID", "customer")
    lines.write.format("delta").save(str(folder))
    return {
        "format": "delta",
        "path": str(folder),
        "columns": {**COLUMNS, "customer_id": "customer"},
    }


def catalog_table(spark: SparkSession, folder: Path) -> dict[str, Any]:
    lines = spark.read.parquet(write_parquet(folder.with_name("for_table")))
    lines = lines.withColumnRenamed("Customer ID", "customer")
    spark.sql("CREATE SCHEMA IF NOT EXISTS source_test")
    lines.write.format("delta").mode("overwrite").saveAsTable("source_test.lines")
    return {
        "format": "table",
        "table": "source_test.lines",
        "columns": {**COLUMNS, "customer_id": "customer"},
    }


def view(spark: SparkSession, folder: Path) -> dict[str, Any]:
    spark.read.parquet(write_parquet(folder)).createOrReplaceTempView("lines_view")
    return {"format": "table", "table": "lines_view"}


KINDS: dict[str, Callable[[SparkSession, Path], dict[str, Any]]] = {
    "parquet": parquet,
    "one file": one_file,
    "folder of any name": many_files_in_a_folder_of_any_name,
    "csv": csv,
    "csv inferred": csv_inferred,
    "json": json_lines,
    "delta": delta_path,
    "table": catalog_table,
    "view": view,
}


@pytest.fixture(scope="module", autouse=True)
def no_table_stays(spark: SparkSession) -> Iterator[None]:
    yield
    spark.sql("DROP SCHEMA IF EXISTS source_test CASCADE")


def money_of(row: Row) -> tuple[str, str]:
    return str(row.gross_amount), str(row.refund_amount)


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_format_gives_the_same_days(spark: SparkSession, tmp_path: Path, kind: str) -> None:
    given = settings(**KINDS[kind](spark, tmp_path / "lines"))
    source = TransactionsSource.model_validate(given)
    with trusted_session(spark):
        read = open_source(spark, source)
        lines = conform(read.rows, source, currency=None, segments=("country",))
        days = days_of_conformed(lines, with_margin=False)
        found = sorted(
            (
                r.customer_id,
                str(r.event_date),
                r.country,
                r.transactions,
                r.line_count,
                *money_of(r),
            )
            for r in days.collect()
        )
        reasons = sorted(r.reason for r in lines.where("reason IS NOT NULL").collect())
    assert found == [
        ("12346", "2011-06-15", "O'Brien", 1, 2, "15.41", "0.00"),
        ("12346", "2011-06-16", "O'Brien", 0, 1, "0.00", "2.55"),
        ("12347", "2010-01-31", "global", 1, 1, "168469.60", "0.00"),
        ("12347", "2011-02-01", "global", 1, 1, "0.00", "0.00"),
    ]
    assert reasons == ["invalid_date", "missing_customer_id"]
    versions_of = {"delta": "delta:", "table": "delta:", "view": "unversioned"}
    assert read.version.startswith(versions_of.get(kind, "files:"))


def version_of(spark: SparkSession, **source: Any) -> str:
    config = TransactionsSource.model_validate(settings(**source))
    return open_source(spark, config).version


def test_the_version_of_files_changes_with_the_files(spark: SparkSession, tmp_path: Path) -> None:
    folder = write_parquet(tmp_path / "lines", files=2)
    first = version_of(spark, path=folder)
    assert version_of(spark, path=folder) == first
    shutil.copy(f"{folder}/part-0.parquet", f"{folder}/part-9.parquet")
    second = version_of(spark, path=folder)
    assert second != first
    pq.write_table(TABLE.slice(0, 1), f"{folder}/part-9.parquet")
    assert version_of(spark, path=folder) not in (first, second)


def test_the_version_of_a_delta_table_changes_with_its_commits(
    spark: SparkSession, tmp_path: Path
) -> None:
    source = delta_path(spark, tmp_path / "delta")
    first = version_of(spark, **source)
    assert version_of(spark, **source) == first
    assert re.fullmatch("delta:[0-9a-f-]{36}:0:[0-9]{16}", first)
    spark.range(1).selectExpr("'1' AS customer").write.format("delta").mode("append").save(
        source["path"]
    )
    assert version_of(spark, **source).startswith(first.partition(":0:")[0] + ":1:")
    (tmp_path / "made").mkdir()
    anew = version_of(spark, **delta_path(spark, tmp_path / "made" / "anew"))
    assert ":0:" in anew
    assert anew != first


@pytest.fixture(scope="module")
def lake_with_days(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Config]:
    """A lake that a good source has filled; makes configurations of it with other sources."""
    folder = tmp_path_factory.mktemp("sources")
    good = settings(path=write_parquet(folder / "good"))

    def config(**source: Any) -> Config:
        return Config.model_validate(
            {
                "lake": {"path": str(folder / "lake")},
                "segments": ["country"],
                "source": {"transactions": {**good, **source}},
            }
        )

    build_customer_days(spark, config())
    return config


def versions(spark: SparkSession, config: Config) -> dict[str, int]:
    lake = Lake(spark, config)
    return {
        spec.name: DeltaTable.forPath(spark, lake.path(spec)).history(1).first()["version"]
        for spec in TABLES
        if lake.exists(spec)
    }


def missing(folder: Path) -> dict[str, Any]:
    return {"path": str(folder / "nowhere")}


def empty_folder(folder: Path) -> dict[str, Any]:
    (folder / "empty").mkdir()
    return {"path": str(folder / "empty")}


def empty_csv_folder(folder: Path) -> dict[str, Any]:
    return {**empty_folder(folder), "format": "csv"}


def garbage(folder: Path) -> dict[str, Any]:
    (folder / "garbage.parquet").write_bytes(b"this is no parquet at all" * 40)
    return {"path": str(folder / "garbage.parquet")}


def garbage_beside_good_files(folder: Path) -> dict[str, Any]:
    path = write_parquet(folder / "mixed", files=2)
    (folder / "mixed" / "part-9.parquet").write_bytes(b"this is no parquet at all" * 40)
    return {"path": path}


def no_line(folder: Path) -> dict[str, Any]:
    pq.write_table(TABLE.slice(0, 0), folder / "none.parquet")
    return {"path": str(folder / "none.parquet")}


def only_a_header(folder: Path) -> dict[str, Any]:
    (folder / "none.csv").write_text(",".join(NAMES) + "\n")
    return {"path": str(folder / "none.csv"), "format": "csv"}


def empty_file(folder: Path) -> dict[str, Any]:
    (folder / "none.json").write_text("")
    return {"path": str(folder / "none.json"), "format": "json"}


def no_usable_line(folder: Path) -> dict[str, Any]:
    pq.write_table(TABLE.slice(5), folder / "refused.parquet")
    return {"path": str(folder / "refused.parquet")}


def other_columns(folder: Path) -> dict[str, Any]:
    pq.write_table(pa.table({"a": [1]}), folder / "other.parquet")
    return {"path": str(folder / "other.parquet")}


def no_table(folder: Path) -> dict[str, Any]:
    return {"path": None, "format": "table", "table": "source_test.nothing"}


def no_delta(folder: Path) -> dict[str, Any]:
    return {"path": write_parquet(folder / "plain"), "format": "delta"}


BAD = (
    missing,
    empty_folder,
    empty_csv_folder,
    garbage,
    garbage_beside_good_files,
    no_line,
    only_a_header,
    empty_file,
    no_usable_line,
    other_columns,
    no_table,
    no_delta,
)


@pytest.mark.parametrize("make", BAD, ids=lambda make: make.__name__)
def test_a_bad_source_leaves_every_table_as_it_was(
    spark: SparkSession, lake_with_days: Callable[..., Config], tmp_path: Path, make: Any
) -> None:
    config = lake_with_days(**make(tmp_path))
    before = versions(spark, config)
    with pytest.raises(InputError) as caught:
        build_customer_days(spark, config)
    assert caught.value.exit_code == 11
    assert "source.transactions" in str(caught.value)
    assert versions(spark, config) == before
    assert set(before) == {*OF_DAYS.split()}


def test_a_bad_source_makes_no_table_in_a_new_lake(
    spark: SparkSession, config_for: Callable[..., Config], tmp_path: Path
) -> None:
    config = config_for(source={"transactions": settings(path=str(tmp_path / "nowhere"))})
    with pytest.raises(InputError):
        build_customer_days(spark, config)
    assert versions(spark, config) == {}


def test_no_source_is_a_matter_of_configuration(
    spark: SparkSession, config_for: Callable[..., Config], tmp_path: Path
) -> None:
    for job in (build_customer_days, partial(run, as_of=dt.date(2011, 12, 9))):
        with pytest.raises(ConfigError, match=r"source\.transactions is not configured.*--conf"):
            job(spark, config_for())
    assert not (tmp_path / "lake").exists()


def test_check_source_shows_what_was_understood_and_writes_nothing(
    spark: SparkSession, lake_with_days: Callable[..., Config]
) -> None:
    zones = {"default": "Europe/London", "Peru": "America/Lima", "global ": "UTC", "Jpan": "UTC"}
    config = lake_with_days(timezone=zones)
    before = versions(spark, config)
    found = check_source(spark, config)
    assert versions(spark, config) == before
    mapping = {part["column"]: (part["expression"], part["type"]) for part in found["mapping"]}
    assert mapping["customer_id"] == (COLUMNS["customer_id"], "string")
    assert mapping["amount"] == ("Quantity * Price", "double")
    assert mapping.keys() == COLUMNS.keys()
    assert found["reasons"] == {
        "used": {"lines": 5, "amount": 168_482.46},
        "missing_customer_id": {"lines": 1, "amount": 3.0},
        "invalid_date": {"lines": 1, "amount": 3.0},
    }
    assert (found["first_date"], found["last_date"]) == (dt.date(2010, 1, 31), dt.date(2011, 6, 16))
    assert len(found["sample"]) == 5
    assert any("invalid_date" in advice for advice in found["advice"])
    (about_zones,) = (advice for advice in found["advice"] if "timezone" in advice)
    assert "['Jpan', 'global ']" in about_zones
    assert found["currencies"] is None


@pytest.mark.slow
def test_a_segment_key_that_is_added_later_has_its_comment(
    spark: SparkSession, tmp_path: Path
) -> None:
    given = settings(path=write_parquet(tmp_path / "lines"))
    lake = {"path": str(tmp_path / "lake")}
    without = {"lake": lake, "source": {"transactions": given}}
    build_customer_days(spark, Config.model_validate(without))
    config = Config.model_validate({**without, "segments": ["country"]})
    build_customer_days(spark, config)
    table = Lake(spark, config).read(CUSTOMER_DAYS)
    assert "(unknown)" in table.schema["country"].metadata["comment"]
    assert {row[0] for row in table.select("country").distinct().collect()} == {"O'Brien", "global"}
