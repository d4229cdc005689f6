"""Segments fitted, pooled and taken as in a run, without Spark."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from clv_spark.kernels.choose import Row
from clv_spark.kernels.pool_segment import (
    SUMMARY_COLUMNS,
    Key,
    pooled_keys,
    priors_of,
    with_distances,
    with_pooled,
)
from clv_spark.kernels.segment_tree import middles
from clv_spark.kernels.segments import take_parents
from clv_spark.models.prior import Prior
from clv_spark.models.transform import coordinates_of
from clv_spark.pipelines.fit_levels import Above, FitPlan, empty_row, fit_group, pool_group
from tests.economics.conftest import World

COLUMNS = {
    "bg_nbd": ["frequency", "recency", "T"],
    "gamma_gamma": ["frequency", "monetary_value", "mean_log"],
    "sbg": ["entry_tenure", "tenure", "lost"],
    "bdw": ["entry_tenure", "tenure", "lost"],
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
    """Rows of model_parameters of countries below global.

    Args:
        plan: As for ``fit_levels``.
        below: Patterns of the countries, with their model.
        outside: Countries of which no customer enters the fit.
    """
    names = [*below["segment"].unique(), *outside]
    return fitted_tree(plan, [below], {"global": None, **dict.fromkeys(names, "global")})


def fitted_tree(
    plan: FitPlan, levels: Sequence[pd.DataFrame], above: Mapping[str, str | None]
) -> list[Row]:
    """Rows of model_parameters, by the steps of ``fit_levels``.

    Args:
        plan: As for ``fit_levels``.
        levels: Patterns of the segments of each level below global, with their model.
        above: The parent of each segment, also of those of which no customer enters the fit.
    """
    done: list[Row] = []
    rows: list[Row] = []
    priors: dict[Key, Prior] = {}
    drawn_to = middles(above)
    nobody = set(above) - {"global"}.union(*(level["segment"] for level in levels))
    for level in [levels[0].assign(segment="global"), *levels]:
        known = Above.of(plan, rows)
        found = _each(fit_group(plan, above, known.parameters, known.choice), level)
        if level is levels[-1]:
            nothing = dict.fromkeys(SUMMARY_COLUMNS)
            found += [
                empty_row(model, name, "too_small", "nobody") | nothing
                for model in plan.unit_days
                for name in sorted(nobody)
            ]
        found = [row | {"parent_segment": above[row["segment"]]} for row in found]
        priors |= priors_of(found, known.parameters, known.errors)
        again = _each(
            pool_group(plan, drawn_to, priors, pooled_keys(found, ridges=plan.pool_ridges)), level
        )
        by_key = {(row["model"], row["segment"]): row for row in again}
        pooled = with_pooled(found, by_key, ridges=plan.pool_ridges)
        done += with_distances(pooled, priors, known.parameters)
        rows = take_parents(done)
    return rows


def _each(fit: Callable[[pd.DataFrame], pd.DataFrame], patterns: pd.DataFrame) -> list[Row]:
    """What Spark does with a grouped map."""
    rows: list[Row] = []
    for (model, _), group in patterns.groupby(["model", "segment"]):
        names = ["segment", "model", "customers", *COLUMNS[str(model)]]
        found: list[Mapping[Any, Any]] = fit(group[names].reset_index(drop=True)).to_dict("records")
        rows += [{str(name): value for name, value in row.items()} for row in found]
    return rows
