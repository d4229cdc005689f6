"""Draws of parameters: exact in mean and covariance, and in common where their error is."""

from __future__ import annotations

import numpy as np
import pytest

from clv_spark.errors import InputError
from clv_spark.models.draws import Shared, fit_and_draws, own_root, parameter_draws
from clv_spark.models.transform import coordinates_of
from clv_spark.models.uncertainty import as_matrix, log_covariance, widened

PARAMS = {"r": 0.5, "alpha": 5.0, "a": 0.8, "b": 2.4}
OTHER = {"r": 0.9, "alpha": 3.0, "a": 0.4, "b": 4.0}
COORDINATES = coordinates_of(tuple(PARAMS))
random = np.random.default_rng(4)
SHARED_ROOT, OWN_ROOT = 0.1 * random.standard_normal((2, 4, 4))
LOADINGS = tuple(map(tuple, SHARED_ROOT.tolist()))
BELOW = (Shared("bg_nbd below global", LOADINGS),)
WHOLE = as_matrix(SHARED_ROOT @ SHARED_ROOT.T + OWN_ROOT @ OWN_ROOT.T)
SHARED_ALONE = as_matrix(SHARED_ROOT @ SHARED_ROOT.T)


def steps(params, draws):
    """Of the coordinates, as logarithms of parameters move to first order."""
    point = np.array([*params.values()])
    drawn = COORDINATES.forward(np.stack([*draws.values()], axis=1)) - COORDINATES.forward(point)
    return drawn @ COORDINATES.jacobian(COORDINATES.forward(point)).T


@pytest.mark.parametrize("count", [16, 64])
def test_with_a_shared_part_the_covariance_is_still_all_of_it(count):
    found = steps(PARAMS, parameter_draws(PARAMS, WHOLE, count, "uk", BELOW))
    assert found.mean(axis=0) == pytest.approx(np.zeros(4), abs=1e-9)
    assert found.T @ found / count == pytest.approx(np.array(WHOLE), abs=1e-9)


def test_segments_move_together_by_what_they_share_and_apart_by_the_rest():
    one, other = (
        steps(params, parameter_draws(params, WHOLE, 4000, name, BELOW))
        for params, name in ((PARAMS, "uk"), (OTHER, "fr"))
    )
    assert one.T @ other / 4000 == pytest.approx(np.array(SHARED_ALONE), abs=0.005)
    together, again = (
        steps(params, parameter_draws(params, SHARED_ALONE, 64, name, BELOW))
        for params, name in ((PARAMS, "uk"), (OTHER, "fr"))
    )
    assert together == pytest.approx(again, abs=1e-9)
    assert together != pytest.approx(steps(PARAMS, parameter_draws(PARAMS, WHOLE, 64, "uk", BELOW)))


def test_who_takes_a_parents_parameters_moves_as_the_parent_does_and_some_more():
    parent = parameter_draws(PARAMS, WHOLE, 64, "bg_nbd global", BELOW)
    root = own_root(WHOLE, BELOW)
    of_parent = (*BELOW, Shared("bg_nbd global", tuple(map(tuple, root.tolist()))))
    same = parameter_draws(PARAMS, WHOLE, 64, "bg_nbd malta", of_parent)
    for letter in PARAMS:
        assert same[letter] == pytest.approx(parent[letter], rel=1e-6)
    farther = widened(PARAMS, WHOLE, (0.3, 0.3, 0.3, 0.3))
    moved = parameter_draws(PARAMS, farther, 64, "bg_nbd malta", of_parent)
    apart = steps(PARAMS, moved) - steps(PARAMS, parent)
    jacobian = 0.3 * COORDINATES.jacobian(COORDINATES.forward(np.array([*PARAMS.values()])))
    assert apart.T @ apart / 64 == pytest.approx(jacobian @ jacobian.T, abs=1e-9)
    assert apart.T @ steps(PARAMS, parent) / 64 == pytest.approx(np.zeros((4, 4)), abs=1e-9)


def test_more_parts_than_draws_make_even_are_drawn_all_the_same():
    parts = [Shared(f"part {number}", LOADINGS) for number in range(3)]
    whole = as_matrix(3 * np.array(SHARED_ALONE) + 1e-4 * np.eye(4))
    found = steps(PARAMS, parameter_draws(PARAMS, whole, 16, "uk", parts))
    spread = np.sqrt(np.mean(found**2, axis=0) / np.diag(whole))
    assert np.all((spread > 0.5) & (spread < 2))


def test_without_a_covariance_there_is_nothing_to_draw():
    with pytest.raises(InputError, match="not known"):
        own_root((), BELOW)
    assert fit_and_draws(PARAMS, (), 2, "uk", BELOW)["r"].tolist() == [0.5] * 3


def test_the_distance_from_a_parent_is_added_in_its_coordinates():
    wide = widened(PARAMS, ((0.0,) * 4,) * 4, (0.3, 0.0, 0.0, 0.0))
    # r/alpha alone: by the logarithm of alpha.
    assert np.sqrt(np.diag(wide)) == pytest.approx([0, 0.3, 0, 0])
    flat = [0.5 * 0.5 * 0.01, 0.0, 0.0, 5.0 * 5.0 * 0.04]
    assert log_covariance([0.5, 5.0], flat) == ((0.01, 0.0), (0.0, 0.04))
