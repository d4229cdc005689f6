"""Rows on their way into a table: its columns, and no row outside of what is replaced."""

from __future__ import annotations

from pyspark.sql import DataFrame, DataFrameWriter
from pyspark.sql import functions as F

from clv_spark.lake.commit import Commit
from clv_spark.schemas import TableSpec

#: What Spark says of a row outside; it ends with the name of the constraint.
OUTSIDE = "CHECK constraint EXPRESSION"


def replacing(
    spec: TableSpec, rows: DataFrame, commit: Commit, where: str | None
) -> DataFrameWriter:
    """A write that takes the place of what meets a condition, or of the whole table.

    Delta itself refuses a row outside the condition.
    """
    writer = _writer(spec, rows.select(*spec.column_names), commit).mode("overwrite")
    return writer if where is None else writer.option("replaceWhere", where)


def adding(spec: TableSpec, rows: DataFrame, commit: Commit, where: str | None) -> DataFrameWriter:
    """The same where nothing is to be replaced: Delta need not look what the table holds.

    That spares a Spark job for every write and, of a table that the run does not read again, the
    reading of its log. A row outside the condition stops this write as well.
    """
    first, *others = spec.column_names
    if where is None:
        inside = F.col(first)
    else:
        inside = F.when(F.expr(where), F.col(first)).otherwise(F.raise_error(F.lit(OUTSIDE)))
    return _writer(spec, rows.select(inside.alias(first), *others), commit).mode("append")


def _writer(spec: TableSpec, rows: DataFrame, commit: Commit) -> DataFrameWriter:
    writer = rows.write.format("delta").option("userMetadata", commit.to_json())
    return writer.partitionBy(*spec.partition_by)
