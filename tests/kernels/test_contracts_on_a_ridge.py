"""Plans that nobody left yet, or that all leave at one rate: how they are named and answered."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest

from clv_spark.models import CONTRACT_MODELS
from clv_spark.pipelines.fit_levels import FitPlan
from tests.fitted import fitted_tree

EACH = pytest.mark.parametrize("model", sorted(CONTRACT_MODELS))


def plan_of(model: str, pool_ridges: bool = True) -> FitPlan:
    return FitPlan(
        {model: 1}, {model: 2}, 200, 0.3, ("plan",), candidates=(model,), pool_ridges=pool_ridges
    )


def patterns(model: str, name: str, tenure: np.ndarray, lost: np.ndarray) -> pd.DataFrame:
    rows = pd.DataFrame({"tenure": tenure.astype(int), "lost": lost.astype(int)})
    counted = rows.groupby([*rows]).size().rename("customers").reset_index()
    return counted.assign(segment=name, model=model, entry_tenure=0)


def losing(model: str, name: str, churn: np.ndarray, seed: int, months: int = 24) -> pd.DataFrame:
    """Contracts that began evenly over some months, each lost with its own chance a month."""
    random = np.random.default_rng(seed)
    lived = random.geometric(churn)
    seen = random.integers(6, months + 1, churn.size)
    return patterns(model, name, np.minimum(lived, seen), lived <= seen)


def siblings(model: str) -> list[pd.DataFrame]:
    random = np.random.default_rng(8)
    worlds = ((0.7, 8.0), (0.8, 9.0), (0.9, 10.0))
    return [
        losing(model, f"plan {number}", random.beta(*world, 3000), seed=number)
        for number, world in enumerate(worlds)
    ]


def first_loss(model: str, row: Mapping[str, Mapping[str, float]]) -> float:
    survival = np.exp(CONTRACT_MODELS[model].log_survival(row["parameters"], [1]))
    return 1 - float(survival[0])


@pytest.mark.studies
@EACH
def test_more_contracts_that_nobody_left_are_not_thought_to_be_lost_sooner(model: str) -> None:
    """200 are enough for a fit, which finds a ridge; 199 are not, and were drawn to the parent."""
    found = []
    for size in (100, 199, 200, 400):
        tenure = np.random.default_rng(3).integers(6, 25, size)
        plan = patterns(model, "kept", tenure, np.zeros(size))
        below = pd.concat([*siblings(model), plan], ignore_index=True)
        rows = fitted_tree(
            plan_of(model), [below], {"global": None, **dict.fromkeys(below["segment"], "global")}
        )
        (row,) = (row for row in rows if row["segment"] == "kept")
        assert row["status"] == ("too_small" if size < 200 else "not_identified")
        assert row["parameters_segment"] == "kept"
        assert 0 < row["own_weight"] < 1
        found.append(first_loss(model, row))
    assert found == sorted(found, reverse=True)
    assert found[0] < 0.02  # of the siblings 8% are


def alike(model: str, name: str) -> pd.DataFrame:
    """40,000 contracts, each lost with 1% a month; a little more later, which no sBG tells."""
    random = np.random.default_rng(5)
    lived = np.ceil((random.exponential(size=40_000) / 0.009) ** (1 / 1.05))
    seen = random.integers(6, 25, lived.size)
    return patterns(model, name, np.minimum(lived, seen), lived <= seen)


@EACH
def test_a_plan_with_one_churn_for_all_keeps_it(model: str) -> None:
    below = pd.concat([*siblings(model), alike(model, "constant")], ignore_index=True)
    rows = fitted_tree(
        plan_of(model), [below], {"global": None, **dict.fromkeys(below["segment"], "global")}
    )
    (row,) = (row for row in rows if row["segment"] == "constant")
    assert row["status"] == "degenerate"
    assert first_loss(model, row) == pytest.approx(0.01, rel=0.15)


@EACH
def test_unless_told_so_a_ridge_takes_the_parents_parameters(model: str) -> None:
    below = pd.concat([*siblings(model), alike(model, "constant")], ignore_index=True)
    rows = fitted_tree(
        plan_of(model, pool_ridges=False),
        [below],
        {"global": None, **dict.fromkeys(below["segment"], "global")},
    )
    (row,) = (row for row in rows if row["segment"] == "constant")
    assert (row["status"], row["parameters_segment"]) == ("degenerate", "global")
    assert row["own_weight"] == 0


@EACH
def test_a_root_with_one_churn_for_all_is_held(model: str) -> None:
    (row,) = fitted_tree(plan_of(model), [alike(model, "global")], {"global": None})[:1]
    assert (row["status"], row["parameters_segment"]) == ("degenerate", "global")
    assert "prior" in row["message"]
    assert first_loss(model, row) == pytest.approx(0.01, rel=0.1)
    assert all(error > 0 for error in row["standard_errors"].values())


@EACH
def test_a_root_without_a_loss_has_no_parameters(model: str) -> None:
    """The source may lack the ends of contracts: nobody would be told so by a score."""
    kept = patterns(model, "global", np.full(500, 12), np.zeros(500))
    (row,) = fitted_tree(plan_of(model), [kept], {"global": None})[:1]
    assert (row["status"], row["parameters"]) == ("not_identified", None)
