"""The demo's lake: counts agree with plain SQL in DuckDB, and every customer has a sound score."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from pyspark.sql import Row

from clv_spark.kernels.choose import USABLE
from clv_spark.lake import Lake
from clv_spark.schemas import (
    CLV_SCORES,
    CLV_SCORES_LATEST,
    COHORT_SUMMARY,
    CUSTOMER_DAYS,
    CUSTOMER_FEATURES,
    MODEL_PARAMETERS,
    PIPELINE_RUNS,
    REJECTED_TRANSACTIONS,
    SEGMENT_SUMMARY,
    TABLES,
    Shape,
)

LINES = Path(__file__).parents[2] / "data" / "online_retail_ii.parquet"
AS_OF = dt.date(2011, 12, 9)
PURCHASE_MODELS = ("bg_nbd", "mbg_nbd", "pareto_nbd")
# Written from the README of the data and conf/demo.yml, not from the package.
COUNT = f"""
WITH numbered AS (
    SELECT *, row_number() OVER (
        PARTITION BY Invoice, StockCode, Quantity, InvoiceDate, Price, "Customer ID", Country
    ) AS copy
    FROM '{LINES}'
), judged AS (
    SELECT *, CASE
        WHEN "Customer ID" IS NULL THEN 'missing_customer_id'
        WHEN copy > 1 THEN 'duplicate'
        WHEN upper(StockCode) = 'M' THEN 'manual posting'
        WHEN upper(StockCode) IN ('POST', 'DOT', 'C2', 'C3') THEN 'postage'
        WHEN Invoice LIKE 'A%' OR StockCode = 'B' THEN 'bad debt'
        WHEN StockCode IN ('BANK CHARGES', 'D', 'ADJUST', 'ADJUST2', 'S', 'CRUK', 'AMAZONFEE',
            'TEST001', 'TEST002') THEN 'bookkeeping'
        ELSE 'used' END AS reason,
        CAST(round(Quantity * CAST(Price AS DECIMAL(18, 8)), 2) AS DECIMAL(28, 2)) AS given,
        CAST(InvoiceDate AS DATE) AS day,
        Invoice LIKE 'C%' OR Quantity < 0 AS refund,
        -- Invoice C496350 is a cancellation of positive 373.57: money that goes back.
        CASE WHEN refund THEN -abs(given) ELSE given END AS money
    FROM numbered
)
"""


@pytest.fixture(scope="module")
def plain() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute(f"CREATE TABLE judged AS {COUNT} SELECT * FROM judged")
    return connection


@pytest.fixture(scope="module")
def read(demo_lake: Lake) -> Row:
    """What pipeline_runs says of the lines."""
    (row,) = demo_lake.read(PIPELINE_RUNS).where("stage = 'customer_days'").collect()
    return row


@pytest.fixture(scope="module")
def scores(demo_lake: Lake) -> pd.DataFrame:
    return demo_lake.read(CLV_SCORES, AS_OF).toPandas().set_index("customer_id")


@pytest.fixture(scope="module")
def features(demo_lake: Lake) -> pd.DataFrame:
    return demo_lake.read(CUSTOMER_FEATURES, AS_OF).toPandas().set_index("customer_id")


@pytest.fixture(scope="module")
def fits(demo_lake: Lake) -> dict[tuple[str, str], Row]:
    return {(r["model"], r["segment"]): r for r in demo_lake.read(MODEL_PARAMETERS).collect()}


def test_rejected_lines_and_money_are_those_of_a_plain_count(
    demo_lake: Lake, plain: duckdb.DuckDBPyConnection, read: Row
) -> None:
    expected = plain.execute(
        "SELECT reason, count(*), sum(money) FROM judged WHERE reason <> 'used' GROUP BY 1 "
        "ORDER BY 1"
    ).fetchall()
    rejected = demo_lake.read(REJECTED_TRANSACTIONS).groupBy("reason")
    rows = rejected.agg({"*": "count", "amount": "sum"}).orderBy("reason").collect()
    assert [(row["reason"], row["count(1)"], row["sum(amount)"]) for row in rows] == expected
    assert read["rejected_by_reason"] == {reason: lines for reason, lines, _ in expected}
    assert read["rejected_by_reason"]["missing_customer_id"] == 243_007
    # No bad debt: its six lines have no customer, which is said first.
    assert len(expected) == 5


def test_lines_and_money_reconcile(plain: duckdb.DuckDBPyConnection, read: Row) -> None:
    lines, money = plain.execute("SELECT count(*), sum(money) FROM judged").fetchone() or (0, 0)
    used, used_money = plain.execute(
        "SELECT count(*), sum(money) FROM judged WHERE reason = 'used'"
    ).fetchone() or (0, 0)
    assert (read["rows_read"], read["amount_read"]) == (lines, money)
    assert (read["rows_used"], read["amount_used"]) == (used, used_money)
    assert read["rows_read"] == read["rows_used"] + read["rows_rejected"] == 1_067_370
    assert read["amount_read"] == read["amount_used"] + read["amount_rejected"]


def test_customer_days_are_those_of_a_plain_sum(
    demo_lake: Lake, plain: duckdb.DuckDBPyConnection, read: Row
) -> None:
    expected = plain.execute(
        """SELECT CAST("Customer ID" AS BIGINT), day,
            count(DISTINCT CASE WHEN NOT refund THEN Invoice END), count(*),
            sum(CASE WHEN refund THEN 0 ELSE money END),
            sum(CASE WHEN refund THEN -money ELSE 0 END)
        FROM judged WHERE reason = 'used' GROUP BY 1, 2 ORDER BY 1, 2"""
    ).fetchall()
    columns = (
        "CAST(customer_id AS BIGINT)",
        "event_date",
        "transactions",
        "line_count",
        "gross_amount",
        "refund_amount",
    )
    days = demo_lake.read(CUSTOMER_DAYS).selectExpr(*columns).toPandas()
    found = sorted(days.itertuples(index=False, name=None))
    assert found == expected
    net = days["gross_amount"].sum() - days["refund_amount"].sum()
    assert (net, days["line_count"].sum()) == (read["amount_used"], read["rows_used"])


def test_who_has_features_and_who_has_not(
    features: pd.DataFrame, plain: duckdb.DuckDBPyConnection
) -> None:
    buyers = plain.execute(
        """SELECT count(DISTINCT "Customer ID") FILTER (NOT refund), count(DISTINCT "Customer ID")
        FROM judged WHERE reason = 'used'"""
    ).fetchone() or (0, 0)
    assert len(features) == features.index.nunique() == buyers[0]
    assert buyers[1] > buyers[0], "customers with refunds only are left out"
    assert (features["T"] == features["recency"] + features["days_since_last_purchase"]).all()


def test_a_customer_of_two_countries_is_in_one(
    features: pd.DataFrame, scores: pd.DataFrame, plain: duckdb.DuckDBPyConnection
) -> None:
    """Thirteen customers of the raw data have two countries; each is where they bought last."""
    raw = plain.execute(
        """SELECT count(*) FROM (SELECT 1 FROM judged WHERE "Customer ID" IS NOT NULL
        GROUP BY "Customer ID" HAVING count(DISTINCT Country) > 1)"""
    ).fetchone()
    assert raw == (13,)
    movers = plain.execute(
        """WITH sales AS (SELECT CAST("Customer ID" AS BIGINT) AS id, day, min(Country) AS country
            FROM judged WHERE reason = 'used' GROUP BY 1, 2
            HAVING count(*) FILTER (NOT refund) > 0)
        SELECT id, max_by(country, day) FROM sales GROUP BY 1
        HAVING count(DISTINCT country) > 1"""
    ).fetchall()
    assert len(movers) >= 5
    for customer, country in movers:
        key = type(features.index[0])(customer)
        assert features.loc[key, "country"] == country
        assert scores.loc[key, "segment"] == country


def test_everybody_with_features_has_one_score(
    demo_lake: Lake, scores: pd.DataFrame, features: pd.DataFrame
) -> None:
    assert scores.index.is_unique
    assert set(scores.index) == set(features.index)
    for name in ("frequency", "recency", "T"):
        assert (scores[name].sort_index() == features[name].sort_index()).all()
    latest = demo_lake.read(CLV_SCORES_LATEST).toPandas().set_index("customer_id")
    columns = list(scores.columns)
    pd.testing.assert_frame_equal(latest[columns].sort_index(), scores.sort_index())


def test_no_score_is_nan_or_negative_or_null_without_a_status(scores: pd.DataFrame) -> None:
    # The first date has none before to compare with, and losses are of net values alone.
    compared = ["previous_clv", "clv_change"]
    assert scores[compared].isna().to_numpy().all()
    numbers = scores.select_dtypes("number").drop(columns=["monetary_value", *compared])
    assert not numbers.isna().to_numpy().any()
    assert (numbers.to_numpy() >= 0).all()
    assert numbers.map(math.isfinite).to_numpy().all()
    assert scores["monetary_value"].isna().eq(scores["frequency"] == 0).all()
    assert set(scores["score_status"]) == {"ok", "one_purchase", "new"}
    assert (scores[["p_alive", "p_active_365d", "return_rate"]] <= 1).to_numpy().all()


def test_one_time_buyers_are_scored(
    scores: pd.DataFrame, features: pd.DataFrame, fits: dict[Any, Row]
) -> None:
    once = scores[scores["frequency"] == 0]
    assert len(once) > 1000
    assert (once["p_alive"] == 1).all() == (set(once["model"]) == {"bg_nbd + gamma_gamma"})
    assert (once["clv"] > 0).all()
    british = once[once["segment"] == "United Kingdom"]
    # With all purchase days behind it, the spend rests on the one purchase and everybody's.
    spend = fits["gamma_gamma", "United Kingdom"]["parameters"]
    seen = features.loc[british.index, "gross_amount"].astype(float)
    # Who only had goods for nothing is taken for somebody of whom no purchase is known.
    x = (seen > 0).astype(float)
    expected = spend["p"] * (spend["gamma"] + seen) / (spend["p"] * x + spend["q"] - 1)
    assert british["expected_order_value"].to_numpy() == pytest.approx(expected.to_numpy())
    statuses = set(british["score_status"])
    assert statuses == {"one_purchase", "new"}


def test_a_large_country_has_its_own_fit_and_small_ones_are_drawn_to_the_global_one(
    scores: pd.DataFrame, fits: dict[tuple[str, str], Row]
) -> None:
    for model in PURCHASE_MODELS:
        home, root = fits[model, "United Kingdom"], fits[model, "global"]
        assert (home["status"], home["parameters_segment"]) == ("ok", "United Kingdom")
        assert 0.5 < home["own_weight"] < 1
        assert root["own_weight"] == 1
        assert home["parameters"] != root["parameters"]
    for (model, segment), row in fits.items():
        if model not in (*PURCHASE_MODELS, "gamma_gamma"):
            continue
        if segment in ("United Kingdom", "global"):
            continue
        assert (row["parent_segment"], row["segment_level"]) == ("global", "country")
        # Spend needs 50 customers with a mean, purchases 200 customers as well.
        own = model == "gamma_gamma" and row["n_customers"] >= 50
        assert own == (row["status"] in USABLE)
        assert own or row["status"] == "too_small"
        if row["chosen"]:
            assert row["parameters_segment"] == segment
            assert 0 < row["own_weight"] < 0.7
            assert "Pooled with the parent: own weight" in row["message"]
            continue
        assert (row["parameters_segment"], row["own_weight"]) == ("global", 0)
        assert row["parameters"] == fits[model, "global"]["parameters"]
        assert "takes the parameters of 'global'" in row["message"]
    assert (scores["parameters_segment"] == scores["segment"]).all()
    assert not (scores["score_status"] == "parent_model").any()


def test_every_country_has_a_row_for_every_model(
    features: pd.DataFrame, fits: dict[tuple[str, str], Row]
) -> None:
    countries = {*features["country"], "global"}
    for model in (*PURCHASE_MODELS, "gamma_gamma", "return_rate"):
        assert {segment for name, segment in fits if name == model} == countries
    rows = {segment: row for (name, segment), row in fits.items() if name == "bg_nbd"}
    assert rows["global"]["n_customers"] == len(features)
    total = sum(row["n_customers"] for segment, row in rows.items() if segment != "global")
    assert total == len(features)


def test_every_segment_has_one_chosen_model_of_purchases(
    scores: pd.DataFrame, fits: dict[tuple[str, str], Row]
) -> None:
    chosen = {s: m for (m, s), row in fits.items() if row["chosen"] and m in PURCHASE_MODELS}
    assert set(chosen) == {segment for _, segment in fits}
    best = min(PURCHASE_MODELS, key=lambda model: fits[model, "global"]["bic"])
    assert chosen["global"] == best
    used = scores.groupby("segment")["model"].unique()
    assert {s: m.tolist() for s, m in used.items()} == {
        segment: [f"{model} + gamma_gamma"] for segment, model in chosen.items() if segment in used
    }


def test_frequent_buyers_spend_more_and_the_fit_says_so(fits: dict[tuple[str, str], Row]) -> None:
    row = fits["gamma_gamma", "United Kingdom"]
    assert row["log_frequency_spend_correlation"] == pytest.approx(0.25, abs=0.01)
    assert row["status"] == "spend_depends_on_frequency"
    assert "frequent buyers" in row["message"]
    assert row["parameters_segment"] == "United Kingdom"


def test_an_interval_holds_its_score_and_a_sum_is_surer_than_its_parts(
    demo_lake: Lake, scores: pd.DataFrame
) -> None:
    assert (scores["clv_low"] <= scores["clv_high"]).all()
    # With more than nine in ten to come back the value is within the interval, or near it.
    active = scores[scores["p_active_365d"] > 0.95]
    inside = (active["clv_low"] < active["clv"]) & (active["clv"] < active["clv_high"])
    assert inside.mean() > 0.99
    assert (scores.loc[scores["p_active_365d"] < 0.89, "clv_low"] == 0).all()
    summary = demo_lake.read(SEGMENT_SUMMARY, AS_OF).toPandas().set_index("segment")
    summary = summary[summary["segment_level"] != "acquisition_month"]
    sums = scores.groupby("segment")[["clv", "clv_low", "clv_high", "p_active_365d"]].sum()
    counts = scores["segment"].value_counts()
    assert set(summary.index) == {*sums.index, "global"}
    assert summary.loc["global", "customers"] == len(scores)
    assert summary.loc["global", "clv_sum"] == pytest.approx(scores["clv"].sum(), rel=1e-8)
    for segment, row in sums.iterrows():
        found = summary.loc[segment]
        assert found["customers"] == counts[segment]
        assert found["clv_sum"] == pytest.approx(row["clv"], rel=1e-6, abs=1e-4)
        assert found["active_customers"] == pytest.approx(row["p_active_365d"], abs=1e-2)
        assert found["clv_sum_low"] < found["clv_sum"] < found["clv_sum_high"]
    home, bounds = summary.loc["United Kingdom"], sums.loc["United Kingdom"]
    width = home["clv_sum_high"] - home["clv_sum_low"]
    assert width < 0.2 * (bounds["clv_high"] - bounds["clv_low"])


def test_clv_is_what_its_parts_make(scores: pd.DataFrame) -> None:
    """The sum of the parts that a reader can check without the package."""
    assert scores["total_clv"].to_numpy() == pytest.approx(
        (scores["historical_clv"] + scores["clv"]).to_numpy()
    )
    revenue = scores["expected_purchases_365d"] * scores["expected_order_value"]
    net = revenue * (1 - scores["return_rate"])
    assert scores["expected_revenue_365d"].to_numpy() == pytest.approx(net.to_numpy(), rel=1e-9)
    # Discounting takes something between nothing and a year's whole rate.
    share = scores["clv"] / (scores["margin_rate"] * net)
    assert ((share < 1) & (share > 1 / 1.1)).all()
    assert (scores["margin_rate"] == 0.30).all()
    assert (scores["residual_clv"] >= scores["clv"] * (1 - 1e-9)).all()
    more = scores["expected_purchases_30d"] < scores["expected_purchases_90d"]
    assert (more & (scores["expected_purchases_90d"] < scores["expected_purchases_365d"])).all()
    assert set(scores["currency"]) == {"GBP"}
    assert set(scores["horizon_days"]) == {365}
    assert set(scores["relationship"]) == {"purchases"}


def test_money_earned_is_the_margin_of_what_was_kept(
    scores: pd.DataFrame, features: pd.DataFrame
) -> None:
    both = scores.join(features[["gross_amount", "refund_amount"]])
    net = (both["gross_amount"] - both["refund_amount"]).astype(float)
    earned = (0.30 * net).clip(lower=0)
    assert both["historical_clv"].to_numpy() == pytest.approx(earned.to_numpy(), abs=1e-6)


def test_who_got_back_more_than_they_paid_counts_with_nothing_in_what_was_earned(
    demo_lake: Lake, features: pd.DataFrame
) -> None:
    """The sums of segment_summary are those of customers, so they exceed those of the cohorts."""
    rows = demo_lake.read(SEGMENT_SUMMARY, AS_OF).where("segment_level = 'global'").collect()
    cohorts = demo_lake.read(COHORT_SUMMARY, AS_OF).where("segment = 'global'").toPandas()
    net = features["gross_amount"] - features["refund_amount"]
    earned = float(sum(max(amount, 0) for amount in net))
    assert [row["historical_revenue"] for row in rows] == [pytest.approx(earned, abs=0.005)]
    assert (earned, cohorts["revenue"].sum()) == (16360996.43, Decimal("16359446.97"))


def test_the_return_rate_of_the_shop_is_a_ratio_of_sums(
    features: pd.DataFrame, fits: dict[tuple[str, str], Row]
) -> None:
    rate = features["refund_amount"].sum() / features["gross_amount"].sum()
    found = fits["return_rate", "global"]["parameters"]["rate"]
    assert Decimal(found) == pytest.approx(rate, rel=Decimal("1e-12"))


def test_every_stage_is_on_record(demo_lake: Lake) -> None:
    rows = demo_lake.read(PIPELINE_RUNS).collect()
    assert [row["stage"] for row in sorted(rows, key=lambda row: row["finished_at"])] == [
        "customer_days",
        "customer_features",
        "model_parameters",
        "revenue_history",
        "cohort_history",
        "clv_scores",
        "clv_scores_latest",
    ]
    assert {row["status"] for row in rows} == {"done"}
    assert len({row["run_id"] for row in rows}) == 1
    assert len({row["source_version"] for row in rows}) == 1
    written = {row["stage"]: row["rows_written"] for row in rows}
    assert written["clv_scores"] == written["clv_scores_latest"] == written["customer_features"]


# Tables of contracts, products and costs of customers are seen in lakes that have them.
ELSEWHERE = ("contract", "subscription", "product", "costs")
OF_PURCHASES = [spec for spec in TABLES if not any(word in spec.name for word in ELSEWHERE)]


@pytest.mark.parametrize("spec", OF_PURCHASES, ids=lambda spec: spec.name)
def test_describe_shows_every_unit_and_the_oldest_readers_can_read(
    demo_lake: Lake, spec: Any
) -> None:
    spark, name = demo_lake.spark, demo_lake.identifier(spec)
    described = spark.sql(f"DESCRIBE TABLE {name}").collect()
    columns = {row["col_name"]: row["comment"] for row in described}
    id_type = demo_lake.read(CUSTOMER_DAYS).schema["customer_id"].dataType.simpleString().upper()
    for column in spec.of(Shape(id_type, ("country",))).columns:
        assert columns[column.name] == column.comment
        assert column.comment
    detail = spark.sql(f"DESCRIBE DETAIL {name}").first()
    assert detail["minReaderVersion"] == 1
    assert detail["description"] == spec.comment
    assert detail["properties"].get("delta.enableDeletionVectors") == "false"
