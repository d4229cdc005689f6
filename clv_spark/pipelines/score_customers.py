"""Jobs score-customers and publish: features and parameters -> clv_scores -> clv_scores_latest."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import reduce
from typing import Any

from pyspark.sql import DataFrame, Row, SparkSession

from clv_spark.config import Config
from clv_spark.errors import InputError
from clv_spark.lake import Commit
from clv_spark.pipelines.features_of_date import features_commits, joint_version
from clv_spark.pipelines.run_context import Run, open_run, reached, shape_of
from clv_spark.pipelines.score_contracts import score_contracts
from clv_spark.pipelines.score_purchases import score_purchases
from clv_spark.pipelines.scored import Scored
from clv_spark.pipelines.summarise_subscriptions import subscriptions_stage
from clv_spark.schemas import (
    CLV_SCORES,
    CLV_SCORES_LATEST,
    CONTRACT_FEATURES,
    CONTRACT_SCORES,
    CUSTOMER_FEATURES,
    MODEL_PARAMETERS,
    REVENUE_FORECAST,
    SEGMENT_SUMMARY,
    TableSpec,
)


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
        if config.has_contracts:
            subscriptions_stage(run)
        publish_stage(run)
        return run.outcome()


def score_stage(run: Run) -> Commit:
    """Read features and parameters -> score in Arrow batches -> gates -> publish the slice."""
    features = features_commits(run)
    fit_date = run.lake.newest_slice(MODEL_PARAMETERS, up_to=run.date)
    if fit_date is None:
        raise InputError(
            f"model_parameters holds no fit up to {run.date}; run fit-models for that date first"
        )
    run.lake.ensure(MODEL_PARAMETERS)
    fitted = run.lake.last_commit(MODEL_PARAMETERS, fit_date)
    return run.stage(
        CLV_SCORES,
        [*(commit.fingerprint for commit in features.values()), _fingerprint(run, fitted)],
        lambda commit: _write(run, fit_date, features, commit),
        source_version=joint_version(features),
        slice_date=run.date,
        beside=(
            SEGMENT_SUMMARY,
            *((REVENUE_FORECAST,) if run.config.has_purchases else ()),
            *((CONTRACT_SCORES,) if run.config.has_contracts else ()),
        ),
    )


def publish_stage(run: Run) -> Commit:
    """Replace ``clv_scores_latest`` by the newest slice: the sign that a date is published."""
    newest = run.lake.newest_slice(CLV_SCORES)
    if newest is None:
        raise InputError("clv_scores holds no slice; run score-customers first")
    scored = run.lake.last_commit(CLV_SCORES, newest)
    rows = run.lake.read(CLV_SCORES, newest)
    spec = CLV_SCORES_LATEST.of(shape_of(rows, ()))
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


def _write(run: Run, fit_date: dt.date, upstream: Mapping[str, Commit], commit: Commit) -> Commit:
    """Score both relationships, then write: they become visible in one commit."""
    run.input_accepted = True
    fitted = run.lake.read(MODEL_PARAMETERS, fit_date).where("chosen")
    parts: list[Scored] = []
    with ExitStack() as kept:
        if run.config.has_purchases:
            ours = fitted.where("relationship = 'purchases'").collect()
            expected = upstream[CUSTOMER_FEATURES.name].rows_written
            parts.append(score_purchases(run, fit_date, ours, expected, kept))
        if run.config.has_contracts:
            ours = fitted.where("relationship = 'contract'").collect()
            expected = upstream[CONTRACT_FEATURES.name].rows_written
            parts.append(score_contracts(run, fit_date, ours, expected, kept))
        rows = together(parts)
        spec = CLV_SCORES.of(shape_of(rows, ()))
        # Whatever a table refuses shows before the first is replaced.
        run.lake.ensure(SEGMENT_SUMMARY)
        if run.config.has_purchases:
            run.lake.ensure(REVENUE_FORECAST)
        for part in parts:
            if part.detail is not None:
                detail = CONTRACT_SCORES.of(shape_of(rows, ()))
                run.lake.replace(detail, part.detail, commit, run.date)
                reached("clv_scores:contracts_written")
        figures = {"message": "; ".join(part.message for part in parts)}
        published = run.lake.replace(spec, rows, replace(commit, figures=figures), run.date)
        reached("clv_scores:scores_written")
        summary = [row for part in parts for row in part.summary]
        run.lake.replace(SEGMENT_SUMMARY, _frame(run, SEGMENT_SUMMARY, summary), commit, run.date)
        if run.config.has_purchases:
            reached("clv_scores:summary_written")
            months = [row for part in parts for row in part.forecast]
            frame = _frame(run, REVENUE_FORECAST, months)
            run.lake.replace(REVENUE_FORECAST, frame, commit, run.date)
        return published


def _frame(run: Run, spec: TableSpec, rows: list[Row]) -> DataFrame:
    """Few rows as a frame with the columns of their table."""
    schema = ", ".join(spec.ddl(column) for column in spec.columns)
    return run.spark.createDataFrame(rows, schema).coalesce(1)


def together(parts: list[Scored]) -> DataFrame:
    """The rows of clv_scores of both relationships.

    Raises:
        InputError: their customer ids have different types.
    """
    rows = [part.rows.select(*CLV_SCORES.column_names) for part in parts]
    types = [part.schema["customer_id"].dataType.simpleString() for part in rows]
    if len(set(types)) > 1:
        raise InputError(
            f"customer_id is {types[0]} in source.transactions and {types[1]} in source.contracts; "
            "map it to the same type in both with CAST(... AS STRING), so that one customer is one"
        )
    return reduce(DataFrame.unionByName, rows)
