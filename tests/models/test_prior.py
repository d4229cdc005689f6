"""How much segments differ from their parent, learned from siblings whose parabolas are known."""

from __future__ import annotations

import numpy as np
import pytest

from clv_spark.models.bg_nbd import MODEL as BG
from clv_spark.models.prior import SegmentFit, estimate_spread
from clv_spark.models.transform import coordinates_of
from clv_spark.models.uncertainty import as_matrix

PARENT = {"r": 0.5, "alpha": 5.0, "a": 0.8, "b": 2.4}
COORDINATES = coordinates_of(BG.parameters)
CENTRE = COORDINATES.forward(np.array([*PARENT.values()]))


def exact_summary(values, error):
    """A segment so large that its parabola says its coordinates outright."""
    return SegmentFit(tuple(values), (0.0,) * 4, as_matrix(np.eye(4) / error**2), 0.0)


def test_the_spread_of_normal_segments_is_their_standard_deviation():
    random = np.random.default_rng(6)
    spread = np.array([0.1, 0.3, 0.5, 1.0])
    values = CENTRE + 0.2 + spread * random.standard_normal((400, 4))
    prior = estimate_spread([exact_summary(row, 0.01) for row in values], PARENT)
    assert np.array(prior.spread) == pytest.approx(spread, rel=0.12)
    assert np.array(prior.centre) - CENTRE == pytest.approx([0.2] * 4, abs=0.15)


def test_one_far_out_sibling_among_twenty_widens_the_prior_by_less_than_a_third():
    random = np.random.default_rng(7)
    values = CENTRE + 0.2 * random.standard_normal((20, 4))
    summaries = [exact_summary(row, 0.02) for row in values]
    before = estimate_spread(summaries, PARENT)
    after = estimate_spread([*summaries, exact_summary(CENTRE + 6, 0.02)], PARENT)
    assert np.all(np.array(after.spread) < 1.33 * np.array(before.spread))
    assert np.abs(np.array(after.centre) - np.array(before.centre)) == pytest.approx(0, abs=0.05)


def test_few_siblings_neither_close_nor_open_the_prior():
    same = [exact_summary(CENTRE, 0.01)] * 3
    apart = [exact_summary(CENTRE + shift, 0.01) for shift in (-4, 0, 4)]
    assert min(estimate_spread(same, PARENT).spread) > 0.1
    assert max(estimate_spread(apart, PARENT).spread) < 5


def test_a_single_sibling_moves_the_centre_half_way_from_the_parent():
    prior = estimate_spread([exact_summary(CENTRE + 0.4, 0.01)], PARENT)
    assert np.array(prior.centre) - CENTRE == pytest.approx([0.2] * 4, abs=0.02)


def test_the_middle_of_equal_siblings_is_as_unsure_as_a_mean_of_them_and_the_parent():
    random = np.random.default_rng(9)
    values = CENTRE + 0.3 * random.standard_normal((60, 4))
    prior = estimate_spread([exact_summary(row, 0.01) for row in values], PARENT)
    variance = np.diag(prior.centre_covariance)
    assert variance == pytest.approx(np.array(prior.spread) ** 2 / 61, rel=0.2)


@pytest.mark.parametrize("shift", [0.0, 2.0])
def test_siblings_that_say_nothing_change_nothing_however_many_they_are(shift):
    few = [exact_summary(CENTRE + shift + step, 0.05) for step in (-0.2, 0.1)]
    silent = SegmentFit(tuple(CENTRE), (0.0,) * 4, ((0.0,) * 4,) * 4, 0.0)
    alone, among = (estimate_spread([*few, *[silent] * count], PARENT) for count in (0, 3000))
    assert among.spread == pytest.approx(alone.spread, rel=1e-5)
    assert among.centre == pytest.approx(alone.centre, rel=1e-5)
    errors = [np.array(prior.centre_covariance) for prior in (alone, among)]
    assert errors[1] == pytest.approx(errors[0], rel=1e-4, abs=1e-9)


def test_what_little_many_siblings_say_is_heard():
    """Each of them is known to within twice the spread that they have."""
    random = np.random.default_rng(11)
    values = CENTRE + np.hypot(1.0, 2.0) * random.standard_normal((1000, 4))
    prior = estimate_spread([exact_summary(row, 2.0) for row in values], PARENT)
    assert min(prior.spread) > 0.8
    assert max(prior.spread) < 1.5


def test_the_middle_is_as_unsure_as_the_parent_as_far_as_it_stands_on_it():
    errors = as_matrix(COORDINATES.jacobian(CENTRE) @ np.eye(4) @ COORDINATES.jacobian(CENTRE).T)
    for count in (1, 9):
        # Siblings so near the centre count a quarter more than the parent.
        share = 1 / (1 + 1.25 * count)
        siblings = [exact_summary(CENTRE, 0.01)] * count
        known, unsure = (estimate_spread(siblings, PARENT, one) for one in ((), errors))
        assert (unsure.centre, unsure.spread) == (known.centre, known.spread)
        more = np.array(unsure.centre_covariance) - np.array(known.centre_covariance)
        assert more == pytest.approx(share**2 * np.eye(4), rel=0.1, abs=1e-4)


def test_the_middle_is_as_far_from_the_true_one_as_its_covariance_says():
    random = np.random.default_rng(10)
    scores = []
    for _ in range(200):
        parent = COORDINATES.backward(CENTRE + 0.3 * random.standard_normal(4))
        named = dict(zip(PARENT, np.exp(parent).tolist(), strict=True))
        errors = random.choice([0.1, 0.3, 0.6], 8)
        values = CENTRE + random.standard_normal((8, 4)) * np.hypot(0.3, errors)[:, np.newaxis]
        rows = zip(values, errors, strict=True)
        prior = estimate_spread([exact_summary(row, error) for row, error in rows], named)
        wrong = np.array(prior.centre) - CENTRE
        scores.append(wrong @ np.linalg.inv(prior.centre_covariance) @ wrong / 4)
    assert 0.8 < np.mean(scores) < 1.3
