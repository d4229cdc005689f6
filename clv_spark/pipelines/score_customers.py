"""Jobs score-customers and publish: features and parameters -> clv_scores -> clv_scores_latest."""

from __future__ import annotations

import datetime as dt
from contextlib import ExitStack
from dataclasses import replace
from functools import partial, reduce
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from clv_spark.config import Config
from clv_spark.errors import InputError
from clv_spark.lake import Commit, Source
from clv_spark.pipelines.acquisition import open_spend
from clv_spark.pipelines.build_costs import has_costs
from clv_spark.pipelines.cohort_history import cohort_history_stage, cohorts_are_due
from clv_spark.pipelines.features_of_date import features_commits, joint_version
from clv_spark.pipelines.fit_of_date import fit_date_of
from clv_spark.pipelines.histories import histories
from clv_spark.pipelines.judge_customers import (
    checked_rules,
    judge_customers,
    previous_date,
    previous_fingerprint,
    rank_customers,
)
from clv_spark.pipelines.offer_products import offer_products
from clv_spark.pipelines.run_context import Run, open_run, shape_of
from clv_spark.pipelines.score_contracts import score_contracts
from clv_spark.pipelines.score_purchases import score_purchases
from clv_spark.pipelines.scored import Scored
from clv_spark.pipelines.scores_beside import (
    Made,
    details_of,
    reports_of,
    tables_beside,
    write_made,
)
from clv_spark.pipelines.summarise_revenue import forecasts, history_stage
from clv_spark.pipelines.summarise_segments import summarise_segments
from clv_spark.pipelines.summarise_subscriptions import subscriptions_stage
from clv_spark.pipelines.value_customers import value_customers
from clv_spark.schemas import (
    CLV_SCORES,
    CLV_SCORES_LATEST,
    CUSTOMER_COSTS,
    CUSTOMER_PRODUCTS,
    MODEL_PARAMETERS,
    SEGMENT_SUMMARY,
)
from clv_spark.transforms.earlier import EARLIER
from clv_spark.transforms.scores import SCORED


def score_customers(spark: SparkSession, config: Config, as_of: dt.date) -> dict[str, Any]:
    """Score the features of ``as_of`` with the newest fit of these settings up to that date.

    Returns:
        The outcome of the run.

    Raises:
        InputError: features or parameters of that date do not exist.
        GateError: a score breaks a rule; nothing was published.
    """
    with open_run(spark, config, "score-customers", as_of) as run:
        if forecasts(config):
            history_stage(run)
        if cohorts_are_due(run):
            cohort_history_stage(run)
        score_stage(run)
        if config.has_contracts:
            subscriptions_stage(run)
        publish_stage(run)
        return run.outcome()


def score_stage(run: Run) -> Commit:
    """Read features and parameters -> score -> value -> rank -> judge -> publish the slice."""
    config, features = run.config, features_commits(run)
    inputs = list(features.values())
    if has_costs(config):
        inputs.append(run.upstream(CUSTOMER_COSTS, "build-costs", run.date))
    if config.products.enabled:
        inputs.append(run.upstream(CUSTOMER_PRODUCTS, "build-features", run.date))
    inputs += histories(run)
    fit_date = fit_date_of(run)
    run.lake.ensure(MODEL_PARAMETERS)
    fitted = run.lake.last_commit(MODEL_PARAMETERS, fit_date)
    spend, before = open_spend(run), previous_date(run)
    return run.stage(
        CLV_SCORES,
        [
            *(commit.fingerprint for commit in inputs),
            _fingerprint(run, fitted),
            previous_fingerprint(run, before),
            *([spend.version] if spend else []),
        ],
        lambda commit: _write(run, (fit_date, before), spend, commit),
        source_version=joint_version(features),
        slice_date=run.date,
        beside=tables_beside(run),
    )


def publish_stage(run: Run) -> Commit:
    """Replace ``clv_scores_latest`` by the newest slice: the sign that a date is published."""
    newest = run.lake.newest_slice(CLV_SCORES)
    if newest is None:
        raise InputError("clv_scores holds no slice; run score-customers first")
    scored = run.lake.last_commit(CLV_SCORES, newest)
    rows = run.lake.read(CLV_SCORES, newest)
    definition = run.config.value.definition
    spec = CLV_SCORES_LATEST.of(replace(shape_of(rows, ()), definition=definition))
    return run.stage(
        spec,
        [_fingerprint(run, scored)],
        lambda commit: run.lake.replace(spec, rows, commit),
        source_version=scored.source_version if scored else "unrecorded",
        sections=("value.definition",),
    )


def _fingerprint(run: Run, commit: Commit | None) -> str:
    """Of a slice whose commit has left the table's history nothing is known to be done."""
    return commit.fingerprint if commit else run.run_id


def _write(
    run: Run,
    dates: tuple[dt.date, dt.date | None],
    spend: Source | None,
    commit: Commit,
) -> Commit:
    """Score both relationships, value and judge their customers together, then write."""
    fit_date, before = dates
    previous = None if before is None else run.lake.read(CLV_SCORES, before)
    rules = checked_rules(run)
    run.input_accepted = True
    with ExitStack() as kept:
        parts = _scored(run, fit_date, previous, kept)
        report = {key: values for part in parts.values() for key, values in part.report.items()}
        valued = value_customers(run, together(list(parts.values())), spend, report, kept)
        with run.part("ranks"):
            ranked = rank_customers(run, valued.rows, rules)
        products, offered = offer_products(run, ranked, kept)
        origins = [origin for part in parts.values() for origin in part.origins]
        rows = judge_customers(run, ranked, offered, (origins, fit_date))
        # Before a table is replaced: Spark forgets what it keeps of one that changes, and to the
        # scores belongs what the slice before says.
        with run.part("sums_under_draws"):
            outlooks = {
                name: part.outlooks(partial(valued.costs, name)) for name, part in parts.items()
            }
        with run.part(SEGMENT_SUMMARY.name):
            told = summarise_segments(run, ranked, outlooks, report)
        made = Made(
            scores=rows,
            message="; ".join(part.message for part in parts.values()),
            details=details_of(parts, products),
            moved=told.moved,
            reports=[(SEGMENT_SUMMARY, told.summary), *reports_of(run, parts, told.scenarios)],
        )
        return write_made(run, made, before, commit)


def _scored(
    run: Run, fit_date: dt.date, previous: DataFrame | None, kept: ExitStack
) -> dict[str, Scored]:
    """The scores of each relationship, kept on disks."""
    fitted = run.lake.read(MODEL_PARAMETERS, fit_date).where("chosen")
    parts: dict[str, Scored] = {}
    if run.config.has_purchases:
        ours = fitted.where("relationship = 'purchases'").collect()
        parts["purchases"] = score_purchases(run, (fit_date, ours), previous, kept)
    if run.config.has_contracts:
        ours = fitted.where("relationship = 'contract'").collect()
        parts["contract"] = score_contracts(run, (fit_date, ours), previous, kept)
    return parts


def together(parts: list[Scored]) -> DataFrame:
    """The scores of both relationships; parameters_place counts on from one to the other.

    Raises:
        InputError: their customer ids have different types.
    """
    rows, counted = [], 0
    for part in parts:
        place = F.col("parameters_place") + counted
        rows.append(part.rows.select(*SCORED, *EARLIER).withColumn("parameters_place", place))
        counted += len(part.origins)
    types = [part.schema["customer_id"].dataType.simpleString() for part in rows]
    if len(set(types)) > 1:
        raise InputError(
            f"customer_id is {types[0]} in source.transactions and {types[1]} in source.contracts; "
            "map it to the same type in both with CAST(... AS STRING), so that one customer is one"
        )
    return reduce(DataFrame.unionByName, rows)
