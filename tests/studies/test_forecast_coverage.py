"""Months ahead of simulated shops with a known season: the bounds hold as often as they say."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

from tests.kernels.seasonal_worlds import forecast_of, shop


@cache
def worlds(model):
    """Twelve months of ten shops, each with a season of its own."""
    found = []
    for seed in range(10):
        effects = np.exp(0.25 * np.random.default_rng(1000 + seed).standard_normal(12))
        world = shop(seed, model, 12 * effects / effects.sum(), first_month=seed, a_day=2.5)
        found.append(forecast_of(world, model).assign(world=f"{model} {seed}"))
    return pd.concat(found)


def test_80_percent_of_months_lie_within_their_bounds():
    """benchmarks/forecast_coverage.py does the same with many more worlds."""
    both = pd.concat([worlds("bg_nbd"), worlds("pareto_nbd")])
    inside = both["actual"].between(both["revenue_low"], both["revenue_high"])
    assert 0.75 <= inside.mean() <= 0.85
    # The revenue of several months together, whose bounds are no sums of bounds.
    to_date = both.groupby("world")["actual"].cumsum()
    inside = to_date.between(both["cumulative_revenue_low"], both["cumulative_revenue_high"])
    assert 0.7 <= inside.mean() <= 0.9
    # Neither too high nor too low in sum, and better than a forecast without season.
    assert both["expected_revenue"].sum() == pytest.approx(both["actual"].sum(), rel=0.03)
    even = both["expected_revenue"] / both["seasonal_index"]
    errors = [(one / both["actual"] - 1).abs().mean() for one in (both["expected_revenue"], even)]
    assert errors[0] < 0.6 * errors[1]
