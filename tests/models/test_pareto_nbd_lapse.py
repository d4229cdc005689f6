"""The probability of lapsing against the power series of the papers, and at its limits."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import hyp2f1

from clv_spark.models.pareto_lapse import lapse_probability, lapse_with_slopes


def arrays(*values):
    return [np.atleast_1d(np.asarray(value, dtype=np.float64)) for value in values]


def by_series(k, s, A, B):
    """Gauss's series, all of whose terms are positive, summed without rounding: no quadrature."""
    z = 1 - min(A, B) / max(A, B)
    start, factor = (k, 1.0) if A >= B else (s + 1, A / B)
    terms = [factor * s / (k + s)]
    while terms[-1] > 1e-18 * terms[0] or len(terms) < 50:
        j = len(terms) - 1
        terms.append(terms[-1] * (start + j) / (k + s + 1 + j) * z)
    return math.fsum(terms)


exponents = st.floats(-4, 3.5).map(lambda power: 10.0**power)
scales = st.floats(-1, 1).map(lambda power: 10.0**power)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(exponents, exponents, scales, scales)
def test_value_is_that_of_the_series_to_1e_12(k, s, A, B):
    value = lapse_probability(*arrays(k, s, A, B))
    assert value[0] == pytest.approx(by_series(k, s, A, B), rel=1e-12)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(exponents, exponents, scales, scales)
def test_slopes_are_those_of_the_series(k, s, A, B):
    lapse = lapse_with_slopes(*arrays(k, s, A, B))
    slopes = (lapse.by_r, lapse.by_s, lapse.by_alpha, lapse.by_beta)
    point = np.array([k, s, A, B])
    for index, slope in enumerate(slopes):
        shift = np.zeros(4)
        shift[index] = 1e-3
        # Of the fourth order in the logarithm of the argument.
        up, down, up_2, down_2 = (
            by_series(*(point * np.exp(step * shift))) for step in (1, -1, 2, -2)
        )
        numeric = (8 * (up - down) - (up_2 - down_2)) / 12e-3
        assert slope[0] * point[index] == pytest.approx(numeric, rel=1e-7, abs=1e-9 * lapse.q[0])
    assert lapse.q == lapse_probability(*arrays(k, s, A, B))


@pytest.mark.parametrize(
    ("k", "s", "A", "B"),
    [(0.55, 0.61, 10.58, 11.67), (0.03, 0.04, 5e3, 2.0), (7.0, 0.3, 1.0, 1e4), (300.0, 40.0, 9, 2)],
)
def test_value_is_the_integral_by_scipy_quad(k, s, A, B):
    def integrand(y):
        u = math.expm1(y)
        return s / (B + u) * (1 + u / B) ** -s * (1 + u / A) ** -k * math.exp(y)

    ends = [0, *np.geomspace(1e-3, 700, 40)]
    parts = [
        quad(integrand, low, high, epsabs=1e-17, epsrel=1e-12)[0] for low, high in pairwise(ends)
    ]
    assert lapse_probability(*arrays(k, s, A, B))[0] == pytest.approx(math.fsum(parts), rel=1e-12)


@pytest.mark.parametrize(("alpha", "beta"), [(10.58, 11.67), (11.67, 10.58), (9.0, 9.0)])
def test_difference_is_the_closed_form_of_hardies_note_009(alpha, beta):
    """A_0 of eqs. 19 and 20 in both branches, from lapse at t_x and at T."""
    r, s, x, t_x, T = 0.55, 0.61, 3.0, 6.0, 8.0
    k, large = r + x, max(alpha, beta)
    second = s + 1 if alpha >= beta else k
    f_x, f_T = (
        hyp2f1(k + s, second, k + s + 1, abs(alpha - beta) / (large + t)) / (large + t) ** (k + s)
        for t in (t_x, T)
    )
    q_x, q_T = (lapse_probability(*arrays(k, s, alpha + t, beta + t))[0] for t in (t_x, T))
    a_0 = q_x / ((alpha + t_x) ** k * (beta + t_x) ** s)
    a_0 -= q_T / ((alpha + T) ** k * (beta + T) ** s)
    assert a_0 == pytest.approx(s / (k + s) * (f_x - f_T), rel=1e-11)


wide = st.floats(-5, 5).map(lambda power: 10.0**power)
far = st.floats(-7, 9).map(lambda power: 10.0**power)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(wide, wide, far, far)
def test_anything_a_search_may_try_gives_a_probability_without_warning(k, s, A, B):
    with np.errstate(all="raise", under="ignore"):
        lapse = lapse_with_slopes(*arrays(k, s, A, B))
    assert 0 < lapse.q[0] < 1 + 1e-12
    assert all(np.isfinite(part[0]) for part in lapse)
    # Buying faster or later leaving makes lapsing rarer; only the ratio of the scales counts.
    assert lapse.by_r[0] <= 0 <= lapse.by_s[0]
    assert lapse.by_beta[0] <= 0 <= lapse.by_alpha[0]
    assert lapse.by_alpha[0] * A == pytest.approx(-lapse.by_beta[0] * B, rel=1e-12)
    # Both ways of leaving the present state have rates; q is between their shares at the ends.
    low, high = sorted((s * A / (s * A + k * B), s / (s + k)))
    assert low * (1 - 1e-9) <= lapse.q[0] <= high * (1 + 1e-9)


def test_values_are_bit_equal_alone_and_in_any_company():
    random = np.random.default_rng(4)
    size = 20_000
    columns = [10 ** random.uniform(-3, 3, size) for _ in range(4)]
    together = lapse_with_slopes(*columns)
    for rows in np.array_split(random.permutation(size), [1, 3, 100, 9_000]):
        part = lapse_with_slopes(*(column[rows] for column in columns))
        for own, all_of_them in zip(part, together, strict=True):
            assert np.array_equal(own, all_of_them[rows])
