"""The incomplete beta function against scipy's, over all shapes an interval may meet."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import betainc, betaincinv, betaln, xlog1py, xlogy

from clv_spark.economics.beta_share import LARGEST_SHAPE, beta_share

pytestmark = pytest.mark.filterwarnings("error")

SIZE = 20_000


def shapes(seed=1):
    rng = np.random.default_rng(seed)
    a, b = np.exp(rng.uniform(np.log([[0.02], [1.0]]), np.log([[3e3], [1e4]]), (2, SIZE)))
    x = betaincinv(a, b, rng.uniform(0.001, 0.999, SIZE))
    some = (x > 0) & (x < 1)
    return a[some], b[some], x[some]


def kernel(a, b, x):
    return np.exp(xlogy(a, x) + xlog1py(b, -x) - betaln(a, b))


def test_five_digits_of_whichever_side_is_less():
    a, b, x = shapes()
    exact = betainc(a, b, x)
    off = np.abs(beta_share(a, b, x, kernel(a, b, x)) - exact) / np.minimum(exact, 1 - exact)
    assert np.max(off) < 1e-5
    assert np.median(off) < 1e-11
    # Both ways are needed, and both are tried.
    assert 0.2 < np.mean(np.minimum(a, b) > LARGEST_SHAPE) < 0.8


@pytest.mark.parametrize("x", [0.0, 1.0])
def test_the_ends(x):
    assert beta_share(2.0, 3.0, x, 0.0) == x
    assert beta_share(200.0, 300.0, x, 0.0) == x


def test_a_value_is_the_same_in_any_company():
    columns = shapes(2)
    columns = (*columns, kernel(*columns))
    together = beta_share(*columns)
    for rows in (slice(0, 1), slice(3, 10), slice(500, 1507)):
        alone = beta_share(*(column[rows] for column in columns))
        assert np.array_equal(alone, together[rows])
    assert np.array_equal(beta_share(*(c[::-1] for c in columns)), together[::-1])
