"""MBG/NBD against published numbers; every test name says whose they are.

"Recomputed" are numbers of an independent maximum likelihood with plain numpy and scipy on the
same data, to more digits than papers print.
"""

from __future__ import annotations

import numpy as np
import pytest

from clv_spark.models import fit, mbg_nbd

ROUND = {"r": 0.25, "alpha": 4.0, "a": 0.8, "b": 2.5}


@pytest.fixture(scope="module")
def mbg_fit(cdnow):
    return fit("mbg_nbd", cdnow.purchases())


def test_parameters_are_those_of_the_btydplus_vignette_and_lifetimes(mbg_fit):
    rounded = {name: round(value, 3) for name, value in mbg_fit.parameters.items()}
    assert rounded == {"r": 0.525, "alpha": 6.183, "a": 0.891, "b": 1.614}


def test_fit_is_the_recomputed_maximum(mbg_fit):
    expected = {"r": 0.52484315, "alpha": 6.18308539, "a": 0.89135928, "b": 1.61400207}
    assert mbg_fit.parameters == pytest.approx(expected, rel=1e-6)
    assert mbg_fit.log_likelihood == pytest.approx(-9582.135715554, abs=1e-8)
    assert mbg_fit.status == "ok"
    assert mbg_fit.gradient_norm < 1e-9


def test_fit_of_78_weeks_is_the_recomputed_maximum(cdnow_78_weeks):
    result = fit("mbg_nbd", cdnow_78_weeks.purchases())
    expected = {"r": 0.617844, "alpha": 8.656963, "a": 0.551525, "b": 1.009059}
    assert result.parameters == pytest.approx(expected, rel=2e-6)
    assert result.log_likelihood == pytest.approx(-17127.373256, abs=1e-6)


def test_log_likelihood_of_single_customers_recomputed():
    values = mbg_nbd.log_likelihood(ROUND, [0, 200], [0, 38], 40)
    assert values == pytest.approx([-0.41792826, 100.7869], abs=5e-5)
    assert values[0] == pytest.approx(-0.41792826, abs=5e-9)


def test_customer_1516_recomputed(mbg_fit):
    customer = (26.0, 30.857142857, 31.0)
    alive = mbg_nbd.probability_alive(mbg_fit.parameters, *customer)
    purchases = mbg_nbd.expected_purchases(mbg_fit.parameters, 52, *customer)
    assert alive == pytest.approx(0.96548465, abs=1e-8)
    assert purchases == pytest.approx(23.998192, abs=3e-6)


def test_expected_purchases_of_a_new_customer_recomputed(mbg_fit):
    value = mbg_nbd.expected_purchases_new(mbg_fit.parameters, 52)
    assert value == pytest.approx(1.4188849, abs=1e-7)


def test_increasing_frequency_paradox_recomputed(mbg_fit):
    values = mbg_nbd.expected_purchases(mbg_fit.parameters, 52, [10, 15, 20, 25], 20, 39)
    assert values == pytest.approx([0.3516934, 0.0497290, 0.0055718, 0.00055534], rel=1e-5)


def test_holdout_means_by_count_recomputed(cdnow, mbg_fit):
    forecast = mbg_nbd.expected_purchases(mbg_fit.parameters, 39, cdnow.x, cdnow.t_x, cdnow.T)
    bins = np.minimum(cdnow.x, 7)
    means = [forecast[bins == n].mean() for n in range(8)]
    expected = [0.1852, 0.5514, 1.0490, 1.4929, 2.1043, 2.5636, 3.3608, 5.8485]
    assert means == pytest.approx(expected, abs=5e-5)


def test_holdout_accuracy_recomputed(cdnow, mbg_fit):
    forecast = mbg_nbd.expected_purchases(mbg_fit.parameters, 39, cdnow.x, cdnow.t_x, cdnow.T)
    error = forecast - cdnow.holdout
    assert forecast.sum() == pytest.approx(1576.73, abs=0.005)
    assert np.abs(error).mean() == pytest.approx(0.76478, abs=5e-6)
    assert np.sqrt((error**2).mean()) == pytest.approx(1.60718, abs=5e-6)
    assert np.corrcoef(forecast, cdnow.holdout)[0, 1] == pytest.approx(0.6273, abs=5e-5)
    alive = mbg_nbd.probability_alive(mbg_fit.parameters, cdnow.x, cdnow.t_x, cdnow.T)
    assert alive.mean() == pytest.approx(0.44872, abs=5e-6)


def test_a_new_customer_is_alive_with_b_over_a_plus_b_by_wagner_and_hoppe_2008():
    assert mbg_nbd.probability_alive(ROUND, 0, 0, 0) == pytest.approx(2.5 / 3.3, rel=1e-15)


def test_one_purchase_is_certain_of_nothing_unlike_in_the_bg_nbd():
    values = mbg_nbd.probability_alive(ROUND, 0, 0, [0.0, 10.0, 1000.0, 1e9])
    assert np.all(np.diff(values) < 0)
    assert values[-1] < 0.05
