"""Job fit-models: customer_features -> patterns -> model_parameters of one fit date."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pandas as pd
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from clv_spark import __version__
from clv_spark.config import Config
from clv_spark.errors import FitError, InputError
from clv_spark.kernels.fit_segment import fit_segment
from clv_spark.kernels.segments import failed_share, take_parents
from clv_spark.lake import Commit
from clv_spark.pipelines.run_context import Run, open_run, reached
from clv_spark.schemas import CUSTOMER_FEATURES, MODEL_PARAMETERS
from clv_spark.transforms.patterns import (
    entering_fit,
    purchase_patterns,
    segment_totals,
    spend_patterns,
    with_segment,
)
from clv_spark.transforms.segments import GLOBAL

RETURN_RATE = "return_rate"
MARGIN_RATE = "margin_rate"

_FITTED = (
    "segment STRING, model STRING, parameters MAP<STRING,DOUBLE>, log_likelihood DOUBLE, "
    "bic DOUBLE, n_customers BIGINT, n_patterns BIGINT, n_repeaters BIGINT, "
    "frequency_spend_correlation DOUBLE, iterations INT, gradient_norm DOUBLE, "
    "condition_number DOUBLE, status STRING, message STRING"
)


def fit_models(spark: SparkSession, config: Config, as_of: dt.date) -> dict[str, Any]:
    """Fit every segment on the features of ``as_of`` and replace that slice of the parameters.

    Returns:
        The outcome of the run.

    Raises:
        InputError: the features of that date do not exist.
        FitError: more than ``fit.max_failed_share`` of the customers have no usable fit.
    """
    with open_run(spark, config, "fit-models", as_of) as run:
        fit_stage(run)
        return run.outcome()


def fit_stage(run: Run) -> Commit:
    """Read features -> count patterns -> fit per segment -> take parents -> check -> publish."""
    upstream = features_commit(run)
    return run.stage(
        MODEL_PARAMETERS,
        [upstream.fingerprint],
        lambda commit: _write(run, commit),
        source_version=upstream.source_version,
        slice_date=run.date,
    )


def features_commit(run: Run) -> Commit:
    """The commit of the features slice that later stages start from.

    Raises:
        InputError: there is no such slice.
    """
    commit = run.lake.last_commit(CUSTOMER_FEATURES, run.date)
    if commit is None:
        raise InputError(
            f"customer_features holds no slice {run.date}; run build-features for that date first"
        )
    run.require_same_settings(CUSTOMER_FEATURES, commit, "build-features")
    return commit


def _write(run: Run, commit: Commit) -> Commit:
    features = run.lake.read(CUSTOMER_FEATURES, run.date)
    run.input_accepted = True
    named = with_segment(features, run.config.segments)
    totals = {row["segment"]: row.asDict() for row in segment_totals(named).collect()}
    totals[GLOBAL] = _sum_of(list(totals.values()))
    fitted = [row.asDict() for row in fit_patterns(run, named, totals).collect()]
    reached("model_parameters:fitted")
    rows = take_parents(_complete(run, fitted, totals) + _rate_rows(run, totals))
    _check_failures(run, rows)
    schema = ", ".join(MODEL_PARAMETERS.ddl(column) for column in MODEL_PARAMETERS.columns)
    frame = run.spark.createDataFrame([_table_row(run, row) for row in rows], schema)
    figures = {"message": _in_words(rows, totals)}
    return run.lake.replace(
        MODEL_PARAMETERS, frame.coalesce(1), replace(commit, figures=figures), run.date
    )


def fit_patterns(run: Run, named: DataFrame, totals: dict[str, dict[str, Any]]) -> DataFrame:
    """One row per model and segment, fitted in a grouped-map pandas UDF on counted patterns."""
    models, limit = run.config.models, run.config.fit.max_exact_repeaters
    entering = named.transform(entering_fit, run.config.fit.cohort_start)
    bucketed = frozenset(segment for segment, t in totals.items() if t["spenders"] > limit)
    purchases = purchase_patterns(entering).withColumn("model", F.lit(models.transactions))
    spend = spend_patterns(entering, bucketed).withColumn("model", F.lit(models.spend))
    patterns = purchases.unionByName(spend)
    # A number of partitions of its own: adaptive execution would put all groups into one task.
    partitions = max(2, min(2 * len(totals), 2 * run.spark.sparkContext.defaultParallelism))
    spread = patterns.repartition(partitions, "model", "segment")
    return spread.groupBy("model", "segment").applyInPandas(_fit_group(run.config), _FITTED)


def _fit_group(config: Config) -> Callable[[pd.DataFrame], pd.DataFrame]:
    unit_days, fit = config.models.unit_days, config.fit
    least = {"min_customers": fit.min_customers, "min_repeaters": fit.min_repeaters}

    def fit_group(patterns: pd.DataFrame) -> pd.DataFrame:
        return fit_segment(patterns, model=patterns["model"].iloc[0], unit_days=unit_days, **least)

    return fit_group


def _complete(
    run: Run, fitted: list[dict[str, Any]], totals: dict[str, dict[str, Any]]
) -> list[dict[str, Any]]:
    """Every model has a row for every segment, also where no customer entered the fit."""
    found = {(row["model"], row["segment"]): row for row in fitted}
    rows = []
    for model in (run.config.models.transactions, run.config.models.spend):
        for segment in totals:
            row = found.get((model, segment)) or _row(
                model, segment, "too_small", "no customer enters this fit"
            )
            rows.append(row | _place(run, segment))
    return rows


def _rate_rows(run: Run, totals: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Ratios of sums per segment: the return rate, and the margin rate where margin is known."""
    rows = []
    for segment, total in totals.items():
        enough = total["customers"] >= run.config.fit.min_customers or segment == GLOBAL
        status, message = ("ok", "ratio of sums") if enough else ("too_small", "too few customers")
        net = total["gross"] - total["refund"]
        parameters: dict[str, dict[str, float] | None] = {
            RETURN_RATE: {
                "rate": _share(total["refund"], total["gross"]),
                "prior_amount": max(total["gross"], 0) / 100 / total["customers"],
            }
        }
        if total["margin"] is not None:
            parameters[MARGIN_RATE] = {"rate": _share(total["margin"], net)}
        for model, values in parameters.items():
            row = _row(model, segment, status, message) | _place(run, segment)
            row["n_customers"] = row["n_patterns"] = total["customers"]
            rows.append(row | {"parameters": values if enough else None})
    return rows


def _share(part: int, whole: int) -> float:
    return min(max(part / whole, 0.0), 1.0) if whole > 0 else 0.0


def _row(model: str, segment: str, status: str, message: str) -> dict[str, Any]:
    return {
        "model": model,
        "segment": segment,
        "parameters": None,
        "n_customers": 0,
        "n_patterns": 0,
        "n_repeaters": 0,
        "status": status,
        "message": message,
    }


def _place(run: Run, segment: str) -> dict[str, Any]:
    if segment == GLOBAL:
        return {"segment_level": GLOBAL, "parent_segment": None}
    return {"segment_level": run.config.segments[-1], "parent_segment": GLOBAL}


def _sum_of(totals: list[dict[str, Any]]) -> dict[str, Any]:
    whole: dict[str, Any] = {"segment": GLOBAL}
    for name in ("customers", "spenders", "without_spend", "gross", "refund", "margin"):
        values = [total[name] for total in totals if total[name] is not None]
        whole[name] = sum(values) if values else None
    return whole


def _check_failures(run: Run, rows: list[dict[str, Any]]) -> None:
    limit = run.config.fit.max_failed_share
    for model in (run.config.models.transactions, run.config.models.spend):
        share = failed_share(rows, model)
        if share > limit:
            (root,) = (r for r in rows if r["model"] == model and r["segment"] == GLOBAL)
            raise FitError(
                f"{model}: {share:.1%} of the customers are without a usable fit, "
                f"fit.max_failed_share allows {limit:.1%}. The global fit says: {root['status']}, "
                f"{root['message']}. Nothing was published"
            )


def _table_row(run: Run, row: dict[str, Any]) -> Row:
    values = row | {
        "fit_date": run.date,
        "time_unit": run.config.models.time_unit,
        "package_version": __version__,
    }
    return Row(*(values.get(name) for name in MODEL_PARAMETERS.column_names))


def _in_words(rows: list[dict[str, Any]], totals: dict[str, dict[str, Any]]) -> str:
    fits = [row for row in rows if row["model"] not in (RETURN_RATE, MARGIN_RATE)]
    own = sum(row["status"] == "ok" for row in fits)
    return (
        f"{own} of {len(fits)} fits are own, the others take the parent's; "
        f"{totals[GLOBAL]['without_spend']} repeat buyers without positive spend stay out of the "
        "spend fit"
    )
