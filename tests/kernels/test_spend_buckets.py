"""Mean spends in buckets of 0.2% give the parameters of the exact rows, at the size they are for.

The buckets are made here by hand, as the Spark transform makes them: count, mean and mean log of
each (frequency, floor(ln mean / 0.002)).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from clv_spark.kernels.fit_segment import fit_segment

REPEATERS = 150_000
WIDTH = 0.002


def repeaters() -> pd.DataFrame:
    """Mean spends of a gamma-gamma world like CDNOW's, in cents as a shop would have them."""
    rng = np.random.default_rng(20)
    x = rng.geometric(0.35, REPEATERS)
    nu = rng.gamma(3.74, 1 / 15.44, REPEATERS)
    mean = np.round(rng.gamma(6.25 * x) / nu, 2) / x
    mean = np.maximum(mean, 0.01)
    return pd.DataFrame({"segment": "one", "frequency": x, "monetary_value": mean})


def fitted(patterns: pd.DataFrame) -> dict[str, Any]:
    least = {"min_customers": 1, "min_repeaters": 1, "max_correlation": 0.2}
    return fit_segment(patterns, model="gamma_gamma", unit_days=7, **least)


def test_buckets_and_exact_rows_agree() -> None:
    rows = repeaters()
    log = np.log(rows["monetary_value"])
    exact = rows.assign(mean_log=log, customers=1)
    groups = exact.assign(bucket=np.floor(log / WIDTH)).groupby(["frequency", "bucket"])
    bucketed = groups.agg(
        monetary_value=("monetary_value", "mean"),
        mean_log=("mean_log", "mean"),
        customers=("customers", "sum"),
    ).reset_index()
    bucketed["segment"] = "one"
    by_row, by_bucket = fitted(exact), fitted(bucketed)
    assert len(bucketed) < REPEATERS / 5
    assert by_row["status"] == by_bucket["status"] == "ok"
    assert by_bucket["n_customers"] == REPEATERS
    assert by_bucket["parameters"] == pytest.approx(by_row["parameters"], rel=2e-4)
    assert by_bucket["parameters"] != by_row["parameters"]
    errors = by_row["standard_errors"]
    assert by_bucket["standard_errors"] == pytest.approx(errors, rel=1e-3)
    name = "log_frequency_spend_correlation"
    assert by_bucket[name] == pytest.approx(by_row[name], abs=1e-5)
    assert by_row["parameters"] == pytest.approx({"p": 6.25, "q": 3.74, "gamma": 15.44}, rel=0.05)
