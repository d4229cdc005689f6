"""BG/NBD against published numbers; every test name says whose they are.

"Recomputed" are numbers of an independent maximum likelihood with plain numpy and scipy on the
same data, to more digits than papers print.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from clv_spark.models import bg_nbd, fit

PAPER = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
# BTYD prints its estimates to seven digits, so its forecasts are met to 1e-5 only. At exactly these
# parameters ours agree with mpmath to 1e-13.
BTYD = {"r": 0.2425982, "alpha": 4.4136842, "a": 0.7929899, "b": 2.4261667}


def test_data_are_those_of_fader_hardie_lee_2005(cdnow):
    assert (cdnow.x.size, cdnow.x.sum(), (cdnow.x == 0).sum(), cdnow.x.max()) == (
        2357,
        2457,
        1411,
        29,
    )
    assert len(np.unique(np.column_stack([cdnow.x, cdnow.t_x, cdnow.T]), axis=0)) == 1016
    assert cdnow.holdout.sum() == 1882


def test_parameters_are_those_of_fader_hardie_lee_2005_table_2(bg_fit):
    rounded = {name: round(value, 3) for name, value in bg_fit.parameters.items()}
    assert rounded == {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
    assert round(bg_fit.log_likelihood, 1) == -9582.4


def test_parameters_are_those_of_clvtools_test_correctness_bgnbd(bg_fit):
    expected = {"r": 0.2425945, "alpha": 4.4136019, "a": 0.7929199, "b": 2.4258881}
    assert bg_fit.parameters == pytest.approx(expected, rel=1e-5)


def test_parameters_are_those_of_the_btyd_walkthrough(cdnow, bg_fit):
    # BTYD stops its search a little early, which the likelihood hardly shows.
    assert bg_fit.parameters == pytest.approx(BTYD, rel=1.1e-4)
    value = bg_nbd.log_likelihood(BTYD, cdnow.x, cdnow.t_x, cdnow.T).sum()
    assert value == pytest.approx(-9582.429, abs=5e-4)
    assert 0 <= bg_fit.log_likelihood - value < 1e-6


def test_fit_is_the_recomputed_maximum(bg_fit):
    expected = {"r": 0.24259453, "alpha": 4.41360220, "a": 0.79292189, "b": 2.42590632}
    assert bg_fit.parameters == pytest.approx(expected, rel=1e-6)
    assert bg_fit.log_likelihood == pytest.approx(-9582.429206674, abs=1e-8)
    assert bg_fit.status == "ok"
    assert bg_fit.gradient_norm < 1e-9
    assert 1 < bg_fit.condition_number < 1e4


def test_fit_of_78_weeks_is_the_recomputed_maximum(cdnow_78_weeks):
    assert cdnow_78_weeks.x.sum() == 4339
    result = fit("bg_nbd", cdnow_78_weeks.purchases())
    expected = {"r": 0.253561, "alpha": 5.447257, "a": 0.607365, "b": 2.647235}
    assert result.parameters == pytest.approx(expected, rel=3e-6)
    assert result.log_likelihood == pytest.approx(-17138.233965, abs=1e-5)


def test_customer_1516_of_fader_hardie_lee_2005(bg_fit):
    customer = (26.0, 30.857142857, 31.0)
    alive = bg_nbd.probability_alive(bg_fit.parameters, *customer)
    purchases = bg_nbd.expected_purchases(bg_fit.parameters, 52, *customer)
    assert alive == pytest.approx(0.96885445, abs=2e-8)
    assert alive == pytest.approx(0.9688523, abs=5e-6)
    assert purchases == pytest.approx(25.757338, abs=2e-6)
    assert purchases == pytest.approx(25.75659, abs=1e-3)


def test_customer_1516_of_the_btyd_walkthrough():
    customer = (26.0, 30.857142857, 31.0)
    alive = bg_nbd.probability_alive(BTYD, *customer)
    assert alive == pytest.approx(0.9688523, abs=5e-7)
    assert bg_nbd.expected_purchases(BTYD, 52, *customer) == pytest.approx(25.75659, rel=1e-5)


def test_increasing_frequency_paradox_of_the_btyd_walkthrough():
    values = bg_nbd.expected_purchases(BTYD, 52, [10, 15, 20, 25], 20, 39)
    expected = [0.3474606, 0.04283391, 0.004158973, 0.0003583685]
    assert values == pytest.approx(expected, rel=1e-5)


def test_customer_0001_with_the_papers_parameters_as_in_lifetimes():
    customer = (2, 30.43, 38.86)
    assert bg_nbd.log_likelihood(PAPER, *customer) == pytest.approx(-9.45860631, abs=5e-9)
    assert bg_nbd.probability_alive(PAPER, *customer) == pytest.approx(0.72657857, abs=5e-9)
    assert bg_nbd.expected_purchases(PAPER, 39, *customer) == pytest.approx(1.22602817, abs=5e-9)


def test_customer_without_repeat_purchase_recomputed():
    assert bg_nbd.log_likelihood(PAPER, 0, 0, 38.86) == pytest.approx(-0.55471328, abs=5e-9)
    assert bg_nbd.expected_purchases(PAPER, 39, 0, 0, 38.86) == pytest.approx(0.19509805, abs=5e-9)
    assert 1 - bg_nbd.probability_active(PAPER, 39, 0, 0, 38.86) == pytest.approx(
        0.85544946, abs=5e-9
    )
    # Note 039, eq. 34: without a repeat purchase there is no term of having left.
    none = bg_nbd.purchases_pmf(PAPER, 39, 0, 0, 0, 38.86)
    assert none == pytest.approx((43.274 / (43.274 + 39)) ** 0.243, rel=1e-14)
    assert none == pytest.approx(0.85544946, abs=5e-9)


def test_log_likelihood_of_single_customers_in_lifetimes_and_btyd():
    params = {"r": 0.25, "alpha": 4.0, "a": 0.8, "b": 2.5}
    values = bg_nbd.log_likelihood(params, [0, 200], [0, 38], 40)
    assert values == pytest.approx([-0.59947382, 100.7957], rel=1e-6)


def test_expected_purchases_of_new_customers_in_lifetimes_test_estimation(bg_fit):
    t = [1 / 7, 1, 3, 31.857143, 32, 78]
    values = bg_nbd.expected_purchases_new(bg_fit.parameters, t)
    assert values == pytest.approx([0.0078, 0.0532, 0.1506, 1.0405, 1.0437, 1.8576], abs=4e-4)
    recomputed = [0.007814, 0.053184, 0.150631, 1.040490, 1.043732, 1.857958]
    assert values == pytest.approx(recomputed, abs=6e-7)
    assert bg_nbd.expected_purchases_new(bg_fit.parameters, 52) == pytest.approx(
        1.4440124, abs=1e-7
    )


def test_expected_purchases_of_a_new_customer_in_a_year_of_the_btyd_walkthrough():
    assert bg_nbd.expected_purchases_new(BTYD, 52) == pytest.approx(1.444004, abs=1e-6)


def test_probabilities_of_counts_in_lifetimes_and_btyd():
    values = bg_nbd.purchases_pmf_new(PAPER, 30, np.arange(11, 21))
    expected = [
        0.0019995214,
        0.0015170236,
        0.0011633150,
        0.0009003148,
        0.0007023638,
        0.0005517902,
        0.0004361913,
        0.0003467171,
        0.0002769613,
        0.0002222260,
    ]
    assert values == pytest.approx(expected, abs=6e-11)
    assert bg_nbd.purchases_pmf(PAPER, 30, np.arange(11, 21), 0, 0, 0) == pytest.approx(values)
    assert bg_nbd.purchases_pmf_new(PAPER, 39, 0) == pytest.approx(0.5737864, abs=5e-8)
    assert bg_nbd.purchases_pmf_new(PAPER, 2, 10) == pytest.approx(1.07869e-07, rel=1e-5)


def test_weekly_purchases_of_the_cohort_in_the_btyd_walkthrough(cdnow):
    days, customers = np.unique(np.round(39 * 7 - 1 - cdnow.T * 7), return_counts=True)

    def cumulative(week):
        age = np.maximum(week - days / 7, 0.0)
        return np.sum(customers * bg_nbd.expected_purchases_new(BTYD, age))

    weekly = np.diff([cumulative(week) for week in range(19, 26)])
    expected = [76.86531, 74.88843, 73.04554, 71.32166, 69.70412, 68.18213]
    assert weekly == pytest.approx(expected, abs=5e-5)


def test_limit_at_a_equal_to_one_recomputed_with_mpmath():
    params = {"r": 0.243, "alpha": 4.414, "a": 1.0, "b": 2.426}
    assert bg_nbd.expected_purchases_new(params, 52) == pytest.approx(1.28998825, abs=5e-9)


def test_long_silent_heavy_buyer_is_surely_lost_without_warning_as_in_lifetimes(bg_fit):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert bg_nbd.probability_alive(bg_fit.parameters, 1000, 10, 100) == 0.0


def test_holdout_means_by_count_of_fader_hardie_lee_2005(cdnow):
    forecast = bg_nbd.expected_purchases(BTYD, 39, cdnow.x, cdnow.t_x, cdnow.T)
    bins = np.minimum(cdnow.x, 7)
    means = [forecast[bins == n].mean() for n in range(8)]
    expected = [
        0.2250893,
        0.5231364,
        1.044126,
        1.520256,
        2.163824,
        2.653789,
        3.503957,
        6.157036,
    ]
    assert means == pytest.approx(expected, rel=1e-5)


def test_holdout_accuracy_recomputed(cdnow, bg_fit):
    forecast = bg_nbd.expected_purchases(bg_fit.parameters, 39, cdnow.x, cdnow.t_x, cdnow.T)
    error = forecast - cdnow.holdout
    assert forecast.sum() == pytest.approx(1653.41, abs=0.005)
    assert np.abs(error).mean() == pytest.approx(0.78545, abs=5e-6)
    assert np.sqrt((error**2).mean()) == pytest.approx(1.60798, abs=5e-6)
    assert np.corrcoef(forecast, cdnow.holdout)[0, 1] == pytest.approx(0.6256, abs=5e-5)
    alive = bg_nbd.probability_alive(bg_fit.parameters, cdnow.x, cdnow.t_x, cdnow.T)
    assert alive.mean() == pytest.approx(0.81344, abs=5e-6)
