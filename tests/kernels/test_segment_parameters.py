"""Rows of model_parameters as they come from the table -> what scoring needs of each segment."""

from __future__ import annotations

import numpy as np
import pytest

from clv_spark.config import Config
from clv_spark.kernels.fit_segment import flat
from clv_spark.kernels.segment_parameters import parameters_by_segment
from clv_spark.models.uncertainty import log_covariance, natural_covariance
from tests.kernels.worlds import PURCHASES, SPEND, covariance, named

CONFIG = Config()
LOG_COVARIANCE = covariance(4, 0.01)


def row(model, parameters, segment="uk", taken_from=None, unit="week", log_matrix=()):
    matrix = flat(natural_covariance(parameters or {}, log_matrix)) if parameters else []
    return {
        "model": model,
        "segment": segment,
        "parent_segment": "global",
        "parameters": parameters,
        "covariance": matrix or None,
        "parameters_segment": (taken_from or segment) if parameters else None,
        "time_unit": unit,
    }


def only(*rows, config=CONFIG):
    (found,) = parameters_by_segment(rows, config).values()
    return found


def test_all_rows_of_a_segment_become_one_object():
    found = only(
        row("mbg_nbd", named("mbg_nbd"), log_matrix=LOG_COVARIANCE),
        row("gamma_gamma", SPEND, taken_from="global", log_matrix=covariance(3, 0.02)),
        row("return_rate", {"rate": 0.07, "prior_amount": 40.0}),
        row("margin_rate", {"rate": 0.41}),
    )
    assert (found.segment, found.model, found.unit_days) == ("uk", "mbg_nbd", 7)
    assert found.purchases == PURCHASES["mbg_nbd"]
    assert (found.purchases_segment, found.spend_segment) == ("uk", "global")
    assert found.spend == SPEND
    assert (found.return_rate, found.return_prior_amount) == (0.07, 40.0)
    assert found.margin_rate == 0.41
    np.testing.assert_allclose(found.purchases_covariance, LOG_COVARIANCE, rtol=1e-12)
    np.testing.assert_allclose(found.spend_covariance, covariance(3, 0.02), rtol=1e-12)


def test_the_order_of_letters_is_the_models_even_where_a_map_has_lost_it():
    mixed = dict(sorted(named("pareto_nbd").items(), reverse=True))
    assert list(mixed) != list(named("pareto_nbd"))
    spend = row("gamma_gamma", SPEND, log_matrix=covariance(3, 0.02))
    spend["parameters"] = dict(reversed(SPEND.items()))
    found = only(row("pareto_nbd", mixed), spend)
    assert found.purchases == PURCHASES["pareto_nbd"]
    np.testing.assert_allclose(found.spend_covariance, covariance(3, 0.02), rtol=1e-12)


@pytest.mark.parametrize(("unit", "days"), [("day", 1), ("week", 7), ("year", 365)])
def test_the_unit_of_time_comes_from_the_row(unit, days):
    assert only(row("bg_bb", named("bg_bb"), unit=unit)).unit_days == days


def test_what_no_row_says_is_nothing_or_as_configured():
    config = CONFIG.model_copy(update={"value": CONFIG.value.model_copy(update={"margin_rate": 1})})
    found = only(row("return_rate", {"rate": 0.07, "prior_amount": 40.0}), config=config)
    assert (found.purchases, found.spend) == (None, None)
    assert (found.purchases_covariance, found.spend_covariance) == ((), ())
    assert (found.purchases_segment, found.spend_segment) == (None, None)
    assert found.margin_rate == 1
    bare = only(row("bg_nbd", None), row("gamma_gamma", None), row("return_rate", None))
    assert (bare.purchases, bare.spend, bare.purchases_segment) == (None, None, None)
    assert (bare.return_rate, bare.return_prior_amount) == (0.0, 0.0)


@pytest.mark.parametrize(("keys", "rate"), [(("country",), 0.3), (("region", "town"), 0.2)])
def test_a_slash_in_the_name_of_a_single_key_is_no_path(keys, rate):
    value = CONFIG.value.model_copy(update={"margin_rate": {"default": 0.3, "Bosnia": 0.2}})
    config = CONFIG.model_copy(update={"value": value, "segments": keys})
    name = "Bosnia/Herzegovina"
    found = only(row("return_rate", {"rate": 0.07, "prior_amount": 40.0}, name), config=config)
    assert found.margin_rate == rate


def test_segments_stay_apart():
    rows = [
        row("bg_nbd", named("bg_nbd"), "uk"),
        row("mbg_nbd", named("mbg_nbd"), "fr"),
        row("gamma_gamma", SPEND, "fr"),
    ]
    found = parameters_by_segment(rows, CONFIG)
    assert {name: one.model for name, one in found.items()} == {"uk": "bg_nbd", "fr": "mbg_nbd"}
    assert (found["uk"].spend, found["fr"].spend) == (None, SPEND)


def test_parameters_without_covariance_have_none_of_their_logarithms():
    assert log_covariance([1.0, 2.0], None) == ()
    assert log_covariance([], [1.0]) == ()


def test_a_symmetric_covariance_stays_symmetric_to_the_last_bit():
    values = list(PURCHASES["bg_nbd"])
    matrix = np.array(
        log_covariance(values, flat(natural_covariance(named("bg_nbd"), LOG_COVARIANCE)))
    )
    assert np.array_equal(matrix, matrix.T)
