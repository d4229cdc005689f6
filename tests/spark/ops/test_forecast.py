"""revenue_forecast of the shop: complete, and adding up in every direction."""

from __future__ import annotations

import datetime as dt
import math

import pandas as pd
import pytest

from tests.operations import AS_OF, Finished, read_table

SUMMED = (
    "expected_purchases",
    "expected_revenue",
    "expected_margin",
    "existing_purchases",
    "existing_revenue",
    "new_customers",
    "new_purchases",
    "new_revenue",
)


@pytest.fixture(scope="module")
def forecast(costed: Finished) -> pd.DataFrame:
    return read_table(costed.lake / "revenue_forecast").to_pandas()


def test_every_segment_has_the_next_twelve_months(costed: Finished, forecast: pd.DataFrame) -> None:
    summary = read_table(costed.lake / "segment_summary").to_pandas()
    summary = summary[summary["relationship"] == "purchases"]
    summary = summary[summary["segment_level"] != "acquisition_month"]
    months = [dt.date(2023, 10 + at, 1) for at in range(3)]
    months += [dt.date(2024, 1 + at, 1) for at in range(9)]
    wanted = {(segment, month) for segment in summary["segment"] for month in months}
    assert len(summary) == 3
    assert set(zip(forecast["segment"], forecast["month"], strict=True)) == wanted
    assert len(forecast) == len(wanted)
    assert set(forecast["as_of_date"]) == {AS_OF}
    assert forecast["days"].sum() == 3 * 366
    assert not forecast.isna().any(axis=None)


def test_existing_and_new_add_up_and_so_do_segments(forecast: pd.DataFrame) -> None:
    for what in ("purchases", "revenue"):
        parts = forecast[f"existing_{what}"] + forecast[f"new_{what}"]
        assert parts.to_list() == forecast[f"expected_{what}"].to_list()
    levels = forecast.groupby(["month", "segment_level"])[list(SUMMED)].sum().unstack()
    for name in SUMMED:
        country, root = levels[name]["country"], levels[name]["global"]
        assert (abs(country / root - 1) < 1e-12).all(), name
        assert (root > 0).all()


def test_bounds_lie_around_and_those_of_all_are_closer(forecast: pd.DataFrame) -> None:
    assert (forecast["revenue_low"] < forecast["expected_revenue"]).all()
    assert (forecast["revenue_high"] > forecast["expected_revenue"]).all()
    width = (forecast["revenue_high"] - forecast["revenue_low"]) / forecast["expected_revenue"]
    by_segment = width.groupby(forecast["segment"]).mean()
    assert by_segment["global"] == by_segment.min()


def test_customers_come_as_in_the_last_year(costed: Finished, forecast: pd.DataFrame) -> None:
    """Counted from the days without Spark; without two full years there is no season."""
    days = read_table(costed.lake / "customer_days").to_pandas()
    first = days[days["transactions"] > 0].groupby("customer_id")["event_date"].min()
    first = first[first <= AS_OF]
    arrived = (first > dt.date(2022, 9, 30)).sum()
    year = forecast[forecast["segment"] == "global"]
    assert set(forecast["seasonal_index"]) == {1.0}
    assert math.isclose(year["new_customers"].sum(), arrived * 366 / 365, rel_tol=1e-12)


def test_the_next_year_of_todays_customers_is_that_of_their_scores(
    costed: Finished, forecast: pd.DataFrame
) -> None:
    scores = read_table(costed.lake / "clv_scores").to_pandas()
    scores = scores[scores["relationship"] == "purchases"]
    year = forecast[forecast["segment"] == "global"]
    # The forecast has the 366 days of a leap year.
    for what in ("purchases", "revenue"):
        ratio = year[f"existing_{what}"].sum() / scores[f"expected_{what}_365d"].sum()
        assert 1 < ratio < 1.004, what
