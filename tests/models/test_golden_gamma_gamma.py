"""Gamma-gamma against published numbers; every test name says whose they are."""

from __future__ import annotations

import numpy as np
import pytest

from clv_spark.models import fit, gamma_gamma


def test_parameters_are_those_of_fader_hardie_lee_2005_jmr_and_note_025(gg_fit):
    assert gg_fit.parameters == pytest.approx({"p": 6.25, "q": 3.74, "gamma": 15.44}, abs=0.005)


def test_fit_is_the_recomputed_maximum(gg_fit):
    expected = {"p": 6.249573, "q": 3.744225, "gamma": 15.443518}
    assert gg_fit.parameters == pytest.approx(expected, rel=1e-6)
    assert gg_fit.log_likelihood == pytest.approx(-4055.917694802, abs=1e-8)
    assert gg_fit.status == "ok"
    assert gg_fit.gradient_norm < 1e-9


def test_log_likelihood_is_that_of_clvtools_test_correctness_gg(gg_fit):
    assert round(gg_fit.log_likelihood, 4) == -4055.9177


def test_density_of_the_total_differs_by_the_logarithms_of_counts(cdnow, gg_fit):
    x = cdnow.spend()["x"]
    assert np.log(x).sum() == pytest.approx(603.3725, abs=5e-5)
    assert gg_fit.log_likelihood - np.log(x).sum() == pytest.approx(-4659.290, abs=5e-4)


def test_fit_of_78_weeks_is_the_recomputed_maximum(cdnow_78_weeks):
    spend = cdnow_78_weeks.spend()
    assert spend["x"].size == 1139
    result = fit("gamma_gamma", spend)
    expected = {"p": 4.683453, "q": 4.189783, "gamma": 24.390556}
    assert result.parameters == pytest.approx(expected, rel=2e-6)
    assert result.log_likelihood == pytest.approx(-4884.566321, abs=1e-5)
    assert gamma_gamma.expected_spend(result.parameters, 0, 0) == pytest.approx(35.81, abs=0.005)


def test_population_mean_of_78_weeks_of_fader_hardie_lee_2005_jmr(cdnow_78_weeks):
    params = fit("gamma_gamma", cdnow_78_weeks.spend()).parameters
    assert round(float(gamma_gamma.expected_spend(params, 0, 0))) == 36


def test_expected_spend_of_the_first_ten_customers_in_the_sheet_of_note_025(cdnow, gg_fit):
    values = gamma_gamma.expected_spend(gg_fit.parameters, cdnow.x[:10], cdnow.m_x[:10])
    expected = [24.65, 18.91, 35.17, 35.17, 35.17, 71.46, 18.91, 35.17, 27.28, 35.17]
    assert values.round(2).tolist() == expected


def test_expected_spend_of_the_first_ten_customers_in_lifetimes(cdnow_two_decimals):
    params = {"p": 6.25, "q": 3.74, "gamma": 15.44}
    x, m_x = cdnow_two_decimals.x[:10], cdnow_two_decimals.m_x[:10]
    values = gamma_gamma.expected_spend(params, x, m_x)
    expected = [
        24.6637,
        18.9169,
        35.219,
        35.219,
        35.219,
        71.4697,
        18.9169,
        35.219,
        27.2884,
        35.219,
    ]
    assert values == pytest.approx(expected, abs=6e-5)


def test_population_mean_of_note_025(gg_fit):
    assert gamma_gamma.expected_spend(gg_fit.parameters, 0, np.nan) == pytest.approx(
        35.17, abs=5e-3
    )


def test_mean_is_undefined_for_q_up_to_one():
    values = gamma_gamma.expected_spend({"p": 2.0, "q": 1.0, "gamma": 3.0}, [0, 4], [0.0, 5.0])
    assert np.isnan(values).all()
