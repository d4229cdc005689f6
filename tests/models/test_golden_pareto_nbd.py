"""Pareto/NBD against published numbers; every test name says whose they are.

"Recomputed" are numbers of an independent maximum likelihood with plain numpy and scipy on the
same data, to more digits than papers print.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from clv_spark.models import fit, pareto_nbd

NAMES = ("r", "alpha", "s", "beta")
# What BTYD 2 prints to seven digits; its walkthrough goes on from a second run with other ones.
BTYD = dict(zip(NAMES, (0.5533971, 10.5801985, 0.6060625, 11.6562237), strict=True))
BTYD_78_WEEKS = dict(zip(NAMES, (0.5629966, 12.5590370, 0.4081095, 10.5148048), strict=True))
LIFETIMES = dict(zip(NAMES, (0.55, 10.56, 0.61, 11.64), strict=True))
DELTA = 0.0027


@pytest.fixture(scope="module")
def pareto_fit(cdnow):
    return fit("pareto_nbd", cdnow.purchases())


@pytest.fixture(scope="module")
def params(pareto_fit):
    return pareto_fit.parameters


def test_parameters_are_those_of_fader_hardie_lee_2005_table_2(pareto_fit):
    rounded = {name: round(value, 3) for name, value in pareto_fit.parameters.items()}
    # The paper prints 11.669 for beta, too.
    assert rounded == {"r": 0.553, "alpha": 10.578, "s": 0.606, "beta": 11.669}
    assert round(pareto_fit.log_likelihood, 1) == -9595.0


def test_parameters_are_those_of_clvtools_test_correctness_pnbd(params):
    expected = {"r": 0.55315, "alpha": 10.57633, "s": 0.60625, "beta": 11.67150}
    assert params == pytest.approx(expected, rel=3e-4)


def test_log_likelihood_is_that_of_the_btyd_vignette(cdnow, pareto_fit):
    value = pareto_nbd.log_likelihood(BTYD, cdnow.x, cdnow.t_x, cdnow.T).sum()
    assert value == pytest.approx(-9594.976, abs=5e-4)
    # BTYD stops its search a little early: beta is 0.0011 of itself off, the likelihood hardly.
    assert 0 <= pareto_fit.log_likelihood - value < 2e-5
    assert pareto_fit.parameters == pytest.approx(BTYD, rel=1.1e-3)


def test_fit_is_the_recomputed_maximum(pareto_fit):
    expected = {"r": 0.55327707, "alpha": 10.57768405, "s": 0.60624001, "beta": 11.66873652}
    assert pareto_fit.parameters == pytest.approx(expected, rel=3e-7)
    assert pareto_fit.log_likelihood == pytest.approx(-9594.976178940, abs=1e-8)
    assert pareto_fit.status == "ok"
    assert pareto_fit.gradient_norm < 1e-9
    assert 1 < pareto_fit.condition_number < 1e4


def test_fit_of_78_weeks_is_the_recomputed_maximum_and_that_of_btyd(cdnow_78_weeks):
    result = fit("pareto_nbd", cdnow_78_weeks.purchases())
    expected = {"r": 0.563004, "alpha": 12.559169, "s": 0.408107, "beta": 10.514545}
    assert result.parameters == pytest.approx(expected, rel=1e-6)
    assert result.log_likelihood == pytest.approx(-17135.835886, abs=1e-6)
    assert result.parameters == pytest.approx(BTYD_78_WEEKS, rel=3e-5)


def test_log_likelihood_of_single_customers_with_either_scale_larger_recomputed():
    params = {"r": 0.55, "alpha": 10.58, "s": 0.61, "beta": 11.67}
    assert pareto_nbd.log_likelihood(params, 1, 1.5, 12) == pytest.approx(-4.00694866, abs=5e-9)
    swapped = {**params, "alpha": 11.67, "beta": 10.58}
    values = pareto_nbd.log_likelihood(swapped, [1, 4, 2], [1.5, 5.3, 6], [12, 10, 8])
    assert values == pytest.approx([-4.03618538, -10.72932589, -6.66878882], abs=5e-9)


def test_customer_1516_of_fader_hardie_lee_2005(params):
    customer = (26.0, 30.857142857, 31.0)
    purchases = pareto_nbd.expected_purchases(params, 52, *customer)
    # BTYD stops its search a little early.
    assert purchases == pytest.approx(25.45647, abs=2e-3)
    assert purchases == pytest.approx(25.45518, abs=5e-6)
    assert pareto_nbd.probability_alive(params, *customer) == pytest.approx(0.997874, abs=1e-6)


def test_expected_purchases_of_a_new_customer_in_a_year_of_the_btyd_walkthrough(params):
    assert pareto_nbd.expected_purchases_new(params, 52) == pytest.approx(1.473434, abs=5e-7)


def test_increasing_frequency_paradox_of_the_btyd_walkthrough(params):
    values = pareto_nbd.expected_purchases(params, 52, [10, 15, 20, 25], 20, 39)
    assert values == pytest.approx([0.7062289, 0.1442396, 0.02250658, 0.00309267], rel=1e-3)


def test_probability_alive_without_repeat_purchase_of_btyd_pnbd_palive():
    assert pareto_nbd.probability_alive(BTYD, 0, 0, 39) == pytest.approx(0.2941633, abs=5e-8)
    assert pareto_nbd.probability_alive(BTYD, 23, 39, 39) == 1.0


def test_expected_purchases_of_new_customers_in_lifetimes_test_estimation():
    expected = [
        0,
        0.05077821,
        0.09916088,
        0.14542507,
        0.18979930,
        0.23247466,
        0.27361274,
        0.31335159,
        0.35181024,
        0.38909211,
    ]
    values = pareto_nbd.expected_purchases_new(LIFETIMES, np.arange(10))
    assert values == pytest.approx(expected, abs=5e-9)


def test_limit_at_s_equal_to_one_recomputed():
    params = {"r": 0.55, "alpha": 10.58, "s": 1.0, "beta": 11.67}
    value = pareto_nbd.expected_purchases_new(params, 52)
    assert value == pytest.approx(1.0293211634, abs=5e-11)
    near = pareto_nbd.expected_purchases_new({**params, "s": 1 + 1e-12}, 52)
    assert near == pytest.approx(value, rel=1e-11)


def test_holdout_means_by_count_of_fader_hardie_lee_2005_and_btyd(cdnow, params):
    forecast = pareto_nbd.expected_purchases(params, 39, cdnow.x, cdnow.t_x, cdnow.T)
    bins = np.minimum(cdnow.x, 7)
    means = [forecast[bins == n].mean() for n in range(8)]
    printed = [0.138, 0.600, 1.196, 1.714, 2.399, 2.907, 3.819, 6.403]
    assert means == pytest.approx(printed, abs=1e-3)


def test_holdout_accuracy_recomputed(cdnow, params):
    forecast = pareto_nbd.expected_purchases(params, 39, cdnow.x, cdnow.t_x, cdnow.T)
    error = forecast - cdnow.holdout
    assert forecast.sum() == pytest.approx(1665.51, abs=0.005)
    assert np.abs(error).mean() == pytest.approx(0.75452, abs=5e-6)
    assert np.sqrt((error**2).mean()) == pytest.approx(1.60285, abs=5e-6)
    assert np.corrcoef(forecast, cdnow.holdout)[0, 1] == pytest.approx(0.6302, abs=5e-5)
    alive = pareto_nbd.probability_alive(params, cdnow.x, cdnow.t_x, cdnow.T)
    assert alive.mean() == pytest.approx(0.44628, abs=5e-6)


def test_weekly_purchases_of_all_customers_of_the_btyd_vignette(cdnow, params):
    weeks = np.arange(19.0, 26.0)
    since_first = weeks[:, None] - (cdnow.T.max() - cdnow.T)
    total = pareto_nbd.expected_purchases_new(params, np.maximum(since_first, 0.0)).sum(axis=1)
    expected = [78.308, 76.419, 74.648, 72.983, 71.414, 69.933]
    assert np.diff(total) == pytest.approx(expected, rel=2e-4)


def test_discounted_residual_purchases_of_btyd_pnbd_dert():
    def dert(x, t_x):
        return pareto_nbd.discounted_expected_purchases(
            BTYD_78_WEEKS, DELTA, math.inf, x, t_x, 77.86
        )

    assert dert(7, 35) == pytest.approx(1.86418333, abs=5e-9)
    expected = [
        2.199155,
        2.843534,
        2.867128,
        2.445410,
        1.840502,
        1.262416,
        0.809618,
        0.494804,
        0.292025,
        0.167928,
    ]
    assert dert(np.arange(1, 11), 30) == pytest.approx(expected, abs=5e-7)
    assert dert(0, 0) == pytest.approx(0.36475593, abs=5e-9)
