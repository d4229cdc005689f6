"""The fit of one segment's contracts: what is too small, what is not identified, what is pooled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from clv_spark.kernels.choose import choose_models
from clv_spark.kernels.fit_segment import fit_segment
from clv_spark.kernels.pool_segment import pool_segment, priors_of, summarise_segment
from clv_spark.models import CONTRACT_MODELS, fit

LIMITS: dict[str, Any] = {
    "unit_days": 1,
    "min_customers": 100,
    "min_repeaters": 20,
    "max_correlation": 0.2,
}
EACH = pytest.mark.parametrize("model", CONTRACT_MODELS)


def patterns(alpha: float, beta: float, count: int, seed: int = 1) -> pd.DataFrame:
    """Counted patterns of contracts that began in one of 24 periods, the first 12 seen late."""
    rng = np.random.default_rng(seed)
    lived = rng.geometric(rng.beta(alpha, beta, count))
    age = rng.integers(1, 25, count)
    entry = np.maximum(age - 12, 0)
    seen = lived > entry
    rows = pd.DataFrame(
        {
            "entry_tenure": entry[seen],
            "tenure": np.minimum(lived, age)[seen],
            "lost": (lived <= age).astype(int)[seen],
        }
    )
    counted = rows.groupby(list(rows.columns), as_index=False).size()
    return counted.rename(columns={"size": "customers"}).assign(segment="a")


@EACH
def test_rows_and_their_order_make_no_difference(model: str) -> None:
    counted = patterns(0.8, 4.0, 3000)
    row = fit_segment(counted, model=model, **LIMITS)
    assert row["status"] == "ok"
    assert row["n_customers"] == counted["customers"].sum()
    assert row["n_repeaters"] == counted.loc[counted["lost"] == 1, "customers"].sum()
    assert row["comparable_bic"] == row["bic"]
    mixed = counted.sample(frac=1, random_state=3)
    assert fit_segment(mixed, model=model, **LIMITS) == row
    each = counted.loc[counted.index.repeat(counted["customers"])]
    data = {"entry": each["entry_tenure"], "tenure": each["tenure"], "lost": each["lost"]}
    assert fit(model, data).parameters == pytest.approx(row["parameters"], rel=1e-5)


@EACH
@pytest.mark.parametrize(
    ("lost", "count", "status", "words"),
    [
        (5, 50, "too_small", "50 contracts, 100 needed; 5 lost contracts, 20 needed"),
        (5, 500, "too_small", "5 lost contracts, 20 needed"),
        (0, 500, "not_identified", "no contract was lost"),
    ],
)
def test_what_can_not_be_fitted_is_named(
    model: str, lost: int, count: int, status: str, words: str
) -> None:
    counted = pd.DataFrame(
        {
            "segment": "a",
            "entry_tenure": 0,
            "tenure": [3, 5],
            "lost": [1, 0],
            "customers": [lost, count - lost],
        }
    )
    row = fit_segment(counted[counted["customers"] > 0], model=model, **LIMITS)
    assert (row["status"], row["parameters"]) == (status, None)
    assert words in row["message"]


@EACH
def test_a_segment_is_drawn_to_its_parent_by_what_its_siblings_say(model: str) -> None:
    parent = fit_segment(patterns(0.8, 6.0, 20_000), model=model, **LIMITS)["parameters"]
    rows, seen = [], {}
    for number, size in enumerate((300, 3000, 3000, 3000)):
        name = f"s{number}"
        seen[name] = patterns(0.8, 6.0 + number, size, seed=number + 9).assign(segment=name)
        row = fit_segment(seen[name], model=model, **LIMITS) | {"parent_segment": "global"}
        rows.append(summarise_segment(row, seen[name], unit_days=1, parent=parent))
    (prior,) = priors_of(rows, {(model, "global"): parent}, {}).values()
    found = [
        pool_segment(seen[name], model=model, unit_days=1, prior=prior) for name in sorted(seen)
    ]
    weights = [row["own_weight"] for row in found]
    assert 0 < weights[0] < min(weights[1:]) < 1
    assert all(np.isfinite(list(row["parameters"].values())).all() for row in found)


def test_auto_takes_the_better_criterion() -> None:
    """A world of BdW with c = 1.8: losses come with age, which no sBG has."""
    rng = np.random.default_rng(4)
    churn = rng.beta(0.8, 30.0, 20_000)
    lived = np.ceil((np.log(rng.random(20_000)) / np.log1p(-churn)) ** (1 / 1.8)).astype(int)
    counted = pd.DataFrame({"tenure": np.minimum(lived, 12), "lost": (lived <= 12).astype(int)})
    counted = counted.groupby(["tenure", "lost"], as_index=False).size()
    counted = counted.rename(columns={"size": "customers"}).assign(segment="global", entry_tenure=0)
    rows = [
        fit_segment(counted, model=model, **LIMITS) | {"parent_segment": None}
        for model in CONTRACT_MODELS
    ]
    chosen = choose_models(rows, list(CONTRACT_MODELS), {}, 10)
    assert chosen["global"] == "bdw"
    assert rows[1]["parameters"]["c"] == pytest.approx(1.8, rel=0.1)
