"""Segment fits on worlds whose truth is known: right, and better than the global model."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from pyspark.sql import Row, SparkSession

from clv_spark.kernels.generate import transactions, truth
from clv_spark.lake import Lake
from clv_spark.models import bg_nbd, gamma_gamma
from clv_spark.pipelines import build_customer_days, build_features, fit_models
from clv_spark.schemas import CUSTOMER_DAYS, CUSTOMER_FEATURES, MODEL_PARAMETERS
from tests.generated import config, write
from tests.small_spark import compiled

Floats = NDArray[np.float64]
CUSTOMERS = 30_000
START, CUTOFF, END = dt.date(2021, 1, 1), dt.date(2022, 12, 31), dt.date(2023, 12, 31)
COUNTRIES = tuple(truth())
PURCHASE, SPEND = ("r", "alpha", "a", "b"), ("p", "q", "gamma")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight countries over three years; the last year is the holdout."""
    folder = tmp_path_factory.mktemp("eight")
    batches = transactions(
        0, CUSTOMERS, start=START, end=END, lines_per_purchase=1.0, seed=11, acquisition_share=0.55
    )
    write(folder, pa.Table.from_batches(batches))
    return folder


@pytest.fixture(scope="module")
def lake(spark: SparkSession, world: Path) -> Lake:
    settings = config(world)
    with compiled(spark):
        build_customer_days(spark, settings)
        build_features(spark, settings, CUTOFF)
        fit_models(spark, settings, CUTOFF)
    return Lake(spark, settings)


def parameters(lake: Lake) -> dict[tuple[str, str], Row]:
    return {(r["model"], r["segment"]): r for r in lake.read(MODEL_PARAMETERS).collect()}


@pytest.fixture(scope="module")
def fits(lake: Lake) -> dict[tuple[str, str], Row]:
    return parameters(lake)


@pytest.fixture(scope="module")
def customers(lake: Lake) -> pd.DataFrame:
    """Features as of the cutoff, and the purchase days of the year after it."""
    known = lake.read(CUSTOMER_FEATURES, CUTOFF).toPandas().set_index("customer_id")
    days = lake.read(CUSTOMER_DAYS).where("transactions > 0")
    later = days.where(f"event_date > DATE'{CUTOFF}'").groupBy("customer_id")
    holdout = later.count().toPandas().set_index("customer_id")["count"]
    known["holdout"] = holdout.reindex(known.index, fill_value=0)
    return known


def likelihood_of(model: str, rows: pd.DataFrame) -> Callable[[Floats], float]:
    """The log-likelihood of a country's customers as a function of the parameters."""
    if model == "gamma_gamma":
        rows = rows[(rows["frequency"] > 0) & (rows["monetary_value"] > 0)]
        x, mean = (rows[name].to_numpy(float) for name in ("frequency", "monetary_value"))
        return lambda theta: float(
            np.sum(gamma_gamma.log_likelihood(dict(zip(SPEND, theta, strict=True)), x, mean))
        )
    x, t_x, T = (rows[name].to_numpy(float) for name in ("frequency", "recency", "T"))
    return lambda theta: float(
        np.sum(bg_nbd.log_likelihood(dict(zip(PURCHASE, theta, strict=True)), x, t_x / 7, T / 7))
    )


def standard_errors(function: Callable[[Floats], float], at: Floats) -> Floats:
    """From the numerical Hessian, in logarithms of the parameters; relative standard errors."""
    size, step = len(at), 1e-3
    log = np.log(at)
    hessian = np.empty((size, size))

    def value(*moves: tuple[int, float]) -> float:
        point = log.copy()
        for position, by in moves:
            point[position] += by
        return function(np.exp(point))

    for i in range(size):
        for j in range(size):
            corners = [
                si * sj * value((i, si * step), (j, sj * step)) for si in (1, -1) for sj in (1, -1)
            ]
            hessian[i, j] = sum(corners) / (4 * step * step)
    covariance: Floats = np.linalg.inv(-hessian)
    return np.sqrt(np.diag(covariance))


@pytest.mark.parametrize("model", ["bg_nbd", "gamma_gamma"])
@pytest.mark.parametrize("country", COUNTRIES)
def test_every_country_is_within_three_standard_errors_of_the_truth(
    fits: dict[tuple[str, str], Row], customers: pd.DataFrame, country: str, model: str
) -> None:
    row = fits[model, country]
    assert (row["status"], row["parameters_segment"]) == ("ok", country)
    # Large and unlike each other, so hardly drawn together.
    assert 0.5 < row["own_weight"] < 1
    names = PURCHASE if model == "bg_nbd" else SPEND
    found = np.array([row["parameters"][name] for name in names])
    true = np.array([truth()[country][name] for name in names])
    rows = customers[customers["country"] == country]
    errors = standard_errors(likelihood_of(model, rows), found)
    assert np.isfinite(errors).all()
    distance = np.abs(np.log(found / true)) / errors
    assert (distance < 3).all(), dict(zip(names, distance, strict=True))
    # What the table says is the same, less what the siblings add to the knowledge.
    said = np.array([row["standard_errors"][name] for name in names]) / found
    assert (said < 1.02 * errors).all()
    assert (said > 0.5 * errors).all()


def holdout_error(parameters_: dict[str, float], rows: pd.DataFrame) -> float:
    """Poisson deviance of the holdout's purchase days: low when every customer is foreseen."""
    x, t_x, T = (rows[name].to_numpy(float) for name in ("frequency", "recency", "T"))
    weeks = (END - CUTOFF).days / 7
    expected = bg_nbd.expected_purchases(parameters_, weeks, x, t_x / 7, T / 7)
    actual = rows["holdout"].to_numpy(float)
    return float(np.sum(expected - actual * np.log(np.maximum(expected, 1e-12))))


@pytest.mark.parametrize("country", COUNTRIES)
def test_every_country_foresees_its_own_holdout_better_than_the_global_model(
    fits: dict[tuple[str, str], Row], customers: pd.DataFrame, country: str
) -> None:
    rows = customers[customers["country"] == country]
    own = holdout_error(fits["bg_nbd", country]["parameters"], rows)
    shared = holdout_error(fits["bg_nbd", "global"]["parameters"], rows)
    assert own < shared


def test_rows_and_patterns_have_one_likelihood(
    fits: dict[tuple[str, str], Row], customers: pd.DataFrame
) -> None:
    for country in (*COUNTRIES, "global"):
        row = fits["bg_nbd", country]
        rows = customers if country == "global" else customers[customers["country"] == country]
        at = np.array([row["parameters"][name] for name in PURCHASE])
        likelihood = likelihood_of("bg_nbd", rows)(at)
        if country == "global":
            assert row["log_likelihood"] == pytest.approx(likelihood, rel=1e-9)
        else:
            # The row's is that of the country alone, before it is drawn to the parent.
            assert 0 <= row["log_likelihood"] - likelihood < 1
        assert row["n_customers"] == len(rows)
