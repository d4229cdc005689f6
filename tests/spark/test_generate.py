"""The job ``generate``: the same lines for any number of files, and nothing is ever overwritten."""

import importlib
from collections.abc import Iterator
from datetime import date
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.errors import PythonException
from pyspark.sql import SparkSession

from clv_spark.errors import ConfigError
from clv_spark.kernels.generate import BLOCK_CUSTOMERS, lines_schema, transactions
from clv_spark.pipelines.generate import generate

pytestmark = pytest.mark.spark

PERIOD = {"start": date(2022, 1, 1), "end": date(2023, 12, 31)}
CUSTOMERS = BLOCK_CUSTOMERS + 500


def lines_in(directory: Path) -> pa.Table:
    return pq.read_table(directory).sort_by("line_id")


@pytest.fixture(scope="module")
def expected() -> pa.Table:
    """Return what the kernel makes without Spark."""
    batches = transactions(0, CUSTOMERS, **PERIOD, seed=4)
    return pa.Table.from_batches(batches).sort_by("line_id")


@pytest.mark.parametrize(("files", "by_time"), [(1, False), (2, False), (3, True)])
def test_the_lines_are_the_kernels_for_any_files(
    spark: SparkSession, tmp_path: Path, expected: pa.Table, files: int, by_time: bool
) -> None:
    out = tmp_path / "lines"
    result = generate(
        spark, out=str(out), customers=CUSTOMERS, **PERIOD, seed=4, files=files, by_time=by_time
    )
    assert lines_in(out).equals(expected)
    assert result["lines"] == expected.num_rows
    assert result["customers"] == CUSTOMERS
    assert result["paths"] == [str(out)]
    assert result["files"] == files == len(list(out.glob("*.parquet")))


def test_files_by_time_do_not_overlap(spark: SparkSession, tmp_path: Path) -> None:
    out = tmp_path / "lines"
    generate(spark, out=str(out), customers=500, **PERIOD, files=3, by_time=True)
    times = [pq.read_table(file)["event_time"].to_numpy() for file in out.glob("*.parquet")]
    spans = sorted((time.min(), time.max()) for time in times)
    assert all(before[1] < after[0] for before, after in pairwise(spans))
    assert all((time[1:] >= time[:-1]).all() for time in times)


def test_string_ids_countries_and_target_reach_the_kernel(
    spark: SparkSession, tmp_path: Path
) -> None:
    # A name that Spark's readers take for a pattern.
    out = tmp_path / "lines[1]"
    result = generate(
        spark, out=str(out), customers=3000, lines=60_000, **PERIOD, ids="string", countries=2
    )
    lines = lines_in(out)
    assert lines.schema.names == lines_schema("string").names
    assert lines.schema.field("customer_id").type == pa.string()
    assert lines.schema.field("event_time").type.tz is None
    assert set(lines["country"].to_pylist()) == {"Germany", "France"}
    assert set(lines["currency"].to_pylist()) == {"EUR"}
    assert result["lines"] == lines.num_rows == pytest.approx(60_000, rel=0.05)


def test_an_empty_directory_is_filled_and_then_refused(spark: SparkSession, tmp_path: Path) -> None:
    generate(spark, out=str(tmp_path), customers=50, **PERIOD)
    before = lines_in(tmp_path)
    with pytest.raises(ConfigError, match="choose another directory"):
        generate(spark, out=str(tmp_path), customers=50, **PERIOD, seed=1)
    assert lines_in(tmp_path).equals(before)


def test_a_taken_address_is_refused_before_anything_is_written(
    spark: SparkSession, tmp_path: Path
) -> None:
    (tmp_path / "other.txt").write_text("not ours")
    with pytest.raises(ConfigError, match="choose another directory"):
        generate(spark, out=f"file://{tmp_path}", customers=50, **PERIOD)
    assert [path.name for path in tmp_path.iterdir()] == ["other.txt"]


@pytest.mark.parametrize("wrong", [{"customers": 0}, {"countries": 9}, {"files": 0}, {"seed": -1}])
def test_wrong_arguments_are_refused_before_spark_starts(
    spark: SparkSession, tmp_path: Path, wrong: dict[str, int]
) -> None:
    with pytest.raises(ConfigError):
        generate(spark, out=str(tmp_path / "lines"), **{"customers": 50, **PERIOD, **wrong})
    assert not (tmp_path / "lines").exists()


def test_a_fault_in_a_worker_is_not_blamed_on_the_folder(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(batches: object, **arguments: object) -> Iterator[pa.RecordBatch]:
        raise ZeroDivisionError

    # The package has a function of the module's name.
    module = importlib.import_module("clv_spark.pipelines.generate")
    monkeypatch.setattr(module, "block_lines", broken)
    with pytest.raises(PythonException):
        generate(spark, out=str(tmp_path / "lines"), customers=50, **PERIOD)


def test_a_folder_that_cannot_be_made_is_named(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"--out .*/file/lines cannot be written"):
        generate(spark, out=str(tmp_path / "file" / "lines"), customers=50, **PERIOD)
