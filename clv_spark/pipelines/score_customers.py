"""Jobs score-customers and publish: features and parameters -> clv_scores -> clv_scores_latest."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial, reduce
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from clv_spark.config import Config
from clv_spark.errors import InputError
from clv_spark.lake import Commit, Source
from clv_spark.pipelines.acquisition import open_spend
from clv_spark.pipelines.build_costs import has_costs
from clv_spark.pipelines.features_of_date import features_commits, joint_version
from clv_spark.pipelines.judge_customers import (
    checked_rules,
    judge_customers,
    previous_date,
    previous_fingerprint,
    rank_customers,
    write_migration,
)
from clv_spark.pipelines.offer_products import offer_products
from clv_spark.pipelines.run_context import Run, open_run, reached, shape_of
from clv_spark.pipelines.score_contracts import score_contracts
from clv_spark.pipelines.score_purchases import score_purchases
from clv_spark.pipelines.scored import Scored
from clv_spark.pipelines.summarise_revenue import forecasts, history_stage
from clv_spark.pipelines.summarise_segments import summarise_segments
from clv_spark.pipelines.summarise_subscriptions import subscriptions_stage
from clv_spark.pipelines.value_customers import value_customers
from clv_spark.schemas import (
    CLV_SCORES,
    CLV_SCORES_LATEST,
    COHORT_SUMMARY,
    CONTRACT_SCORES,
    CUSTOMER_COSTS,
    CUSTOMER_PRODUCTS,
    MODEL_PARAMETERS,
    REVENUE_FORECAST,
    SEGMENT_PRODUCTS,
    SEGMENT_SUMMARY,
    TIER_MIGRATION,
    WHAT_IF,
    TableSpec,
)
from clv_spark.transforms.earlier import EARLIER
from clv_spark.transforms.scores import SCORED


def score_customers(spark: SparkSession, config: Config, as_of: dt.date) -> dict[str, Any]:
    """Score the features of ``as_of`` with the newest parameters fitted up to that date.

    Returns:
        The outcome of the run.

    Raises:
        InputError: features or parameters of that date do not exist.
        GateError: a score breaks a rule; nothing was published.
    """
    with open_run(spark, config, "score-customers", as_of) as run:
        if forecasts(config):
            history_stage(run)
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
    fit_date = run.lake.newest_slice(MODEL_PARAMETERS, up_to=run.date)
    if fit_date is None:
        raise InputError(
            f"model_parameters holds no fit up to {run.date}; run fit-models for that date first"
        )
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
        beside=_tables_beside(run),
    )


def _tables_beside(run: Run) -> tuple[TableSpec, ...]:
    """What is written with the scores, in the same stage."""
    config = run.config
    wanted = (
        (TIER_MIGRATION, True),
        (SEGMENT_SUMMARY, True),
        (WHAT_IF, bool(config.what_if)),
        (REVENUE_FORECAST, forecasts(config)),
        (COHORT_SUMMARY, config.has_purchases and cohorts_are_due(run)),
        (CONTRACT_SCORES, config.has_contracts),
        (SEGMENT_PRODUCTS, config.products.enabled),
    )
    return tuple(spec for spec, is_wanted in wanted if is_wanted)


def cohorts_are_due(run: Run) -> bool:
    """Whether cohort_summary is written for the date; monthly for the first and for ends of months.

    It goes over all days there are, which a night should not.
    """
    when = run.config.reports.cohorts
    if when != "monthly":
        return when == "daily"
    newest = run.lake.newest_slice(COHORT_SUMMARY)
    ends_month = (run.date + dt.timedelta(days=1)).day == 1
    return ends_month or newest in (None, run.date)


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
    config, (fit_date, before) = run.config, dates
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
        rows = judge_customers(run, ranked, offered)
        shape = replace(shape_of(rows, ()), definition=config.value.definition)
        # Before a table is replaced: Spark forgets what it keeps of one that changes, and to the
        # scores belongs what the slice before says.
        with run.part(SEGMENT_SUMMARY.name):
            outlooks = {
                name: part.outlooks(partial(valued.rates, name)) for name, part in parts.items()
            }
            told = summarise_segments(run, ranked, outlooks, report)
        tables = [(SEGMENT_SUMMARY, told.summary)]
        if config.what_if:
            tables.append((WHAT_IF, told.scenarios))
        tables += _reports(run, parts)
        # Whatever a table refuses shows before the first is replaced.
        for spec in _tables_beside(run):
            run.lake.ensure(spec.of(shape))
        for part in parts.values():
            if part.detail is not None:
                run.lake.replace(CONTRACT_SCORES.of(shape), part.detail, commit, run.date)
                reached("clv_scores:contracts_written")
        if products is not None:
            run.lake.replace(SEGMENT_PRODUCTS, products, commit, run.date)
            reached("clv_scores:products_written")
        figures = {"message": "; ".join(part.message for part in parts.values())}
        scored = replace(commit, figures=figures)
        published = run.lake.replace(CLV_SCORES.of(shape), rows, scored, run.date)
        reached("clv_scores:scores_written")
        with run.part("moves"):
            write_migration(run, told.moved, before, commit)
        reached("clv_scores:migration_written")
        for spec, frame in tables:
            with run.part(spec.name):
                run.lake.replace(spec.of(shape), frame, commit, run.date)
            reached(f"clv_scores:{spec.name}_written")
        return published


def _reports(run: Run, parts: Mapping[str, Scored]) -> list[tuple[TableSpec, DataFrame]]:
    """What is told of customers who buy: the rows of each further table that is wanted."""
    reports = parts["purchases"].reports if "purchases" in parts else {}
    found = []
    for spec in _tables_beside(run):
        if spec.name in reports:
            with run.part(spec.name):
                found.append((spec, reports[spec.name]()))
    return found


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
    """The scores of both relationships.

    Raises:
        InputError: their customer ids have different types.
    """
    rows = [part.rows.select(*SCORED, *EARLIER) for part in parts]
    types = [part.schema["customer_id"].dataType.simpleString() for part in rows]
    if len(set(types)) > 1:
        raise InputError(
            f"customer_id is {types[0]} in source.transactions and {types[1]} in source.contracts; "
            "map it to the same type in both with CAST(... AS STRING), so that one customer is one"
        )
    return reduce(DataFrame.unionByName, rows)
