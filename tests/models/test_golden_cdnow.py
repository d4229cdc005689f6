"""The CDNOW sample against published numbers; every test name says whose they are.

What all models share: the facts of the data, how often each count was met, and the optimum on the
copy that is rounded to two decimals. "Recomputed" are numbers of an independent maximum likelihood
with plain numpy and scipy.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from clv_spark.models import PURCHASE_MODELS, bg_nbd, fit, gamma_gamma
from clv_spark.models.arrays import merge_equal_rows


@pytest.fixture(scope="module")
def fits(cdnow, bg_fit):
    return {"bg_nbd": bg_fit, "pareto_nbd": fit("pareto_nbd", cdnow.purchases())}


def test_log_is_that_of_btyd(cdnow_log, cdnow_days):
    assert (len(cdnow_log), len(cdnow_days), cdnow_log["customer"].nunique()) == (6919, 6696, 2357)
    first, last = cdnow_log["date"].min(), cdnow_log["date"].max()
    assert (first, last) == (pd.Timestamp("1997-01-01"), pd.Timestamp("1998-06-30"))


def test_patterns_of_78_weeks_recomputed(cdnow_78_weeks):
    _, counts = merge_equal_rows(cdnow_78_weeks.purchases(), np.ones(2357))
    assert counts.size == 1218


def test_weekly_purchases_of_the_btyd_walkthrough(cdnow_days):
    first = cdnow_days.groupby("customer")["date"].transform("min")
    repeats = cdnow_days.loc[cdnow_days["date"] > first, "date"]
    week = (repeats - pd.Timestamp("1997-01-01")).dt.days // 7 + 1
    counts = week.value_counts()
    assert counts[range(20, 26)].tolist() == [73, 55, 70, 33, 56, 99]


def test_holdout_purchases_by_count_of_fader_hardie_lee_2005_and_btyd(cdnow):
    bins = np.minimum(cdnow.x, 7)
    customers = [(bins == n).sum() for n in range(8)]
    assert customers == [1411, 439, 214, 100, 62, 38, 29, 64]
    means = [cdnow.holdout[bins == n].mean() for n in range(8)]
    expected = [0.2367, 0.6970, 1.3925, 1.5600, 2.5323, 2.9474, 3.8621, 6.3594]
    assert means == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize(("model", "printed"), [("bg_nbd", 4.82), ("pareto_nbd", 11.99)])
def test_chi_square_of_counts_of_fader_hardie_lee_2005(cdnow, fits, model, printed):
    """Eight classes, 7 and more in one, less one and four parameters: chi-square(3)."""
    params = fits[model].parameters
    ages, customers = np.unique(cdnow.T, return_counts=True)
    chance = PURCHASE_MODELS[model].purchases_pmf_new
    expected = [customers @ chance(params, ages, n) for n in range(7)]
    expected = np.array([*expected, 2357 - sum(expected)])
    actual = np.bincount(np.minimum(cdnow.x, 7).astype(int))
    assert round(np.sum((actual - expected) ** 2 / expected), 2) == printed


@pytest.mark.parametrize(("model", "printed"), [("bg_nbd", 0.626), ("pareto_nbd", 0.630)])
def test_holdout_correlation_of_fader_hardie_lee_2005(cdnow, fits, model, printed):
    expected = PURCHASE_MODELS[model].expected_purchases
    forecast = expected(fits[model].parameters, 39, cdnow.x, cdnow.t_x, cdnow.T)
    assert round(np.corrcoef(forecast, cdnow.holdout)[0, 1], 3) == printed


@pytest.mark.parametrize(
    ("model", "log_likelihood"),
    [("bg_nbd", -9582.42556), ("mbg_nbd", -9582.13268), ("pareto_nbd", -9594.97393)],
)
def test_fit_of_two_decimals_is_the_recomputed_maximum(cdnow_two_decimals, model, log_likelihood):
    result = fit(model, cdnow_two_decimals.purchases())
    assert result.log_likelihood == pytest.approx(log_likelihood, abs=5e-6)
    assert result.status == "ok"


def test_fit_of_two_decimals_of_spend_is_the_recomputed_maximum(cdnow_two_decimals):
    result = fit("gamma_gamma", cdnow_two_decimals.spend())
    expected = {"p": 6.2488032, "q": 3.7445886, "gamma": 15.4477469}
    assert result.parameters == pytest.approx(expected, rel=2e-7)
    assert result.log_likelihood == pytest.approx(-4055.923244, abs=1e-6)


def test_fit_of_1016_weighted_patterns_recomputed(cdnow, bg_fit):
    columns, counts = merge_equal_rows(cdnow.purchases(), np.ones(2357))
    result = fit("bg_nbd", columns, counts)
    assert counts.size == 1016
    assert result.log_likelihood == pytest.approx(-9582.429206674, abs=1e-9)
    assert result.standard_errors == pytest.approx(bg_fit.standard_errors, rel=1e-8)


NBD = {"r": 0.38476613, "alpha": 12.07202263}
# As good as nobody leaves.
FAITHFUL = {
    "bg_nbd": {"a": 1e-12, "b": 1e5},
    "mbg_nbd": {"a": 1e-12, "b": 1e5},
    "pareto_nbd": {"s": 1e-12, "beta": 1e5},
}


@pytest.mark.parametrize("model", FAITHFUL)
def test_where_nobody_leaves_the_likelihood_is_that_of_the_nbd_recomputed(cdnow, model):
    params = NBD | FAITHFUL[model]
    each = PURCHASE_MODELS[model].log_likelihood(params, cdnow.x, cdnow.t_x, cdnow.T)
    assert each.sum() == pytest.approx(-9763.657614672, abs=1e-5)
    # With the constants, x! and the powers of T, which hold no parameter: the counts alone.
    counts = PURCHASE_MODELS[model].purchases_pmf_new(params, cdnow.T, cdnow.x)
    assert np.log(counts).sum() == pytest.approx(-3193.0587, abs=5e-5)


def test_correlation_of_count_and_spend_of_fader_hardie_lee_2005_jmr(cdnow):
    x, m_x = cdnow.spend().values()
    assert np.corrcoef(x, m_x)[0, 1] == pytest.approx(0.1139, abs=5e-5)
    assert round(np.corrcoef(x, m_x)[0, 1], 2) == 0.11
    # One customer bought for 300 dollars on each of 21 days.
    others = m_x < m_x.max()
    assert x[~others].tolist() == [21]
    assert round(np.corrcoef(x[others], m_x[others])[0, 1], 2) == 0.06


def gini(order, amounts):
    """Of the Lorenz curve in that order, over that in the best one."""
    curves = (amounts[order], np.sort(amounts)[::-1])
    ours, best = (np.mean(np.cumsum(curve)) / amounts.sum() - 0.5 for curve in curves)
    return ours / best


def test_spend_fitted_on_all_purchase_days_ranks_customers_better(cdnow, cdnow_days, bg_fit):
    """As recomputed for the choice of ``models.spend_basis``: a Gini of .637 became one of .671."""
    seen = cdnow_days["date"] <= "1997-09-30"
    amounts = cdnow_days["amount"].groupby([cdnow_days["customer"], seen])
    mean, later = amounts.mean().unstack()[True], amounts.sum().unstack(fill_value=0.0)[False]
    purchases = bg_nbd.expected_purchases(bg_fit.parameters, 39, **cdnow.purchases())
    found, spends = {}, {"repeat": (cdnow.x, cdnow.m_x), "all": (cdnow.x + 1, mean.to_numpy())}
    for basis, (x, m_x) in spends.items():
        known = (x > 0) & (m_x > 0)
        x, m_x = np.where(known, x, 0.0), np.where(known, m_x, 0.0)
        params = fit("gamma_gamma", {"x": x[known], "m_x": m_x[known]}).parameters
        value = purchases * gamma_gamma.expected_spend(params, x, m_x)
        found[basis] = gini(np.argsort(-value, kind="stable"), later.to_numpy())
        # All that is known of these customers is the mean of everybody.
        assert (~known).sum() == {"repeat": 1411, "all": 8}[basis]
    assert found == pytest.approx({"repeat": 0.637, "all": 0.671}, abs=0.0015)
