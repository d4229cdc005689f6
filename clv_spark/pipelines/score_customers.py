"""Jobs score-customers and publish: features and parameters -> clv_scores -> clv_scores_latest."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from clv_spark.config import DAYS_PER_UNIT, Config
from clv_spark.errors import GateError, InputError
from clv_spark.kernels.score_batch import (
    OUTPUT_COLUMNS,
    ScoreSettings,
    SegmentParameters,
    score_batch,
)
from clv_spark.lake import Commit
from clv_spark.pipelines.fit_models import MARGIN_RATE, RETURN_RATE, features_commit
from clv_spark.pipelines.run_context import Run, cached, open_run, reached, shape_of
from clv_spark.schemas import (
    CLV_SCORES,
    CLV_SCORES_LATEST,
    CUSTOMER_FEATURES,
    MODEL_PARAMETERS,
    TableSpec,
)
from clv_spark.transforms.scores import score_columns, score_input
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
    fitted = run.lake.last_commit(MODEL_PARAMETERS, fit_date)
    return run.stage(
        CLV_SCORES,
        [features.fingerprint, _fingerprint(run, fitted)],
        lambda commit: _write(run, fit_date, commit),
        source_version=features.source_version,
        slice_date=run.date,
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


def _write(run: Run, fit_date: dt.date, commit: Commit) -> Commit:
    run.input_accepted = True
    features = run.lake.read(CUSTOMER_FEATURES, run.date)
    shape = shape_of(features, run.config)
    spec = CLV_SCORES.of(shape)
    fitted = run.lake.read(MODEL_PARAMETERS, fit_date).collect()
    parameters = parameters_by_segment(fitted, run.config)
    settings = score_settings(run.config, DAYS_PER_UNIT[fitted[0]["time_unit"]])
    inputs = score_input(features, run.config.segments)
    kernel = _score_batches(settings, parameters)
    scored = inputs.mapInArrow(kernel, _kernel_schema(spec))
    scored = score_columns(scored, run.config, run.date, fit_date)
    with cached(scored) as kept:
        figures = _gates(kept, features.count())
        reached("clv_scores:scored")
        return run.lake.replace(spec, kept, replace(commit, figures=figures), run.date)


def score_settings(config: Config, unit_days: int) -> ScoreSettings:
    """What the kernel needs to know of the configuration, and of the parameters' unit of time."""
    return ScoreSettings(
        unit_days=unit_days,
        horizon_days=config.value.horizon_days,
        annual_discount_rate=config.value.annual_discount_rate,
        refunds=config.refunds,
        new_customer_days=config.value.new_customer_days,
    )


def parameters_by_segment(rows: list[Row], config: Config) -> dict[str, SegmentParameters]:
    """The fitted rows of one date as one small object per segment, ready to be broadcast."""
    by_key = {(row["model"], row["segment"]): row.asDict() for row in rows}
    models = config.models

    def part(model: str, segment: str) -> dict[str, Any]:
        return by_key.get((model, segment), {"parameters": None, "parameters_segment": None})

    out = {}
    for segment in {row["segment"] for row in rows}:
        purchases, spend = part(models.transactions, segment), part(models.spend, segment)
        returns = part(RETURN_RATE, segment)["parameters"] or {}
        margin = part(MARGIN_RATE, segment)["parameters"] or {}
        out[segment] = SegmentParameters(
            segment=segment,
            purchases=purchases["parameters"],
            purchases_segment=purchases["parameters_segment"],
            spend=spend["parameters"],
            spend_segment=spend["parameters_segment"],
            return_rate=returns.get("rate", 0.0),
            return_prior_amount=returns.get("prior_amount", 0.0),
            margin_rate=margin.get("rate", config.value.margin_rate),
        )
    return out


def _score_batches(
    settings: ScoreSettings, parameters: dict[str, SegmentParameters]
) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    def score_batches(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            # A segment that appeared after the fit is scored like everybody.
            yield score_batch(batch, settings, parameters, default=parameters.get(GLOBAL))

    return score_batches


def _kernel_schema(spec: TableSpec) -> str:
    by_name = {column.name: column for column in spec.columns}
    return ", ".join(f"`{name}` {by_name[name].type}" for name in OUTPUT_COLUMNS)


def _gates(scored: DataFrame, expected: int) -> dict[str, Any]:
    """Every customer has a score; CHECK constraints guard the values while they are written."""
    rows = scored.groupBy("score_status").agg(F.count(F.lit(1)).alias("customers")).collect()
    counts = {row["score_status"]: row["customers"] for row in rows}
    if sum(counts.values()) != expected:
        raise GateError(
            f"{sum(counts.values())} customers were scored, customer_features holds {expected}; "
            "nothing was published. Run again"
        )
    return {"message": ", ".join(f"{status}: {counts[status]}" for status in sorted(counts))}
