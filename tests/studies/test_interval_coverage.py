"""Bounds in shops of many segments whose parameters are estimated, pooled and taken as in a run."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from clv_spark.config import Config
from clv_spark.economics import rate_per_unit
from clv_spark.kernels.choose import Row
from clv_spark.kernels.score_batch import LivingForecasts, ScoreSettings, score_batch
from clv_spark.kernels.segment_parameters import parameters_by_segment
from clv_spark.pipelines.fit_levels import FitPlan
from tests.economics.conftest import World, simulate_world
from tests.fitted import COLUMNS, fitted, in_days, purchase_patterns, somewhere_near
from tests.kernels.worlds import SCHEMA

HORIZON, RATE = 365, 0.1
PURCHASES = {"r": 0.8, "alpha": 60.0, "a": 0.6, "b": 3.0}
SPEND = {"p": 6.25, "q": 3.74, "gamma": 15.44}
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
# Countries whose customers were all there before fit.cohort_start.
OUTSIDE = ("c1", "c6", "c11")
CLASSES = [(0, 0), (1, 1), (2, 3), (4, 7), (8, 15), (16, 10_000)]


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
        countries[f"c{number}"] = in_days(world)
    return countries


def patterns_of(name: str, world: World) -> pd.DataFrame:
    spent = world.m_x[world.x > 0]
    spend = pd.DataFrame({"frequency": world.x[world.x > 0].astype(int), "monetary_value": spent})
    spend = spend.assign(segment=name, mean_log=np.log(spent), customers=1, model="gamma_gamma")
    return pd.concat([purchase_patterns(name, world), spend])


def fits_of(countries: dict[str, World]) -> list[Row]:
    inside = [patterns_of(name, countries[name]) for name in countries if name not in OUTSIDE]
    units = {"bg_nbd": "week", "gamma_gamma": "day"}
    return [
        row | {"time_unit": units[row["model"]], "spend_basis": "repeat"}
        for row in fitted(PLAN, pd.concat(inside), OUTSIDE)
    ]


def judged(seed: int) -> pd.DataFrame:
    """Per customer, whether the value that came lies inside, at random where it is zero."""
    countries = shop(seed)
    parameters = parameters_by_segment(fits_of(countries), CONFIG)
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
        rows = {"inside": inside, "frequency": world.x, "small": world.x.size < PLAN.min_customers}
        taken = parameters[name].purchases_segment != name
        assert taken or name not in OUTSIDE
        found.append(pd.DataFrame(rows | {"taken": taken}))
    return pd.concat(found)


def test_80_percent_of_values_lie_within_bounds_of_estimated_segments() -> None:
    customers = pd.concat([judged(seed) for seed in (1, 2, 3)])
    assert 0.78 <= customers["inside"].mean() <= 0.82
    for first, last in CLASSES:
        rows = customers[customers["frequency"].between(first, last)]
        assert len(rows) > 200
        assert 0.75 <= rows["inside"].mean() <= 0.85, (first, len(rows))
    taken = customers["taken"]
    for rows in (customers[taken], customers[customers["small"] & ~taken]):
        assert len(rows) > 400
        assert 0.75 <= rows["inside"].mean() <= 0.85
