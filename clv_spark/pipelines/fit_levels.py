"""How all segments are fitted: level by level, each drawn towards the fitted level above."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from clv_spark.kernels.choose import USABLE, Row, choose_models
from clv_spark.kernels.fit_segment import as_frame, fit_segment
from clv_spark.kernels.letters import in_order
from clv_spark.kernels.pool_segment import (
    SUMMARY_COLUMNS,
    Key,
    hold_root,
    pool_segment,
    pooled_keys,
    priors_of,
    summarise_segment,
    with_distances,
    with_pooled,
)
from clv_spark.kernels.segment_tree import Segment, middles
from clv_spark.kernels.segments import take_parents
from clv_spark.kernels.shared_errors import log_errors
from clv_spark.kernels.worker import in_worker
from clv_spark.models import CONTRACT_MODELS
from clv_spark.models.prior import Prior
from clv_spark.models.uncertainty import Matrix

Parents = Mapping[Key, Mapping[str, float]]
FitGroup = Callable[[pd.DataFrame], pd.DataFrame]

_NUMBERS = (
    "parameters MAP<STRING,DOUBLE>, standard_errors MAP<STRING,DOUBLE>, covariance ARRAY<DOUBLE>"
)
_FITTED = (
    f"segment STRING, model STRING, {_NUMBERS}, log_likelihood DOUBLE, bic DOUBLE, "
    "comparable_bic DOUBLE, n_customers BIGINT, n_patterns BIGINT, n_repeaters BIGINT, "
    "frequency_spend_correlation DOUBLE, log_frequency_spend_correlation DOUBLE, "
    "iterations INT, gradient_norm DOUBLE, condition_number DOUBLE, "
    "bounds_touched ARRAY<STRING>, status STRING, message STRING, "
    "point ARRAY<DOUBLE>, slope ARRAY<DOUBLE>, hessian ARRAY<DOUBLE>, height DOUBLE"
)
_POOLED = (
    f"segment STRING, model STRING, {_NUMBERS}, sibling_loadings ARRAY<DOUBLE>, "
    "own_weight DOUBLE, message STRING"
)


@dataclass(frozen=True)
class FitPlan:
    """What is fitted to the segments of one tree.

    Attributes:
        unit_days: Days per time unit of the parameters, by model; its keys are all the models.
        min_repeaters: Repeat buyers a segment needs for a fit of its own, by model; for contracts,
            lost contracts.
        min_customers: Customers or contracts it needs for that.
        max_correlation: As for ``fit_segment``.
        keys: Names of the segment keys, outermost first.
        candidates: The models of which each segment uses one.
        last: The choice of the fit before, by segment.
        switch_margin: As for ``choose_models``.
        pool_ridges: Whether segments whose fit found a ridge are drawn to their parents instead of
            taking the parents' parameters.
    """

    unit_days: Mapping[str, int]
    min_repeaters: Mapping[str, int]
    min_customers: int
    max_correlation: float
    keys: tuple[str, ...]
    candidates: tuple[str, ...] = ()
    last: Mapping[str, str] = field(default_factory=dict)
    switch_margin: float = 0.0
    pool_ridges: bool = False

    def choice(self, rows: list[Row]) -> dict[str, str]:
        """The candidate that each segment uses, parents before children."""
        return choose_models(rows, self.candidates, self.last, self.switch_margin)


@dataclass(frozen=True)
class Above:
    """What is known of the levels above.

    Attributes:
        parameters: By model and segment.
        errors: Covariance of their logarithms, where it is known.
        choice: The model of each segment.
    """

    parameters: Parents
    errors: Mapping[Key, Matrix]
    choice: Mapping[str, str]

    @staticmethod
    def of(plan: FitPlan, rows: list[Row]) -> Above:
        """From rows of ``take_parents``."""
        known = {
            (row["model"], row["segment"]): row for row in rows if row["parameters"] is not None
        }
        return Above(
            {key: in_order(row["model"], row["parameters"]) for key, row in known.items()},
            {key: log_errors(row) for key, row in known.items()},
            plan.choice(rows),
        )


def fit_levels(plan: FitPlan, patterns: DataFrame, tree: Mapping[str, Segment]) -> list[Row]:
    """Fits every model to every segment, from the root down.

    Args:
        plan: The models and what they need.
        patterns: level, model, segment and what ``fit_segment`` takes; read twice a level.
        tree: All segments.

    Returns:
        One row per model and segment: what ``fit_segment`` says, drawn towards the parent where
        there is one, the parent's where a fit of its own found a ridge, or there is nobody.
    """
    fitted: list[Row] = []
    rows: list[Row] = []
    drawn_to = middles({name: segment.parent for name, segment in tree.items()})
    priors: dict[Key, Prior] = {}
    depth = max(segment.level for segment in tree.values())
    for level in range(depth + 1):
        here = {name: segment for name, segment in tree.items() if segment.level == level}
        below = patterns.where(F.col("level") == level)
        fitted += _fit_level(plan, below, here, Above.of(plan, rows), (drawn_to, priors))
        rows = take_parents(fitted)
    return rows


def side_by_side(patterns: DataFrame, groups: int) -> DataFrame:
    """Spreads the patterns so that the fits run side by side.

    A number of partitions of its own: adaptive execution would put all groups into one task.
    """
    spark = patterns.sparkSession
    most = max(
        4 * spark.sparkContext.defaultParallelism,
        int(str(spark.conf.get("spark.sql.shuffle.partitions"))),
    )
    return patterns.repartition(max(2, min(groups, most)), "model", "segment")


def _fit_level(
    plan: FitPlan,
    patterns: DataFrame,
    segments: Mapping[str, Segment],
    above: Above,
    drawn: tuple[Mapping[str, str | None], dict[Key, Prior]],
) -> list[Row]:
    """The rows of one level.

    ``drawn`` is who is drawn to whom, and the priors of all levels so far, to which it adds.
    """
    drawn_to, priors = drawn
    only = {name for name, segment in segments.items() if drawn_to[name] != segment.parent}
    groups = patterns.groupBy("model", "segment")
    parents = {name: segment.parent for name, segment in segments.items()}
    fit_one = fit_group(plan, parents, above.parameters, above.choice)
    fitted = groups.applyInPandas(in_worker(fit_one), _FITTED).collect()
    rows = _complete(plan, [row.asDict() for row in fitted], segments)
    priors |= priors_of(rows, above.parameters, above.errors, only)
    pooled: dict[Key, Row] = {}
    if priors:
        pool = pool_group(plan, drawn_to, priors, pooled_keys(rows, ridges=plan.pool_ridges))
        again = groups.applyInPandas(in_worker(pool), _POOLED).collect()
        pooled = {(row["model"], row["segment"]): row.asDict() for row in again}
    done = with_pooled(rows, pooled, ridges=plan.pool_ridges)
    return with_distances(done, priors, above.parameters, only)


def fit_group(
    plan: FitPlan, above: Mapping[str, str | None], parents: Parents, choice: Mapping[str, str]
) -> FitGroup:
    """The function that Spark applies to the patterns of one model and segment: the first look.

    ``above`` is the segment above each, ``choice`` its model.
    """
    limits: dict[str, Any] = {
        "min_customers": plan.min_customers,
        "max_correlation": plan.max_correlation,
    }

    def fit_one(patterns: pd.DataFrame) -> pd.DataFrame:
        model, segment = patterns[["model", "segment"]].iloc[0]
        unit_days, repeaters = plan.unit_days[model], plan.min_repeaters[model]
        row = fit_segment(
            patterns, model=model, unit_days=unit_days, min_repeaters=repeaters, **limits
        )
        if above[segment] is None and model in CONTRACT_MODELS:
            row = hold_root(row, patterns, unit_days=unit_days)
        parent = parents.get((model, str(above[segment])))
        follows = model not in plan.candidates or model == choice.get(str(above[segment]))
        if row["status"] == "too_small" and not follows:
            # Its scores use the model of the segment above: the others would only cost time.
            parent = None
        return as_frame(summarise_segment(row, patterns, unit_days=unit_days, parent=parent))

    return fit_one


def pool_group(
    plan: FitPlan,
    drawn_to: Mapping[str, str | None],
    priors: Mapping[Key, Prior],
    wanted: frozenset[Key],
) -> FitGroup:
    """The second look: the same patterns under the prior that all siblings gave together.

    ``wanted`` is of ``pooled_keys``.
    """

    def pool_one(patterns: pd.DataFrame) -> pd.DataFrame:
        model, segment = patterns[["model", "segment"]].iloc[0]
        prior = priors.get((model, str(drawn_to[segment])))
        if prior is None or (model, segment) not in wanted:
            return pd.DataFrame()
        unit_days = plan.unit_days[model]
        return as_frame(pool_segment(patterns, model=model, unit_days=unit_days, prior=prior))

    return pool_one


def _complete(plan: FitPlan, fitted: list[Row], segments: Mapping[str, Segment]) -> list[Row]:
    """Every model has a row for every segment, also where no customer entered the fit."""
    found = {(row["model"], row["segment"]): row for row in fitted}
    rows = []
    for model in plan.unit_days:
        for segment in segments.values():
            row = found.get((model, segment.name)) or {
                **empty_row(model, segment.name, "too_small", "no customer enters this fit"),
                **dict.fromkeys(SUMMARY_COLUMNS),
            }
            rows.append(row | place(plan.keys, segment))
    return rows


def origins(rows: list[Row]) -> str:
    """How many fits are own, drawn to the parent without one, or taken, for messages."""
    own = sum(row["status"] in USABLE for row in rows)
    drawn = sum(row["parameters_segment"] == row["segment"] for row in rows) - own
    others = f"{drawn} without one are drawn to the parent's, " if drawn else ""
    return f"{own} of {len(rows)} fits are own, {others}the others take the parent's"


def empty_row(model: str, segment: str, status: str, message: str) -> Row:
    """A row of model_parameters for what was not fitted."""
    return {
        "model": model,
        "segment": segment,
        "parameters": None,
        "comparable_bic": None,
        "n_customers": 0,
        "n_patterns": 0,
        "n_repeaters": 0,
        "status": status,
        "message": message,
    }


def place(keys: tuple[str, ...], segment: Segment) -> Row:
    """Where a segment stands, as model_parameters says it."""
    level = keys[segment.level - 1] if segment.level else segment.name
    return {"segment_level": level, "parent_segment": segment.parent}
