"""BG/NBD and MBG/NBD far off the beaten track: finite, in range and without a warning."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clv_spark.models import bg_nbd, mbg_nbd

CDNOW = {"r": 0.2426, "alpha": 4.4136, "a": 0.7929, "b": 2.4259}
DELTA = math.log(1.1) * 7 / 365


def powers(low, high):
    return st.floats(low, high).map(lambda exponent: 10.0**exponent)


any_params = st.fixed_dictionaries(
    {"r": powers(-5, 5), "alpha": powers(-4, 9), "a": powers(-5, 5), "b": powers(-5, 5)}
)
any_customer = st.tuples(
    st.sampled_from([0, 1, 2, 30, 4000]), st.floats(0, 1), st.sampled_from([0.0, 0.2, 52.0, 3000.0])
)


@pytest.mark.parametrize("model", [bg_nbd, mbg_nbd])
@settings(max_examples=40, deadline=None, derandomize=True)
@given(params=any_params, customer=any_customer, t=st.sampled_from([0.0, 1e-9, 1.0, 52.0, 1e9]))
def test_any_parameters_give_finite_numbers_in_range_without_warning(model, params, customer, t):
    x, share, T = customer
    t_x = share * T if x else 0.0
    past = (float(x), t_x, T)
    with warnings.catch_warnings(), np.errstate(all="raise", under="ignore"):
        warnings.simplefilter("error")
        loglikelihood = model.log_likelihood(params, *past)
        alive = model.probability_alive(params, *past)
        ahead = model.probability_alive(params, *past, t)
        active = model.probability_active(params, t, *past)
        pmf = model.purchases_pmf(params, t, [0, 1, 2, 50, 5000], *past)
        new = model.purchases_pmf_new(params, t, [0, 1, 5000])
        purchases = model.expected_purchases(params, t, *past)
        value = model.discounted_expected_purchases(params, DELTA, np.inf, *past)
        one = (np.array([float(x)]), np.array([T]))
        forecast = model.forecast_if_alive(params, [0.0, 4.0, 52.0], DELTA, *one)
    assert np.isfinite(loglikelihood)
    for probability in (alive, ahead, active, *pmf, *new, pmf.sum(), *forecast.none.ravel()):
        assert 0 <= probability <= 1 + 1e-9
    assert ahead <= alive
    rate = (params["r"] + x) / (params["alpha"] + T)
    assert 0 <= purchases <= alive * rate * t * (1 + 1e-6)
    assert 0 <= value < np.inf
    assert np.all(np.isfinite(forecast.discounted_square))
    assert np.all(forecast.discounted <= forecast.expected * (1 + 1e-12))
    assert np.all(np.diff(forecast.expected, axis=0) >= 0)
    assert forecast.residual[0] >= forecast.discounted[-1, 0]


@pytest.mark.parametrize("model", [bg_nbd, mbg_nbd])
def test_nothing_happens_in_no_time(model):
    past = (np.array([0.0, 3.0]), np.array([0.0, 5.0]), np.array([0.0, 5.0]))
    assert model.expected_purchases(CDNOW, 0.0, *past).tolist() == [0, 0]
    assert model.probability_active(CDNOW, 0.0, *past).tolist() == [0, 0]
    assert model.purchases_pmf(CDNOW, 0.0, 0, *past) == pytest.approx([1, 1], rel=1e-15)
    assert model.purchases_pmf(CDNOW, 0.0, 7, *past).tolist() == [0, 0]
    forecast = model.forecast_if_alive(CDNOW, [0.0], 0.0, past[0], past[2])
    assert forecast.none.tolist() == [[1, 1]]
    assert forecast.discounted_square.tolist() == [[0, 0]]


@pytest.mark.parametrize("model", [bg_nbd, mbg_nbd])
def test_no_customers_get_an_empty_forecast(model):
    forecast = model.forecast_if_alive(CDNOW, [4.0, 52.0], DELTA, np.zeros(0), np.zeros(0))
    assert forecast.expected.shape == forecast.none.shape == (2, 0)
    assert forecast.residual.shape == (0,)


def test_mbg_without_a_chance_to_leave_at_first_is_the_bg_nbd():
    # With b far above a nobody leaves, and both are the NBD.
    params = {**CDNOW, "a": 1e-5, "b": 1e5}
    past = ([0, 4], [0, 20], [10, 30])
    purchases = [model.expected_purchases(params, 52.0, *past) for model in (bg_nbd, mbg_nbd)]
    nbd = [(0.2426 + x) / (4.4136 + T) * 52 for x, T in ((0, 10), (4, 30))]
    assert purchases[0] == pytest.approx(nbd, rel=1e-6)
    assert purchases[1] == pytest.approx(nbd, rel=1e-6)


@pytest.mark.parametrize("model", [bg_nbd, mbg_nbd])
def test_long_silent_heavy_buyer_is_surely_lost_without_warning(model):
    with np.errstate(all="raise"):
        assert model.probability_alive(CDNOW, 1000, 10, 100) == 0.0


@pytest.mark.parametrize("model", [bg_nbd, mbg_nbd])
def test_counts_in_the_thousands_still_add_up(model):
    n = np.arange(60_000.0)
    pmf = model.purchases_pmf(CDNOW, 52.0, n, 4000, 52.0, 52.0)
    assert pmf.sum() == pytest.approx(1, rel=1e-9)
    mean = model.expected_purchases(CDNOW, 52.0, 4000, 52.0, 52.0)
    assert np.sum(n * pmf) == pytest.approx(mean, rel=1e-8)
