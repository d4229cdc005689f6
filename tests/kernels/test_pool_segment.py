"""Segments drawn to their parents: small ones much, large ones hardly, broken ones not at all."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from clv_spark.kernels import pool_segment as kernel
from clv_spark.kernels.fit_segment import fit_segment
from clv_spark.kernels.pool_segment import (
    POOLED_COLUMNS,
    SUMMARY_COLUMNS,
    pool_segment,
    pooled_keys,
    priors_of,
    summarise_segment,
    with_pooled,
)
from clv_spark.kernels.segments import take_parents
from clv_spark.models.prior import Prior
from clv_spark.pipelines.fit_levels import FitPlan, fit_group
from tests.kernels.worlds import bg_nbd_patterns

pytestmark = pytest.mark.filterwarnings("error")

MODEL = "bg_nbd"
WORLD = (0.5, 5.0, 0.8, 2.4)
PARENT = dict(zip(("r", "alpha", "a", "b"), WORLD, strict=True))
# Segments of all sizes whose buying pace differs, and a small one far off.
SEGMENTS = {
    "large": ((0.5, 7.0, 0.8, 2.4), 20_000),
    "medium": ((0.5, 5.0, 0.8, 2.4), 1500),
    "other": ((0.5, 4.0, 0.8, 2.4), 1500),
    "small": ((0.5, 12.0, 0.8, 2.4), 150),
}
LIMITS = {"min_customers": 100, "min_repeaters": 20, "max_correlation": 0.2}


@pytest.fixture(scope="module")
def patterns():
    sizes = enumerate(SEGMENTS.items())
    return {name: bg_nbd_patterns(name, *how, seed=place) for place, (name, how) in sizes}


def first_look(patterns, parent=PARENT):
    row = fit_segment(patterns, model=MODEL, unit_days=7, **LIMITS)
    row = summarise_segment(row, patterns, unit_days=7, parent=parent)
    return row | {"parent_segment": "global"}


@pytest.fixture(scope="module")
def rows(patterns):
    return [first_look(one) for one in patterns.values()]


@pytest.fixture(scope="module")
def prior(rows):
    return priors_of(rows, {(MODEL, "global"): PARENT}, {})[MODEL, "global"]


@pytest.fixture(scope="module")
def pooled(patterns, prior):
    looks = {"model": MODEL, "unit_days": 7, "prior": prior}
    return {(MODEL, name): pool_segment(one, **looks) for name, one in patterns.items()}


@pytest.fixture(scope="module")
def merged(rows, pooled):
    return {row["segment"]: row for row in take_parents(with_pooled(rows, pooled))}


def pace(parameters):
    """Logarithm of the mean rate of buying."""
    return np.log(parameters["r"] / parameters["alpha"])


def test_the_first_look_adds_a_parabola_of_plain_numbers(rows):
    for row in rows:
        assert row["status"] == "ok"
        assert (len(row["point"]), len(row["slope"]), len(row["hessian"])) == (4, 4, 16)
        assert np.isfinite([*row["point"], *row["slope"], *row["hessian"], row["height"]]).all()
        assert all(type(value) is float for value in (*row["point"], *row["slope"]))
        hessian = np.array(row["hessian"]).reshape(4, 4)
        assert np.array_equal(hessian, hessian.T)


def test_more_customers_say_more(rows):
    curvature = {row["segment"]: row["hessian"][0] for row in rows}
    assert curvature["large"] > 5 * curvature["medium"] > 25 * curvature["small"]


def test_small_segments_are_drawn_to_the_parent_and_large_ones_stay(rows, merged):
    alone = {row["segment"]: row["parameters"] for row in rows}
    weights = {name: row["own_weight"] for name, row in merged.items()}
    assert 0 < weights["small"] < weights["medium"] < weights["large"] < 1
    assert weights["small"] < 0.6
    assert weights["large"] > 0.8
    moved = {name: abs(pace(row["parameters"]) - pace(alone[name])) for name, row in merged.items()}
    assert moved["large"] < 0.01
    assert moved["small"] > 0.05
    assert pace(alone["small"]) < pace(merged["small"]["parameters"]) < pace(PARENT)


def test_what_is_pooled_is_more_certain_than_the_segment_alone(rows, merged):
    for row in rows:
        found = merged[row["segment"]]
        assert found["standard_errors"]["r"] < row["standard_errors"]["r"]
        matrix = np.array(found["covariance"]).reshape(4, 4)
        errors = [*found["standard_errors"].values()]
        assert np.sqrt(np.diag(matrix)) == pytest.approx(errors, rel=1e-12)


def test_pooled_rows_say_so_and_lose_the_parabola(rows, merged):
    for row in rows:
        found = merged[row["segment"]]
        assert found["message"].startswith(row["message"])
        assert f"own weight {found['own_weight']:.2f}" in found["message"]
        assert not set(SUMMARY_COLUMNS) & set(found)
        assert found["parameters_segment"] == row["segment"]
        # The fit itself is told as it was.
        for name in ("status", "log_likelihood", "bic", "gradient_norm", "n_customers"):
            assert found[name] == row[name]


def test_the_order_of_patterns_and_of_siblings_does_not_change_a_bit(patterns, rows, prior, pooled):
    shuffled = patterns["small"].sample(frac=1, random_state=1)
    (small,) = (row for row in rows if row["segment"] == "small")
    assert first_look(shuffled) == small
    assert priors_of(rows[::-1], {(MODEL, "global"): PARENT}, {})[MODEL, "global"] == prior
    again = pool_segment(shuffled, model=MODEL, unit_days=7, prior=prior)
    assert again == pooled[MODEL, "small"]
    assert tuple(again) == POOLED_COLUMNS


def test_siblings_of_each_model_and_parent_have_their_own_prior(rows, prior):
    elsewhere = [row | {"parent_segment": "Asia"} for row in rows[:2]]
    parents = {(MODEL, "global"): PARENT, (MODEL, "Asia"): {**PARENT, "alpha": 6.0}}
    priors = priors_of([*rows, *elsewhere], parents, {})
    assert list(priors) == [(MODEL, "Asia"), (MODEL, "global")]
    assert priors[MODEL, "global"] == prior
    assert priors[MODEL, "Asia"] != prior


def test_without_a_parent_there_is_nothing_to_be_drawn_to(patterns):
    row = first_look(patterns["small"], parent=None)
    assert [row[name] for name in SUMMARY_COLUMNS] == [None] * len(SUMMARY_COLUMNS)
    assert priors_of([row], {}, {}) == {}
    (kept,) = take_parents(with_pooled([row], {}))
    assert (kept["parameters"], kept["own_weight"]) == (row["parameters"], 1.0)


def test_a_segment_whose_fit_failed_has_no_say(patterns):
    row = {"model": MODEL, "segment": "small", "status": "failed", "message": "why"}
    found = summarise_segment(row, patterns["small"], unit_days=7, parent=PARENT)
    assert found == row | dict.fromkeys(SUMMARY_COLUMNS)


def test_a_segment_too_small_for_a_fit_is_pooled_all_the_same(patterns, prior, pooled, merged):
    few = fit_segment(patterns["small"], model=MODEL, unit_days=7, **LIMITS | {"min_repeaters": 90})
    assert (few["status"], few["parameters"]) == ("too_small", None)
    row = summarise_segment(few, patterns["small"], unit_days=7, parent=PARENT)
    assert priors_of([row | {"parent_segment": "global"}], {(MODEL, "global"): PARENT}, {})
    assert pooled_keys([row]) == {(MODEL, "small")}
    (kept,) = take_parents(with_pooled([row], pooled))
    for name in ("parameters", "covariance", "sibling_loadings", "own_weight"):
        assert kept[name] == merged["small"][name]
    # What is said of the fit stays: there is none.
    assert (kept["status"], kept["bic"]) == ("too_small", None)
    assert kept["message"].startswith(f"{few['message']}. Pooled with the parent: own weight 0.")
    assert kept["parameters_segment"] == "small"
    lost = dict.fromkeys(POOLED_COLUMNS) | {"message": "No maximum found."}
    (left,) = with_pooled([row], {(MODEL, "small"): lost})
    assert (left["status"], left["parameters"]) == ("too_small", None)


def test_that_nobody_came_back_counts_for_little_where_they_are_few_and_for_much_where_many(prior):
    """A prior makes of none a small rate: one who comes back more or less is no other world."""
    paces = {}
    for customers in (3, 3000):
        for back in (0, 1):
            days = {"frequency": [0, 1], "recency": [0, 100], "T": 364}
            rows = pd.DataFrame({"segment": "small", **days, "customers": [customers - back, back]})
            rows = rows[rows["customers"] > 0]
            row = first_look(rows)
            assert row["status"] == "too_small"
            assert pooled_keys([row]) == {(MODEL, "small")}
            found = pool_segment(rows, model=MODEL, unit_days=7, prior=prior)
            paces[customers, back] = np.exp(pace(found["parameters"]))
    usual = np.exp(pace(PARENT))
    assert 0.5 * usual < paces[3, 0] < usual
    assert 0 < paces[3000, 0] < 0.1 * usual
    assert paces[3000, 0] < paces[3000, 1] < 1.5 * paces[3000, 0]


def test_a_small_segment_goes_with_the_model_that_is_chosen_above(patterns):
    models = {MODEL: 7, "mbg_nbd": 7}
    plan = FitPlan(models, dict.fromkeys(models, 1), 1000, 1.0, ("country",), (*models,))
    parents = {(model, "global"): PARENT for model in models}
    look = fit_group(plan, {"small": "global"}, parents, {"global": "mbg_nbd"})
    rows = [look(patterns["small"].assign(model=model)).to_dict("records")[0] for model in models]
    assert {row["status"] for row in rows} == {"too_small"}
    assert pooled_keys(rows) == {("mbg_nbd", "small")}
    assert rows[0]["point"] is None


def test_a_segment_that_is_not_identified_has_a_say_but_takes_the_parents(patterns, prior):
    """What it knows of the spread is little; its status promises the parent's parameters."""
    present = patterns["small"].query("frequency > 0").assign(recency=lambda rows: rows["T"])
    row = fit_segment(present, model=MODEL, unit_days=7, **(LIMITS | {"min_customers": 1}))
    assert row["status"] == "degenerate"
    row = summarise_segment(row, present, unit_days=7, parent=PARENT)
    assert len(row["point"]) == 4
    found = pool_segment(present, model=MODEL, unit_days=7, prior=prior)
    (kept,) = with_pooled([row], {(MODEL, "small"): found})
    assert kept["parameters"] is None
    assert kept["message"] == row["message"]


def test_a_first_look_that_fails_is_told_and_changes_nothing_else(patterns, rows):
    broken = patterns["small"].assign(recency=np.nan)
    (row,) = (row for row in rows if row["segment"] == "small")
    found = summarise_segment(row, broken, unit_days=7, parent=PARENT)
    assert found["message"].startswith(f"{row['message']} Not pooled: InputError: t_x must be")
    assert [found[name] for name in SUMMARY_COLUMNS] == [None] * len(SUMMARY_COLUMNS)
    assert (found["status"], found["parameters"]) == ("ok", row["parameters"])


def test_a_second_look_that_fails_leaves_the_segment_to_its_parent(patterns, rows, prior):
    broken = patterns["small"].assign(recency=np.nan)
    found = pool_segment(broken, model=MODEL, unit_days=7, prior=prior)
    assert found["parameters"] is None
    assert found["message"].startswith("InputError: t_x must be")
    (row,) = (row for row in rows if row["segment"] == "small")
    parent = {
        **row,
        "segment": "global",
        "parent_segment": None,
        "parameters": PARENT,
        "covariance": [0.0] * 16,
    }
    pooled = with_pooled([parent, row], {(MODEL, "small"): found})
    kept = take_parents(pooled)[1]
    assert kept["status"] == "not_identified"
    assert (kept["parameters"], kept["covariance"]) == (PARENT, [0.0] * 16)
    assert (kept["parameters_segment"], kept["own_weight"]) == ("global", 0.0)
    assert found["message"].rstrip(".") in kept["message"]


def test_a_search_without_an_end_is_no_fit(patterns, prior):
    nowhere = Prior(centre=(700.0,) * 4, spread=prior.spread)
    with np.errstate(all="ignore"):
        found = pool_segment(patterns["small"], model=MODEL, unit_days=7, prior=nowhere)
    assert [found[name] for name in ("parameters", "covariance", "own_weight")] == [None] * 3
    assert found["message"]


def test_an_exception_of_a_library_is_told_by_its_name_alone(patterns, prior, monkeypatch):
    def broken(*_: object) -> None:
        raise np.linalg.LinAlgError("secret 42")

    monkeypatch.setattr(kernel, "fit_pooled", broken)
    found = pool_segment(patterns["small"], model=MODEL, unit_days=7, prior=prior)
    assert found["message"] == "LinAlgError"


def test_want_of_memory_is_not_the_segments_fault(patterns, rows, prior, monkeypatch):
    def greedy(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(kernel, "posterior_summary", greedy)
    monkeypatch.setattr(kernel, "fit_pooled", greedy)
    with pytest.raises(MemoryError):
        summarise_segment(rows[0], patterns["large"], unit_days=7, parent=PARENT)
    with pytest.raises(MemoryError):
        pool_segment(patterns["large"], model=MODEL, unit_days=7, prior=prior)
