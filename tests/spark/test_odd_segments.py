"""Shops of odd countries: no fit where there can be none, never a dead job, everybody scored."""

from __future__ import annotations

import datetime as dt
import importlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from delta.tables import DeltaTable
from pyspark.sql import Row, SparkSession

from clv_spark.config import Config
from clv_spark.errors import FitError
from clv_spark.kernels.generate import transactions
from clv_spark.lake import Lake
from clv_spark.models.bg_nbd import expected_purchases
from clv_spark.pipelines import build_customer_days, build_features, fit_models, score_customers
from clv_spark.schemas import (
    CLV_SCORES,
    CLV_SCORES_LATEST,
    CUSTOMER_DAYS,
    CUSTOMER_FEATURES,
    MODEL_PARAMETERS,
    PIPELINE_RUNS,
)
from tests.generated import COLUMNS, config, write


def parameters(lake: Lake, date: dt.date) -> dict[tuple[str, str], Row]:
    return {(r["model"], r["segment"]): r for r in lake.read(MODEL_PARAMETERS, date).collect()}


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


@pytest.mark.slow
def test_a_country_on_a_ridge_takes_the_global_parameters(odd: Lake) -> None:
    found = parameters(odd, AS_OF)
    row, root = found["bg_nbd", "Steadyland"], found["bg_nbd", "global"]
    assert root["status"] == "ok"
    assert row["status"] in {"degenerate", "not_identified"}
    assert row["message"].endswith("takes the parameters of 'global'")
    assert (row["parameters"], row["parameters_segment"]) == (root["parameters"], "global")
    assert row["own_weight"] == 0
    scores = odd.read(CLV_SCORES, AS_OF).where("segment = 'Steadyland'").toPandas()
    assert set(scores["score_status"]) == {"parent_model"}
    assert set(scores["parameters_segment"]) == {"global"}
    assert (scores["clv"] >= 0).all()


@pytest.mark.slow
def test_a_country_too_small_for_a_fit_is_drawn_to_the_global_parameters(odd: Lake) -> None:
    found = parameters(odd, AS_OF)
    row, root = found["bg_nbd", "Tinyland"], found["bg_nbd", "global"]
    assert row["status"] == "too_small"
    assert row["message"].startswith("2 customers, 200 needed")
    assert f"Pooled with the parent: own weight {row['own_weight']:.2f}" in row["message"]
    assert 0 < row["own_weight"] < 0.2
    assert row["parameters"] != root["parameters"]
    assert len(row["covariance"]) == len(row["sibling_loadings"]) == 16
    scores = odd.read(CLV_SCORES, AS_OF).where("segment = 'Tinyland'").toPandas()
    assert set(scores["score_status"]) == {"ok"}
    assert set(scores["parameters_segment"]) == {"Tinyland"}


@pytest.mark.slow
def test_a_country_to_which_nobody_comes_back_is_drawn_to_the_global_parameters(odd: Lake) -> None:
    """That none of 300 came back is known of it: the global rates would promise what never was."""
    found = parameters(odd, AS_OF)
    row, root = found["bg_nbd", "Onceland"], found["bg_nbd", "global"]
    assert (row["status"], row["n_repeaters"]) == ("too_small", 0)
    assert row["message"].startswith("0 customers with a repeat purchase")
    own, usual = (expected_purchases(one["parameters"], 52, 0, 0, 300 / 7) for one in (row, root))
    assert 0 < own < 0.1 * usual
    scores = odd.read(CLV_SCORES, AS_OF).where("segment = 'Onceland'").toPandas()
    assert set(scores["parameters_segment"]) == {"Onceland"}
    # Spend is of repeat purchases here, and there is none.
    assert set(scores["score_status"]) == {"parent_model"}
    assert (scores["clv"] > 0).all()


@pytest.mark.long
def test_a_country_that_came_after_the_fit_of_the_same_date_is_scored(
    odd: Lake, spark: SparkSession, tmp_path: Path
) -> None:
    folder = Path(str(odd.config.lake.path)).parent
    shutil.copytree(folder, tmp_path / "shop")
    settings = config(tmp_path / "shop")
    late = pa.Table.from_pylist([line(40_000, day, "Lateland", 5.0) for day in (3, 90)])
    files = next(path for path in (tmp_path / "shop").rglob("*.parquet") if "lake" not in str(path))
    pq.write_table(late.cast(pq.read_schema(files)), files.with_name("late.parquet"))
    build_customer_days(spark, settings)
    build_features(spark, settings, AS_OF)
    score_customers(spark, settings, AS_OF)
    rows = Lake(spark, settings).read(CLV_SCORES, AS_OF).where("segment = 'Lateland'").collect()
    assert [(row["score_status"], row["parameters_segment"]) for row in rows] == [
        ("parent_model", "global")
    ]


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


@pytest.mark.slow
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
COHORT_START = dt.date(2021, 7, 1)


@pytest.fixture(scope="module")
def earlier(spark: SparkSession, odd: Lake) -> Lake:
    """The day before, with old customers left out of a fit that fails within what is allowed.

    Refunds are left out as well.
    """
    settings = changed(odd.config, "fit", max_failed_share=0.5, cohort_start=COHORT_START)
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
    assert {row[0] for row in dates} >= {EARLIER, AS_OF}
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


def test_a_cohort_start_changes_the_fit_and_everybody_is_scored(earlier: Lake) -> None:
    known = earlier.read(CUSTOMER_FEATURES, EARLIER).toPandas().set_index("customer_id")
    later = known[known["first_purchase_date"] >= COHORT_START]
    assert 0 < len(later) < len(known)
    found, whole = parameters(earlier, EARLIER), parameters(earlier, AS_OF)
    assert found["bg_nbd", "global"]["n_customers"] == len(later)
    assert found["bg_nbd", "global"]["parameters"] != whole["bg_nbd", "global"]["parameters"]
    for country, customers in later["country"].value_counts().items():
        assert found["bg_nbd", country]["n_customers"] == customers
    scores = earlier.read(CLV_SCORES, EARLIER).select("customer_id", "clv").toPandas()
    assert set(scores["customer_id"]) == set(known.index)
    assert scores["clv"].notna().all()
