"""Models of contracts: gradients, delayed entry, the case c = 1, worlds with known parameters."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clv_spark.errors import InputError
from clv_spark.models import MODELS, bdw, fit, sbg
from clv_spark.models.contract_forecast import discounted_renewals, retention_rate

POSITIVE = st.floats(0.05, 50.0)
CONTRACT = st.tuples(st.integers(0, 30), st.integers(0, 40), st.booleans()).map(
    lambda one: (one[0], one[0] + one[1] + one[2], int(one[2]))
)
CONTRACTS = st.lists(CONTRACT, min_size=1, max_size=6)


def columns(contracts):
    entry, tenure, lost = zip(*contracts, strict=True)
    return {"entry": entry, "tenure": tenure, "lost": lost}


def evaluated(name, data, point):
    model = MODELS[name]
    read = model.read(data)
    return model.likelihood(read, np.ones(read["entry"].size))(np.asarray(point, dtype=float))


def world(rng, size, alpha, beta, periods, late):
    """Contracts of an sBG world, some of which came under observation late."""
    lost_in = rng.geometric(rng.beta(alpha, beta, size))
    entry = rng.integers(0, late + 1, size)
    seen = lost_in > entry
    lost = lost_in <= entry + periods
    tenure = np.where(lost, lost_in, entry + periods)
    return {"entry": entry[seen], "tenure": tenure[seen], "lost": lost[seen].astype(int)}


@given(CONTRACTS, POSITIVE, POSITIVE)
def test_bdw_with_c_of_one_is_sbg(contracts, alpha, beta):
    plain = evaluated("sbg", columns(contracts), [alpha, beta])
    aging = evaluated("bdw", columns(contracts), [alpha, beta, 1.0])
    assert aging[0] == pytest.approx(plain[0], rel=1e-12)
    assert aging[1][:2] == pytest.approx(plain[1], rel=1e-9, abs=1e-12)


def test_probabilities_of_all_that_may_happen_add_up_to_one():
    """Of a contract that has survived 3 periods and is watched for 5 more."""
    ways = [(3, n, 1) for n in range(4, 9)] + [(3, 8, 0)]
    logs = [evaluated("sbg", columns([way]), [0.6, 1.7])[0] for way in ways]
    assert np.exp(logs).sum() == pytest.approx(1.0, rel=1e-12)


def test_delayed_entry_finds_the_world_and_leaving_it_out_does_not():
    data = world(np.random.default_rng(3), 200_000, alpha=0.8, beta=2.5, periods=6, late=12)
    result = fit("sbg", data)
    for name, truth in (("alpha", 0.8), ("beta", 2.5)):
        error = result.parameters[name] - truth
        assert abs(error) < 3.5 * result.standard_errors[name], (name, error)
    first = retention_rate(sbg.log_survival, result.parameters, 1)
    assert first == pytest.approx(2.5 / 3.3, abs=0.01)
    naive = fit("sbg", {**data, "entry": np.zeros_like(data["entry"])})
    assert retention_rate(sbg.log_survival, naive.parameters, 1) > 0.9


@pytest.mark.long
@pytest.mark.parametrize(("name", "letters"), [("sbg", "alpha beta"), ("bdw", "gamma delta c")])
def test_confidence_intervals_cover_92_to_98_percent_of_400_worlds(name, letters):
    """Staggered starts and late entries; sBG worlds, in which c is 1."""
    rng = np.random.default_rng(8)
    truths = dict(zip(letters.split(), (1.0, 3.0, 1.0), strict=False))
    inside = dict.fromkeys(truths, 0)
    for _ in range(400):
        data = world(rng, 2_000, alpha=1.0, beta=3.0, periods=8, late=4)
        result = fit(name, data)
        assert result.status == "ok", result.message
        for letter, truth in truths.items():
            # On the log scale, on which the likelihood is nearly a parabola.
            error = result.standard_errors[letter] / result.parameters[letter]
            inside[letter] += abs(np.log(result.parameters[letter] / truth)) < 1.96 * error
    assert all(0.92 * 400 <= count <= 0.98 * 400 for count in inside.values()), inside


@pytest.mark.parametrize(
    ("data", "status", "word"),
    [
        ({"entry": [0, 0], "tenure": [5, 9], "lost": [0, 0]}, "not_identified", "no contract"),
        ({"entry": [0] * 3, "tenure": [1, 2, 3], "lost": [0, 1, 1]}, "degenerate", "differ"),
    ],
    ids=["nobody lost", "ever more readily lost"],
)
def test_what_contracts_cannot_tell_is_named(data, status, word):
    result = fit("sbg", data, weights=[50] * len(data["lost"]))
    assert (result.status, word in result.message) == (status, True), result.message


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"tenure": [0.5]}, "whole periods"),
        ({"lost": [2]}, "lost must be"),
        ({"entry": [4], "tenure": [4], "lost": [1]}, "before it came under observation"),
    ],
)
def test_impossible_contracts_are_refused(changed, word):
    data = {"entry": [0], "tenure": [3], "lost": [1], **changed}
    with pytest.raises(InputError, match=word):
        fit("sbg", data)


def test_without_horizon_a_discount_is_needed_and_with_one_it_is_not():
    params = {"alpha": 0.7, "beta": 1.2}
    for lifetime in (sbg.discounted_lifetime, bdw.discounted_lifetime):
        with pytest.raises(InputError, match="infinite"):
            lifetime({**params, "gamma": 0.7, "delta": 1.2, "c": 1.0}, 0.0)
    renewals = discounted_renewals(sbg.log_survival, params, 3, 0.0, 0)
    assert renewals == pytest.approx(np.exp(sbg.log_survival(params, [1, 2, 3])).sum())


def test_survival_over_long_times_has_all_digits():
    """Far out S falls like t^-alpha; differences of two huge logarithms would not show it."""
    params = {"alpha": 0.25, "beta": 2.0}
    for t in (1e3, 1e5, 1e7):
        slope = sbg.log_survival(params, 2 * t) - sbg.log_survival(params, t)
        # From one asymptotic term more, t^-1, its error being of the order t^-2.
        shift = 2.0 + (0.25 - 1) / 2
        expected = -0.25 * (np.log(2) + np.log1p(shift / (2 * t)) - np.log1p(shift / t))
        assert slope == pytest.approx(expected, abs=1e-13 + 1 / t**2)


@pytest.mark.parametrize("rate", [1e-4, 0.00165, 0.008, 0.1])
def test_lifetimes_without_horizon_are_the_sum_over_the_periods_at_any_rate(rate):
    """2F1 gave -7.8 for 1.80, and NaN for others."""
    for alpha, beta in ((1.0, 0.3), (0.3, 30.0), (3.0, 30.0), (1.0, 300.0)):
        params = {"alpha": alpha, "beta": beta}
        n = np.array([0, 12, 240])
        found = sbg.discounted_residual_lifetime(params, rate, n)
        k = np.arange(1, int(40 / rate) + 1, dtype=float)
        for place, survived in enumerate(n):
            logs = sbg.log_survival(params, survived + k) - sbg.log_survival(params, survived)
            expected = np.sum(np.exp(logs - (k - 1) * np.log1p(rate)))
            assert found[place] == pytest.approx(expected, rel=1e-9)
        new = sbg.discounted_lifetime(params, rate)
        assert float(new) == pytest.approx(1 + found[0] / (1 + rate), rel=1e-12)


def test_a_sum_that_would_never_end_is_refused():
    params = {"gamma": 0.7, "delta": 3.0, "c": 1.0}
    with pytest.raises(InputError, match="take a higher rate"):
        bdw.discounted_residual_lifetime(params, 1e-6, 0)


@pytest.mark.parametrize(
    ("c", "exact"),
    [
        (1.3, (-0.0828591983101, 0.261508046966, 0.177207040835)),
        (5.2, (-0.684603142192, 0.273794605549, -0.410474325414)),
        (8.74, (-1.23009529842, 0.275813169657, -0.954167254863)),
    ],
)
def test_the_gradient_recomputed_with_mpmath_where_risk_grows_steeply(c, exact):
    """Time to the power of c is 1e13 there: a plain difference of digammas has no digits."""
    data = columns([(0, t, lost) for t in (1, 2, 5, 12, 34) for lost in (0, 1)])
    _, gradient = evaluated("bdw", data, [0.0961, 0.1678, c])
    assert gradient == pytest.approx(exact, rel=1e-9)


def test_nothing_overflows_where_a_contract_is_hardly_ever_kept():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value, gradient = evaluated("bdw", columns([(0, 24, 1)]), [82114.0, 0.0031, 2.45])
    assert np.isfinite(value)
    assert np.all(np.isfinite(gradient))


def test_where_all_are_lost_late_nobody_says_that_none_is():
    data = columns([(0, t, 1) for t in (11, 12, 13)])
    found = fit("bdw", data, weights=[100, 700, 150])
    assert found.status != "ok"
    assert "no contract is lost" not in found.message
