"""Source lines -> the days each file holds: a narrow scan, of the file's name and the date only."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from clv_spark.config import TransactionsSource
from clv_spark.transforms.conform import map_columns
from clv_spark.transforms.mapping import MAPPED, widen_integers

FILE = "__clv_spark_file"


def days_of_files(source: DataFrame, config: TransactionsSource) -> DataFrame:
    """What has to be derived again when a file changes or vanishes.

    Args:
        source: lines read from files, as the source has them.
        config: says how a date is read.

    Returns:
        One row per file with lines: file (:func:`file_hash` of its address), event_dates (sorted),
        line_count, undated_line_count.
    """
    lines = source.withColumn(FILE, file_hash(F.col("_metadata.file_path")))
    mapped = lines.transform(widen_integers).transform(map_columns, config)
    days = mapped.groupBy(
        F.col(FILE).alias("file"), F.col(f"{MAPPED}event_date").alias("event_date")
    ).agg(F.count(F.lit(1)).alias("lines"))
    undated = F.when(F.col("event_date").isNull(), F.col("lines")).otherwise(0)
    return days.groupBy("file").agg(
        # A list of dates leaves out NULL.
        F.sort_array(F.collect_list("event_date")).alias("event_dates"),
        F.sum("lines").alias("line_count"),
        F.sum(undated).alias("undated_line_count"),
    )


def file_hash(address: Column) -> Column:
    """A number for a file's address: a group by the long text costs more than to read the dates."""
    return F.xxhash64(address)


def dates_of_lines(source: DataFrame, config: TransactionsSource) -> DataFrame:
    """The distinct event dates of source lines, NULL for lines without one."""
    mapped = source.transform(widen_integers).transform(map_columns, config)
    return mapped.select(f"{MAPPED}event_date").distinct()
