"""What must hold for every purchase model of the registry, whatever its formulas.

All are fitted to the CDNOW sample in days: at most one purchase a day, so that days are exact
opportunities for the BG/BB, too.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

from clv_spark.models import MODELS, PURCHASE_MODELS, fit
from clv_spark.models.arrays import merge_equal_rows
from clv_spark.models.uncertainty import prediction_errors

PAGE = Path(__file__).parents[2] / "docs" / "models.md"
# In continuous time every unit is as good as any other; opportunities can only be counted.
CONTINUOUS = [name for name in PURCHASE_MODELS if name != "bg_bb"]
HISTORIES = [(0, 0, 0), (0, 0, 200), (1, 30, 200), (3, 150, 200), (20, 199, 200), (8, 40, 260)]
X, T_X, T = (np.array(column, dtype=np.float64) for column in zip(*HISTORIES, strict=True))
NUMBERS = np.arange(301.0)
TIMES = [0.0, 30.0, 90.0, 365.0]
DELTA = math.log(1.1) / 365
PAST = ("probability_active", "expected_purchases")


@pytest.fixture(scope="module")
def days(cdnow):
    return {"x": cdnow.x, "t_x": np.round(7 * cdnow.t_x), "T": np.round(7 * cdnow.T)}


@pytest.fixture(scope="module")
def fits(days):
    return {name: fit(name, days) for name in PURCHASE_MODELS}


@pytest.fixture(params=list(PURCHASE_MODELS))
def name(request):
    return request.param


@pytest.fixture
def model(name):
    return PURCHASE_MODELS[name]


@pytest.fixture
def params(name, fits):
    assert fits[name].status == "ok"
    return fits[name].parameters


def forecast_parts(forecast):
    return {field.name: getattr(forecast, field.name) for field in dataclasses.fields(forecast)}


def test_every_model_is_known_by_the_name_it_gives_itself():
    assert {
        name: module.MODEL for name, module in PURCHASE_MODELS.items()
    }.items() <= MODELS.items()
    assert all(model.name == name for name, model in MODELS.items())


def test_models_page_shows_this_fit(name, model, params, days, fits, cdnow):
    forecast = model.expected_purchases(params, 273, **days)
    error = np.abs(forecast - cdnow.holdout).mean()
    alive = model.probability_alive(params, **days).mean()
    once = model.probability_alive(params, 0, 0, 273)
    numbers = [f"{fits[name].log_likelihood:.2f}", f"{forecast.sum():.0f}", f"{error:.3f}"[1:]]
    numbers += [f"{alive:.2f}"[1:], f"{once:.2f}".removeprefix("0")]
    rows = PAGE.read_text().splitlines()
    assert [row for row in rows if row.endswith(f" | {' | '.join(numbers)} |")]


def test_gradient_is_the_numeric_derivative(model, params, days):
    columns, weights = merge_equal_rows(model.MODEL.read(days), np.ones(days["x"].size))
    evaluate = model.MODEL.likelihood(columns, weights)
    for factors in ([1, 1, 1, 1], [1.5, 0.7, 0.6, 2.0], [0.2, 3.0, 4.0, 0.5]):
        point = np.array(list(params.values())) * factors
        gradient = evaluate(point)[1]
        for index in range(point.size):
            shift = np.zeros(point.size)
            shift[index] = 1e-3
            up, down, up_2, down_2 = (
                evaluate(point * np.exp(step * shift))[0] for step in (1, -1, 2, -2)
            )
            numeric = (8 * (up - down) - (up_2 - down_2)) / 12e-3
            assert gradient[index] == pytest.approx(numeric, rel=1e-7, abs=1e-9)


def test_counted_patterns_have_the_likelihood_of_the_rows(name, model, params, days, fits):
    rows = model.log_likelihood(params, **days)
    assert np.sum(rows) == pytest.approx(fits[name].log_likelihood, rel=1e-13, abs=1e-9)


def test_rows_in_another_order_give_the_same_fit_to_the_bit(name, days, fits):
    order = np.random.default_rng(1).permutation(days["x"].size)
    assert fit(name, {key: column[order] for key, column in days.items()}) == fits[name]


def test_rows_that_come_twice_are_rows_of_weight_two_and_leave_the_parameters(name, days, fits):
    twice = fit(name, {key: np.tile(column, 2) for key, column in days.items()})
    assert twice == fit(name, days, np.full(days["x"].size, 2.0))
    assert twice.parameters == fits[name].parameters


@pytest.mark.parametrize("name", CONTINUOUS)
def test_weeks_give_the_forecasts_of_days_and_parameters_are_numbers_or_times(name, days, fits):
    weeks = {"x": days["x"], "t_x": days["t_x"] / 7, "T": days["T"] / 7}
    in_days, in_weeks = fits[name].parameters, fit(name, weeks).parameters
    ratios = [round(in_days[key] / in_weeks[key], 5) for key in in_days]
    assert set(ratios) == {1.0, 7.0}
    model = PURCHASE_MODELS[name]
    for function in PAST:
        slow = getattr(model, function)(in_days, 90, X, T_X, T)
        fast = getattr(model, function)(in_weeks, 90 / 7, X, T_X / 7, T / 7)
        assert fast == pytest.approx(slow, rel=1e-6)


def test_probabilities_of_all_counts_add_up_and_their_mean_is_the_expectation(model, params):
    pmf = model.purchases_pmf(params, 90, NUMBERS[:, None], X, T_X, T)
    assert np.all(pmf >= 0)
    assert pmf.sum(axis=0) == pytest.approx(1, abs=1e-9)
    mean = np.sum(pmf * NUMBERS[:, None], axis=0)
    assert mean == pytest.approx(model.expected_purchases(params, 90, X, T_X, T), rel=1e-6)
    new = model.purchases_pmf_new(params, 90, NUMBERS)
    assert new.sum() == pytest.approx(1, abs=1e-9)
    assert new @ NUMBERS == pytest.approx(model.expected_purchases_new(params, 90), rel=1e-6)


def test_no_purchase_is_a_count_of_zero(model, params):
    none = model.purchases_pmf(params, 90, 0, X, T_X, T)
    assert model.probability_active(params, 90, X, T_X, T) == pytest.approx(1 - none, rel=1e-7)
    alive = model.probability_alive(params, X, T_X, T)
    given_alive = model.forecast_if_alive(params, TIMES, DELTA, X, T).none[2]
    assert alive * given_alive + 1 - alive == pytest.approx(none, abs=1e-9)


def test_second_moment_without_discount_is_that_of_the_counts(model, params):
    square = model.forecast_if_alive(params, [90.0], 0.0, X, T).discounted_square[0]
    alive = model.probability_alive(params, X, T_X, T)
    pmf = model.purchases_pmf(params, 90, NUMBERS[:, None], X, T_X, T)
    assert alive * square == pytest.approx(np.sum(pmf * NUMBERS[:, None] ** 2, axis=0), rel=1e-6)


def test_second_moment_is_at_least_the_square_of_the_first(model, params, days):
    forecast = model.forecast_if_alive(params, TIMES, DELTA, days["x"], days["T"])
    assert np.all(forecast.discounted_square >= forecast.discounted**2)
    assert np.all(np.diff(forecast.discounted_square, axis=0) > 0)


def test_rows_of_a_forecast_are_what_single_functions_say(model, params):
    forecast = model.forecast_if_alive(params, TIMES, DELTA, X, T)
    alive = model.probability_alive(params, X, T_X, T)
    for row, time in enumerate(TIMES):
        expected = model.expected_purchases(params, time, X, T_X, T)
        active = model.probability_active(params, time, X, T_X, T)
        value = model.discounted_expected_purchases(params, DELTA, time, X, T_X, T)
        assert alive * forecast.expected[row] == pytest.approx(expected, rel=1e-7)
        assert alive * (1 - forecast.none[row]) == pytest.approx(active, abs=1e-9)
        assert alive * forecast.discounted[row] == pytest.approx(value, rel=1e-7)
    endless = model.discounted_expected_purchases(params, DELTA, math.inf, X, T_X, T)
    assert alive * forecast.residual == pytest.approx(endless, rel=1e-6)
    assert np.all(forecast.residual > forecast.discounted[-1])
    assert model.forecast_if_alive(params, TIMES, 0.0, X, T).residual is None


def test_without_discount_a_purchase_weighs_one(model, params):
    forecast = model.forecast_if_alive(params, TIMES, 0.0, X, T)
    assert forecast.discounted == pytest.approx(forecast.expected, rel=1e-12)


def test_no_time_ahead_means_no_purchase(model, params):
    forecast = model.forecast_if_alive(params, [0.0], DELTA, X, T)
    assert not forecast.expected.any()
    assert not forecast.discounted_square.any()
    assert forecast.none == pytest.approx(1, abs=1e-12)
    assert model.purchases_pmf(params, 0, [[0], [1]], X, T_X, T) == pytest.approx(
        np.array([[1.0], [0.0]]) * np.ones(X.size), abs=1e-12
    )


def test_who_is_alive_is_alive_today_and_less_surely_later(model, params):
    alive = model.probability_alive(params, X, T_X, T, np.array([[0.0], [1], [90], [3650], [1e7]]))
    assert alive[0] == pytest.approx(model.probability_alive(params, X, T_X, T), rel=1e-12)
    assert np.all((alive >= 0) & (alive <= 1))
    assert np.all(np.diff(alive, axis=0) < 0)


def test_longer_silence_makes_loss_more_likely(model, params):
    alive = model.probability_alive(params, 3, 100, np.arange(100, 1000, 50))
    assert np.all(np.diff(alive) < 0)


def test_rhythm_is_how_often_who_has_just_bought_and_stays_buys_next(name, model, params):
    soon = 1.0 if name == "bg_bb" else 1e-4
    forecast = model.forecast_if_alive(params, [soon], 0.0, X, T_X)
    bought = forecast.expected[0] / model.staying_if_alive(params, [soon], X, T_X)[0] / soon
    assert 1 / model.purchase_interval(params, X, T_X) == pytest.approx(bought, rel=1e-5)


def test_new_customer_is_one_without_past(model, params):
    # In the MBG/NBD even such a customer may be lost already; the expectation allows for it.
    assert model.expected_purchases(params, 90, 0, 0, 0) == pytest.approx(
        float(model.expected_purchases_new(params, 90)), rel=1e-12
    )
    assert model.purchases_pmf(params, 90, NUMBERS, 0, 0, 0) == pytest.approx(
        model.purchases_pmf_new(params, 90, NUMBERS), rel=1e-9, abs=1e-15
    )


def test_forecasts_do_not_depend_on_the_batch_to_the_bit(model, params, days):
    x, t_x, age = days["x"], days["t_x"], days["T"]
    alone = model.forecast_if_alive(params, TIMES[1:], DELTA, x, age)
    alive = model.probability_alive(params, x, t_x, age, 365)
    order = np.random.default_rng(2).permutation(x.size)
    for rows in np.split(order, [1, 8, 500]):
        batch = model.forecast_if_alive(params, TIMES[1:], DELTA, x[rows], age[rows])
        for part, values in forecast_parts(batch).items():
            assert np.array_equal(values, getattr(alone, part)[..., rows]), part
        later = model.probability_alive(params, x[rows], t_x[rows], age[rows], 365)
        assert np.array_equal(later, alive[rows])


def test_every_customer_may_have_parameters_of_their_own(model, params):
    factors = np.linspace(0.5, 2.0, X.size)
    own = {key: value * factors for key, value in params.items()}
    together = model.forecast_if_alive(own, TIMES, DELTA, X, T)
    counts = model.purchases_pmf(own, 90, 2, X, T_X, T)
    for row in range(X.size):
        single = {key: float(value[row]) for key, value in own.items()}
        alone = model.forecast_if_alive(single, TIMES, DELTA, X[[row]], T[[row]])
        for part, values in forecast_parts(alone).items():
            assert values == pytest.approx(getattr(together, part)[..., [row]], rel=1e-12), part
        count = model.purchases_pmf(single, 90, 2, X[row], T_X[row], T[row])
        assert float(count) == pytest.approx(counts[row], rel=1e-12)


def test_staying_is_the_chance_of_later_over_that_of_today(model, params):
    """Whatever is known of the past: alive later is alive today and staying."""
    staying = model.staying_if_alive(params, TIMES, X, T)
    assert staying.shape == (len(TIMES), X.size)
    today = model.probability_alive(params, X, T_X, T)
    for row, time in zip(staying, TIMES, strict=True):
        later = model.probability_alive(params, X, T_X, T, time)
        np.testing.assert_allclose(row * today, later, rtol=1e-8)


def test_staying_of_a_customer_does_not_depend_on_the_others(model, params):
    everyone = model.staying_if_alive(params, TIMES, X, T)
    for row in range(X.size):
        alone = model.staying_if_alive(params, TIMES, X[row : row + 1], T[row : row + 1])
        assert alone[:, 0].tolist() == everyone[:, row].tolist()


PREDICTIONS = {
    "alive": lambda model, p: model.probability_alive(p, X, T_X, T),
    "alive later": lambda model, p: model.probability_alive(p, X, T_X, T, 90.0),
    "purchases": lambda model, p: model.expected_purchases(p, 273.0, X, T_X, T),
    "two purchases": lambda model, p: model.purchases_pmf(p, 90.0, 2, X, T_X, T),
    "no purchase": lambda model, p: model.purchases_pmf(p, 90.0, 0, X, T_X, T),
    "active": lambda model, p: model.probability_active(p, 365.0, X, T_X, T),
    "new": lambda model, p: model.expected_purchases_new(p, 365.0),
    "residual": lambda model, p: model.discounted_expected_purchases(p, DELTA, math.inf, X, T_X, T),
    "a year": lambda model, p: model.discounted_expected_purchases(p, DELTA, 365.0, X, T_X, T),
}


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_errors_of_predictions_are_those_of_slope_and_covariance(prediction, name, model, fits):
    """Slopes by each parameter's logarithm from four points, and the whole quadratic form."""
    fitted = fits[name]
    logs = np.log([*fitted.parameters.values()])

    def at(point):
        params = dict(zip(fitted.parameters, np.exp(point), strict=True))
        return np.ravel(PREDICTIONS[prediction](model, params))

    slopes = []
    for shift in 2e-3 * np.eye(logs.size):
        up, down, up_2, down_2 = (at(logs + step * shift) for step in (1, -1, 2, -2))
        slopes.append((8 * (up - down) - (up_2 - down_2)) / 0.024)
    variance = np.einsum("ic,ij,jc->c", slopes, fitted.log_covariance, slopes)
    errors = np.ravel(prediction_errors(lambda p: PREDICTIONS[prediction](model, p), fitted))
    assert errors == pytest.approx(np.sqrt(variance), rel=1e-3, abs=1e-9)
    # Some predictions are certain, such as that who came today is alive; not all of them.
    assert np.any(errors > 1e-4)
