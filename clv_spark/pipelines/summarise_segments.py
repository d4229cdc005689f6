"""Part of job score-customers: scored customers -> segment_summary, sums with their intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
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
SUMMED = (
    "segment STRING, customers DOUBLE, active DOUBLE, clv DOUBLE, "
    "mean ARRAY<DOUBLE>, variance ARRAY<DOUBLE>"
)


def summarise_segments(
    run: Run,
    scored: DataFrame,
    counts: Mapping[str, int],
    parameters: Mapping[str, SegmentParameters],
    fitted: list[SparkRow],
) -> list[SparkRow]:
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
    found = groups.applyInPandas(_sum_group(run, parameters), SUMMED).collect()
    parts = {row["segment"]: [SegmentSum(**row.asDict())] for row in found}
    return summary_rows(run, "purchases", run.config.segments, counts, parts, fitted)


def summary_rows(
    run: Run,
    relationship: str,
    keys: tuple[str, ...],
    counts: Mapping[str, int],
    parts: Mapping[str, Sequence[SegmentSum]],
    fitted: list[SparkRow],
) -> list[SparkRow]:
    """Rows of segment_summary of one relationship, from the sums of its leaf segments.

    Args:
        run: The run.
        relationship: purchases or contract.
        keys: Names of its segment keys.
        counts: Customers by leaf segment.
        parts: The sums by leaf segment.
        fitted: Its rows of model_parameters: they say which segment lies below which.
    """
    above = places_of(fitted)
    rows = []
    for segment, members in members_of(counts, above, len(keys) > 1).items():
        valued = [part for leaf in members for part in parts.get(leaf, ())]
        last = keys[-1] if keys else GLOBAL
        values = {
            "as_of_date": run.date,
            "relationship": relationship,
            "segment": segment,
            "segment_level": above.get(segment, (last, None))[0],
            "customers": sum(counts[leaf] for leaf in members),
            "horizon_days": run.config.value.horizon_days,
            "currency": run.config.currency,
            **(summary_row(valued) if valued else {}),
        }
        rows.append(SparkRow(*(values.get(name) for name in SEGMENT_SUMMARY.column_names)))
    return rows


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


def places_of(fitted: list[SparkRow]) -> dict[str, tuple[str, str | None]]:
    """Level and parent of each segment, from rows of model_parameters."""
    return {row["segment"]: (row["segment_level"], row["parent_segment"]) for row in fitted}


def members_of(
    counts: Iterable[str], above: Mapping[str, tuple[str, str | None]], nested: bool
) -> dict[str, list[str]]:
    """Every segment with the leaves below it, also those that appeared after the fit."""
    members: dict[str, list[str]] = {}
    for leaf in sorted(counts):
        segment: str | None = leaf
        while segment is not None:
            members.setdefault(segment, []).append(leaf)
            segment = above[segment][1] if segment in above else nearest(segment, above, nested)
    return members
