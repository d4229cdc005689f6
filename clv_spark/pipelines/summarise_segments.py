"""Part of job score-customers: scored customers -> segment_summary, sums with their intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import Row as SparkRow

from clv_spark.kernels.fit_segment import as_frame
from clv_spark.kernels.segment_parameters import nearest
from clv_spark.kernels.segment_table import SegmentParameters
from clv_spark.kernels.sum_segment import SegmentSum, sum_segment, summary_row
from clv_spark.pipelines.run_context import Run
from clv_spark.schemas import SEGMENT_SUMMARY
from clv_spark.transforms.segments import GLOBAL
from clv_spark.transforms.summary import value_sums

# Beyond this many customers the patterns of a segment are rounded; its exact sum is known anyway.
MANY_CUSTOMERS = 20_000
_SUMMED = (
    "segment STRING, customers DOUBLE, active DOUBLE, clv DOUBLE, "
    "mean ARRAY<DOUBLE>, variance ARRAY<DOUBLE>"
)


def summarise_segments(
    run: Run,
    scored: DataFrame,
    counts: Mapping[str, int],
    parameters: Mapping[str, SegmentParameters],
    fitted: list[SparkRow],
) -> DataFrame:
    """Add up the values of every segment's customers under draws of the parameters.

    Args:
        run: The run.
        scored: The scored customers.
        counts: How many there are, by leaf segment.
        parameters: What was used to score them, by segment.
        fitted: The rows of model_parameters behind it: they say which segment lies below which.

    Returns:
        Rows of segment_summary.
    """
    large = frozenset(name for name, customers in counts.items() if customers > MANY_CUSTOMERS)
    # A number of partitions of its own: adaptive execution would put all groups into one task.
    partitions = max(1, min(len(counts), 4 * run.spark.sparkContext.defaultParallelism))
    sums = value_sums(scored, large).repartition(partitions, "segment")
    groups = sums.groupBy("segment")
    found = groups.applyInPandas(_sum_group(run, parameters), _SUMMED).collect()
    parts = {row["segment"]: SegmentSum(**row.asDict()) for row in found}
    above = {row["segment"]: (row["segment_level"], row["parent_segment"]) for row in fitted}
    rows = [
        _table_row(run, segment, above, members, parts, counts)
        for segment, members in _members(counts, above, len(run.config.segments) > 1).items()
    ]
    schema = ", ".join(SEGMENT_SUMMARY.ddl(column) for column in SEGMENT_SUMMARY.columns)
    return run.spark.createDataFrame(rows, schema).coalesce(1)


def _sum_group(
    run: Run, parameters: Mapping[str, SegmentParameters]
) -> Callable[[pd.DataFrame], pd.DataFrame]:
    value = run.config.value
    horizon: dict[str, Any] = {
        "horizon_days": value.horizon_days,
        "annual_discount_rate": value.annual_discount_rate,
    }

    def sum_one(rows: pd.DataFrame) -> pd.DataFrame:
        used = parameters[rows["segment"].iloc[0]]
        return as_frame(asdict(sum_segment(rows, used, **horizon)))

    return sum_one


def _members(
    counts: Mapping[str, int], above: Mapping[str, tuple[str, str | None]], nested: bool
) -> dict[str, list[str]]:
    """Every segment with the leaves below it, also those that appeared after the fit."""
    members: dict[str, list[str]] = {}
    for leaf in sorted(counts):
        segment: str | None = leaf
        while segment is not None:
            members.setdefault(segment, []).append(leaf)
            segment = above[segment][1] if segment in above else nearest(segment, above, nested)
    return members


def _table_row(
    run: Run,
    segment: str,
    above: Mapping[str, tuple[str, str | None]],
    members: list[str],
    parts: Mapping[str, SegmentSum],
    counts: Mapping[str, int],
) -> SparkRow:
    last = run.config.segments[-1] if run.config.segments else GLOBAL
    valued = [parts[leaf] for leaf in members if leaf in parts]
    values = {
        "as_of_date": run.date,
        "segment": segment,
        "segment_level": above.get(segment, (last, None))[0],
        "customers": sum(counts[leaf] for leaf in members),
        "horizon_days": run.config.value.horizon_days,
        "currency": run.config.currency,
        **(summary_row(valued) if valued else {}),
    }
    return SparkRow(*(values.get(name) for name in SEGMENT_SUMMARY.column_names))
