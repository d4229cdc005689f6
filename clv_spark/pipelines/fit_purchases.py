"""Part of job fit-models: customer_features -> patterns -> rows of model_parameters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from clv_spark.config import DAYS_PER_UNIT, Config
from clv_spark.kernels.choose import Row
from clv_spark.kernels.segment_parameters import MARGIN_RATE, RETURN_RATE
from clv_spark.kernels.segment_rates import rate_rows
from clv_spark.kernels.segment_tree import Segment, segment_tree
from clv_spark.kernels.segments import take_parents
from clv_spark.models import PURCHASE_MODELS
from clv_spark.pipelines.fit_levels import (
    FitPlan,
    empty_row,
    fit_levels,
    origins,
    place,
    side_by_side,
)
from clv_spark.pipelines.run_context import Run, cached
from clv_spark.schemas import CUSTOMER_FEATURES
from clv_spark.transforms.patterns import (
    entering_fit,
    purchase_patterns,
    segment_totals,
    spend_patterns,
)
from clv_spark.transforms.segments import GLOBAL, level_columns, with_segments


def fit_purchases(run: Run, last: Mapping[str, str]) -> tuple[list[Row], str]:
    """Fit the models of purchases and spend, and the rates, to every segment.

    Args:
        run: The run; its date's slice of customer_features is read.
        last: The choice of the fit before, by segment.

    Returns:
        Rows as ``fit_levels`` gives them, with chosen and time_unit; and what they come to.
    """
    features = run.lake.read(CUSTOMER_FEATURES, run.date)
    models, levels = run.config.models, level_columns(run.config.segments)
    named = with_segments(features, run.config.segments)
    leaves = segment_totals(named, levels, models.spend_basis).collect()
    tree = segment_tree([row.asDict() for row in leaves], levels)
    plan = _plan(run.config, last)
    with cached(fit_patterns(run.config, named, tree)) as patterns:
        rows = fit_levels(plan, patterns, tree)
    choice = plan.choice(rows)
    rates = rate_rows(tree, run.config.fit.min_customers)
    rows += take_parents([_placed(run.config, tree, row) for row in rates])
    for row in rows:
        model = row["model"]
        row |= {
            "relationship": "purchases",
            "chosen": model not in PURCHASE_MODELS or model == choice[row["segment"]],
            "spend_basis": models.spend_basis if model == models.spend else None,
            "time_unit": models.unit(model),
        }
    return rows, _in_words(rows, tree)


def used_rows(rows: list[Row]) -> list[Row]:
    """Of rows of purchase models those that scores use."""
    return [row for row in rows if row["chosen"] and row["model"] in PURCHASE_MODELS]


def _plan(config: Config, last: Mapping[str, str]) -> FitPlan:
    models, fit = config.models, config.fit
    names = (*models.purchases, models.spend)
    return FitPlan(
        unit_days={name: DAYS_PER_UNIT[models.unit(name)] for name in names},
        min_repeaters=dict.fromkeys(names, fit.min_repeaters),
        min_customers=fit.min_customers,
        max_correlation=fit.max_frequency_spend_correlation,
        keys=config.segments,
        candidates=models.purchases,
        last=last,
        switch_margin=models.switch_margin,
        pool_ridges=fit.not_identified == "pooled",
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
    return side_by_side(patterns, len(tree) * (len(models.purchases) + 1))


def _placed(config: Config, tree: Mapping[str, Segment], rate: Row) -> Row:
    segment = tree[rate["segment"]]
    empty = empty_row(rate["model"], segment.name, rate["status"], rate["message"])
    return {**empty, **place(config.segments, segment), **rate, "n_patterns": rate["n_customers"]}


def _in_words(rows: list[Row], tree: Mapping[str, Segment]) -> str:
    fits = [row for row in rows if row["model"] not in (RETURN_RATE, MARGIN_RATE)]
    counts = Counter(row["model"] for row in used_rows(rows))
    chosen = ", ".join(f"{model} for {counts[model]}" for model in sorted(counts))
    return (
        f"{origins(fits)}; segments use {chosen}; "
        f"{tree[GLOBAL].totals['without_spend']} buyers without positive spend stay out of the "
        "spend fit"
    )
