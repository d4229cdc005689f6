"""Part of job score-customers: features and cohort_history -> cohort_summary."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping

import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from clv_spark.kernels.expect_cohorts import expect_cohorts
from clv_spark.kernels.segment_table import SegmentParameters
from clv_spark.kernels.worker import in_worker
from clv_spark.pipelines.run_context import Run
from clv_spark.schemas import COHORT_HISTORY, COHORT_SUMMARY
from clv_spark.transforms.cohorts import cohort_months, cohort_sizes, cohort_summary

_EXPECTED = (
    "segment STRING, cohort_month DATE, age_months INT, expected DOUBLE, expected_margin DOUBLE"
)


def summarise_cohorts(
    run: Run,
    features: DataFrame,
    parameters: Mapping[str, SegmentParameters],
) -> DataFrame:
    """What the cohorts of each leaf segment did and were expected to do.

    Args:
        run: The run.
        features: The slice of customer_features.
        parameters: What was used to score its customers, by leaf segment.

    Returns:
        Rows of cohort_summary.
    """
    keys, keeps_refunds = run.config.segments, run.config.refunds == "ignore"
    sizes = cohort_sizes(features, keys)
    months = cohort_months(
        run.lake.read(COHORT_HISTORY, run.date),
        margin_rates={name: one.margin_rate for name, one in parameters.items()},
        keeps_refunds=keeps_refunds,
    )
    work = _expect_group(parameters, run.date, keeps_refunds=keeps_refunds)
    expected = sizes.groupBy("segment").applyInPandas(in_worker(work), _EXPECTED)
    same = {"as_of_date": F.lit(run.date), "relationship": F.lit("purchases")}
    rows = cohort_summary(sizes, months, expected, run.date).withColumns(same)
    return rows.select(*COHORT_SUMMARY.column_names)


def _expect_group(
    parameters: Mapping[str, SegmentParameters], as_of: dt.date, *, keeps_refunds: bool
) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def expect_one(rows: pd.DataFrame) -> pd.DataFrame:
        used = parameters[str(rows["segment"].iloc[0])]
        return expect_cohorts(rows, used, as_of=as_of, keeps_refunds=keeps_refunds)

    return expect_one
