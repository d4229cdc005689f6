"""Part of job fit-models: contract_features -> patterns -> rows of model_parameters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from pyspark.sql import functions as F

from clv_spark.config import PERIOD_MONTHS, Config
from clv_spark.kernels.choose import Row
from clv_spark.kernels.segment_tree import SUMS, Segment, segment_tree
from clv_spark.pipelines.fit_levels import FitPlan, fit_levels, origins, side_by_side
from clv_spark.pipelines.run_context import Run, cached
from clv_spark.schemas import CONTRACT_FEATURES
from clv_spark.transforms.contract_patterns import (
    contract_patterns,
    contract_totals,
    entering_contract_fit,
)
from clv_spark.transforms.segments import GLOBAL, level_columns, with_segments


def fit_contracts(run: Run, last: Mapping[str, Mapping[str, str]]) -> list[Row]:
    """Fit the models of contracts to every segment, apart for each period.

    A yearly contract can be lost once a year, a monthly one every month, so their parameters have
    different units of time and are never drawn together.

    Args:
        run: The run; its date's slice of contract_features is read.
        last: The choice of the fit before, by period and segment.

    Returns:
        Rows as ``fit_levels`` gives them, with chosen and time_unit.
    """
    config, features = run.config, run.lake.read(CONTRACT_FEATURES, run.date)
    levels = level_columns(config.contract_segments)
    named = with_segments(features, config.contract_segments)
    totals = contract_totals(named, levels).collect()
    entering = entering_contract_fit(named, run.date, config.fit.cohort_start)
    rows: list[Row] = []
    with cached(contract_patterns(entering, levels)) as patterns:
        for period in PERIOD_MONTHS:
            leaves = [row.asDict() for row in totals if row["period"] == period]
            if not leaves:
                continue
            plan = _plan(config, last.get(period, {}))
            tree = segment_tree([dict.fromkeys(SUMS) | leaf for leaf in leaves], levels)
            names = F.explode(F.lit(list(plan.unit_days)))
            ours = patterns.where(F.col("period") == period).withColumn("model", names)
            fitted = fit_levels(plan, side_by_side(ours, len(tree) * len(plan.unit_days)), tree)
            rows += _of_period(plan, fitted, tree, period)
    return rows


def contracts_in_words(rows: list[Row]) -> str:
    """How the fits of contracts went, for the message of the stage."""
    counts = Counter(f"{row['model']} by {row['time_unit']}" for row in rows if row["chosen"])
    chosen = ", ".join(f"{name} for {counts[name]}" for name in sorted(counts))
    return f"contracts: {origins(rows)}; segments use {chosen}"


def _plan(config: Config, last: Mapping[str, str]) -> FitPlan:
    models, fit = config.models.of_contracts, config.fit
    return FitPlan(
        # Tenures are counted in periods already.
        unit_days=dict.fromkeys(models, 1),
        min_repeaters=dict.fromkeys(models, fit.min_losses),
        min_customers=fit.min_customers,
        max_correlation=fit.max_frequency_spend_correlation,
        keys=config.contract_segments,
        candidates=models,
        last=last,
        switch_margin=config.models.switch_margin,
        pool_ridges=fit.not_identified == "pooled",
    )


def _of_period(
    plan: FitPlan, fitted: list[Row], tree: Mapping[str, Segment], period: str
) -> list[Row]:
    choice = plan.choice(fitted)
    return [
        row
        | {
            "relationship": "contract",
            "time_unit": period,
            "chosen": row["model"] == choice[row["segment"]],
            # Also those that stay out of the fit have to be scored.
            "n_customers": row["n_customers"] or tree[row["segment"]].totals["customers"],
        }
        for row in fitted
    ]


def failures_of(rows: list[Row]) -> tuple[list[Row], str]:
    """The chosen rows, and what the roots say of their fits."""
    chosen = [row for row in rows if row["chosen"]]
    roots = [row for row in chosen if row["segment"] == GLOBAL]
    said = "; ".join(f"{r['time_unit']}: {r['status']}, {r['message'].rstrip('.')}" for r in roots)
    return chosen, said
