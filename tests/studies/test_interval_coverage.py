"""Bounds in shops of many segments whose parameters are estimated, pooled and taken as in a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from clv_spark.config import Config
from clv_spark.economics import rate_per_unit
from clv_spark.kernels.choose import USABLE, Row
from clv_spark.kernels.pool_segment import priors_of, with_distances, with_pooled
from clv_spark.kernels.score_batch import LivingForecasts, ScoreSettings, score_batch
from clv_spark.kernels.segment_parameters import parameters_by_segment
from clv_spark.kernels.segments import take_parents
from clv_spark.models import MODELS
from clv_spark.models.transform import coordinates_of
from clv_spark.pipelines.fit_levels import FitPlan, fit_group, pool_group
from tests.economics.conftest import World, simulate_world
from tests.kernels.worlds import SCHEMA

HORIZON, RATE = 365, 0.1
PURCHASES = {"r": 0.8, "alpha": 60.0, "a": 0.6, "b": 3.0}
SPEND = {"p": 6.25, "q": 3.74, "gamma": 15.44}
COLUMNS = {
    "bg_nbd": ["frequency", "recency", "T"],
    "gamma_gamma": ["frequency", "monetary_value", "mean_log"],
}
PLAN = FitPlan(
    unit_days={"bg_nbd": 7, "gamma_gamma": 1},
    min_repeaters=dict.fromkeys(COLUMNS, 20),
    min_customers=100,
    max_correlation=0.9,
    keys=("country",),
)
CONFIG = Config.model_validate(
    {
        "lake": {"path": "unused"},
        "models": {"transactions": "bg_nbd", "spend_basis": "repeat"},
        "value": {"horizon_days": HORIZON, "annual_discount_rate": RATE},
    }
)
CLASSES = [(0, 0), (1, 1), (2, 3), (4, 7), (8, 15), (16, 10_000)]


def somewhere_near(values: dict[str, float], spread: float, random: Any) -> dict[str, float]:
    coordinates = coordinates_of(tuple(values))
    point = coordinates.forward(np.array([*values.values()]))
    moved = coordinates.backward(point + spread * random.standard_normal(point.size))
    return dict(zip(values, np.exp(moved).tolist(), strict=True))


def shop(seed: int) -> dict[str, World]:
    """Countries of 40 to 1000 customers, each with parameters of its own, in whole days."""
    random = np.random.default_rng(seed)
    countries = {}
    for number, size in enumerate(np.geomspace(40, 1000, 16).astype(int)):
        world = simulate_world(
            100 * seed + number,
            somewhere_near(PURCHASES, 0.3, random),
            somewhere_near(SPEND, 0.2, random),
            horizon=HORIZON,
            discount_rate=rate_per_unit(RATE, 1),
            customers=int(size),
            ages=np.arange(60.0, 721.0, 60.0).tolist(),
        )
        last = np.minimum(np.maximum(np.ceil(world.t_x), world.x), world.T)
        countries[f"c{number}"] = world._replace(x=np.minimum(world.x, world.T), t_x=last)
    return countries


def patterns_of(name: str, world: World) -> pd.DataFrame:
    columns = {"frequency": world.x, "recency": world.t_x, "T": world.T}
    customers = pd.DataFrame({"segment": name, **columns}).astype(dict.fromkeys(columns, int))
    counted = customers.groupby([*customers]).size().rename("customers").reset_index()
    spent = world.m_x[world.x > 0]
    spend = pd.DataFrame({"frequency": world.x[world.x > 0].astype(int), "monetary_value": spent})
    spend = spend.assign(segment=name, mean_log=np.log(spent), customers=1, model="gamma_gamma")
    return pd.concat([counted.assign(model="bg_nbd"), spend])


def each(fit: Callable[[pd.DataFrame], pd.DataFrame], patterns: pd.DataFrame, **more: Any) -> Any:
    """What Spark does with a grouped map, without Spark."""
    rows: list[Row] = []
    for (model, _), group in patterns.groupby(["model", "segment"]):
        names = ["segment", "model", "customers", *COLUMNS[str(model)]]
        found = fit(group[names].reset_index(drop=True)).to_dict("records")
        rows += [{str(name): value for name, value in row.items()} | more for row in found]
    return rows


def fitted(countries: dict[str, World]) -> list[Row]:
    """Rows of model_parameters, by the steps of ``fit_levels``."""
    below = pd.concat([patterns_of(name, world) for name, world in countries.items()])
    above: dict[str, Any] = {"global": None, **dict.fromkeys(countries, "global")}
    top = each(fit_group(PLAN, above, {}), below.assign(segment="global"), parent_segment=None)
    top = with_pooled(top, {})
    parents = {
        (row["model"], "global"): {
            letter: row["parameters"][letter] for letter in MODELS[row["model"]].parameters
        }
        for row in top
    }
    rows = each(fit_group(PLAN, above, parents), below, parent_segment="global")
    priors = priors_of(rows, parents)
    usable = frozenset((row["model"], row["segment"]) for row in rows if row["status"] in USABLE)
    again = each(pool_group(PLAN, above, priors, usable), below)
    rows = with_pooled(rows, {(row["model"], row["segment"]): row for row in again})
    rows = take_parents(top + with_distances(rows, priors, parents))
    units = {"bg_nbd": "week", "gamma_gamma": "day"}
    return [row | {"time_unit": units[row["model"]], "spend_basis": "repeat"} for row in rows]


def judged(seed: int) -> pd.DataFrame:
    """Per customer, whether the value that came lies inside, at random where it is zero."""
    countries = shop(seed)
    parameters = parameters_by_segment(fitted(countries), CONFIG)
    memory = LivingForecasts(HORIZON, RATE)
    settings = ScoreSettings(refunds="ignore", spend_basis="repeat", new_customer_days=30)
    found = []
    for name, world in countries.items():
        columns = {
            "customer_id": [str(number) for number in range(world.x.size)],
            "segment": [name] * world.x.size,
            "frequency": world.x.astype(int),
            "recency": world.t_x.astype(int),
            "T": world.T.astype(int),
            "monetary_value": pa.array(world.m_x, mask=world.x == 0),
            "gross_amount": world.x,
            "refund_amount": np.zeros(world.x.size),
            "margin_amount": pa.array(world.x, mask=np.ones(world.x.size, dtype=bool)),
        }
        batch = pa.RecordBatch.from_pydict(columns, schema=SCHEMA)
        scores = score_batch(batch, settings, parameters, memory).to_pandas()
        value = world.value * parameters[name].margin_rate
        place = np.random.default_rng(seed).random(value.size) * (1 - scores["p_active_365d"])
        inside = np.where(
            value == 0,
            place.between(0.1, 0.9),
            (value >= scores["clv_low"]) & (value <= scores["clv_high"]),
        )
        taken = parameters[name].purchases_segment != name
        found.append(pd.DataFrame({"inside": inside, "frequency": world.x, "taken": taken}))
    return pd.concat(found)


def test_80_percent_of_values_lie_within_bounds_of_estimated_segments() -> None:
    customers = pd.concat([judged(seed) for seed in (1, 2, 3)])
    assert 0.78 <= customers["inside"].mean() <= 0.82
    for first, last in CLASSES:
        rows = customers[customers["frequency"].between(first, last)]
        assert len(rows) > 200
        assert 0.75 <= rows["inside"].mean() <= 0.85, (first, len(rows))
    taken = customers[customers["taken"]]
    assert len(taken) > 400
    assert 0.75 <= taken["inside"].mean() <= 0.85
