"""One segment in, one row out, whatever is in the segment."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from clv_spark.errors import ConfigError
from clv_spark.kernels import fit_segment as kernel
from clv_spark.kernels.fit_segment import COLUMNS, as_frame, fit_segment
from clv_spark.models import MODELS

SAMPLE = Path(__file__).parents[2] / "data" / "cdnow_sample.txt"
BG = {
    "model": "bg_nbd",
    "unit_days": 7,
    "min_customers": 200,
    "min_repeaters": 50,
    "max_correlation": 1.0,
}
GG = {**BG, "model": "gamma_gamma"}
BG_BB = {**BG, "model": "bg_bb", "unit_days": 1}


pytestmark = pytest.mark.filterwarnings("error")


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
def fitted(patterns) -> dict[str, dict[str, object]]:
    kinds = [{**BG, "model": name} for name in ("bg_nbd", "mbg_nbd", "pareto_nbd")]
    return {kind["model"]: row_of(patterns, **kind) for kind in (*kinds, BG_BB)}


@pytest.fixture(scope="module")
def spend(customers) -> pd.DataFrame:
    spenders = customers[customers["frequency"] > 0].copy()
    spenders["mean_log"] = np.log(spenders["monetary_value"])
    spenders["customers"] = 1
    return spenders.reset_index(drop=True)


def row_of(patterns: pd.DataFrame, **settings: object) -> dict[str, object]:
    row = fit_segment(patterns, **settings)
    assert list(row) == list(COLUMNS)
    return row


def test_purchases_of_cdnow_in_days_give_the_published_parameters_in_weeks(patterns):
    row = row_of(patterns, **BG)
    assert row["status"] == "ok"
    expected = {"r": 0.24259453, "alpha": 4.41360220, "a": 0.79292189, "b": 2.42590632}
    assert row["parameters"] == pytest.approx(expected, rel=1e-6)
    assert row["log_likelihood"] == pytest.approx(-9582.429206674, abs=1e-7)
    assert row["bic"] == pytest.approx(4 * math.log(2357) + 2 * 9582.429206674, abs=1e-6)
    assert (row["n_customers"], row["n_patterns"], row["n_repeaters"]) == (2357, 1016, 946)
    assert row["frequency_spend_correlation"] is None
    assert row["log_frequency_spend_correlation"] is None


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


def test_every_model_of_purchases_is_fitted(patterns, fitted):
    assert {row["status"] for row in fitted.values()} == {"ok"}
    for name, row in fitted.items():
        assert (row["segment"], row["model"]) == ("global", name)
        assert tuple(row["parameters"]) == MODELS[name].parameters
        assert row["n_patterns"] == len(patterns)


def test_covariance_is_a_square_whose_diagonal_squares_the_standard_errors(spend, fitted):
    for row in (*fitted.values(), row_of(spend, **GG)):
        size = len(row["parameters"])
        assert len(row["covariance"]) == size * size
        matrix = np.array(row["covariance"]).reshape(size, size)
        assert np.array_equal(matrix, matrix.T)
        assert np.all(np.linalg.eigvalsh(matrix) > 0)
        assert list(row["standard_errors"]) == list(row["parameters"])
        errors = [*row["standard_errors"].values()]
        assert np.sqrt(np.diag(matrix)) == pytest.approx(errors, rel=1e-12)


def test_criteria_of_days_and_weeks_compare_and_those_of_spend_do_not(patterns, spend, fitted):
    weeks, days = fitted["bg_nbd"], row_of(patterns, **{**BG, "unit_days": 1})
    assert days["bic"] - weeks["bic"] > 1000
    assert days["comparable_bic"] == days["bic"]
    assert weeks["comparable_bic"] == pytest.approx(days["comparable_bic"], abs=1e-6)
    assert row_of(spend, **GG)["comparable_bic"] is None


def test_chances_per_day_compare_with_densities_in_any_unit(fitted):
    """BG/BB by days and Pareto/NBD in weeks tell nearly the same story of rare purchases."""
    daily, weekly = (fitted[name]["comparable_bic"] for name in ("bg_bb", "pareto_nbd"))
    assert daily == pytest.approx(weekly, rel=0.005)


def test_bg_bb_counts_days_as_opportunities(fitted):
    """A mean chance per day near the mean rate per week of the Pareto/NBD, by seven."""
    daily, weekly = (fitted[name]["parameters"] for name in ("bg_bb", "pareto_nbd"))
    chance = daily["alpha"] / (daily["alpha"] + daily["beta"])
    assert chance == pytest.approx(weekly["r"] / weekly["alpha"] / 7, rel=0.05)


@pytest.mark.parametrize("settings", [BG, GG, BG_BB], ids=["bg_nbd", "gamma_gamma", "bg_bb"])
def test_row_order_does_not_change_a_bit(settings, patterns, spend):
    data = spend if settings is GG else patterns.iloc[::4]
    first = row_of(data, **settings)
    assert first["status"] == "ok"
    assert row_of(data.sample(frac=1, random_state=1), **settings) == first


def test_without_difference_there_is_no_correlation(spend):
    alike = spend.assign(frequency=1)
    row = row_of(alike, **{**GG, "max_correlation": 0.0})
    assert row["frequency_spend_correlation"] is None
    assert row["log_frequency_spend_correlation"] is None
    assert row["status"] != "spend_depends_on_frequency"


def test_weights_count_in_the_correlation(spend):
    few = spend.head(40).copy()
    few["customers"] = np.arange(40) % 3 + 1
    repeated = few.loc[few.index.repeat(few["customers"])].assign(customers=1)
    expected = np.corrcoef(repeated["frequency"], repeated["monetary_value"])[0, 1]
    row = row_of(few, **{**GG, "min_repeaters": 1})
    assert row["frequency_spend_correlation"] == pytest.approx(expected, rel=1e-12)
    logs = np.log(repeated[["frequency", "monetary_value"]])
    expected = np.corrcoef(logs["frequency"], logs["monetary_value"])[0, 1]
    assert row["log_frequency_spend_correlation"] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("sign", [1, -1])
def test_spend_that_goes_with_frequency_is_named_in_either_direction(sign):
    random = np.random.default_rng(8)
    x = random.geometric(0.35, 1500)
    mean = random.gamma(2.0 * x) / random.gamma(3.7, 1 / 15, 1500) / x * x ** (0.3 * sign)
    tied = pd.DataFrame({"segment": "one", "frequency": x, "monetary_value": mean, "customers": 1})
    tied["mean_log"] = np.log(mean)
    free = row_of(tied, **GG)
    found = free["log_frequency_spend_correlation"]
    assert free["status"] == "ok"
    assert sign * found > 0.1
    at_the_limit = row_of(tied, **{**GG, "max_correlation": abs(found)})
    assert at_the_limit == free
    named = row_of(tied, **{**GG, "max_correlation": abs(found) - 1e-9})
    assert named["status"] == "spend_depends_on_frequency"
    assert f"correlate by {found:.2f}" in named["message"]
    assert named["message"].startswith(free["message"])
    same = [name for name in COLUMNS if name not in ("status", "message")]
    assert {name: named[name] for name in same} == {name: free[name] for name in same}


def test_one_huge_order_hides_a_dependence_from_the_plain_correlation_alone(spend):
    tied = spend.copy()
    tied["monetary_value"] *= tied["frequency"] ** 0.8
    tied.loc[tied["frequency"].idxmin(), "monetary_value"] = 1e5
    tied["mean_log"] = np.log(tied["monetary_value"])
    row = row_of(tied, **{**GG, "max_correlation": 0.2})
    assert abs(row["frequency_spend_correlation"]) < 0.1
    assert row["status"] == "spend_depends_on_frequency"


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


def test_customers_who_all_spend_the_same_are_degenerate(spend):
    same = spend.assign(monetary_value=20.0, mean_log=math.log(20.0))
    row = row_of(same, **GG)
    assert row["status"] == "degenerate"
    assert (row["parameters"], row["standard_errors"], row["covariance"]) == (None, None, None)
    assert row["log_likelihood"] is not None


def test_customers_who_all_came_today_are_degenerate(patterns):
    present = patterns[patterns["frequency"] > 0].assign(recency=lambda rows: rows["T"])
    row = row_of(present, **BG)
    assert row["status"] == "degenerate"
    assert "no dropout visible" in row["message"]
    assert (row["parameters"], row["covariance"]) == (None, None)


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


def test_spend_of_nothing_is_a_failed_row_without_a_warning(spend):
    broken = spend.copy()
    broken.loc[3, "monetary_value"] = 0.0
    row = row_of(broken, **GG)
    assert row["status"] == "failed"
    assert row["message"].startswith("InputError: m_x must be above zero: 1 of 946 rows")


def test_what_breaks_after_the_fit_leaves_no_half_of_it(patterns, monkeypatch):
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(kernel, "comparable_bic", broken)
    row = row_of(patterns, **BG)
    assert (row["status"], row["message"]) == ("failed", "ZeroDivisionError")
    assert (row["parameters"], row["standard_errors"], row["covariance"]) == (None, None, None)


def test_a_row_for_spark_keeps_none_and_whole_numbers(patterns):
    row = row_of(patterns, **{**BG, "min_customers": 10**6})
    frame = as_frame(row)
    assert list(frame.columns) == list(COLUMNS)
    assert len(frame) == 1
    assert {name: frame[name].iloc[0] for name in COLUMNS} == row
    assert frame["bic"].iloc[0] is None
    assert isinstance(frame["n_customers"].iloc[0], int)


def test_an_unknown_model_is_refused(patterns):
    with pytest.raises(ConfigError, match="no model 'nbd'"):
        fit_segment(patterns, **{**BG, "model": "nbd"})
