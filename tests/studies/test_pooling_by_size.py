"""Forecasts of segments of all sizes: as good as the better of leaving alone and lumping."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from clv_spark.models import bg_nbd, fit
from clv_spark.pipelines.fit_levels import FitPlan
from tests.economics.conftest import World, simulate_world
from tests.fitted import fitted, in_days, purchase_patterns, somewhere_near

# The limits of conf/base.yml.
PLAN = FitPlan({"bg_nbd": 7}, {"bg_nbd": 50}, 200, 0.2, ("country",), ("bg_nbd",))
# In days; the forecast is of 39 weeks.
PARENT = {"r": 0.5, "alpha": 35.0, "a": 0.8, "b": 2.4}
WEEKS = 39
AGES = np.arange(182.0, 729.0, 7.0).tolist()
WAYS = ["alone", "lumped", "pooled"]


def world(seed: int, parameters: dict[str, float], size: int) -> World:
    found = simulate_world(
        seed,
        parameters,
        {"p": 6.0, "q": 4.0, "gamma": 15.0},
        horizon=7.0 * WEEKS,
        discount_rate=0.0,
        customers=size,
        ages=AGES,
    )
    return in_days(found)


def letters(one: World) -> dict[str, Any]:
    return {"x": one.x, "t_x": one.t_x / 7, "T": one.T / 7}


def errors(seed: int, spread: float, sizes: list[int], held_out: int) -> pd.DataFrame:
    """By segment the RMSE of its forecasts; of other customers than those it is fitted to."""
    random = np.random.default_rng(seed)
    known, later = {}, {}
    for number, size in enumerate(sizes):
        name, near = f"c{number}", somewhere_near(PARENT, spread, random)
        known[name] = world(10_000 * seed + number, near, size)
        later[name] = world(10_000 * seed + 5000 + number, near, held_out)
    rows = fitted(PLAN, pd.concat([purchase_patterns(*one) for one in known.items()]))
    pooled = {row["segment"]: row for row in rows}
    lumped, found = pooled["global"]["parameters"], []
    for name, own in known.items():
        alone = fit("bg_nbd", letters(own))
        left = alone.parameters if alone.status == "ok" else lumped
        held = later[name]
        ways = (left, lumped, pooled[name]["parameters"])
        expected = [bg_nbd.expected_purchases(way, WEEKS, **letters(held)) for way in ways]
        rmse = [float(np.sqrt(np.mean((one - held.purchases) ** 2))) for one in expected]
        more = {"size": own.x.size, "status": pooled[name]["status"]}
        found.append(dict(zip(WAYS, rmse, strict=True)) | more)
    return pd.DataFrame(found)


SIZES = [20, 60, 200, 600, 2000, 20_000]


def judge(table: pd.DataFrame) -> None:
    for _, rows in table.groupby("size"):
        assert len(rows) >= 10
        alone, lumped, pooled = rows[WAYS].mean()
        assert pooled < 1.01 * min(alone, lumped)
    alone, lumped, pooled = table[WAYS].mean()
    assert pooled < min(alone, lumped)


def test_forecasts_are_within_one_percent_of_the_better_at_each_size_and_best_of_all() -> None:
    """With the parent's parameters for all below the limits this fails, at 60 and over all."""
    table = errors(2, 0.35, [size for size in SIZES for _ in range(10)], held_out=2000)
    judge(table)
    assert set(table.loc[table["size"] < PLAN.min_customers, "status"]) == {"too_small"}


@pytest.mark.long
@pytest.mark.parametrize("spread", [0.2, 0.35, 0.6, 1.0])
def test_however_much_segments_differ(spread: float) -> None:
    judge(errors(3, spread, [size for size in SIZES[:5] for _ in range(20)], held_out=2000))
