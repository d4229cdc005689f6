"""Gamma-gamma far off the beaten track: finite, in range and without a warning."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import gammaln

from clv_spark.models import MODELS, gamma_gamma


def powers(low, high):
    return st.floats(low, high).map(lambda exponent: 10.0**exponent)


purchases = st.sampled_from([1.0, 2.0, 30.0, 4000.0])


@settings(max_examples=80, deadline=None, derandomize=True)
@given(powers(-5, 5), powers(-9, 5), powers(-9, 9), purchases, powers(-6, 9))
def test_any_parameters_give_finite_numbers_in_range_without_warning(p, excess, gamma, x, m_x):
    params = {"p": p, "q": 1 + excess, "gamma": gamma}
    columns = MODELS["gamma_gamma"].read({"x": [x], "m_x": [m_x]})
    with np.errstate(all="raise", under="ignore"):
        logs = gamma_gamma.log_likelihood(params, x, m_x)
        spend, anybody = gamma_gamma.expected_spend(params, [x, 0.0], [m_x, np.nan])
        value, gradient = MODELS["gamma_gamma"].likelihood(columns, np.ones(1))(
            np.array([*params.values()])
        )
    assert np.isfinite(logs)
    # Their terms are up to 1e9 times larger than their sum.
    assert value == pytest.approx(float(logs), rel=1e-9, abs=1e-4)
    assert np.all(np.isfinite(gradient))
    assert 0 < anybody < np.inf
    # A mean of the customer's own and everybody's.
    low, high = sorted([m_x, anybody])
    assert low * (1 - 1e-9) <= spend <= high * (1 + 1e-9)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(powers(-5, 5), powers(-5, 0), powers(-9, 9), purchases, powers(-6, 9))
def test_without_a_mean_the_likelihood_is_finite_and_spend_is_said_to_be_unknown(
    p, q, gamma, x, m_x
):
    params = {"p": p, "q": q, "gamma": gamma}
    with np.errstate(all="raise", under="ignore"):
        assert np.isfinite(gamma_gamma.log_likelihood(params, x, m_x))
        assert np.isnan(gamma_gamma.expected_spend(params, [x, 0.0], [m_x, 0.0])).all()


@pytest.mark.parametrize(
    ("p", "q", "gamma", "x"), [(6.25, 3.74, 15.44, 1), (0.4, 1.02, 90.0, 3), (800.0, 40.0, 2.0, 50)]
)
def test_density_of_the_mean_is_the_integral_over_customers_by_scipy_quad(p, q, gamma, x):
    """Note 025: the mean is Gamma(p x, nu x) distributed, nu Gamma(q, gamma)."""
    params = {"p": p, "q": q, "gamma": gamma}
    for m_x in (0.5, 1.0, 2.0):
        m_x *= p * gamma / q
        logs = gamma_gamma.log_likelihood(params, float(x), m_x)
        shape, rate = p * x + q, gamma + x * m_x
        peak = np.log(shape / rate)

        def term(log_nu, shape=shape, rate=rate, peak=peak):
            return np.exp(shape * (log_nu - peak) - rate * (np.exp(log_nu) - np.exp(peak)))

        width = 40 / np.sqrt(shape)
        area = quad(term, peak - width - 40 / shape, peak + min(width, 6.0), epsabs=0, limit=400)[0]
        plain = np.log(area) + shape * peak - rate * np.exp(peak)
        plain += (p * x - 1) * np.log(m_x) + p * x * np.log(x) - gammaln(p * x)
        plain += q * np.log(gamma) - gammaln(q)
        assert logs == pytest.approx(plain, rel=1e-9)
