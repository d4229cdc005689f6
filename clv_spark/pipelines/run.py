"""Job run: the whole nightly job in order, from the sources to clv_scores_latest."""

from __future__ import annotations

import datetime as dt
from typing import Any

from pyspark.sql import SparkSession

from clv_spark.config import Config
from clv_spark.errors import ConfigError
from clv_spark.pipelines.build_contract_features import contract_features_stage
from clv_spark.pipelines.build_contracts import contracts_stage
from clv_spark.pipelines.build_costs import costs_stage, has_costs
from clv_spark.pipelines.build_customer_days import customer_days_stage, transactions_of
from clv_spark.pipelines.build_features import features_stage
from clv_spark.pipelines.build_products import products_stage
from clv_spark.pipelines.cohort_history import cohort_history_stage, cohorts_are_due
from clv_spark.pipelines.fit_models import fit_stage
from clv_spark.pipelines.inputs import require_inputs
from clv_spark.pipelines.run_context import Run, open_run, require_past
from clv_spark.pipelines.score_customers import publish_stage, score_stage
from clv_spark.pipelines.summarise_revenue import forecasts, history_stage
from clv_spark.pipelines.summarise_subscriptions import subscriptions_stage
from clv_spark.schemas import (
    CLV_SCORES,
    COHORT_HISTORY,
    COHORT_SUMMARY,
    CONTRACT_FEATURES,
    CONTRACT_SCORES,
    CUSTOMER_COSTS,
    CUSTOMER_DAYS,
    CUSTOMER_FEATURES,
    CUSTOMER_PRODUCTS,
    MODEL_PARAMETERS,
    REFUND_ONLY_CUSTOMERS,
    REVENUE_FORECAST,
    REVENUE_HISTORY,
    SEGMENT_PRODUCTS,
    SEGMENT_SUMMARY,
    SUBSCRIPTION_FORECAST,
    SUBSCRIPTION_METRICS,
    TABLES,
    TIER_MIGRATION,
    WHAT_IF,
    TableSpec,
)


def run(spark: SparkSession, config: Config, as_of: dt.date) -> dict[str, Any]:
    """Do whatever of the whole job is not done yet for ``as_of``.

    Args:
        spark: a session with Delta.
        config: the configuration.
        as_of: last day that counts; a backfill of an earlier date leaves later ones alone.

    Returns:
        The outcome: status ``done`` or ``already_done``, run_id, rows, seconds, tables, stages.

    Raises:
        ClvError: one of its kinds, see :mod:`clv_spark.errors`; nothing is half published.
    """
    return _run(spark, config, as_of, publish=True)


def backfill(spark: SparkSession, config: Config, first: dt.date, last: dt.date) -> dict[str, Any]:
    """Do the whole job for every date from ``first`` to ``last``, with one read of the source.

    Each date starts from the features of the one before; ``clv_scores_latest`` is replaced once, at
    the end. A backfill that was cut off goes on where it stopped.

    Returns:
        The outcome of the last date, with ``dates``: the outcome of each.

    Raises:
        ConfigError: the first date lies after the last, or so long before it that its slices would
            be removed on the way, or the last in the future.
        ClvError: one of its kinds, as for :func:`run`; earlier dates stay done.
    """
    if first > last:
        raise ConfigError(f"--from {first} lies after --to {last}; give the earlier date first")
    require_past(last)
    keep = config.retention.slice_days
    if keep is not None and (last - first).days > keep:
        raise ConfigError(
            f"--from {first} is more than retention.slice_days ({keep}) before --to {last}: its "
            "slices would be removed on the way. Give a later --from, or raise "
            "retention.slice_days first"
        )
    days = [first + dt.timedelta(days=number) for number in range((last - first).days + 1)]
    outcomes = [_run(spark, config, day, publish=day == last) for day in days]
    status = "done" if any(o["status"] == "done" for o in outcomes) else "already_done"
    dates = [{key: o[key] for key in ("as_of_date", "status", "rows")} for o in outcomes]
    return {**outcomes[-1], "status": status, "dates": dates}


def _run(spark: SparkSession, config: Config, as_of: dt.date, *, publish: bool) -> dict[str, Any]:
    # Before the lake's folder is made.
    require_past(as_of)
    if config.has_purchases:
        transactions_of(config)
    with open_run(spark, config, "run", as_of) as this:
        # Before anything is written: what the first stages wrote would be there already.
        this.lake.require_versions(TABLES)
        _check_retention(this)
        require_inputs(this)
        if config.has_purchases:
            customer_days_stage(this)
            features_stage(this)
        if config.products.enabled:
            products_stage(this)
        if config.has_contracts:
            contracts_stage(this)
            contract_features_stage(this)
        if has_costs(config):
            costs_stage(this)
        fit_stage(this)
        if forecasts(config):
            history_stage(this)
        if cohorts_are_due(this):
            cohort_history_stage(this)
        score_stage(this)
        if config.has_contracts:
            subscriptions_stage(this)
        if publish:
            publish_stage(this)
        expire_slices(this)
    return this.outcome()


DATED = (
    CUSTOMER_FEATURES,
    REFUND_ONLY_CUSTOMERS,
    CONTRACT_FEATURES,
    CUSTOMER_COSTS,
    CUSTOMER_PRODUCTS,
    CONTRACT_SCORES,
    CLV_SCORES,
    TIER_MIGRATION,
    SEGMENT_SUMMARY,
    SEGMENT_PRODUCTS,
    REVENUE_HISTORY,
    REVENUE_FORECAST,
    COHORT_HISTORY,
    COHORT_SUMMARY,
    SUBSCRIPTION_METRICS,
    SUBSCRIPTION_FORECAST,
    WHAT_IF,
    # After the scores, which say what is needed of it.
    MODEL_PARAMETERS,
)


def oldest_kept(this: Run) -> dt.date | None:
    """The oldest date whose slices retention keeps; None for all."""
    keep = this.config.retention.slice_days
    newest = this.lake.newest_slice(CLV_SCORES)
    if keep is None or newest is None:
        return None
    # Not beyond the data: a mistyped year in --as-of must not make every slice look old.
    last = _last_day(this)
    return None if last is None else min(newest, last) - dt.timedelta(days=keep)


def _last_day(this: Run) -> dt.date | None:
    """The last day of the data. Contracts run on, so alone they have none but today."""
    if not this.lake.exists(CUSTOMER_DAYS):
        return dt.date.today() if this.lake.exists(CONTRACT_FEATURES) else None
    held = this.lake.date_range(CUSTOMER_DAYS)
    return None if held is None else held[1]


def _check_retention(this: Run) -> None:
    oldest = oldest_kept(this)
    if oldest is not None and this.date < oldest:
        raise ConfigError(
            f"--as-of {this.date} is older than what retention.slice_days keeps (from {oldest} "
            "on): its slices would be removed at once. Raise retention.slice_days first"
        )


def expire_slices(this: Run) -> None:
    """Remove the slices that retention does not keep."""
    oldest = oldest_kept(this)
    if oldest is not None:
        for spec in DATED:
            if this.lake.exists(spec):
                this.lake.expire(spec, kept_from(this, spec, oldest))


def kept_from(this: Run, spec: TableSpec, oldest: dt.date) -> dt.date:
    """The first date that a table keeps; the scores kept need what they were made with."""
    if spec.name != MODEL_PARAMETERS.name:
        return oldest
    first = this.lake.oldest_slice(CLV_SCORES, since=oldest)
    in_force = first and this.lake.newest_slice(MODEL_PARAMETERS, up_to=first)
    return min(oldest, in_force or oldest)
