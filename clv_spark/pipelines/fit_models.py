"""Job fit-models: customer_features -> patterns -> model_parameters of one fit date."""

from __future__ import annotations

import datetime as dt
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import Row as SparkRow
from pyspark.sql import functions as F

from clv_spark import __version__
from clv_spark.config import Config
from clv_spark.errors import FitError, InputError
from clv_spark.kernels.choose import USABLE, Row, choose_models
from clv_spark.kernels.drift import stability_index
from clv_spark.kernels.segment_parameters import MARGIN_RATE, RETURN_RATE
from clv_spark.kernels.segment_tree import Segment, segment_tree
from clv_spark.kernels.segments import failed_share, take_parents
from clv_spark.lake import Commit
from clv_spark.models import PURCHASE_MODELS
from clv_spark.pipelines.fit_levels import empty_row, fit_levels, place
from clv_spark.pipelines.run_context import SECTIONS, Run, cached, open_run, reached
from clv_spark.schemas import CUSTOMER_FEATURES, MODEL_PARAMETERS
from clv_spark.transforms.patterns import (
    customers_by_class,
    entering_fit,
    purchase_patterns,
    segment_totals,
    spend_patterns,
)
from clv_spark.transforms.segments import GLOBAL, level_columns, with_segments

log = logging.getLogger(__name__)

# Among the figures of a fit's commit.
_CLASSES = "customers_by_class"


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
    young = _young_fit(run)
    if young is not None:
        why = f"parameters of {young.slice} are used again: fit.refit_every"
        return run.reuse(MODEL_PARAMETERS, young, f"{why} is {run.config.fit.refit_every}")
    last = _last_choice(run)
    return run.stage(
        MODEL_PARAMETERS,
        [upstream.fingerprint, *(f"{segment}={model}" for segment, model in sorted(last.items()))],
        lambda commit: _write(run, last, commit),
        source_version=upstream.source_version,
        slice_date=run.date,
    )


def _young_fit(run: Run) -> Commit | None:
    """An earlier fit with the same settings that is not due yet; None when the date has its own."""
    limit = run.config.fit.refit_every
    settings = run.config_hash(SECTIONS[MODEL_PARAMETERS.name])
    slices = run.lake.slices(MODEL_PARAMETERS) if limit > 1 else {}
    if run.date in slices:
        return None
    for fit_date, commit in sorted(slices.items(), reverse=True):
        due = fit_date > run.date or (run.date - fit_date).days >= limit
        comparable = (commit.config_hash, commit.package_version) == (settings, __version__)
        if not due and comparable and not run.lake.is_empty(MODEL_PARAMETERS, fit_date):
            return None if _has_drifted(run, commit) else commit
    return None


def _has_drifted(run: Run, fit: Commit) -> bool:
    """Whether the customers have moved too far since a fit for its parameters to be used again."""
    limit = run.config.fit.refit_at_drift
    if limit is None:
        return False
    drift = stability_index(fit.figures[_CLASSES], _customers_by_class(run))
    log.info("customers have drifted by %.3f since the fit of %s", drift, fit.slice)
    return drift > limit


def _customers_by_class(run: Run) -> dict[str, int]:
    rows = customers_by_class(run.lake.read(CUSTOMER_FEATURES, run.date)).collect()
    return {row["class"]: row["customers"] for row in sorted(rows)}


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


def _write(run: Run, last: Mapping[str, str], commit: Commit) -> Commit:
    features = run.lake.read(CUSTOMER_FEATURES, run.date)
    run.input_accepted = True
    models, levels = run.config.models, level_columns(run.config.segments)
    named = with_segments(features, run.config.segments)
    leaves = segment_totals(named, levels, models.spend_basis).collect()
    tree = segment_tree([row.asDict() for row in leaves], levels)
    with cached(fit_patterns(run.config, named, tree)) as patterns:
        rows = fit_levels(run.config, patterns, tree)
    reached("model_parameters:fitted")
    choice = choose_models(rows, models.purchases, last, models.switch_margin)
    rows += take_parents(_rate_rows(run, tree))
    used = [row for row in rows if row["model"] == choice[row["segment"]]]
    for kind, ours in (
        (models.transactions, used),
        (models.spend, [row for row in rows if row["model"] == models.spend]),
    ):
        _check_failures(run, kind, ours)
    schema = ", ".join(MODEL_PARAMETERS.ddl(column) for column in MODEL_PARAMETERS.columns)
    table = [_table_row(run, row, choice) for row in rows]
    frame = run.spark.createDataFrame(table, schema)
    figures: dict[str, Any] = {"message": _in_words(rows, used, tree)}
    if run.config.fit.refit_at_drift is not None:
        figures[_CLASSES] = _customers_by_class(run)
    return run.lake.replace(
        MODEL_PARAMETERS, frame.coalesce(1), replace(commit, figures=figures), run.date
    )


def fit_patterns(config: Config, named: DataFrame, tree: Mapping[str, Segment]) -> DataFrame:
    """Counted patterns of every model and segment, spread so that the fits run side by side."""
    models, limit = config.models, config.fit.max_exact_repeaters
    levels = level_columns(config.segments)
    entering = named.transform(entering_fit, config.fit.cohort_start)
    large = frozenset(s.name for s in tree.values() if (s.totals["spenders"] or 0) > limit)
    purchases = purchase_patterns(entering, levels)
    names = F.explode(F.lit(list(models.purchases)))
    spend = spend_patterns(entering, levels, models.spend_basis, large)
    patterns = purchases.withColumn("model", names).unionByName(
        spend.withColumn("model", F.lit(models.spend))
    )
    # A number of partitions of its own: adaptive execution would put all groups into one task.
    spark = named.sparkSession
    most = max(
        4 * spark.sparkContext.defaultParallelism,
        int(str(spark.conf.get("spark.sql.shuffle.partitions"))),
    )
    partitions = max(2, min(len(tree) * (len(models.purchases) + 1), most))
    return patterns.repartition(partitions, "model", "segment")


def _last_choice(run: Run) -> dict[str, str]:
    """The purchase model of each segment in the newest fit of an earlier date, for ``auto``."""
    if run.config.models.transactions != "auto":
        return {}
    before = run.lake.newest_slice(MODEL_PARAMETERS, run.date - dt.timedelta(days=1))
    keep = run.config.retention.slice_days
    # A slice that this run will remove must not decide: a second run would not find it.
    if before is None or (keep is not None and (run.date - before).days > keep):
        return {}
    # A table of another schema version is refused with a word, before a column is missed.
    run.lake.ensure(MODEL_PARAMETERS)
    rows = run.lake.read(MODEL_PARAMETERS, before).where("chosen").select("segment", "model")
    purchases = F.col("model").isin(list(PURCHASE_MODELS))
    return {row["segment"]: row["model"] for row in rows.where(purchases).collect()}


def _rate_rows(run: Run, tree: Mapping[str, Segment]) -> list[Row]:
    """Ratios of sums per segment: the return rate, and the margin rate where margin is known."""
    rows = []
    for segment in tree.values():
        customers, gross, refund = (
            segment.totals[name] or 0 for name in ("customers", "gross", "refund")
        )
        enough = customers >= run.config.fit.min_customers or segment.parent is None
        status, message = ("ok", "ratio of sums") if enough else ("too_small", "too few customers")
        parameters: dict[str, dict[str, float]] = {
            RETURN_RATE: {
                "rate": _share(refund, gross),
                "prior_amount": max(gross, 0) / 100 / customers,
            }
        }
        margin = segment.totals["margin"]
        if margin is not None:
            parameters[MARGIN_RATE] = {"rate": _share(margin, gross - refund)}
        for model, values in parameters.items():
            row = empty_row(model, segment.name, status, message) | place(run.config, segment)
            row["n_customers"] = row["n_patterns"] = customers
            rows.append(row | {"parameters": values if enough else None})
    return rows


def _share(part: int, whole: int) -> float:
    return min(max(part / whole, 0.0), 1.0) if whole > 0 else 0.0


def _check_failures(run: Run, kind: str, rows: list[Row]) -> None:
    limit, share = run.config.fit.max_failed_share, failed_share(rows)
    if share > limit:
        (root,) = (row for row in rows if row["segment"] == GLOBAL)
        raise FitError(
            f"{kind}: {share:.1%} of the customers are without a usable fit, "
            f"fit.max_failed_share allows {limit:.1%}. The global fit says: {root['status']}, "
            f"{root['message'].rstrip('.')}. Nothing was published; fit on more history, lower "
            "fit.min_customers and fit.min_repeaters, or name other models.candidates"
        )


def _table_row(run: Run, row: Row, choice: Mapping[str, str]) -> SparkRow:
    models, model = run.config.models, row["model"]
    values = row | {
        "fit_date": run.date,
        "chosen": model not in PURCHASE_MODELS or model == choice[row["segment"]],
        "spend_basis": models.spend_basis if model == models.spend else None,
        "time_unit": models.unit(model),
        "package_version": __version__,
    }
    return SparkRow(*(values.get(name) for name in MODEL_PARAMETERS.column_names))


def _in_words(rows: list[Row], used: list[Row], tree: Mapping[str, Segment]) -> str:
    fits = [row for row in rows if row["model"] not in (RETURN_RATE, MARGIN_RATE)]
    own = sum(row["status"] in USABLE for row in fits)
    counts = Counter(row["model"] for row in used)
    chosen = ", ".join(f"{model} for {counts[model]}" for model in sorted(counts))
    return (
        f"{own} of {len(fits)} fits are own, the others take the parent's; segments use {chosen}; "
        f"{tree[GLOBAL].totals['without_spend']} buyers without positive spend stay out of the "
        "spend fit"
    )
