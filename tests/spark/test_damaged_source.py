"""A file of the source that is damaged where nothing but a refused line is read."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from clv_spark.config import Config
from clv_spark.errors import InputError
from clv_spark.lake import Lake
from clv_spark.pipelines import build_customer_days
from clv_spark.schemas import CUSTOMER_DAYS, REJECTED_TRANSACTIONS, SOURCE_FILES

COLUMNS = {"customer_id": "id", "event_time": "day", "amount": "amount"}


def damaged(path: Path, column: str) -> None:
    """Overwrites the first page of a column, header and all."""
    chunks = pq.read_metadata(path).row_group(0)
    (chunk,) = (
        chunks.column(number)
        for number in range(chunks.num_columns)
        if chunks.column(number).path_in_schema == column
    )
    with path.open("r+b") as file:
        file.seek(chunk.data_page_offset)
        file.write(b"\xff" * chunk.total_compressed_size)


def test_a_damaged_column_of_refused_lines_ends_with_11_and_writes_nothing(
    spark: SparkSession, config_for: Callable[..., Config], tmp_path: Path
) -> None:
    lines = {
        "id": ["a", None],
        "day": [dt.date(2024, 1, 1)] * 2,
        "amount": [5.0, 6.0],
        "note": ["that nobody maps"] * 2,
    }
    path = tmp_path / "lines.parquet"
    pq.write_table(pa.table(lines), path, compression="none", use_dictionary=False)
    damaged(path, "note")
    source = {"format": "parquet", "path": str(path), "deduplicate": "none", "columns": COLUMNS}
    config = config_for(source={"transactions": source}, currency="EUR")
    with pytest.raises(InputError, match=r"source\.transactions: reading the refused lines failed"):
        build_customer_days(spark, config)
    lake = Lake(spark, config)
    assert [spec.name for spec in (SOURCE_FILES, REJECTED_TRANSACTIONS) if lake.exists(spec)] == []
    assert not lake.exists(CUSTOMER_DAYS) or lake.is_empty(CUSTOMER_DAYS)
