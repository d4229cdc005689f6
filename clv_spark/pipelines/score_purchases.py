"""Part of job score-customers: customer_features and parameters -> rows of clv_scores."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial

import pyarrow as pa
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from clv_spark.config import ACQUISITION_MONTH, Config
from clv_spark.errors import InputError
from clv_spark.kernels.living_forecasts import worker_forecasts
from clv_spark.kernels.score_batch import (
    INPUT_NUMBERS,
    OUTPUT_COLUMNS,
    ScoreSettings,
    SegmentParameters,
    score_batch,
)
from clv_spark.kernels.segment_parameters import (
    RETURN_RATE,
    parameters_by_segment,
    spend_basis_of,
)
from clv_spark.kernels.worker import in_worker
from clv_spark.pipelines.forecast_revenue import check_names, forecast_revenue
from clv_spark.pipelines.newcomers import new_segments
from clv_spark.pipelines.outlooks import purchase_outlooks
from clv_spark.pipelines.run_context import Run, cached, reached, shape_of
from clv_spark.pipelines.scored import Scored, statuses_in_words
from clv_spark.pipelines.summarise_cohorts import summarise_cohorts
from clv_spark.schemas import (
    CLV_SCORES,
    COHORT_SUMMARY,
    CUSTOMER_FEATURES,
    REVENUE_FORECAST,
    TableSpec,
)
from clv_spark.transforms.earlier import counted_by, with_earlier
from clv_spark.transforms.scores import (
    PLACE_TYPES,
    SUMMARY_TYPES,
    purchase_origins,
    report_groups,
    score_columns,
    score_input,
    spread_segments,
)
from clv_spark.transforms.segments import GLOBAL
from clv_spark.transforms.summary import value_sums

# Beyond this many customers the patterns of a segment are counted in steps of time.
MANY_CUSTOMERS = 20_000


def score_purchases(
    run: Run, fit: tuple[dt.date, list[Row]], previous: DataFrame | None, kept: ExitStack
) -> Scored:
    """Score the customers who buy without contract, in Arrow batches.

    Args:
        run: The run; its date's slice of customer_features is read.
        fit: When the parameters were fitted, and the chosen rows of model_parameters.
        previous: The slice of clv_scores to compare with, if any.
        kept: Holds what is kept on disks until everything is written.
    """
    fit_date, fitted = fit
    features = run.lake.read(CUSTOMER_FEATURES, run.date)
    spec = CLV_SCORES.of(shape_of(features, run.config.segments))
    _require_fit_for(run, fitted)
    report = _report(run, features)
    inputs = score_input(features, run.config.segments, report)
    known = [row.asDict() for row in fitted]
    new = new_segments(run, fit_date, inputs, known)
    parameters = parameters_by_segment(known, run.config, new)
    if previous is not None:
        # Before the scores are there: few narrow columns are moved instead of whole rows.
        inputs = with_earlier(inputs, previous, counted_by(run.config), "purchases")
    inputs = inputs.transform(spread_segments, _sizes(fitted))
    schema = kernel_schema(spec, inputs)
    scored = inputs.mapInArrow(in_worker(score_batches(run.config, parameters)), schema)
    rows = kept.enter_context(cached(score_columns(scored, run.date)))
    counts = rows.groupBy("segment", "score_status").agg(F.count(F.lit(1)).alias("customers"))
    found = counts.collect()
    wanted = run.lake.count(CUSTOMER_FEATURES, run.date)
    message = statuses_in_words(found, wanted, CUSTOMER_FEATURES)
    reached("clv_scores:scored")
    customers = Counter[str]()
    for row in found:
        customers[row["segment"]] += row["customers"]
    check_names(run.config.forecast, customers)
    patterns = kept.enter_context(cached(_patterns(run, rows, customers)))
    outlooks = partial(purchase_outlooks, run, patterns, customers, parameters)
    reports = {
        REVENUE_FORECAST.name: partial(
            forecast_revenue, run, patterns, features, customers, parameters, fitted
        ),
        COHORT_SUMMARY.name: partial(summarise_cohorts, run, features, parameters),
    }
    origins = purchase_origins(parameters.values(), run.config.models.spend)
    return Scored(rows, outlooks, message, origins, report=report, reports=reports)


def _patterns(run: Run, scored: DataFrame, customers: Mapping[str, int]) -> DataFrame:
    """What sums and forecasts need of the customers, those of a segment in one partition."""
    large = frozenset(name for name, count in customers.items() if count > MANY_CUSTOMERS)
    # A number of partitions of its own: adaptive execution would put all groups into one task.
    partitions = max(1, min(len(customers), 4 * run.spark.sparkContext.defaultParallelism))
    return value_sums(scored, large).repartition(partitions, "segment")


def _report(run: Run, features: DataFrame) -> dict[str, list[str]]:
    """The values of each further key of the summary, by the number of the group."""
    keys = tuple(key for key in run.config.report_by if key != ACQUISITION_MONTH)
    groups = report_groups(features, keys).collect() if keys else []
    return {key: [row[key] for row in groups] for key in keys}


def _require_fit_for(run: Run, fitted: list[Row]) -> None:
    """Parameters mean something only beside the settings they were fitted with.

    Raises:
        InputError: segments or the basis of spend are not those of the fit.
    """
    models, keys = run.config.models, {GLOBAL, *run.config.segments}
    levels = {row["segment_level"] for row in fitted}
    basis = spend_basis_of([row.asDict() for row in fitted])
    if levels != keys or basis not in (None, models.spend_basis):
        raise InputError(
            f"model_parameters was fitted for {sorted(levels)} with spend_basis {basis}, the "
            f"configuration has {sorted(keys)} with {models.spend_basis}; run fit-models again"
        )


def _sizes(fitted: list[Row]) -> dict[str, int]:
    return {row["segment"]: row["n_customers"] for row in fitted if row["model"] == RETURN_RATE}


def score_batches(
    config: Config, parameters: dict[str, SegmentParameters]
) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    """The function that Spark applies to the customers of a partition."""
    value = config.value
    settings = ScoreSettings(
        refunds=config.refunds,
        spend_basis=config.models.spend_basis,
        new_customer_days=value.new_customer_days,
        value=value.counted,
    )

    with_time = config.counts_time

    def score_all(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        forecasts = worker_forecasts(value.horizon_days, value.annual_discount_rate, with_time)
        for batch in batches:
            yield score_batch(batch, settings, parameters, forecasts)

    return score_all


def kernel_schema(spec: TableSpec, inputs: DataFrame) -> str:
    """The columns that the kernel gives back, for Spark: its own, then those it hands through."""
    types = {column.name: column.type for column in spec.columns} | PLACE_TYPES | SUMMARY_TYPES
    ours = {name: types[name] for name in OUTPUT_COLUMNS}
    given = {field.name: field.dataType.simpleString() for field in inputs.schema}
    handed = {n: kind for n, kind in given.items() if n not in (*OUTPUT_COLUMNS, *INPUT_NUMBERS)}
    return ", ".join(f"`{name}` {kind}" for name, kind in (ours | handed).items())
