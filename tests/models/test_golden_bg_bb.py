"""BG/BB against published numbers; every test name says whose they are.

The data are the donations of Fader, Hardie and Shang (2010), 11,104 donors at six opportunities.
"Recomputed" are numbers of an independent maximum likelihood with plain numpy and scipy.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from clv_spark.models import bg_bb
from clv_spark.models.fitting import FitResult, fit_model

# (x, t_x): donors, all at n = 6.
DONORS = {
    (6, 6): 1203,
    (5, 6): 728,
    (4, 6): 512,
    (3, 6): 357,
    (2, 6): 234,
    (1, 6): 129,
    (5, 5): 335,
    (4, 5): 284,
    (3, 5): 225,
    (2, 5): 173,
    (1, 5): 119,
    (4, 4): 240,
    (3, 4): 181,
    (2, 4): 155,
    (1, 4): 78,
    (3, 3): 322,
    (2, 3): 255,
    (1, 3): 129,
    (2, 2): 613,
    (1, 2): 277,
    (1, 1): 1091,
    (0, 0): 3464,
}
X, T_X = (np.array(column, dtype=np.float64) for column in zip(*DONORS, strict=True))
COUNTS = np.array(list(DONORS.values()), dtype=np.float64)
PAPER = {"alpha": 1.204, "beta": 0.750, "gamma": 0.657, "delta": 2.783}
BTYD = {"alpha": 1.203528, "beta": 0.7497260, "gamma": 0.6567808, "delta": 2.783796}
BTYD_HELP = {"alpha": 1.20, "beta": 0.75, "gamma": 0.66, "delta": 2.78}


@pytest.fixture(scope="module")
def donations() -> FitResult:
    return fit_model(bg_bb.MODEL, {"x": X, "t_x": T_X, "T": np.full(X.size, 6)}, COUNTS)


def test_data_are_those_of_fader_hardie_shang_2010():
    assert (len(DONORS), COUNTS.sum()) == (22, 11104)
    # The repeat donations of 1996 to 2001.
    assert np.sum(COUNTS * X) == sum([5652, 4674, 4019, 3552, 3555, 3163])


def test_parameters_are_those_of_fader_hardie_shang_2010(donations):
    rounded = {name: round(value, 3) for name, value in donations.parameters.items()}
    assert rounded == {"alpha": 1.204, "beta": 0.750, "gamma": 0.657, "delta": 2.783}
    assert round(donations.log_likelihood, 1) == -33225.6


def test_parameters_are_those_of_the_btyd_walkthrough(donations):
    assert donations.parameters == pytest.approx(BTYD, rel=2e-4)
    assert round(donations.log_likelihood, 2) == -33225.58


def test_fit_is_the_recomputed_maximum(donations):
    expected = (1.20352233, 0.74971635, 0.65671826, 2.78344259)
    assert tuple(donations.parameters.values()) == pytest.approx(expected, rel=2e-7)
    assert donations.log_likelihood == pytest.approx(-33225.581274347, abs=1e-8)
    assert donations.status == "ok"
    assert donations.gradient_norm < 1e-9


def test_log_likelihood_of_every_cell_in_pymc_marketing_test_distributions(donations):
    expected = [
        [-2.18167, -4.29485, -5.38473, -5.80916, -5.65173, -4.88370, -3.71682, -5.09558],
        [-5.61577, -5.50637, -4.76724, -3.84830, -5.05936, -5.19562, -4.57071, -3.52745],
        [-4.51620, -4.22466, -3.01200, -3.58818, -2.28883, -1.16752],
    ]
    expected = [value for row in expected for value in row]
    at_maximum = bg_bb.log_likelihood(donations.parameters, X, T_X, 6)
    assert at_maximum == pytest.approx(expected, abs=6e-6)
    assert bg_bb.log_likelihood(PAPER, X, T_X, 6) == pytest.approx(expected, rel=1e-3)
    assert np.sum(COUNTS * at_maximum) == pytest.approx(-33225.58127, abs=5e-6)


def test_probability_alive_in_2002_of_fader_hardie_shang_2010_is_that_at_n_plus_1(donations):
    alive = bg_bb.probability_alive(donations.parameters, [0, 2, 6], [0, 4, 6], 6, t=1)
    assert alive.round(2).tolist() == [0.11, 0.59, 0.93]
    assert alive == pytest.approx([0.108133, 0.589657, 0.930434], abs=5e-7)


def test_probability_alive_at_n_recomputed(donations):
    alive = bg_bb.probability_alive(donations.parameters, [0, 2, 6], [0, 4, 6], 6)
    assert alive == pytest.approx([0.116218, 0.633745, 1.0], abs=5e-7)


def test_expected_purchases_of_the_btyd_walkthrough():
    ahead = bg_bb.expected_purchases(BTYD, 10, [0, 4], [0, 5], 6)
    assert ahead == pytest.approx([0.1302169, 3.627858], rel=5e-7)


def test_expected_purchases_of_all_donors_of_fader_hardie_shang_2010(donations):
    ahead = bg_bb.expected_purchases(donations.parameters, 5, X, T_X, 6)
    assert np.sum(COUNTS * ahead) == pytest.approx(12884.2, abs=0.05)
    assert np.sum(COUNTS * ahead) == pytest.approx(12884.157, abs=5e-4)


def test_holdout_of_fader_hardie_shang_2010_is_missed_by_less_than_three_percent(donations):
    # The donations of 2002 to 2006; in the last year they fell by a quarter.
    holdout = [3110, 2938, 2703, 2573, 1936]
    assert sum(holdout) == 13_260
    years = bg_bb.expected_purchases(donations.parameters, np.arange(6)[:, np.newaxis], X, T_X, 6)
    ahead = np.diff(years @ COUNTS)
    assert ahead.sum() == pytest.approx(12884.157, abs=5e-4)
    assert ahead.sum() / sum(holdout) == pytest.approx(0.972, abs=5e-4)
    ratios = [0.930, 0.923, 0.946, 0.941, 1.189]
    assert (ahead / holdout).tolist() == pytest.approx(ratios, abs=5e-4)


def test_expected_purchases_of_a_new_customer_recomputed(donations):
    expected = [0.4985, 0.9233, 1.2969, 1.6323, 1.9381, 2.2202, 2.4826, 2.7285, 2.9603, 3.1798]
    values = bg_bb.expected_purchases_new(donations.parameters, np.arange(1, 12))
    assert values == pytest.approx([*expected, 3.3887], abs=5e-5)


def test_annual_expected_donations_of_the_btyd_walkthrough():
    values = np.diff(11104 * bg_bb.expected_purchases_new(BTYD, np.arange(12)))
    expected = [5535.833, 4717.059, 4147.621, 3724.665, 3395.888, 3131.647, 2913.778]
    # BTYD prints its parameters to seven digits, which leaves seven here.
    assert values == pytest.approx([*expected, 2730.482, 2573.731, 2437.854, 2318.727], rel=5e-7)


def test_holdout_means_by_count_of_the_btyd_walkthrough():
    ahead = bg_bb.expected_purchases(BTYD, 5, X, T_X, 6)
    means = [np.average(ahead[x == X], weights=COUNTS[x == X]) for x in range(7)]
    expected = [0.0728632, 0.3248841, 0.7089417, 1.333666, 2.031203, 2.784482, 3.752500]
    assert means == pytest.approx(expected, rel=5e-7)


def test_holdout_means_by_last_donation_of_the_btyd_walkthrough():
    ahead = bg_bb.expected_purchases(BTYD, 5, X, T_X, 6)
    means = [np.average(ahead[t == T_X], weights=COUNTS[t == T_X]) for t in range(7)]
    expected = [0.0728632, 0.0856939, 0.1798423, 0.4041111, 0.8510811, 1.726323, 3.027190]
    assert means == pytest.approx(expected, rel=5e-7)


def test_expected_donors_by_count_recomputed(donations):
    donors = 11104 * bg_bb.purchases_pmf_new(donations.parameters, 6, np.arange(7))
    assert donors[[0, 6]] == pytest.approx([3454.9, 1253.1], abs=0.05)
    assert donors.sum() == pytest.approx(11104, rel=1e-13)


def test_discounted_residual_purchases_recomputed(donations):
    rate = math.log(1.1)
    values = bg_bb.discounted_expected_purchases(
        donations.parameters, rate, math.inf, [0, 2, 6, 3], [0, 4, 6, 4], 6
    )
    assert values == pytest.approx([0.114753, 1.665623, 5.909894, 1.629350], abs=6e-7)


def test_customer_of_the_btyd_help_pages_recomputed():
    rate = math.log(1.1)
    value = bg_bb.discounted_expected_purchases(BTYD_HELP, rate, math.inf, 3, 4, 6)
    assert value == pytest.approx(1.6213792, abs=6e-8)
    assert bg_bb.log_likelihood(BTYD_HELP, 3, 4, 6) == pytest.approx(-5.0608682, abs=6e-8)
    alive = bg_bb.probability_alive(BTYD_HELP, 3, 4, 6, t=1)
    assert alive == pytest.approx(0.4383439, abs=6e-8)
    assert bg_bb.expected_purchases(BTYD_HELP, 10, 3, 4, 6) == pytest.approx(1.8408127, abs=6e-8)
    values = bg_bb.discounted_expected_purchases(BTYD_HELP, rate, math.inf, np.arange(1, 7), 6, 6)
    expected = [1.802045, 2.621156, 3.440267, 4.259379, 5.078490, 5.897601]
    assert values == pytest.approx(expected, abs=6e-7)


def test_moments_of_the_chances_recomputed(donations):
    alpha, beta, gamma, delta = donations.parameters.values()
    for first, second, mean, variance in [
        (alpha, beta, 0.6162, 0.0801),
        (gamma, delta, 0.1909, 0.0348),
    ]:
        total = first + second
        assert first / total == pytest.approx(mean, abs=5e-5)
        assert first * second / total**2 / (total + 1) == pytest.approx(variance, abs=5e-5)
