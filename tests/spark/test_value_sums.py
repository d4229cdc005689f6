"""Sums per pattern: in steps of time a large segment is expected to do what its customers are."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession

from clv_spark.kernels.churn import future_of_customers
from clv_spark.kernels.forecast_revenue import Arrivals, forecast_segment
from clv_spark.kernels.segment_table import SegmentParameters
from clv_spark.transforms.summary import KEYS, value_sums

CUSTOMERS = 8000
UK = SegmentParameters(
    segment="uk",
    model="bg_nbd",
    unit_days=7,
    purchases=(0.55, 6.0, 0.8, 3.0),
    purchases_covariance=(),
    purchases_segment="global",
    spend={"p": 6.25, "q": 3.74, "gamma": 15.44},
    spend_covariance=(),
    spend_segment="global",
    return_rate=0.0,
    return_prior_amount=100.0,
    margin_rate=0.3,
)


def customers(oldest: int) -> pd.DataFrame:
    """Customers of a young or an old shop who buy at gamma distributed rates."""
    rng = np.random.default_rng(1)
    age = rng.integers(1, oldest + 1, CUSTOMERS)
    x = np.minimum(rng.poisson(rng.gamma(0.55, 1 / 6.0, CUSTOMERS) / 7 * age), age)
    last = np.ceil(age * rng.beta(np.maximum(x, 1), 1)).astype(int)
    return pd.DataFrame(
        {
            "segment": "uk",
            "frequency": x,
            "recency": np.where(x > 0, np.clip(last, x, age), 0),
            "T": age,
            "spend_x": x + 1.0,
            "spent": (x + 1) * rng.gamma(4.0, 8.0, CUSTOMERS),
            "return_rate": 0.1,
            "p_active_365d": 0.5,
            "clv": 10.0,
        }
    )


@pytest.mark.parametrize("oldest", [90, 365, 1100])
def test_steps_of_time_leave_what_is_expected_of_all(spark: SparkSession, oldest: int) -> None:
    scored = spark.createDataFrame(customers(oldest))
    exact, stepped = (
        value_sums(scored, large).toPandas() for large in (frozenset(), frozenset({"uk"}))
    )
    assert len(stepped) < 0.75 * len(exact)
    assert stepped["recency"].between(stepped["frequency"], stepped["T"]).all()
    assert ((stepped["recency"] == 0) == (stepped["frequency"] == 0)).all()
    sums = [name for name in exact.columns if name not in KEYS]
    pd.testing.assert_series_equal(exact[sums].sum(), stepped[sums].sum())

    found = []
    for rows in (exact, stepped):
        ahead = forecast_segment(
            rows,
            UK,
            Arrivals(days=365, counted=0),
            [1.0] * 12,
            as_of=dt.date(2024, 3, 31),
            months=12,
            keeps_refunds=False,
        )
        future = future_of_customers(rows, UK, [0.5], horizon_days=1095, annual_discount_rate=0.1)
        ratios = future.ratios[0.5]
        sums = [future.purchases, future.years, ratios.revenue, ratios.purchases, ratios.time]
        found.append([*ahead.existing_purchases, *ahead.existing_revenue, *sums])
    np.testing.assert_allclose(found[1], found[0], rtol=2.5e-3)
