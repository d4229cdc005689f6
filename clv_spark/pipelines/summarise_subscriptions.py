"""Part of jobs run and score-customers: contracts by month, so far and in the next 24 months."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import asdict

import pandas as pd
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from clv_spark.errors import InputError
from clv_spark.kernels.contract_parameters import (
    ContractKey,
    ContractParameters,
    contract_parameters,
)
from clv_spark.kernels.fit_segment import as_frame
from clv_spark.kernels.forecast_subscriptions import (
    NewSubscriptions,
    SubscriptionDraws,
    forecast_rows,
    forecast_subscriptions,
    new_subscriptions,
)
from clv_spark.kernels.worker import in_worker
from clv_spark.lake import Commit
from clv_spark.pipelines.build_contracts import contracts_of
from clv_spark.pipelines.fit_of_date import fit_date_of
from clv_spark.pipelines.forecast_revenue import days_of_arrivals
from clv_spark.pipelines.local_rows import local_rows
from clv_spark.pipelines.newcomers import new_contract_segments
from clv_spark.pipelines.run_context import SECTIONS, Run, cached, reached
from clv_spark.pipelines.summarise_segments import members_of, places_of
from clv_spark.schemas import (
    CLV_SCORES,
    CONTRACT_FEATURES,
    CONTRACT_SCORES,
    CONTRACTS,
    MODEL_PARAMETERS,
    SUBSCRIPTION_FORECAST,
    SUBSCRIPTION_METRICS,
)
from clv_spark.transforms.contract_scores import contract_score_input
from clv_spark.transforms.money import summand
from clv_spark.transforms.segments import GLOBAL
from clv_spark.transforms.subscriptions import (
    arrival_sums,
    running_patterns,
    subscription_events,
    subscription_metrics,
)

_DRAWN = (
    "segment STRING, period STRING, running ARRAY<DOUBLE>, running_variance ARRAY<DOUBLE>, "
    "mrr ARRAY<DOUBLE>, mrr_variance ARRAY<DOUBLE>"
)


def subscriptions_stage(run: Run) -> Commit:
    """Read contracts and their scores -> metrics by month, forecast by month -> publish both."""
    scored = run.lake.last_commit(CONTRACT_SCORES, run.date)
    if scored is None:
        raise InputError(f"contract_scores holds no slice {run.date}; run score-customers first")
    held = run.upstream(CONTRACTS, "build-contracts")
    return run.stage(
        SUBSCRIPTION_METRICS,
        [held.fingerprint, scored.fingerprint],
        lambda commit: _write(run, commit),
        source_version=held.source_version,
        slice_date=run.date,
        sections=SECTIONS[CLV_SCORES.name],
        beside=(SUBSCRIPTION_FORECAST,),
    )


def _write(run: Run, commit: Commit) -> Commit:
    run.input_accepted = True
    run.lake.ensure(SUBSCRIPTION_FORECAST)
    fit_date, fitted = _fitted(run)
    with cached(_events(run)) as events:
        metrics = _metrics(run, fitted, events)
        written = run.lake.replace(SUBSCRIPTION_METRICS, metrics, commit, run.date)
    reached("subscription_metrics:metrics_written")
    run.lake.replace(SUBSCRIPTION_FORECAST, _forecast(run, fit_date, fitted), commit, run.date)
    return written


def _events(run: Run) -> DataFrame:
    return subscription_events(
        run.lake.read(CONTRACTS),
        run.config.contract_segments,
        run.date,
        snapshot_window=contracts_of(run.config).snapshot_window,
        margin_rate=run.config.value.margin_rate,
    )


def _metrics(run: Run, fitted: list[Row], events: DataFrame) -> DataFrame:
    config, keys = run.config, run.config.contract_segments
    months = subscription_metrics(
        events,
        (GLOBAL, *keys),
        run.date,
        margin_rate=config.value.margin_rate,
        annual_discount_rate=config.value.annual_discount_rate,
        last_month_only=contracts_of(run.config).snapshot_window is not None,
    )
    return months.join(_model_clv(run, fitted), ["segment", "month"], "left").select(
        F.lit(run.date).alias("as_of_date"),
        *months.columns,
        "model_clv",
        F.lit(config.currency).cast("string").alias("currency"),
    )


def _model_clv(run: Run, fitted: list[Row]) -> DataFrame:
    """Mean residual margin of the running contracts that have one.

    As decimals: sums of doubles have an order.
    """
    scores = run.lake.read(CONTRACT_SCORES, run.date).where("p_alive = 1")
    residual = F.col("residual_clv")
    if run.config.value.definition == "revenue":
        residual = residual * F.col("margin_rate")
    value = summand(residual)
    last = F.lit(run.date.replace(day=1)).alias("month")
    leaf = scores.groupBy("segment").agg(F.sum(value).alias("sum"), F.count(value).alias("n"))
    sums = {row["segment"]: (row["sum"], row["n"]) for row in leaf.collect()}
    nested = len(run.config.contract_segments) > 1
    members = members_of(sums, places_of(fitted), nested)
    parts = [(name, *sums[leaf]) for name, leaves in members.items() for leaf in leaves]
    listed = local_rows(run.spark, parts, "segment STRING, sum DECIMAL(38,6), n BIGINT")
    mean = F.sum("sum").cast("double") / F.nullif(F.sum("n"), F.lit(0))
    return (
        listed.groupBy("segment").agg(mean.alias("model_clv")).select("segment", last, "model_clv")
    )


def _fitted(run: Run) -> tuple[dt.date, list[Row]]:
    """The chosen fits of contracts that the scores of the date were made with, and their date."""
    fit_date = fit_date_of(run)
    rows = run.lake.read(MODEL_PARAMETERS, fit_date)
    return fit_date, rows.where("chosen AND relationship = 'contract'").collect()


def _forecast(run: Run, fit_date: dt.date, fitted: list[Row]) -> DataFrame:
    keys = run.config.contract_segments
    features = run.lake.read(CONTRACT_FEATURES, run.date)
    inputs = contract_score_input(features, keys, run.date)
    known = [row.asDict() for row in fitted]
    new = new_contract_segments(run, fit_date, inputs, known)
    groups = running_patterns(inputs).groupBy("segment", "period")
    parameters = contract_parameters(known, new)
    draw = _draw_group(parameters)
    drawn = groups.applyInPandas(in_worker(draw), _DRAWN).collect()
    parts: dict[str, list[SubscriptionDraws]] = {}
    for row in sorted(drawn):
        parts.setdefault(row["segment"], []).append(SubscriptionDraws(**row.asDict()))
    above, to_come = places_of(fitted), _to_come(run, inputs, parameters)
    rows = []
    for segment, members in members_of(parts, above, len(keys) > 1).items():
        level = above.get(segment, (keys[-1] if keys else GLOBAL, None))[0]
        ours = [part for leaf in members for part in parts[leaf]]
        ahead = [to_come[part.segment, part.period] for part in ours]
        for numbers in forecast_rows(ours, ahead):
            rows.append((segment, level, *numbers.values()))
    names = [c for c in SUBSCRIPTION_FORECAST.columns if c.name not in _SAME]
    frame = local_rows(run.spark, rows, ", ".join(map(SUBSCRIPTION_FORECAST.ddl, names)))
    return frame.select(
        F.lit(run.date).alias("as_of_date"),
        "*",
        F.add_months(F.lit(run.date), F.col("months_ahead")).alias("forecast_date"),
        F.lit(run.config.currency).cast("string").alias("currency"),
    )


def _to_come(
    run: Run, inputs: DataFrame, parameters: Mapping[ContractKey, ContractParameters]
) -> dict[ContractKey, NewSubscriptions]:
    """The contracts to come of every segment and period with a model."""
    config, recent = run.config, days_of_arrivals(run)
    sums = arrival_sums(inputs, config.value.margin_rate, len(config.contract_segments), recent)
    found = sums.collect()
    # Without so much history they arrived in all there is, as in revenue_forecast.
    days = min(recent, 1 + max((row["oldest"] for row in found), default=0))
    return {
        (row["segment"], row["period"]): new_subscriptions(used, row.asDict(), days)
        for row in found
        if (used := parameters.get((row["segment"], row["period"]))) and used.values is not None
    }


_SAME = ("as_of_date", "forecast_date", "currency")


def _draw_group(
    parameters: Mapping[ContractKey, ContractParameters],
) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def draw_one(rows: pd.DataFrame) -> pd.DataFrame:
        key = (str(rows["segment"].iloc[0]), str(rows["period"].iloc[0]))
        used = parameters.get(key)
        # Of a period that came after the fit nothing is known.
        if used is None or used.values is None:
            return pd.DataFrame()
        return as_frame(asdict(forecast_subscriptions(rows, used)))

    return draw_one
