"""Few rows made by the driver, as a DataFrame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as st
from pyspark.sql.pandas.types import to_arrow_schema

from clv_spark.schemas import TableSpec


def local_rows(spark: SparkSession, rows: Iterable[Sequence[Any]], schema: str) -> DataFrame:
    """Rows as a DataFrame of one partition; no task and no Python worker is started to make it.

    From a list Spark would start a worker of its own to pickle a handful of rows. Every column may
    be NULL: a table's own NOT NULL is checked when it is written.

    Args:
        spark: The session.
        rows: Values in the order of the columns, those of a MAP as dict.
        schema: Columns as in DDL.
    """
    given = cast("st.StructType", st.StructType.fromDDL(schema))
    columns = st.StructType([st.StructField(field.name, field.dataType) for field in given])
    listed = [[_plain(value) for value in row] for row in rows]
    arrow = to_arrow_schema(columns)
    arrays = [
        pa.array([row[place] for row in listed], field.type) for place, field in enumerate(arrow)
    ]
    table = pa.Table.from_arrays(arrays, schema=arrow)
    return spark.createDataFrame(table, columns).coalesce(1)


def table_rows(
    spark: SparkSession, spec: TableSpec, rows: Iterable[Mapping[str, Any]]
) -> DataFrame:
    """Rows of a table, by the names of its columns; NULL where a row has none of that name."""
    values = ([row.get(name) for name in spec.column_names] for row in rows)
    return local_rows(spark, values, ", ".join(map(spec.ddl, spec.columns)))


def _plain(value: Any) -> Any:
    """Arrow takes a map as a list of pairs."""
    return list(value.items()) if isinstance(value, dict) else value
