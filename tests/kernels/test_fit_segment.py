"""One segment in, one row out, whatever is in the segment."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from clv_spark.errors import ConfigError
from clv_spark.kernels import fit_segment as kernel
from clv_spark.kernels.fit_segment import COLUMNS, fit_segment

SAMPLE = Path(__file__).parents[2] / "data" / "cdnow_sample.txt"
BG = {"model": "bg_nbd", "unit_days": 7, "min_customers": 200, "min_repeaters": 50}
GG = {**BG, "model": "gamma_gamma"}


@pytest.fixture(scope="module")
def customers() -> pd.DataFrame:
    names = ["master_id", "customer", "date", "cds", "amount"]
    log = pd.read_csv(SAMPLE, sep=r"\s+", header=None, names=names, dtype={"date": str})
    log["date"] = pd.to_datetime(log["date"], format="%Y%m%d")
    days = log.groupby(["customer", "date"], as_index=False)["amount"].sum()
    today = pd.Timestamp("1997-09-30")
    days = days[days["date"] <= today]
    first = days.groupby("customer")["date"].transform("min")
    per = days.groupby("customer")["date"].agg(["min", "max", "count"])
    mean = days[days["date"] > first].groupby("customer")["amount"].mean()
    return pd.DataFrame(
        {
            "segment": "global",
            "frequency": per["count"] - 1,
            "recency": (per["max"] - per["min"]).dt.days,
            "T": (today - per["min"]).dt.days,
            "monetary_value": mean.reindex(per.index),
        }
    )


@pytest.fixture(scope="module")
def patterns(customers) -> pd.DataFrame:
    keys = ["segment", "frequency", "recency", "T"]
    return customers.groupby(keys).size().rename("customers").reset_index()


@pytest.fixture(scope="module")
def spend(customers) -> pd.DataFrame:
    spenders = customers[customers["frequency"] > 0].copy()
    spenders["mean_log"] = np.log(spenders["monetary_value"])
    spenders["customers"] = 1
    return spenders.reset_index(drop=True)


def row_of(patterns: pd.DataFrame, **settings: object) -> dict[str, object]:
    frame = fit_segment(patterns, **settings)
    assert list(frame.columns) == list(COLUMNS)
    assert len(frame) == 1
    return {name: frame[name].iloc[0] for name in frame.columns}


def test_purchases_of_cdnow_in_days_give_the_published_parameters_in_weeks(patterns):
    row = row_of(patterns, **BG)
    assert row["status"] == "ok"
    expected = {"r": 0.24259453, "alpha": 4.41360220, "a": 0.79292189, "b": 2.42590632}
    assert row["parameters"] == pytest.approx(expected, rel=1e-6)
    assert row["log_likelihood"] == pytest.approx(-9582.429206674, abs=1e-7)
    assert row["bic"] == pytest.approx(4 * math.log(2357) + 2 * 9582.429206674, abs=1e-6)
    assert (row["n_customers"], row["n_patterns"], row["n_repeaters"]) == (2357, 1016, 946)
    assert row["frequency_spend_correlation"] is None


def test_spend_of_cdnow_gives_the_published_parameters_and_correlation(spend):
    row = row_of(spend, **GG)
    assert row["status"] == "ok"
    expected = {"p": 6.249573, "q": 3.744225, "gamma": 15.443518}
    assert row["parameters"] == pytest.approx(expected, rel=1e-6)
    assert row["frequency_spend_correlation"] == pytest.approx(0.1139, abs=5e-5)
    assert (row["n_customers"], row["n_repeaters"]) == (946, 946)


def test_time_unit_divides_alpha_alone(patterns):
    days = row_of(patterns, **{**BG, "unit_days": 1})["parameters"]
    weeks = row_of(patterns, **BG)["parameters"]
    assert days == pytest.approx({**weeks, "alpha": 7 * weeks["alpha"]}, rel=1e-8)


@pytest.mark.parametrize("settings", [BG, GG], ids=["bg_nbd", "gamma_gamma"])
def test_row_order_does_not_change_a_byte(settings, patterns, spend):
    data = patterns if settings is BG else spend
    for seed in range(5):
        shuffled = data.sample(frac=1, random_state=seed)
        assert row_of(shuffled, **settings) == row_of(data, **settings)


def test_weights_count_in_the_correlation(spend):
    few = spend.head(40).copy()
    few["customers"] = np.arange(40) % 3 + 1
    repeated = few.loc[few.index.repeat(few["customers"])].assign(customers=1)
    expected = np.corrcoef(repeated["frequency"], repeated["monetary_value"])[0, 1]
    row = row_of(few, **{**GG, "min_repeaters": 1})
    assert row["frequency_spend_correlation"] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"min_customers": 2358}, "2357 customers, 2358 needed"),
        ({"min_repeaters": 947}, "946 customers with a repeat purchase, 947 needed"),
    ],
)
def test_a_segment_below_a_limit_is_not_fitted(patterns, monkeypatch, limits, message):
    monkeypatch.setattr(kernel, "fit", None)
    row = row_of(patterns, **{**BG, **limits})
    assert (row["status"], row["message"]) == ("too_small", message)
    assert row["parameters"] is None
    assert row["log_likelihood"] is None
    assert row["n_customers"] == 2357


def test_a_segment_at_its_limits_is_fitted(patterns):
    assert row_of(patterns, **{**BG, "min_customers": 2357, "min_repeaters": 946})["status"] == "ok"


def test_only_repeaters_limit_the_spend_fit(spend):
    assert row_of(spend, **{**GG, "min_customers": 10**6})["status"] == "ok"
    row = row_of(spend, **{**GG, "min_repeaters": 947})
    assert row["status"] == "too_small"
    assert row["frequency_spend_correlation"] == pytest.approx(0.1139, abs=5e-5)


def test_without_repeat_purchases_nothing_is_identified(patterns):
    none = patterns[patterns["frequency"] == 0]
    row = row_of(none, **{**BG, "min_repeaters": 0})
    assert row["status"] == "not_identified"
    assert row["parameters"] is None
    assert "no customer bought a second time" in row["message"]
    assert row["condition_number"] is None
    assert row["n_customers"] == 1411


def test_a_missing_value_inside_is_a_failed_row_that_says_why(patterns):
    broken = patterns.astype({"T": "float64"})
    broken.loc[5, "T"] = np.nan
    row = row_of(broken, **BG)
    assert row["status"] == "failed"
    expected = "InputError: T must be a finite number (no NaN, no infinity): 1 of 1016 rows"
    assert row["message"].startswith(expected)
    assert row["parameters"] is None
    assert row["n_customers"] == 2357


def test_an_exception_is_a_failed_row_without_data(patterns, monkeypatch):
    def broken(*_: object) -> None:
        raise ValueError("customer 4711 has secret 42")

    monkeypatch.setattr(kernel, "fit", broken)
    row = row_of(patterns, **BG)
    assert (row["status"], row["message"]) == ("failed", "ValueError")
    assert row["n_patterns"] == 1016


def test_a_missing_column_is_a_failed_row(patterns):
    row = row_of(patterns.drop(columns="recency"), **BG)
    assert (row["status"], row["message"]) == ("failed", "KeyError")


def test_want_of_memory_is_not_the_segments_fault(patterns, monkeypatch):
    def greedy(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(kernel, "fit", greedy)
    with pytest.raises(MemoryError):
        fit_segment(patterns, **BG)


def test_an_unknown_model_is_refused(patterns):
    with pytest.raises(ConfigError, match="no model 'nbd'"):
        fit_segment(patterns, **{**BG, "model": "nbd"})
