"""Forecasts against those of lifetimes 0.11.3, customer by customer, where it is right.

It is right for ordinary customers and parameters; for heavy buyers and at a = 1 or s = 1 it is not,
which other tests look at. A fitter of lifetimes forecasts with whatever stands in ``params_``.
"""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pandas as pd
import pytest

from clv_spark.models import bg_bb, bg_nbd, gamma_gamma, mbg_nbd, pareto_nbd

# One-time buyers new and old, long silences and none, heavy buyers.
X = np.array([0.0, 0.0, 1.0, 2.0, 5.0, 12.0, 26.0, 3.0])
T_X = np.array([0.0, 0.0, 3.0, 30.43, 20.0, 30.0, 30.86, 21.0])
T = np.array([5.0, 38.86, 38.86, 38.86, 25.0, 31.0, 31.0, 21.0])
PAST = (X, T_X, T)
AHEAD = np.array([1 / 7, 1.0, 10.0, 52.0])
NUMBERS = np.arange(6)

MODELS = {
    "bg_nbd": ("BetaGeoFitter", bg_nbd, ("r", "alpha", "a", "b")),
    "mbg_nbd": ("ModifiedBetaGeoFitter", mbg_nbd, ("r", "alpha", "a", "b")),
    "pareto_nbd": ("ParetoNBDFitter", pareto_nbd, ("r", "alpha", "s", "beta")),
}
# Of CDNOW and a grocer; in the Pareto/NBD either scale is the larger one.
CASES = [
    ("bg_nbd", (0.243, 4.414, 0.793, 2.426)),
    ("bg_nbd", (1.2, 3.0, 1.7, 9.0)),
    ("mbg_nbd", (0.525, 6.183, 0.891, 1.614)),
    ("mbg_nbd", (1.2, 3.0, 1.7, 9.0)),
    ("pareto_nbd", (0.553, 10.578, 0.606, 11.669)),
    ("pareto_nbd", (1.2, 12.0, 1.6, 6.0)),
]


def theirs(fitter, params):
    # Only who runs these tests pays for the import, half a second.
    peer = getattr(import_module("lifetimes"), fitter)()
    peer.params_ = pd.Series(params)
    return peer


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]} {case[1][0]}")
def case(request):
    name, values = request.param
    fitter, ours, letters = MODELS[name]
    params = dict(zip(letters, values, strict=True))
    return theirs(fitter, params), ours, params


def test_alive_and_purchases_of_customers_are_those_of_lifetimes_0_11_3(case):
    peer, ours, params = case
    alive = ours.probability_alive(params, *PAST)
    assert alive == pytest.approx(peer.conditional_probability_alive(*PAST), rel=1e-11)
    for t in AHEAD:
        purchases = ours.expected_purchases(params, t, *PAST)
        found = peer.conditional_expected_number_of_purchases_up_to_time(t, *PAST)
        assert purchases == pytest.approx(found, rel=1e-9)


def test_new_customers_are_those_of_lifetimes_0_11_3(case):
    peer, ours, params = case
    new = ours.expected_purchases_new(params, AHEAD)
    assert new == pytest.approx(peer.expected_number_of_purchases_up_to_time(AHEAD), rel=1e-9)


def test_counts_are_those_of_lifetimes_0_11_3(case):
    peer, ours, params = case
    if ours is pareto_nbd:
        for n in NUMBERS:
            found = peer.conditional_probability_of_n_purchases_up_to_time(n, 39.0, *PAST)
            counts = ours.purchases_pmf(params, 39.0, n, *PAST)
            assert counts == pytest.approx(found, rel=1e-9)
        return
    found = [peer.probability_of_n_purchases_up_to_time(30.0, n) for n in NUMBERS]
    assert ours.purchases_pmf_new(params, 30.0, NUMBERS) == pytest.approx(found, rel=1e-11)


def test_donors_are_those_of_lifetimes_0_11_3():
    params = {"alpha": 1.204, "beta": 0.750, "gamma": 0.657, "delta": 2.783}
    peer = theirs("BetaGeoBetaBinomFitter", params)
    past = (np.array([0.0, 1.0, 3.0, 6.0]), np.array([0.0, 2.0, 5.0, 6.0]), np.full(4, 6.0))
    for n in (1, 5, 10):
        # Both speak of alive at the n-th opportunity from now.
        alive = bg_bb.probability_alive(params, *past, n)
        assert alive == pytest.approx(peer.conditional_probability_alive(n, *past), rel=1e-11)
        purchases = bg_bb.expected_purchases(params, n, *past)
        found = peer.conditional_expected_number_of_purchases_up_to_time(n, *past)
        assert purchases == pytest.approx(found, rel=1e-11)


def test_spend_is_that_of_lifetimes_0_11_3():
    peer = theirs("GammaGammaFitter", {"p": 6.25, "q": 3.74, "v": 15.44})
    m_x = np.array([0.0, 0.0, 30.0, 22.35, 50.0, 9.0, 100.0, 0.4])
    spend = gamma_gamma.expected_spend({"p": 6.25, "q": 3.74, "gamma": 15.44}, X, m_x)
    found = peer.conditional_expected_average_profit(X, m_x)
    assert spend == pytest.approx(np.asarray(found), rel=1e-12)
