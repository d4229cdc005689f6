"""Files are named as Spark names them, whatever letters are in their names."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from pyspark.sql import SparkSession

from clv_spark.config import TransactionsSource
from clv_spark.lake.addresses import as_address
from clv_spark.lake.source_state import open_source

ODD = "o'brien 50% #1 a%41 é　[x] {y}"


def test_an_address_is_the_uri_that_java_makes(spark: SparkSession) -> None:
    letters = "".join(map(chr, range(1, 0x3100))).replace("/", "").replace(":", "")
    path, jvm = f"file:/a{letters}b/c.parquet", cast(Any, spark.sparkContext._jvm)
    assert as_address(path) == jvm.org.apache.hadoop.fs.Path(path).toUri().toString()


@pytest.mark.parametrize("kind", ["csv", "json", "parquet"])
def test_files_with_odd_names_have_their_size_and_time(
    spark: SparkSession, tmp_path: Path, kind: str
) -> None:
    folder = tmp_path / "lines"
    rows = spark.createDataFrame([(1, "2024-01-01", 5.0)], "who INT, day STRING, amount DOUBLE")
    rows.coalesce(1).write.format(kind).option("header", "true").save(str(folder))
    (file,) = folder.glob(f"part-*.{kind}")
    for name in ODD.split():
        (folder / f"{name}.{kind}").write_bytes(file.read_bytes())
    (folder / f"{ODD}.{kind}").write_bytes(file.read_bytes())
    columns = {"customer_id": "who", "event_time": "to_timestamp(day)", "amount": "amount"}
    section = {"format": kind, "path": str(folder), "columns": columns}
    options = {"options": {"header": "true"}} if kind == "csv" else {}
    source = open_source(spark, TransactionsSource.model_validate(section | options))
    assert source.files is not None
    marks = list(source.files.values())
    assert len(marks) == len(ODD.split()) + 2
    assert all(mark is not None and mark[0] == file.stat().st_size for mark in marks)
