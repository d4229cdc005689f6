"""Which errors segments have in common, as their rows of model_parameters say."""

from __future__ import annotations

import numpy as np
import pytest

from clv_spark.kernels.segment_tree import middles
from clv_spark.kernels.segments import take_parents
from clv_spark.kernels.shared_errors import log_errors, shared_errors
from clv_spark.models.draws import own_root
from clv_spark.models.transform import coordinates_of

PARAMS = {"r": 0.5, "alpha": 5.0, "a": 0.8, "b": 2.4}
LETTERS = tuple(PARAMS)
VALUES = np.array([*PARAMS.values()])
LOADINGS = 0.1 * np.arange(16.0).reshape(4, 4)
COVARIANCE = LOADINGS @ LOADINGS.T + np.diag(VALUES**2 * 0.01)


def row(segment, parent, **changes):
    fields = {
        "model": "bg_nbd",
        "segment": segment,
        "parent_segment": parent,
        "status": "ok",
        "parameters": PARAMS,
        "standard_errors": dict.fromkeys(PARAMS, 0.1),
        "covariance": COVARIANCE.ravel().tolist(),
        "message": "why",
    }
    return fields | changes


def chosen(*rows):
    return {one["segment"]: one for one in take_parents(rows)}


def errors(rows, segment):
    parents = {name: one["parent_segment"] for name, one in rows.items()}
    return shared_errors(rows[segment], rows, "bg_nbd", middles(parents))


def test_a_root_shares_nothing_and_what_is_pooled_the_middle_of_its_siblings():
    pooled = {"sibling_loadings": LOADINGS.ravel().tolist(), "own_weight": 0.5}
    rows = chosen(row("global", None), row("uk", "global", **pooled), row("fr", "global"))
    assert errors(rows, "global") == ()
    # Nothing to be drawn to, or a table of an earlier version.
    assert errors(rows, "fr") == ()
    ((stream, loadings),) = errors(rows, "uk")
    assert stream == "bg_nbd below global"
    assert np.array(loadings) == pytest.approx(LOADINGS / VALUES[:, np.newaxis])
    # What is left is the segment's own.
    root = own_root(log_errors(rows["uk"]), errors(rows, "uk"))
    assert root @ root.T == pytest.approx(0.01 * np.eye(4), abs=1e-12)


def test_taken_parameters_have_the_parents_errors_and_their_distance_on_top():
    near = {"status": "too_small", "parameters": None, "from_parent": (0.3, 0.2, 0.1, 0.4)}
    rows = chosen(row("global", None), row("malta", "global", **near))
    ((stream, loadings),) = errors(rows, "malta")
    assert stream == "bg_nbd global"
    parent = np.array(loadings)
    assert parent @ parent.T == pytest.approx(np.array(log_errors(rows["global"])))
    root = own_root(log_errors(rows["malta"]), errors(rows, "malta"))
    coordinates = coordinates_of(LETTERS)
    inward = np.linalg.inv(coordinates.jacobian(coordinates.forward(VALUES)))
    distance = inward @ root @ root.T @ inward.T
    assert distance == pytest.approx(np.diag([0.09, 0.04, 0.01, 0.16]), abs=1e-12)
    found = rows["malta"]["standard_errors"]
    assert list(found.values()) == pytest.approx(
        np.sqrt(np.diag(np.array(rows["malta"]["covariance"]).reshape(4, 4)))
    )


def test_distances_add_up_on_the_way_and_are_shared_as_far_as_the_way_is():
    pooled = {"sibling_loadings": LOADINGS.ravel().tolist()}
    far = {"status": "too_small", "parameters": None, "from_parent": (0.3,) * 4}
    rows = chosen(
        row("global", None),
        row("Asia", "global", **pooled),
        row("Asia/Laos", "Asia", **far),
        row("Asia/Laos/north", "Asia/Laos", **far),
    )
    north, laos = errors(rows, "Asia/Laos/north"), errors(rows, "Asia/Laos")
    names = ["bg_nbd below global", "bg_nbd Asia", "bg_nbd Asia/Laos"]
    assert [one.stream for one in north] == names
    assert [one.stream for one in laos] == names[:2]
    assert north[:2] == laos
    wider, wide, base = (np.array(log_errors(rows[name])) for name in list(rows)[:0:-1])
    assert wider - wide == pytest.approx(wide - base)


@pytest.mark.parametrize(
    "parent",
    [
        {"status": "failed", "parameters": None, "covariance": None},
        {"covariance": None},
        {"model": "mbg_nbd"},
    ],
)
def test_nothing_is_shared_with_a_parent_of_whom_nothing_is_known(parent):
    rows = {
        one["segment"]: one | {"parameters_segment": "global"}
        for one in (row("global", None, **parent), row("uk", "global"))
    }
    assert errors(rows, "uk") == ()
    nobody = row("us", "global", parameters=None)
    assert shared_errors(nobody, rows, "bg_nbd", {}) == ()


def test_a_distance_without_a_covariance_to_widen_is_left_out():
    near = {"status": "too_small", "parameters": None, "from_parent": (0.3, 0.2, 0.1, 0.4)}
    rows = chosen(row("global", None, covariance=None), row("malta", "global", **near))
    assert rows["malta"]["covariance"] is None
