"""Segment fits on worlds whose truth is known: right, better than the global model, never fatal."""

from __future__ import annotations

import datetime as dt
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from delta.tables import DeltaTable
from numpy.typing import NDArray
from pyspark.sql import Row, SparkSession

from clv_spark.config import Config
from clv_spark.errors import FitError
from clv_spark.kernels.generate import transactions, truth
from clv_spark.lake import Lake
from clv_spark.models import bg_nbd, gamma_gamma
from clv_spark.pipelines import (
    build_customer_days,
    build_features,
    fit_models,
    score_customers,
)
from clv_spark.schemas import (
    CLV_SCORES,
    CLV_SCORES_LATEST,
    CUSTOMER_DAYS,
    CUSTOMER_FEATURES,
    MODEL_PARAMETERS,
    PIPELINE_RUNS,
)

Floats = NDArray[np.float64]
CUSTOMERS = 30_000
START, CUTOFF, END = dt.date(2021, 1, 1), dt.date(2022, 12, 31), dt.date(2023, 12, 31)
COUNTRIES = tuple(truth())
PURCHASE, SPEND = ("r", "alpha", "a", "b"), ("p", "q", "gamma")
COLUMNS = {
    "customer_id": "customer_id",
    "transaction_id": "transaction_id",
    "event_time": "event_time",
    "amount": "amount",
    "country": "country",
}


def config(folder: Path, **sections: Any) -> Config:
    source = {"path": str(folder / "lines"), "columns": COLUMNS}
    return Config.model_validate(
        {
            "lake": {"path": str(folder / "lake")},
            "source": {"transactions": source},
            "segments": ["country"],
            # The world's own models, so that its truth can be compared with the fits.
            "models": {"transactions": "bg_nbd", "spend_basis": "repeat"},
            **sections,
        }
    )


def write(folder: Path, lines: pa.Table) -> None:
    (folder / "lines").mkdir(parents=True)
    pq.write_table(lines, folder / "lines" / "lines.parquet")


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


def test_a_cohort_start_changes_the_fit_and_everybody_is_scored(
    spark: SparkSession, lake: Lake, fits: dict[tuple[str, str], Row], customers: pd.DataFrame
) -> None:
    start = dt.date(2021, 7, 1)
    settings = lake.config.model_copy(
        update={"fit": lake.config.fit.model_copy(update={"cohort_start": start})}
    )
    fit_models(spark, settings, CUTOFF)
    score_customers(spark, settings, CUTOFF)
    later = customers[customers["first_purchase_date"] >= start]
    assert 0 < len(later) < len(customers)
    found = parameters(lake)
    assert found["bg_nbd", "global"]["n_customers"] == len(later)
    for country in COUNTRIES:
        row = found["bg_nbd", country]
        assert row["n_customers"] == (later["country"] == country).sum()
        assert row["parameters"] != fits["bg_nbd", country]["parameters"]
    scores = lake.read(CLV_SCORES, CUTOFF).select("customer_id", "score_status", "clv").toPandas()
    assert set(scores["customer_id"]) == set(customers.index)
    assert scores["clv"].notna().all()


# A small shop of hand-made countries, for what goes wrong.
AS_OF = dt.date(2022, 12, 31)


def line(customer: int, day: int, country: str, amount: float) -> dict[str, Any]:
    return {
        "customer_id": customer,
        "transaction_id": customer * 1000 + day,
        "event_time": dt.datetime(2022, 1, 1) + dt.timedelta(days=day),
        "amount": amount,
        "country": country,
    }


def odd_countries() -> pa.Table:
    """Nobody repeats in Onceland, nobody ever leaves Steadyland, and two live in Tinyland."""
    lines = [line(10_000 + i, i % 300, "Onceland", 10.0 + i % 7) for i in range(300)]
    for i in range(300):
        lines += [line(20_000 + i, d, "Steadyland", 20.0) for d in range(i % 7, 364, 7)]
    lines += [line(30_000 + i, day, "Tinyland", 5.0) for i in range(2) for day in (3, 90)]
    return pa.Table.from_pylist(lines)


@pytest.fixture(scope="module")
def odd(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    folder = tmp_path_factory.mktemp("odd")
    batches = transactions(
        0, 1200, start=dt.date(2021, 1, 1), end=AS_OF, lines_per_purchase=1.0, seed=3
    )
    usual = pa.Table.from_batches(batches).select(list(COLUMNS.values()))
    write(folder, pa.concat_tables([usual, odd_countries().cast(usual.schema)]))
    settings = config(folder)
    build_customer_days(spark, settings)
    build_features(spark, settings, AS_OF)
    fit_models(spark, settings, AS_OF)
    score_customers(spark, settings, AS_OF)
    return Lake(spark, settings)


@pytest.mark.parametrize(
    ("country", "statuses", "says"),
    [
        ("Onceland", {"too_small", "not_identified"}, "repeat"),
        ("Steadyland", {"degenerate", "not_identified"}, ""),
        ("Tinyland", {"too_small"}, "2 customers, 200 needed"),
    ],
)
def test_a_country_that_cannot_be_fitted_takes_the_global_parameters(
    odd: Lake, country: str, statuses: set[str], says: str
) -> None:
    found = parameters(odd)
    row, root = found["bg_nbd", country], found["bg_nbd", "global"]
    assert root["status"] == "ok"
    assert row["status"] in statuses
    assert says in row["message"]
    assert row["message"].endswith("takes the parameters of 'global'")
    assert (row["parameters"], row["parameters_segment"]) == (root["parameters"], "global")
    assert row["own_weight"] == 0
    scores = odd.read(CLV_SCORES, AS_OF).where(f"segment = '{country}'").toPandas()
    assert set(scores["score_status"]) == {"parent_model"}
    assert set(scores["parameters_segment"]) == {"global"}
    assert (scores["clv"] >= 0).all()


def versions(lake: Lake) -> dict[str, int]:
    tables = (CUSTOMER_DAYS, CUSTOMER_FEATURES, MODEL_PARAMETERS, CLV_SCORES, CLV_SCORES_LATEST)
    return {
        spec.name: DeltaTable.forPath(lake.spark, lake.path(spec)).history(1).first()["version"]
        for spec in tables
    }


def break_the_fit_of(country: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The patterns of one country become what no model can take."""
    module = importlib.import_module("clv_spark.pipelines.fit_levels")
    original = module.fit_group

    def broken(*arguments: Any) -> Callable[[pd.DataFrame], pd.DataFrame]:
        fit_group = original(*arguments)

        def fit_or_fail(patterns: pd.DataFrame) -> pd.DataFrame:
            if tuple(patterns[["model", "segment"]].iloc[0]) == ("bg_nbd", country):
                patterns = patterns.assign(recency=patterns["T"] + 7)
            fitted: pd.DataFrame = fit_group(patterns)
            return fitted

        return fit_or_fail

    monkeypatch.setattr(module, "fit_group", broken)


def changed(settings: Config, section: str, **values: Any) -> Config:
    part = getattr(settings, section).model_copy(update=values)
    return settings.model_copy(update={section: part})


def test_too_many_customers_without_a_fit_stop_the_job(
    spark: SparkSession, odd: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = versions(odd)
    break_the_fit_of("Steadyland", monkeypatch)
    with pytest.raises(FitError, match=r"bg_nbd: .*%.*max_failed_share") as caught:
        fit_models(spark, changed(odd.config, "fit", max_failed_share=0.04), AS_OF)
    assert caught.value.exit_code == 30
    assert versions(odd) == before
    (record,) = odd.read(PIPELINE_RUNS).where("status = 'failed'").collect()
    assert (record["stage"], record["job"]) == ("model_parameters", "fit-models")
    assert "max_failed_share" in record["message"]


EARLIER = AS_OF - dt.timedelta(days=1)


@pytest.fixture(scope="module")
def earlier(spark: SparkSession, odd: Lake) -> Lake:
    """The day before, with a fit that fails within what is allowed, and refunds left out."""
    settings = changed(odd.config, "fit", max_failed_share=0.5)
    settings = settings.model_copy(update={"refunds": "ignore"})
    build_features(spark, settings, EARLIER)
    with pytest.MonkeyPatch.context() as monkeypatch:
        break_the_fit_of("Steadyland", monkeypatch)
        fit_models(spark, settings, EARLIER)
    score_customers(spark, settings, EARLIER)
    return odd


def test_a_failed_fit_is_a_row_with_a_message(earlier: Lake) -> None:
    rows = earlier.read(MODEL_PARAMETERS, EARLIER).collect()
    found = {(row["model"], row["segment"]): row for row in rows}
    row = found["bg_nbd", "Steadyland"]
    assert row["status"] == "failed"
    assert row["message"].startswith("InputError: ")
    assert row["parameters"] == found["bg_nbd", "global"]["parameters"]
    scores = earlier.read(CLV_SCORES, EARLIER).where("segment = 'Steadyland'").toPandas()
    assert len(scores) == 300
    assert set(scores["score_status"]) == {"parent_model"}


def test_a_backfill_leaves_later_dates_as_they_were(earlier: Lake) -> None:
    dates = earlier.read(CLV_SCORES).select("as_of_date").distinct().collect()
    assert {row[0] for row in dates} == {EARLIER, AS_OF}
    latest = earlier.read(CLV_SCORES_LATEST).select("as_of_date").distinct().collect()
    assert [row[0] for row in latest] == [AS_OF]


def with_money(lake: Lake, date: dt.date) -> pd.DataFrame:
    columns = ("customer_id", "gross_amount", "refund_amount")
    features = lake.read(CUSTOMER_FEATURES, date).select(*columns).toPandas()
    scores = lake.read(CLV_SCORES, date).toPandas()
    both = scores.merge(features, on="customer_id").set_index("customer_id")
    both[["gross", "refund"]] = both[["gross_amount", "refund_amount"]].astype(float)
    both["undiminished"] = both["expected_purchases_365d"] * both["expected_order_value"]
    return both


def test_refunds_by_rate_and_ignored(earlier: Lake) -> None:
    """The same shop: by rate a returner is worth less, ignored refunds leave no trace."""
    rate, ignored = with_money(earlier, AS_OF), with_money(earlier, EARLIER)
    assert (ignored["refund"] > 0).any()
    assert (ignored["return_rate"] == 0).all()
    assert ignored["expected_revenue_365d"].to_numpy() == pytest.approx(
        ignored["undiminished"].to_numpy()
    )
    assert ignored["historical_clv"].to_numpy() == pytest.approx(0.3 * ignored["gross"].to_numpy())
    returners = rate[rate["refund"] > 0]
    assert (returners["return_rate"] > 0).all()
    assert (returners["return_rate"] <= 1).all()
    assert (returners["expected_revenue_365d"] < returners["undiminished"]).all()
    earned = 0.3 * (rate["gross"] - rate["refund"]).clip(lower=0)
    assert rate["historical_clv"].to_numpy() == pytest.approx(earned.to_numpy(), abs=1e-6)
    # Refunds never make or unmake a purchase: who is scored and how often they bought is the same.
    same = rate.loc[ignored.index]
    assert (same["frequency"] >= ignored["frequency"]).all()
    assert (same["frequency"] - ignored["frequency"]).max() <= 1
