"""Segments fitted, pooled and taken as in a run, without Spark."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from clv_spark.kernels.choose import Row
from clv_spark.kernels.letters import in_order
from clv_spark.kernels.pool_segment import (
    SUMMARY_COLUMNS,
    pooled_keys,
    priors_of,
    with_distances,
    with_pooled,
)
from clv_spark.kernels.segments import take_parents
from clv_spark.models.transform import coordinates_of
from clv_spark.pipelines.fit_levels import FitPlan, empty_row, fit_group, pool_group
from tests.economics.conftest import World

COLUMNS = {
    "bg_nbd": ["frequency", "recency", "T"],
    "gamma_gamma": ["frequency", "monetary_value", "mean_log"],
}


def somewhere_near(values: dict[str, float], spread: float, random: Any) -> dict[str, float]:
    """Parameters of a segment, drawn around its parent's."""
    coordinates = coordinates_of(tuple(values))
    point = coordinates.forward(np.array([*values.values()]))
    moved = coordinates.backward(point + spread * random.standard_normal(point.size))
    return dict(zip(values, np.exp(moved).tolist(), strict=True))


def in_days(world: World) -> World:
    """The same with whole days, as they are counted."""
    last = np.minimum(np.maximum(np.ceil(world.t_x), world.x), world.T)
    return world._replace(x=np.minimum(world.x, world.T), t_x=last)


def purchase_patterns(name: str, world: World) -> pd.DataFrame:
    columns = {"frequency": world.x, "recency": world.t_x, "T": world.T}
    customers = pd.DataFrame({"segment": name, **columns}).astype(dict.fromkeys(columns, int))
    counted = customers.groupby([*customers]).size().rename("customers").reset_index()
    return counted.assign(model="bg_nbd")


def fitted(plan: FitPlan, below: pd.DataFrame, outside: Sequence[str] = ()) -> list[Row]:
    """Rows of model_parameters, by the steps of ``fit_levels``.

    Args:
        plan: As for ``fit_levels``.
        below: Patterns of the countries, with their model.
        outside: Countries of which no customer enters the fit.
    """
    above: dict[str, Any] = {"global": None, **dict.fromkeys(below["segment"], "global")}
    top = below.assign(segment="global")
    roots = _each(fit_group(plan, above, {}, {}), top, parent_segment=None)
    roots = with_pooled(roots, {})
    parents = {(row["model"], "global"): in_order(row["model"], row["parameters"]) for row in roots}
    first_look = fit_group(plan, above, parents, plan.choice(roots))
    rows = _each(first_look, below, parent_segment="global")
    priors = priors_of(rows, parents)
    again = _each(pool_group(plan, above, priors, pooled_keys(rows)), below)
    for model in plan.unit_days:
        nothing = dict.fromkeys(SUMMARY_COLUMNS) | {"parent_segment": "global"}
        rows += [empty_row(model, name, "too_small", "nobody") | nothing for name in outside]
    rows = with_pooled(rows, {(row["model"], row["segment"]): row for row in again})
    return take_parents(roots + with_distances(rows, priors, parents))


def _each(
    fit: Callable[[pd.DataFrame], pd.DataFrame], patterns: pd.DataFrame, **more: Any
) -> list[Row]:
    """What Spark does with a grouped map."""
    rows: list[Row] = []
    for (model, _), group in patterns.groupby(["model", "segment"]):
        names = ["segment", "model", "customers", *COLUMNS[str(model)]]
        found: list[Mapping[Any, Any]] = fit(group[names].reset_index(drop=True)).to_dict("records")
        rows += [{str(name): value for name, value in row.items()} | more for row in found]
    return rows
