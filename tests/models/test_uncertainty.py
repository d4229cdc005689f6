"""Uncertainty of parameters and predictions: what must hold whatever the model."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clv_spark.errors import ConfigError, InputError
from clv_spark.models import fit
from clv_spark.models.draws import parameter_draws
from clv_spark.models.transform import COORDINATES, coordinates_of
from clv_spark.models.uncertainty import prediction_errors

points = st.lists(st.floats(-7, 7), min_size=4, max_size=4)
all_names = pytest.mark.parametrize("names", COORDINATES, ids=" ".join)


@all_names
@settings(max_examples=40, deadline=None, derandomize=True)
@given(points)
def test_coordinates_lead_there_and_back(names, values):
    coordinates = coordinates_of(names)
    point = np.array(values[: len(names)])
    logs = coordinates.backward(point)
    assert coordinates.forward(np.exp(logs)) == pytest.approx(point, abs=1e-9)
    assert coordinates.backward(np.stack([point, point]))[1] == pytest.approx(logs, abs=1e-12)


@all_names
@settings(max_examples=40, deadline=None, derandomize=True)
@given(points)
def test_jacobian_is_that_of_finite_differences(names, values):
    coordinates = coordinates_of(names)
    point = np.array(values[: len(names)])
    for index, column in enumerate(coordinates.jacobian(point).T):
        shift = np.zeros(point.size)
        shift[index] = 1e-5
        ends = coordinates.backward(point + shift) - coordinates.backward(point - shift)
        assert column == pytest.approx(ends / 2e-5, abs=1e-8)


def test_unknown_parameters_have_no_coordinates():
    with pytest.raises(ConfigError, match=r"No coordinates for \['k'\]"):
        coordinates_of(("k",))


def test_the_error_of_a_parameter_is_its_standard_error(bg_fit, gg_fit):
    for result in (bg_fit, gg_fit):
        errors = prediction_errors(lambda params: np.array([*params.values()]), result)
        assert errors == pytest.approx(list(result.standard_errors.values()), rel=1e-5)
        assert np.sqrt(np.diag(result.covariance)) == pytest.approx(errors, rel=1e-5)


def test_errors_shrink_with_the_root_of_the_number_of_customers(cdnow, bg_fit):
    fourfold = fit("bg_nbd", cdnow.purchases(), np.full(cdnow.x.size, 4.0))
    half = {name: error / 2 for name, error in bg_fit.standard_errors.items()}
    assert fourfold.standard_errors == pytest.approx(half, rel=1e-6)


@pytest.mark.studies
def test_errors_are_the_spread_of_refits_to_resampled_customers(cdnow, bg_fit):
    random = np.random.default_rng(4)
    data, size = cdnow.purchases(), cdnow.x.size
    draws = [random.multinomial(size, np.full(size, 1 / size)) for _ in range(60)]
    fits = [fit("bg_nbd", data, counts, start=bg_fit.parameters) for counts in draws]
    for name, error in bg_fit.standard_errors.items():
        spread = np.std([np.log(one.parameters[name]) for one in fits])
        assert spread == pytest.approx(error / bg_fit.parameters[name], rel=0.35)


def test_without_a_covariance_there_is_no_error():
    nothing = SimpleNamespace(parameters={"p": 1.0, "q": 2.0, "gamma": 3.0}, log_covariance=())
    with pytest.raises(InputError, match="not 'ok'"):
        prediction_errors(lambda params: params["p"], nothing)
    with pytest.raises(InputError, match="not 'ok'"):
        parameter_draws(nothing.parameters, (), 100, "a")


def draws_of(result, count=200, stream="uk purchases"):
    return parameter_draws(result.parameters, result.log_covariance, count, stream)


def test_draws_have_the_mean_and_covariance_asked_for(bg_fit):
    draws = draws_of(bg_fit)
    assert list(draws) == list(bg_fit.parameters)
    logs = np.log(np.array(list(draws.values())))
    centre = np.log(list(bg_fit.parameters.values()))
    assert logs.mean(axis=1) == pytest.approx(centre, abs=0.01)
    assert np.cov(logs, ddof=0) == pytest.approx(np.array(bg_fit.log_covariance), rel=0.15)


def test_draws_spread_a_forecast_as_the_delta_method_does(bg_fit, gg_fit):
    for result, function in (
        (bg_fit, lambda params: params["r"] / params["alpha"]),
        (gg_fit, lambda params: params["p"] * params["gamma"] / (params["q"] - 1)),
    ):
        spread = np.std(function(draws_of(result)))
        assert spread == pytest.approx(float(prediction_errors(function, result)), rel=0.02)


def test_draws_are_repeatable_and_independent_between_streams(bg_fit):
    again, other = draws_of(bg_fit), draws_of(bg_fit, stream="uk spend")
    for name, values in draws_of(bg_fit).items():
        assert np.array_equal(values, again[name])
        assert abs(np.corrcoef(values, other[name])[0, 1]) < 0.25


def test_the_first_draws_stay_what_they_are():
    covariance = ((0.01, 0.0, 0.0), (0.0, 0.04, 0.0), (0.0, 0.0, 0.01))
    draws = parameter_draws({"p": 6.0, "q": 3.0, "gamma": 15.0}, covariance, 12, "fixed")
    assert draws["p"][0] == pytest.approx(5.830365718135639, rel=1e-12)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.floats(1.0001, 50), st.floats(0, 4), st.floats(-0.9, 0.9))
def test_no_draw_of_q_is_one_or_less(q, variance, correlation):
    cross = correlation * np.sqrt(variance * 0.04)
    covariance = ((0.04, cross, 0.0), (cross, variance, 0.0), (0.0, 0.0, 0.5))
    with np.errstate(all="raise", under="ignore"):
        draws = parameter_draws({"p": 3.0, "q": q, "gamma": 15.0}, covariance, 40, "wide")
    assert np.all(draws["q"] > 1)
    assert all(np.all(np.isfinite(values) & (values > 0)) for values in draws.values())


@pytest.mark.parametrize("count", [0, 8, 41])
def test_too_few_draws_are_refused(gg_fit, count):
    with pytest.raises(InputError, match="even number of at least 12"):
        draws_of(gg_fit, count)
