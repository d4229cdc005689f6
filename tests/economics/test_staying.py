"""When customers leave: the curve through two probabilities of staying."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from clv_spark.economics.staying import ENDS, staying
from clv_spark.models import bg_nbd, pareto_nbd


def moments(alive):
    """Mean fraction of the horizon after which leavers leave and mean of its square, by quad."""
    end = alive(1.0)
    area = quad(alive, 0, 1, epsabs=1e-13)[0]
    twice = 2 * quad(lambda s: s * alive(s), 0, 1, epsabs=1e-13)[0]
    return (area - end) / (1 - end), (twice - end) / (1 - end)


@pytest.mark.parametrize("shape", [0.1, 0.606, 1.0, 2.0, 3.0, 40.0])
@pytest.mark.parametrize("horizon", [0.01, 0.5, 3.0, 100.0])
def test_moments_are_the_integrals_of_the_pareto_nbds_survival(shape, horizon):
    def alive(fraction):
        return (1 + horizon * fraction) ** -shape

    way = staying(alive(0.5), alive(1.0))
    if alive(1.0) < ENDS[1]:
        assert way.end == pytest.approx(alive(1.0), rel=1e-14)
        assert (way.mean, way.square) == pytest.approx(moments(alive), rel=2e-4)
    params = {"r": 1.0, "alpha": 1.0, "s": shape, "beta": 1.0}
    ahead = pareto_nbd.probability_alive(params, 0, 0.0, 0.0, [horizon / 2, horizon])
    assert staying(*ahead).mean == pytest.approx(way.mean, rel=1e-6)


@pytest.mark.parametrize("risk", [0.01, 0.7, 5.0, 60.0])
def test_one_risk_for_all_is_an_exponential_curve(risk):
    way = staying(np.exp(-risk / 2), np.exp(-risk))
    exact = moments(lambda fraction: np.exp(-risk * fraction))
    # The curve has no smaller spread of risks than a thousandth in the logarithm.
    assert (way.mean, way.square) == pytest.approx(exact, rel=1e-3)


@pytest.mark.parametrize("dropout", [(0.3, 4.0), (0.793, 2.426), (1.5, 12.0)])
@pytest.mark.parametrize("x", [3.0, 30.0])
def test_leavers_of_the_bg_nbd_leave_within_a_hundredth_of_the_horizon_of_their_curve(dropout, x):
    params = {"r": 1.2, "alpha": 21.0, "a": dropout[0], "b": dropout[1]}

    def alive(fraction):
        return float(bg_nbd.probability_alive(params, x, 300.0, 300.0, 1095.0 * fraction)) / today

    today = float(bg_nbd.probability_alive(params, x, 300.0, 300.0))
    way = staying(alive(0.5), alive(1.0))
    assert (way.mean, way.square) == pytest.approx(moments(alive), abs=0.01)


@settings(deadline=None, derandomize=True, max_examples=200)
@given(half=st.floats(0, 1), end=st.floats(0, 1))
def test_whatever_the_probabilities_leavers_leave_within_the_horizon(half, end):
    with np.errstate(all="raise", under="ignore"):
        way = staying(half, end)
    assert 0 < way.end < 1
    assert 0 < way.square < way.mean < 1
    assert way.mean**2 < way.square


def test_who_leaves_earlier_has_the_smaller_half():
    early, late = staying([0.5, 0.7], [0.4, 0.4]).mean
    assert early < late < 0.5
    assert np.isnan(staying(np.nan, 0.5).mean)
    assert np.isnan(staying(0.5, np.nan).mean)
