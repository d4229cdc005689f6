"""What holds for every fit: invariances, honest gradients, and an answer for degenerate data."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clv_spark.errors import ConfigError, InputError
from clv_spark.models import (
    MODELS,
    PURCHASE_MODELS,
    bdw,
    fit,
    fitting,
    gamma_gamma,
    sbg,
    search,
)
from clv_spark.models.arrays import merge_equal_rows


def patterns(rows):
    x = np.array([row[0] for row in rows], dtype=float)
    t_x = np.where(x > 0, [row[1] * row[2] for row in rows], 0.0)
    return {"x": x, "t_x": t_x, "T": np.array([row[2] for row in rows], dtype=float)}


def opportunities(rows):
    data = patterns(rows)
    t_x = np.ceil(data["t_x"])
    return {"x": np.minimum(data["x"], t_x), "t_x": t_x, "T": data["T"]}


def spends(rows):
    return {
        "x": np.array([row[0] + 1.0 for row in rows]),
        "m_x": np.array([10 * row[1] + 0.01 * row[2] for row in rows]) + 0.5,
    }


def contracts(rows):
    entry, lost = np.array([row[0] for row in rows]), np.array([row[1] < 0.5 for row in rows])
    more = np.array([row[2] for row in rows])
    return {"entry": entry, "tenure": entry + more, "lost": lost.astype(float)}


SHAPES = dict.fromkeys(MODELS, patterns) | {
    "gamma_gamma": spends,
    "bg_bb": opportunities,
    "sbg": contracts,
    "bdw": contracts,
}
any_rows = st.lists(
    st.tuples(st.integers(0, 20), st.floats(0, 1), st.integers(1, 60)), min_size=1, max_size=25
)


def simulated(model, seed=1, size=300, dropout=(0.9, 2.5)):
    random = np.random.default_rng(seed)
    if model == "gamma_gamma":
        x = random.geometric(0.3, size).astype(float)
        nu = random.gamma(4.0, 1 / 15.0, size)
        return {"x": x, "m_x": random.gamma(6.0 * x, 1 / (nu * x))}
    if model in ("sbg", "bdw"):
        lost_in = random.geometric(random.beta(1.0, 2.0, size))
        tenure = np.minimum(lost_in, 8.0)
        return {"entry": np.zeros(size), "tenure": tenure, "lost": (lost_in <= 8) * 1.0}
    if model == "bg_bb":
        T = random.integers(10, 40, size)
        buys = random.random((size, 40)) < random.beta(0.8, 1.5, size)[:, np.newaxis]
        life = np.minimum(random.geometric(random.beta(0.7, 3.0, size)) - 1, T)
        buys &= np.arange(1, 41) <= life[:, np.newaxis]
        t_x = np.max(buys * np.arange(1, 41), axis=1)
        return {"x": buys.sum(axis=1).astype(float), "t_x": t_x.astype(float), "T": T * 1.0}
    T = random.integers(100, 280, size) / 7
    if model == "pareto_nbd":
        life = np.minimum(random.exponential(1 / random.gamma(0.8, 1 / 15.0, size)), T)
        x = random.poisson(random.gamma(0.8, 1 / 2.0, size) * life).astype(float)
        t_x = np.where(x > 0, life * random.random(size) ** (1 / np.maximum(x, 1)), 0.0)
        return {"x": x, "t_x": t_x, "T": T}
    x, t_x = np.zeros(size), np.zeros(size)
    for row in range(size):
        now, buy_rate, leave = 0.0, random.gamma(0.5, 1 / 4.0), random.beta(*dropout)
        while (now := now + random.exponential(1 / buy_rate)) < T[row]:
            x[row], t_x[row] = x[row] + 1, now
            if random.random() < leave:
                break
    return {"x": x, "t_x": t_x, "T": T}


@cache
def fitted(model):
    return fit(model, simulated(model))


def test_registry_is_complete():
    assert set(MODELS) == {*PURCHASE_MODELS, "gamma_gamma", "sbg", "bdw"}
    assert set(PURCHASE_MODELS) == {"bg_nbd", "mbg_nbd", "pareto_nbd", "bg_bb"}
    assert all(name == model.name for name, model in MODELS.items())


@pytest.mark.parametrize("model", SHAPES)
@settings(max_examples=12, deadline=None, derandomize=True)
@given(any_rows, st.lists(st.floats(-1.5, 1.5), min_size=4, max_size=4))
def test_gradient_is_that_of_finite_differences(model, rows, logs):
    spec = MODELS[model]
    columns = spec.read(SHAPES[model](rows))
    columns, weights = merge_equal_rows(columns, np.arange(1.0, len(rows) + 1))
    evaluate = spec.likelihood(columns, weights)
    point = np.array(logs[: len(spec.parameters)])
    value, gradient = evaluate(np.exp(point))
    scale = max(1.0, abs(value))
    for index in range(point.size):
        shift = np.zeros(point.size)
        shift[index] = 1e-5
        difference = evaluate(np.exp(point + shift))[0] - evaluate(np.exp(point - shift))[0]
        assert gradient[index] == pytest.approx(difference / 2e-5, rel=1e-6, abs=1e-7 * scale)


@pytest.mark.parametrize("model", SHAPES)
@settings(max_examples=12, deadline=None, derandomize=True)
@given(any_rows)
def test_fast_likelihood_is_the_plain_one(model, rows):
    others = {"gamma_gamma": gamma_gamma, "sbg": sbg, "bdw": bdw}
    plain = {**PURCHASE_MODELS, **others}[model].log_likelihood
    spec = MODELS[model]
    columns = spec.read(SHAPES[model](rows))
    point = np.array([0.7, 3.0, 1.4, 2.0][: len(spec.parameters)])
    value, _ = spec.likelihood(columns, np.ones(len(rows)))(point)
    params = dict(zip(spec.parameters, point, strict=True))
    assert value == pytest.approx(plain(params, *columns.values()).mean(), rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("model", SHAPES)
@settings(max_examples=5, deadline=None, derandomize=True)
@given(any_rows, st.randoms(use_true_random=False))
def test_degenerate_data_get_a_status_and_any_order_the_same_bytes(model, rows, random):
    data = SHAPES[model](rows)
    result = fit(model, data)
    assert result.status in ("ok", "degenerate", "not_identified", "failed")
    assert result.message
    order = list(range(len(rows)))
    random.shuffle(order)
    assert fit(model, {name: column[order] for name, column in data.items()}) == result


@pytest.mark.parametrize("model", SHAPES)
def test_a_weight_of_two_is_the_row_twice(model):
    data = simulated(model)
    twice = {name: np.repeat(column, 2) for name, column in data.items()}
    weighted = fit(model, data, weights=np.full(next(iter(data.values())).size, 2))
    assert weighted == fit(model, twice)
    once = fitted(model)
    assert weighted.parameters == pytest.approx(once.parameters, rel=1e-8)
    assert weighted.log_likelihood == pytest.approx(2 * once.log_likelihood, rel=1e-12)


def test_patterns_have_the_likelihood_of_rows(cdnow, bg_fit):
    columns, counts = merge_equal_rows(cdnow.purchases(), np.ones(cdnow.x.size))
    assert counts.size == 1016
    by_pattern = fit("bg_nbd", columns, counts)
    assert by_pattern.log_likelihood == pytest.approx(bg_fit.log_likelihood, rel=1e-9)
    assert by_pattern.parameters == pytest.approx(bg_fit.parameters, rel=1e-9)


def test_days_instead_of_weeks_scale_alpha_alone(cdnow, bg_fit):
    data = {"x": cdnow.x, "t_x": cdnow.t_x * 7, "T": cdnow.T * 7}
    days = fit("bg_nbd", data)
    expected = {**bg_fit.parameters, "alpha": bg_fit.parameters["alpha"] * 7}
    assert days.parameters == pytest.approx(expected, rel=1e-8)


def test_cents_instead_of_dollars_scale_gamma_alone(cdnow, gg_fit):
    spend = cdnow.spend()
    cents = fit("gamma_gamma", {"x": spend["x"], "m_x": spend["m_x"] * 100})
    expected = {**gg_fit.parameters, "gamma": gg_fit.parameters["gamma"] * 100}
    assert cents.parameters == pytest.approx(expected, rel=1e-8)


def test_the_mean_of_logarithms_is_used_where_it_is_given():
    data = simulated("gamma_gamma")
    logs = np.log(data["m_x"])
    assert fit("gamma_gamma", {**data, "log_m_x": logs}) == fit("gamma_gamma", data)
    # A smaller mean logarithm says that means vary within a row, hence a smaller shape.
    varied = fit("gamma_gamma", {**data, "log_m_x": logs - 0.01})
    assert varied.parameters["p"] < fit("gamma_gamma", data).parameters["p"] * 0.99


def test_buckets_with_mean_and_mean_log_give_nearly_the_parameters_of_rows(gg_fit, cdnow):
    spend = cdnow.spend()
    bucket = np.floor(np.log(spend["m_x"]) / 0.002)
    key = np.unique(np.column_stack([spend["x"], bucket]), axis=0, return_inverse=True)[1]
    count = np.bincount(key)
    data = {
        name: np.bincount(key, weights=values) / count
        for name, values in (*spend.items(), ("log_m_x", np.log(spend["m_x"])))
    }
    data["x"] = np.round(data["x"])
    assert fit("gamma_gamma", data, count).parameters == pytest.approx(gg_fit.parameters, rel=2e-4)


@pytest.mark.parametrize("model", SHAPES)
def test_a_given_start_leads_to_the_same_maximum(model):
    data = simulated(model)
    cold = fitted(model)
    warm = fit(model, data, start={name: 2.0 for name in MODELS[model].parameters})
    assert cold.status == warm.status == "ok"
    assert warm.parameters == pytest.approx(cold.parameters, rel=1e-7)
    with pytest.raises(InputError, match="start needs positive values"):
        fit(model, data, start={"r": -1.0})


def test_large_data_start_coarse_and_end_exact(monkeypatch, cdnow, bg_fit):
    plain = MODELS["bg_nbd"]
    exact_evaluations = []

    def counting(columns, weights):
        evaluate = plain.likelihood(columns, weights)
        is_exact = np.isin(columns["T"], cdnow.T).all()

        def counted(point):
            exact_evaluations.extend([1] if is_exact else [])
            return evaluate(point)

        return counted

    monkeypatch.setitem(MODELS, "bg_nbd", replace(plain, likelihood=counting))
    fit("bg_nbd", cdnow.purchases())
    from_afar = len(exact_evaluations)
    exact_evaluations.clear()
    monkeypatch.setattr(fitting, "COARSEN_ABOVE", 100)
    result = fit("bg_nbd", cdnow.purchases())
    assert len(exact_evaluations) < from_afar / 2
    assert result.parameters == pytest.approx(bg_fit.parameters, rel=1e-8)
    assert result.log_likelihood == pytest.approx(bg_fit.log_likelihood, rel=1e-12)


def test_coarse_patterns_are_fewer_and_stay_in_order(cdnow):
    columns = MODELS["bg_nbd"].coarsen({**cdnow.purchases(), "T": cdnow.T * 40})
    assert np.all(columns["t_x"] <= columns["T"])
    assert np.array_equal(columns["x"], cdnow.x)
    assert len(np.unique(columns["T"])) <= 157


def no_repeats(size):
    return {"x": np.zeros(size), "t_x": np.zeros(size), "T": np.arange(size) + 1.0}


@pytest.mark.parametrize(
    "data", [no_repeats(50), {"x": [0.0], "t_x": [0.0], "T": [0.0]}], ids=["one-timers", "today"]
)
def test_one_time_buyers_alone_are_not_identified(data):
    result = fit("bg_nbd", data)
    assert result.status == "not_identified"
    assert "no customer bought a second time" in result.message
    assert result.iterations < 10


ALIKE = "customers do not differ in how often they buy"
SAME_SPEND = "customers do not differ in what they spend"


def without_dropout(size, r):
    random = np.random.default_rng(5)
    T = np.full(size, 50.0)
    x = random.poisson(random.gamma(r, 1 / (5.0 * r), size) * T).astype(float)
    t_x = np.where(x > 0, T * random.random(size) ** (1 / np.maximum(x, 1)), 0.0)
    return {"x": x, "t_x": t_x, "T": T}


@pytest.mark.parametrize(
    ("model", "data", "words"),
    [
        ("bg_nbd", without_dropout(50, 1.0), "no dropout visible"),
        ("bg_nbd", without_dropout(4000, 1.0), "no dropout visible"),
        ("bg_nbd", without_dropout(2000, 1e6), ALIKE),
        ("bg_nbd", {"x": [3.0] * 9, "t_x": [9.0] * 9, "T": [9.0] * 9}, ALIKE),
        ("bg_nbd", {"x": [3.0] * 900, "t_x": [5.0] * 900, "T": [9.0] * 900}, ALIKE),
        ("bg_nbd", {"x": [0, 1, 2] * 9, "t_x": [0.0] * 27, "T": [0.0] * 27}, ALIKE),
        ("gamma_gamma", {"x": [1, 2, 3], "m_x": [5.0, 5.0, 5.0]}, SAME_SPEND),
        ("gamma_gamma", {"x": [2.0], "m_x": [7.0]}, SAME_SPEND),
    ],
)
def test_a_ridge_is_degenerate_named_and_soon_over(model, data, words):
    with np.errstate(all="raise", under="ignore"):
        result = fit(model, data)
    assert result.status == "degenerate"
    assert words in result.message
    # Where nobody leaves, it means nothing that they do not differ in leaving.
    assert not ("no dropout" in result.message and "readily" in result.message)
    assert result.iterations < 100
    assert result.bounds_touched
    assert set(result.bounds_touched) <= set(MODELS[model].parameters)
    assert result.covariance == result.log_covariance == ()
    assert result.standard_errors == {}


def test_equal_readiness_to_leave_is_degenerate_though_no_bound_is_touched():
    result = fit("bg_nbd", simulated("bg_nbd", seed=8, size=800, dropout=(30.0, 90.0)))
    assert result.status == "degenerate"
    assert result.bounds_touched == ()
    assert "customers do not differ in how readily they leave" in result.message


def test_an_infinite_mean_spend_is_not_identified():
    random = np.random.default_rng(3)
    x = random.integers(1, 6, 500).astype(float)
    nu = random.gamma(0.6, 1 / 10.0, 500)
    result = fit("gamma_gamma", {"x": x, "m_x": random.gamma(3.0 * x, 1 / (nu * x))})
    assert result.parameters["q"] < 1
    assert result.status == "not_identified"
    assert "mean spend is infinite" in result.message


def test_a_search_that_ends_early_is_failed(monkeypatch, cdnow):
    monkeypatch.setattr(search, "NEWTON_STEPS", 0)
    monkeypatch.setattr(fitting, "ACCEPTED_GRADIENT", 1e-30)
    result = fit("bg_nbd", cdnow.purchases())
    assert result.status == "failed"
    assert "No maximum found" in result.message


def test_a_flat_ridge_is_not_identified(monkeypatch, cdnow):
    monkeypatch.setattr(fitting, "LARGEST_CONDITION", 100.0)
    result = fit("bg_nbd", cdnow.purchases())
    assert result.status == "not_identified"
    assert "condition number" in result.message


@pytest.mark.parametrize(
    ("model", "data", "words"),
    [
        ("bg_nbd", {"x": [], "t_x": [], "T": []}, "no row"),
        ("bg_nbd", {"x": [1], "T": [2]}, "lack ['t_x']"),
        ("bg_nbd", {"x": [1, 2], "t_x": [1], "T": [2]}, "different lengths"),
        ("bg_nbd", {"x": [-1], "t_x": [0], "T": [2]}, "x must be a whole number"),
        ("bg_nbd", {"x": [1.5], "t_x": [1], "T": [2]}, "x must be a whole number"),
        ("bg_nbd", {"x": [1], "t_x": [3], "T": [2]}, "t_x must not be larger than T"),
        ("bg_nbd", {"x": [1], "t_x": [-1], "T": [2]}, "t_x must not be negative"),
        ("bg_nbd", {"x": [0], "t_x": [1], "T": [2]}, "t_x must be 0 where x is 0"),
        ("bg_nbd", {"x": [1], "t_x": [1], "T": [np.nan]}, "T must be a finite number"),
        ("bg_nbd", {"x": [1], "t_x": [1], "T": [np.inf]}, "T must be a finite number"),
        ("bg_nbd", {"x": [[1]], "t_x": [[1]], "T": [[1]]}, "2 dimensions"),
        ("bg_nbd", {"x": ["a"], "t_x": [1], "T": [1]}, "x must be a column of numbers"),
        ("gamma_gamma", {"x": [0], "m_x": [2.0]}, "x must be a whole number"),
        ("gamma_gamma", {"x": [1], "m_x": [0.0]}, "m_x must be above zero"),
        ("gamma_gamma", {"x": [1], "m_x": [1.0], "log_m_x": [np.nan]}, "log_m_x must be a finite"),
    ],
)
def test_data_of_the_wrong_shape_are_refused_in_words(model, data, words):
    with pytest.raises(InputError) as refusal:
        fit(model, data)
    assert words in str(refusal.value)


@pytest.mark.parametrize(
    ("weights", "words"),
    [([1, 1], "2 weights for 1 rows"), ([-1], "not negative"), ([np.nan], "finite"), ([0], "zero")],
)
def test_weights_of_the_wrong_shape_are_refused_in_words(weights, words):
    with pytest.raises(InputError, match=words):
        fit("bg_nbd", {"x": [1], "t_x": [1], "T": [2]}, weights)


def test_an_unknown_model_is_refused_with_those_there_are():
    with pytest.raises(
        ConfigError, match=r"no model 'nbd'; there are \['bdw', 'bg_bb', .*'pareto_nbd', 'sbg'\]"
    ):
        fit("nbd", {})
