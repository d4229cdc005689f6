"""Who takes whose parameters, and how many customers are left without a fit of their own."""

from __future__ import annotations

import copy

import pytest

from clv_spark.kernels.segments import failed_share, take_parents


def row(segment, parent, status="ok", n=100, model="bg_nbd"):
    parameters = {"r": float(len(segment))} if status == "ok" else None
    return {
        "model": model,
        "segment": segment,
        "parent_segment": parent,
        "status": status,
        "parameters": parameters,
        "n_customers": n,
        "message": "23 customers, 200 needed"
        if status == "too_small"
        else "Not identified: ridge.",
    }


def by_segment(rows):
    return {r["segment"]: r for r in take_parents(rows)}


def test_ok_keeps_its_own():
    own = by_segment([row("global", None)])["global"]
    assert (own["parameters_segment"], own["own_weight"]) == ("global", 1.0)
    assert own["message"] == "Not identified: ridge."


@pytest.mark.parametrize("status", ["too_small", "degenerate", "not_identified", "failed"])
def test_others_take_the_parents(status):
    taken = by_segment([row("global", None), row("uk", "global", status)])["uk"]
    assert taken["parameters"] == {"r": 6.0}
    assert (taken["parameters_segment"], taken["own_weight"]) == ("global", 0.0)
    assert taken["status"] == status
    assert taken["message"].endswith(": takes the parameters of 'global'")


def test_the_message_tells_the_whole_story():
    taken = by_segment([row("global", None), row("uk", "global", "too_small")])["uk"]
    assert taken["message"] == "23 customers, 200 needed: takes the parameters of 'global'"


def test_the_nearest_ancestor_that_is_ok_wins():
    rows = [
        row("shop", "town", "failed"),
        row("town", "land", "too_small"),
        row("land", "global"),
        row("global", None),
    ]
    assert by_segment(rows)["shop"]["parameters_segment"] == "land"
    assert by_segment(rows)["town"]["parameters_segment"] == "land"


def test_parameters_of_another_model_are_never_taken():
    rows = [row("global", None, model="gamma_gamma"), row("uk", "global", "failed")]
    taken = by_segment(rows)["uk"]
    assert taken["parameters"] is None
    assert taken["parameters_segment"] is None
    assert taken["own_weight"] == 0.0
    assert "no segment above has parameters" in taken["message"]


def test_a_hierarchy_in_a_circle_ends():
    rows = [row("a", "b", "failed"), row("b", "a", "failed")]
    assert by_segment(rows)["a"]["parameters"] is None


def test_the_callers_rows_stay_as_they_are():
    rows = [row("global", None), row("uk", "global", "failed")]
    before = copy.deepcopy(rows)
    taken = take_parents(rows)
    taken[1]["parameters"]["r"] = -1.0
    assert rows == before


def test_the_pooled_fit_says_how_much_is_the_segments_own():
    rows = [row("global", None), {**row("uk", "global"), "own_weight": 0.62}]
    assert by_segment(rows)["uk"]["own_weight"] == 0.62
    rows[1]["own_weight"] = 0.0
    assert by_segment(rows)["uk"]["own_weight"] == 0.0
    rows[1]["own_weight"] = None
    assert by_segment(rows)["uk"]["own_weight"] == 1.0


def test_a_segment_too_small_for_a_fit_keeps_its_pooled_parameters():
    drawn = {"parameters": {"r": 3.0}, "own_weight": 0.2, "message": "drawn"}
    rows = [row("global", None), row("uk", "global", "too_small") | drawn, row("x", "uk", "failed")]
    uk, below = (by_segment(rows)[name] for name in ("uk", "x"))
    assert {name: uk[name] for name in drawn} == drawn
    assert (uk["status"], uk["parameters_segment"]) == ("too_small", "uk")
    assert (below["parameters"], below["parameters_segment"]) == ({"r": 3.0}, "uk")


def test_parameters_come_with_their_uncertainty():
    parent = row("global", None) | {"standard_errors": {"r": 0.5}, "covariance": [0.25]}
    own = {"standard_errors": {"r": 9.0}, "covariance": [81.0], "own_weight": 0.9}
    taken = by_segment([parent, row("uk", "global", "failed") | own])["uk"]
    assert (taken["standard_errors"], taken["covariance"]) == ({"r": 0.5}, [0.25])
    assert taken["own_weight"] == 0.0
    nobody = by_segment([row("global", None, "failed") | own])["global"]
    assert (nobody["parameters"], nobody["standard_errors"], nobody["covariance"]) == (None,) * 3


def test_a_fit_of_spend_that_depends_on_frequency_is_used_and_given_to_others():
    parent = row("global", None, "spend_depends_on_frequency") | {"parameters": {"q": 3.0}}
    rows = by_segment([parent, row("uk", "global", "too_small")])
    assert (rows["global"]["parameters_segment"], rows["global"]["own_weight"]) == ("global", 1.0)
    assert rows["global"]["status"] == "spend_depends_on_frequency"
    assert (rows["uk"]["parameters"], rows["uk"]["parameters_segment"]) == ({"q": 3.0}, "global")


def test_failed_share_counts_customers_of_failed_leaves():
    rows = [
        row("global", None, n=100),
        row("uk", "global", "failed", n=5),
        row("de", "global", "too_small", n=20),
        row("fr", "global", n=75),
    ]
    assert failed_share(take_parents(rows)) == 0.05


def test_failed_share_is_of_the_rows_that_scores_use_whatever_their_models():
    rows = [
        row("global", None, n=100, model="mbg_nbd"),
        row("uk", "global", "failed", n=5, model="mbg_nbd"),
        row("fr", "global", n=95, model="bg_nbd"),
    ]
    assert failed_share(take_parents(rows)) == 0.05


def test_failed_share_is_one_when_nobody_has_parameters():
    rows = take_parents(
        [row("global", None, "failed", n=30), row("uk", "global", "too_small", n=30)]
    )
    assert failed_share(rows) == 1.0
    assert failed_share([]) == 1.0
    assert failed_share(take_parents([row("global", None, n=0)])) == 1.0


def test_a_failed_inner_segment_is_no_leaf():
    rows = take_parents(
        [row("global", None, "failed"), row("land", "global", "failed"), row("uk", "land")]
    )
    assert failed_share(rows) == 0.0
