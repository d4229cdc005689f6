"""Jobs score-customers and publish: features and parameters -> clv_scores -> clv_scores_latest."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from clv_spark.config import Config
from clv_spark.errors import GateError, InputError
from clv_spark.kernels.living_forecasts import worker_forecasts
from clv_spark.kernels.score_batch import (
    OUTPUT_COLUMNS,
    ScoreSettings,
    SegmentParameters,
    score_batch,
)
from clv_spark.kernels.segment_parameters import (
    RETURN_RATE,
    nearest,
    parameters_by_segment,
    spend_basis_of,
)
from clv_spark.lake import Commit
from clv_spark.pipelines.fit_models import features_commit
from clv_spark.pipelines.run_context import Run, cached, open_run, reached, shape_of
from clv_spark.pipelines.summarise_segments import summarise_segments
from clv_spark.schemas import (
    CLV_SCORES,
    CLV_SCORES_LATEST,
    CUSTOMER_FEATURES,
    MODEL_PARAMETERS,
    SEGMENT_SUMMARY,
    TableSpec,
)
from clv_spark.transforms.scores import (
    PLACE_TYPES,
    SUMMARY_TYPES,
    score_columns,
    score_input,
    spread_segments,
)
from clv_spark.transforms.segments import GLOBAL


def score_customers(spark: SparkSession, config: Config, as_of: dt.date) -> dict[str, Any]:
    """Score the features of ``as_of`` with the newest parameters fitted up to that date.

    Returns:
        The outcome of the run.

    Raises:
        InputError: features or parameters of that date do not exist.
        GateError: a score breaks a rule; nothing was published.
    """
    with open_run(spark, config, "score-customers", as_of) as run:
        score_stage(run)
        publish_stage(run)
        return run.outcome()


def score_stage(run: Run) -> Commit:
    """Read features and parameters -> score in Arrow batches -> gates -> publish the slice."""
    features = features_commit(run)
    fit_date = run.lake.newest_slice(MODEL_PARAMETERS, up_to=run.date)
    if fit_date is None:
        raise InputError(
            f"model_parameters holds no fit up to {run.date}; run fit-models for that date first"
        )
    run.lake.ensure(MODEL_PARAMETERS)
    fitted = run.lake.last_commit(MODEL_PARAMETERS, fit_date)
    return run.stage(
        CLV_SCORES,
        [features.fingerprint, _fingerprint(run, fitted)],
        lambda commit: _write(run, fit_date, features, commit),
        source_version=features.source_version,
        slice_date=run.date,
        beside=SEGMENT_SUMMARY,
    )


def publish_stage(run: Run) -> Commit:
    """Replace ``clv_scores_latest`` by the newest slice: the sign that a date is published."""
    newest = run.lake.newest_slice(CLV_SCORES)
    if newest is None:
        raise InputError("clv_scores holds no slice; run score-customers first")
    scored = run.lake.last_commit(CLV_SCORES, newest)
    rows = run.lake.read(CLV_SCORES, newest)
    spec = CLV_SCORES_LATEST.of(shape_of(rows, run.config))
    return run.stage(
        spec,
        [_fingerprint(run, scored)],
        lambda commit: run.lake.replace(spec, rows, commit),
        source_version=scored.source_version if scored else "unrecorded",
        sections=(),
    )


def _fingerprint(run: Run, commit: Commit | None) -> str:
    """Of a slice whose commit has left the table's history nothing is known to be done."""
    return commit.fingerprint if commit else run.run_id


def _write(run: Run, fit_date: dt.date, upstream: Commit, commit: Commit) -> Commit:
    run.input_accepted = True
    features = run.lake.read(CUSTOMER_FEATURES, run.date)
    shape = shape_of(features, run.config)
    spec = CLV_SCORES.of(shape)
    fitted = run.lake.read(MODEL_PARAMETERS, fit_date).where("chosen").collect()
    _require_fit_for(run, fitted)
    parameters = parameters_by_segment([row.asDict() for row in fitted], run.config)
    inputs = score_input(features, run.config.segments)
    if fit_date < run.date:
        parameters |= _newcomers(run, inputs, parameters)
    inputs = inputs.transform(spread_segments, _sizes(fitted))
    scored = inputs.mapInArrow(score_batches(run.config, parameters), kernel_schema(spec))
    used = list(parameters.values())
    scored = score_columns(scored, used, run.config, run.date, fit_date)
    with cached(scored) as kept:
        counts = kept.groupBy("segment", "score_status").agg(F.count(F.lit(1)).alias("customers"))
        found = counts.collect()
        # The log has counted them; a log without metrics has not.
        expected = upstream.rows_written
        figures = _gates(found, features.count() if expected is None else expected)
        reached("clv_scores:scored")
        customers = Counter[str]()
        for row in found:
            customers[row["segment"]] += row["customers"]
        summary = summarise_segments(run, kept, customers, parameters, fitted)
        # Whatever the second table refuses shows before the first is replaced.
        run.lake.ensure(SEGMENT_SUMMARY)
        published = run.lake.replace(spec, kept, replace(commit, figures=figures), run.date)
        reached("clv_scores:scores_written")
        run.lake.replace(SEGMENT_SUMMARY, summary, commit, run.date)
        return published


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


def _newcomers(
    run: Run, inputs: DataFrame, known: Mapping[str, SegmentParameters]
) -> dict[str, SegmentParameters]:
    """Segments that appeared after the fit have the parameters of the nearest one above."""
    nested = len(run.config.segments) > 1
    names = [row["segment"] for row in inputs.select("segment").distinct().collect()]
    return {name: known[nearest(name, known, nested)] for name in names if name not in known}


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
    )

    def score_all(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        forecasts = worker_forecasts(value.horizon_days, value.annual_discount_rate)
        for batch in batches:
            yield score_batch(batch, settings, parameters, forecasts)

    return score_all


def kernel_schema(spec: TableSpec) -> str:
    """The columns that the kernel gives back, for Spark."""
    types = {column.name: column.type for column in spec.columns} | PLACE_TYPES | SUMMARY_TYPES
    return ", ".join(f"`{name}` {types[name]}" for name in OUTPUT_COLUMNS)


def _gates(found: Sequence[Row], expected: int) -> dict[str, Any]:
    """Every customer has a score; CHECK constraints guard the values while they are written."""
    counts = Counter[str]()
    for row in found:
        counts[row["score_status"]] += row["customers"]
    if counts.total() != expected:
        raise GateError(
            f"{counts.total()} customers were scored, customer_features holds {expected}; nothing "
            "was published. Run again"
        )
    return {"message": ", ".join(f"{status}: {counts[status]}" for status in sorted(counts))}
