"""The error of an expected value: by columns as by the delta method of the models."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from clv_spark.economics import rate_per_unit
from clv_spark.kernels.living_forecasts import LivingForecasts
from clv_spark.kernels.parameter_risk import add_alive_slopes, relative_variance
from clv_spark.kernels.segment_table import SegmentTable
from clv_spark.models import PURCHASE_MODELS, gamma_gamma
from clv_spark.models.uncertainty import prediction_errors
from tests.kernels.worlds import (
    MODELS,
    SPEND,
    Estimate,
    covariance,
    named,
    segment,
)

HORIZON, RATE = 730, 0.1
# Numbers with few leading bits, which are not rounded; nor is the time since the last purchase.
X = np.array([0, 0, 0, 1, 1, 2, 3, 5, 5, 12, 12, 40])
T_X = np.array([0, 0, 0, 16, 300, 32, 208, 96, 440, 128, 800, 200])
T = np.array([4, 64, 896, 224, 320, 320, 224, 448, 448, 896, 896, 224])
MEAN = np.where(X > 0, np.random.default_rng(1).gamma(2, 20, X.size), 0.0)


def variances(entries, names, pattern=(X, T_X, T)):
    """``relative_variance`` of the customers above, the way scoring comes to it."""
    x, t_x, age = pattern
    table = SegmentTable.of(pa.array(names), entries)
    memory = LivingForecasts(HORIZON, RATE)
    living = {}
    for part in table.by_model():
        rows = part.rows
        for name, values in memory.of(part.sets, part.codes, x[rows], age[rows]).items():
            living.setdefault(name, np.full(X.size, np.nan))[rows] = values
        add_alive_slopes(living, part, (x[rows], t_x[rows], age[rows]), memory)
    return relative_variance(table, living, table.spend(), x.astype(np.float64), MEAN)


def purchases_by_the_delta_method(entry, pattern=(X, T_X, T)):
    x, t_x, age = pattern
    module, unit = PURCHASE_MODELS[entry.model], entry.unit_days

    def log_value(params):
        past = (x, t_x / unit, age / unit)
        rate = rate_per_unit(RATE, unit)
        return np.log(module.discounted_expected_purchases(params, rate, HORIZON / unit, *past))

    estimate = Estimate(named(entry.model), entry.purchases_covariance)
    return prediction_errors(log_value, estimate) ** 2


def spend_by_the_delta_method(entry):
    def log_value(params):
        return np.log(gamma_gamma.expected_spend(params, X, MEAN))

    return prediction_errors(log_value, Estimate(SPEND, entry.spend_covariance)) ** 2


@pytest.mark.parametrize("model", MODELS)
def test_it_is_the_squared_error_of_the_logarithm_by_the_delta_method(model):
    entry = segment(
        model=model, purchases_covariance=covariance(4, 0.05), spend_covariance=covariance(3, 0.02)
    )
    found = variances({"uk": entry}, ["uk"] * X.size)
    purchases, spend = purchases_by_the_delta_method(entry), spend_by_the_delta_method(entry)
    assert purchases.min() > 1e-3
    np.testing.assert_allclose(found, np.minimum(purchases + spend, 1.0), rtol=4e-3)


@pytest.mark.parametrize("model", MODELS)
def test_errors_of_any_pattern_are_right_within_a_few_percent(model):
    pattern = (X + (X > 9), T_X, T + 15)
    entry = segment(model=model, purchases_covariance=covariance(4, 0.05))
    found = variances({"uk": entry}, ["uk"] * X.size, pattern)
    expected = purchases_by_the_delta_method(entry, pattern)
    np.testing.assert_allclose(np.sqrt(found), np.sqrt(np.minimum(expected, 1.0)), rtol=0.05)


def test_purchases_and_spend_count_each_where_they_are_uncertain():
    sure = segment("sure")
    buys = segment("buys", "mbg_nbd", purchases_covariance=covariance(4, 0.05))
    spends = segment("spends", "pareto_nbd", spend_covariance=covariance(3, 0.02))
    entries = {one.segment: one for one in (sure, buys, spends)}
    names = np.resize(["sure", "buys", "spends", None], X.size)
    found = variances(entries, names)
    expected = np.select(
        [names == "buys", names == "spends"],
        [purchases_by_the_delta_method(buys), spend_by_the_delta_method(spends)],
        0.0,
    )
    np.testing.assert_allclose(found, expected, rtol=4e-3, atol=0)


@pytest.mark.parametrize("model", MODELS)
def test_errors_too_small_to_be_seen_are_none(model):
    tiny = segment(
        model=model, purchases_covariance=covariance(4, 1e-4), spend_covariance=covariance(3, 1e-4)
    )
    assert (variances({"uk": tiny}, ["uk"] * X.size) == 0).all()
    assert (variances({"uk": segment(model=model)}, ["uk"] * X.size) == 0).all()


def test_twice_the_covariance_is_twice_the_variance():
    matrix = np.array(covariance(4, 0.01))
    once, twice = (
        variances(
            {"uk": segment(purchases_covariance=tuple(map(tuple, factor * matrix)))},
            ["uk"] * X.size,
        )
        for factor in (1, 2)
    )
    np.testing.assert_allclose(twice, 2 * once, rtol=1e-12)


def test_where_the_delta_method_ends_the_variance_does():
    """Near q = 1 the logarithm of the mean spend changes by q / (q - 1) times that of q."""
    near = segment(
        spend={"p": 6.0, "q": 1.002, "gamma": 15.0}, spend_covariance=covariance(3, 0.02)
    )
    found = variances({"uk": near}, ["uk"] * X.size)
    assert (found[X == 0] == 1.0).all()
    assert (found[X > 0] < 0.1).all()


def test_a_segment_without_parameters_has_no_variance_to_speak_of():
    nobody = segment(purchases=None, spend=None)
    found = variances({"uk": segment(), "fr": nobody}, np.resize(["uk", "fr"], X.size))
    assert (found == 0).all()
