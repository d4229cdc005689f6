"""Pooling: as good as the better of leaving segments alone and lumping them together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clv_spark.models import MODELS, PURCHASE_MODELS, bg_nbd, fit, fitting, gamma_gamma, search
from clv_spark.models.draws import parameter_draws
from clv_spark.models.pooling import fit_pooled, posterior_summary
from clv_spark.models.prior import Prior, estimate_spread, wide_prior
from clv_spark.models.transform import coordinates_of
from clv_spark.models.uncertainty import as_matrix, prediction_errors

BG, GG = MODELS["bg_nbd"], MODELS["gamma_gamma"]
PARENT = {"r": 0.5, "alpha": 5.0, "a": 0.8, "b": 2.4}
COORDINATES = coordinates_of(BG.parameters)
CENTRE = COORDINATES.forward(np.array([*PARENT.values()]))


def simulated(random, values, size, ahead=0.0):
    """Customers of a BG/NBD segment after half a year to two years, and purchases after that."""
    r, alpha, a, b = values
    rate, leave = random.gamma(r, 1 / alpha, size), random.beta(a, b, size)
    T = random.integers(26 * 7, 104 * 7, size) / 7
    x, t_x, later, now = np.zeros((4, size))
    here = np.arange(size)
    while here.size:
        now[here] += random.exponential(1, here.size) / np.maximum(rate[here], 1e-12)
        here = here[now[here] < T[here] + ahead]
        past = now[here] < T[here]
        before = here[past]
        x[before], t_x[before] = x[before] + 1, now[before]
        later[here[~past]] += 1
        here = here[random.random(here.size) >= leave[here]]
    return {"x": x, "t_x": t_x, "T": T}, later


def world(seed, spread, sizes):
    """Segments around the parent: their customers, and as many others again to judge by."""
    random = np.random.default_rng(seed)
    segments = []
    for size in sizes:
        values = np.exp(COORDINATES.backward(CENTRE + spread * random.standard_normal(4)))
        segments.append([simulated(random, values, count)[0] for count in (size, 1500)])
    return segments


def choices(model, segments):
    """Parameters of every segment: left alone, lumped together, pooled; and the prior."""
    parent = fit(
        model.name, {name: np.concatenate([own[name] for own in segments]) for name in segments[0]}
    ).parameters
    wide, rows = wide_prior(parent), []
    prior = estimate_spread([posterior_summary(model, own, None, wide) for own in segments], parent)
    for own in segments:
        alone = fit(model.name, own)
        pooled = fit_pooled(model, own, None, prior)
        assert pooled.status == "ok"
        # Who does not pool has the parent's parameters where their own can't be told.
        own_values = alone.parameters if alone.status == "ok" else parent
        rows.append((own_values, parent, pooled.parameters))
    return rows, prior


def losses(segments):
    """Minus the log-likelihood of a held-out customer: left alone, lumped together, pooled."""
    rows, prior = choices(BG, [own for own, _ in segments])
    table = [
        [-np.mean(bg_nbd.log_likelihood(params, **held_out)) for params in row]
        for row, (_, held_out) in zip(rows, segments, strict=True)
    ]
    return np.array(table), prior


def assert_best(table, sizes):
    """Within 1% of the better of alone and lumped at each size, and better than both overall."""
    for size in np.unique(sizes):
        alone, lumped, pooled = table[sizes == size].mean(axis=0)
        assert pooled < 1.01 * min(alone, lumped), size
    alone, lumped, pooled = table.mean(axis=0)
    assert pooled < 0.995 * min(alone, lumped)


@pytest.mark.studies
@pytest.mark.parametrize("seed", [3, 4])
def test_pooled_forecasts_are_within_one_percent_of_the_better_at_each_size_and_best_of_all(seed):
    """By the root mean square error of 1,000 others' purchases in 39 weeks, per segment."""
    random, sizes = np.random.default_rng(seed), np.repeat([20, 60, 200, 600, 2000], 10)
    truths = np.exp(COORDINATES.backward(CENTRE + 0.35 * random.standard_normal((sizes.size, 4))))
    owns = [simulated(random, *pair)[0] for pair in zip(truths, sizes, strict=True)]
    rows, prior = choices(BG, owns)
    table = []
    for values, row in zip(truths, rows, strict=True):
        past, later = simulated(random, values, 1000, 39.0)
        forecasts = (bg_nbd.expected_purchases(params, 39.0, **past) for params in row)
        table.append([np.linalg.norm(forecast - later) for forecast in forecasts])
    assert_best(np.array(table), sizes)
    assert np.all((np.array(prior.spread) > 0.15) & (np.array(prior.spread) < 0.6))


def spenders(random, values, size):
    """Repeat purchases and mean spend of gamma-gamma customers, and what they spend on average."""
    p, q, gamma = values
    x = random.geometric(0.4, size).astype(float)
    pace = random.gamma(q, 1 / gamma, size)
    return {"x": x, "m_x": random.gamma(p * x) / pace / x}, p / pace


@pytest.mark.studies
def test_pooled_forecasts_of_spend_are_as_good():
    """By that of the logarithm of a customer's mean, of which few are very large."""
    random, sizes = np.random.default_rng(4), np.repeat([10, 40, 160, 640], 10)
    coordinates = coordinates_of(GG.parameters)
    centre = coordinates.forward(np.array([6.0, 4.0, 15.0]))
    truths = np.exp(coordinates.backward(centre + 0.35 * random.standard_normal((sizes.size, 3))))
    owns = [spenders(random, *pair)[0] for pair in zip(truths, sizes, strict=True)]
    rows, _ = choices(GG, owns)
    table = []
    for values, row in zip(truths, rows, strict=True):
        past, means = spenders(random, values, 4000)
        ratios = (gamma_gamma.expected_spend(params, **past) / means for params in row)
        table.append([np.linalg.norm(np.log(ratio)) for ratio in ratios])
    assert_best(np.array(table), sizes)


@pytest.mark.studies
def test_equal_segments_are_lumped_together():
    table, prior = losses(world(1, 0.0, np.repeat([30, 300, 1000], 12)))
    _, lumped, pooled = table.mean(axis=0)
    assert pooled < 1.001 * lumped
    assert max(prior.spread) < 0.2


@pytest.mark.studies
def test_very_different_segments_are_left_alone():
    table, prior = losses(world(3, 1.2, np.repeat([100, 1000], 10)))
    alone, lumped, pooled = table.mean(axis=0)
    assert pooled < alone < lumped
    assert min(prior.spread) > 0.6


def no_dropout(size):
    random = np.random.default_rng(5)
    x = random.poisson(4.0, size).astype(float)
    T = np.full(size, 50.0)
    return {"x": x, "t_x": np.where(x > 0, T * random.random(size) ** (1 / (x + 1)), 0.0), "T": T}


def once(size):
    return {"x": np.zeros(size), "t_x": np.zeros(size), "T": np.arange(size) % 50 + 1.0}


EMPTY_HANDED = {
    "no dropout": no_dropout(400),
    "one-time buyers": once(400),
    "a single customer": {"x": [2.0], "t_x": [3.0], "T": [9.0]},
    "all of today": {"x": np.zeros(40), "t_x": np.zeros(40), "T": np.zeros(40)},
    "alike": {"x": np.full(400, 3.0), "t_x": np.full(400, 9.0), "T": np.full(400, 9.0)},
}


@pytest.fixture(scope="module")
def siblings():
    """Their summaries, the data of every third, and its fit before another one joins them."""
    segments = world(8, 0.3, np.repeat([150, 1000], 10))
    summaries = [posterior_summary(BG, own, None, wide_prior(PARENT)) for own, _ in segments]
    before = estimate_spread(summaries, PARENT)
    return summaries, [(own, fit_pooled(BG, own, None, before)) for own, _ in segments[::3]]


@pytest.mark.parametrize("name", EMPTY_HANDED)
def test_one_degenerate_segment_does_not_move_the_others(name, siblings):
    summaries, fits = siblings
    odd = posterior_summary(BG, EMPTY_HANDED[name], None, wide_prior(PARENT))
    after = estimate_spread([*summaries, odd], PARENT)
    for own, one in fits:
        other = fit_pooled(BG, own, None, after)
        errors = np.array([*one.standard_errors.values()])
        moved = np.array([*other.parameters.values()]) - np.array([*one.parameters.values()])
        assert np.all(np.abs(moved) < 0.25 * errors)


@pytest.mark.parametrize("name", EMPTY_HANDED)
@pytest.mark.parametrize("spread", [0.01, 0.3, 3.0])
@pytest.mark.parametrize("model", PURCHASE_MODELS)
def test_a_pooled_fit_is_finite_whatever_the_data(model, name, spread):
    data = EMPTY_HANDED[name]
    if model == "bg_bb":
        # At most one purchase per opportunity.
        t_x = np.ceil(data["t_x"])
        data = {"x": np.minimum(data["x"], t_x), "t_x": t_x, "T": data["T"]}
    spec = MODELS[model]
    centre = coordinates_of(spec.parameters).forward(np.array([0.5, 5.0, 0.8, 2.4]))
    with np.errstate(all="raise", under="ignore"):
        result = fit_pooled(spec, data, None, Prior(tuple(centre), (spread,) * 4))
    assert result.status == "ok"
    assert all(0 < value < 1e9 for value in result.parameters.values())
    assert 0 <= result.own_weight <= 1


any_rows = st.lists(
    st.tuples(st.integers(0, 40), st.floats(0, 1), st.floats(0, 200)), min_size=1, max_size=20
)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(any_rows, st.floats(0.02, 2))
def test_any_data_give_a_fit_and_any_order_the_same_bytes(rows, spread):
    x, share, T = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    data = {"x": x, "t_x": np.where(x > 0, share * T, 0.0), "T": T}
    backwards = {name: column[::-1] for name, column in data.items()}
    prior = Prior(tuple(CENTRE), (spread,) * 4)
    result = fit_pooled(BG, data, None, prior)
    assert np.all(np.isfinite([*result.parameters.values()]))
    assert fit_pooled(BG, backwards, None, prior) == result
    summary = posterior_summary(BG, data, None, prior)
    assert posterior_summary(BG, backwards, None, prior) == summary
    silent = estimate_spread([summary], PARENT)
    assert np.all(np.isfinite([*silent.centre, *silent.spread]))
    assert all(0.05 < width < 5 for width in silent.spread)


def test_the_order_of_siblings_does_not_matter():
    wide = wide_prior(PARENT)
    segments = world(2, 0.3, [50, 100, 400, 90])
    summaries = [posterior_summary(BG, own, None, wide) for own, _ in segments]
    assert estimate_spread(summaries[::-1], PARENT) == estimate_spread(summaries, PARENT)


def test_without_siblings_the_prior_is_the_usual_one_around_the_parent():
    prior = estimate_spread([], PARENT)
    assert prior.centre == tuple(CENTRE)
    assert prior.spread == (0.3,) * 4


def test_a_wide_prior_leaves_the_maximum_of_the_likelihood(cdnow, bg_fit):
    prior = Prior(wide_prior(PARENT).centre, (1e4,) * 4)
    result = fit_pooled(BG, cdnow.purchases(), None, prior)
    assert result.parameters == pytest.approx(bg_fit.parameters, rel=1e-6)
    assert result.log_likelihood == pytest.approx(bg_fit.log_likelihood, rel=1e-12)
    assert result.standard_errors == pytest.approx(bg_fit.standard_errors, rel=1e-5)
    assert result.own_weight == pytest.approx(1, abs=1e-6)


def test_a_narrow_prior_leaves_its_centre(cdnow):
    prior = Prior(wide_prior(PARENT).centre, (1e-4,) * 4)
    result = fit_pooled(BG, cdnow.purchases(), None, prior)
    assert result.parameters == pytest.approx(PARENT, rel=1e-4)
    assert result.own_weight < 1e-4


def test_own_weight_grows_with_the_customers(cdnow):
    prior = Prior(wide_prior(PARENT).centre, (0.3,) * 4)
    weights = [
        fit_pooled(BG, cdnow.purchases(), np.full(cdnow.x.size, share), prior).own_weight
        for share in (0.001, 0.01, 0.1, 1.0, 10.0)
    ]
    assert weights == sorted(weights)
    assert weights[0] < 0.05
    assert weights[-1] > 0.95


def test_the_pooled_gradient_balances_likelihood_and_prior(cdnow):
    prior = Prior(wide_prior(PARENT).centre, (0.1,) * 4)
    summary = posterior_summary(BG, cdnow.purchases(), None, prior)
    pull = (np.array(summary.point) - np.array(prior.centre)) / 0.1**2
    assert np.array(summary.gradient) == pytest.approx(pull, rel=1e-6, abs=1e-5)
    pooled = fit_pooled(BG, cdnow.purchases(), None, prior)
    values = np.exp(COORDINATES.backward(np.array(summary.point)))
    assert [*pooled.parameters.values()] == pytest.approx(values.tolist(), rel=1e-12)
    rows = bg_nbd.log_likelihood(pooled.parameters, **cdnow.purchases())
    assert pooled.log_likelihood == pytest.approx(np.sum(rows), rel=1e-12)
    assert summary.log_likelihood == pytest.approx(np.sum(rows), rel=1e-12)


def test_spend_is_pooled_as_well(cdnow, gg_fit):
    spend = {name: column[:40] for name, column in cdnow.spend().items()}
    wide = wide_prior(gg_fit.parameters)
    prior = estimate_spread([posterior_summary(GG, spend, None, wide)], gg_fit.parameters)
    result = fit_pooled(GG, spend, None, prior)
    assert result.status == "ok"
    assert result.parameters["q"] > 1
    assert 0.1 < result.own_weight < 0.9


def test_a_pooled_fit_gives_errors_and_draws_of_predictions(cdnow, bg_fit):
    few = {name: column[:50] for name, column in cdnow.purchases().items()}
    pooled = fit_pooled(BG, few, None, Prior(wide_prior(bg_fit.parameters).centre, (0.2,) * 4))

    def rate(params):
        return params["r"] / params["alpha"]

    draws = parameter_draws(pooled.parameters, pooled.log_covariance, 200, "few")
    error = float(prediction_errors(rate, pooled))
    assert np.std(rate(draws)) == pytest.approx(error, rel=0.1)
    assert error < 0.2 * rate(pooled.parameters)


def test_large_data_start_coarse_and_end_exact(monkeypatch, cdnow):
    prior = Prior(wide_prior(PARENT).centre, (0.3,) * 4)
    plain = fit_pooled(BG, cdnow.purchases(), None, prior)
    monkeypatch.setattr(fitting, "COARSEN_ABOVE", 100)
    result = fit_pooled(BG, cdnow.purchases(), None, prior)
    assert result.parameters == pytest.approx(plain.parameters, rel=1e-8)


def test_a_search_that_ends_early_is_failed_yet_finite(monkeypatch, cdnow):
    monkeypatch.setattr(search, "NEWTON_STEPS", 0)
    monkeypatch.setattr(search, "QUASI_NEWTON_STEPS", 1)
    result = fit_pooled(BG, cdnow.purchases(), None, Prior(tuple(CENTRE + 1), (0.3,) * 4))
    assert result.status == "failed"
    assert np.all(np.isfinite([*result.parameters.values()]))
    assert result.covariance == ()


def test_an_unsure_middle_counts_as_much_as_a_segment_is_drawn_to_it(cdnow):
    centre = wide_prior(PARENT).centre
    unsure = as_matrix(np.diag([0.04, 0.01, 0.09, 0.02]))
    few = {name: column[:60] for name, column in cdnow.purchases().items()}
    drawn, free = (
        fit_pooled(BG, few, None, Prior(centre, (spread,) * 4, unsure)) for spread in (1e-4, 1e3)
    )
    jacobian = COORDINATES.jacobian(np.array(centre))
    expected = jacobian @ np.array(unsure) @ jacobian.T
    assert np.array(drawn.log_covariance) == pytest.approx(expected, rel=1e-3, abs=1e-6)
    loadings = np.array(drawn.log_loadings)
    assert loadings @ loadings.T == pytest.approx(expected, rel=1e-3, abs=1e-6)
    assert np.abs(free.log_loadings).max() < 0.02
    known = fit_pooled(BG, few, None, Prior(centre, (0.3,) * 4))
    wider = fit_pooled(BG, few, None, Prior(centre, (0.3,) * 4, unsure))
    assert known.log_loadings == ()
    assert (wider.parameters, wider.own_weight) == (known.parameters, known.own_weight)
    both = np.array(known.log_covariance) + np.array(wider.log_loadings) @ np.transpose(
        wider.log_loadings
    )
    assert np.array(wider.log_covariance) == pytest.approx(both)
    assert wider.standard_errors["r"] > known.standard_errors["r"]


def test_who_takes_the_parents_parameters_is_as_far_as_siblings_are():
    prior = Prior((CENTRE[0] + 0.4, *CENTRE[1:]), (0.3, 0.3, 0.2, 0.1))
    assert prior.from_parent(PARENT) == pytest.approx([0.5, 0.3, 0.2, 0.1])
