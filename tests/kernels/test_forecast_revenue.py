"""The months ahead of a segment: calibrated in worlds with a known season, and adding up."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from clv_spark.economics.season import estimate_season, flat_season
from clv_spark.kernels.forecast_revenue import (
    DRAWS,
    Arrivals,
    forecast_rows,
    forecast_segment,
    month_days,
)
from clv_spark.kernels.segment_seasons import seasons_by_segment
from tests.kernels.test_sum_segment import many, rows_of
from tests.kernels.worlds import covariance, segment

AS_OF = dt.date(2023, 6, 30)
FLAT = [1.0] * 12
ARRIVALS = Arrivals(365, 730)
UNSURE = {"purchases_covariance": covariance(4, 0.02), "spend_covariance": covariance(3, 0.01)}
# By months a customer's past and the months ahead are as a year has them.
SUMMER = np.array([0.5, 0.5, 0.5, 1.0, 1.5, 2.0, 2.0, 1.5, 1.0, 0.5, 0.5, 0.5])
SUMMER = (SUMMER * 365 / (SUMMER @ [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])).tolist()
MEAN_SPEND = 6.25 * 15.44 / (3.74 - 1)


def forecast(entry=None, rows=None, *, arrivals=ARRIVALS, index=FLAT, as_of=AS_OF, months=12):
    entry = segment(**UNSURE) if entry is None else entry
    return forecast_segment(
        rows_of(entry) if rows is None else rows,
        entry,
        arrivals,
        index,
        as_of=as_of,
        months=months,
        keeps_refunds=False,
    )


def test_rows_add_up():
    parts = [forecast(segment(name, margin_rate=rate)) for name, rate in (("uk", 0.3), ("fr", 0.5))]
    rows = forecast_rows(parts, flat_season("global"), AS_OF)
    alone = [forecast_rows([part], flat_season("uk"), AS_OF) for part in parts]
    assert [row["month"] for row in rows] == [month for month, _ in month_days(AS_OF, 12)]
    for at, row in enumerate(rows):
        assert row["expected_revenue"] == row["existing_revenue"] + row["new_revenue"]
        assert row["expected_purchases"] == row["existing_purchases"] + row["new_purchases"]
        assert row["revenue_low"] < row["expected_revenue"] < row["revenue_high"]
        for name in ("expected_revenue", "expected_margin", "new_customers"):
            assert row[name] == pytest.approx(alone[0][at][name] + alone[1][at][name], rel=1e-12)
        one, other = (rows[at]["expected_revenue"] for rows in alone)
        assert row["expected_margin"] == pytest.approx(0.3 * one + 0.5 * other, rel=1e-12)


def test_a_year_of_todays_customers_is_that_of_their_sum():
    entry = segment(margin_rate=1.0)
    rows = rows_of(entry)
    months = forecast(entry, rows, as_of=dt.date(2022, 12, 31))
    # Half a year, as the sums of the customers have it; not discounted, so slightly more.
    clv = rows["clv"].sum()
    half = sum(months.existing_revenue[:6]) * 180 / 181
    assert half == pytest.approx(clv * 1.0235, rel=0.01)


def test_new_customers_come_at_the_counted_or_the_given_rate():
    counted = forecast(segment(return_rate=0.25))
    days = np.array([days for _, days in month_days(AS_OF, 12)])
    np.testing.assert_allclose(counted.new_customers, 2 * days)
    given = forecast(segment(return_rate=0.25), arrivals=Arrivals(365, 730, per_month=365 / 12))
    np.testing.assert_allclose(given.new_customers, days)
    # Each buys when it comes, and spends the mean of all, less what it sends back.
    assert given.new_purchases[0] > given.new_customers[0]
    spend = np.array(given.new_revenue) / given.new_purchases
    np.testing.assert_allclose(spend, 0.75 * MEAN_SPEND)


def test_an_unsure_rate_of_new_customers_widens_the_interval():
    rows = many(rows_of(segment()), 1e-6)
    few, exact = (
        forecast(segment(), rows, arrivals=Arrivals(365, 20, per_month=rate))
        for rate in (None, 20 / 12)
    )
    spread = [np.std(np.array(part.mean).reshape(12, DRAWS)[11]) for part in (few, exact)]
    # A count of 20 is known to about 22%.
    assert spread[0] / few.new_revenue[11] == pytest.approx(0.22, rel=0.1)
    assert spread[1] < 1e-9 * few.new_revenue[11]
    none = forecast(segment(), rows, arrivals=Arrivals(365, 0))
    assert none.new_customers == [0.0] * 12


def test_the_first_month_is_what_is_left_of_it():
    part = forecast(as_of=dt.date(2023, 6, 20), months=2)
    full = forecast(as_of=dt.date(2023, 5, 31), months=2)
    assert part.new_customers[0] == pytest.approx(2 * 10)
    assert part.existing_purchases[0] == pytest.approx(full.existing_purchases[0] / 3, rel=0.1)
    rows = forecast_rows([part], flat_season("uk"), dt.date(2023, 6, 20))
    assert [(row["month"].month, row["days"]) for row in rows] == [(6, 10), (7, 31)]


@pytest.mark.parametrize("model", ["bg_nbd", "bg_bb"])
def test_a_season_moves_revenue_and_hardly_changes_the_year(model):
    entry = segment(model=model)
    rows = rows_of(entry)
    even = forecast(entry, rows, as_of=dt.date(2022, 12, 31))
    summer = forecast(entry, rows, as_of=dt.date(2022, 12, 31), index=SUMMER)
    for name in ("existing_revenue", "new_revenue", "existing_purchases", "new_customers"):
        ratio = np.array(getattr(summer, name)) / getattr(even, name)
        assert ratio[[5, 6]].min() > 1.6 * ratio[[0, 11]].max()
        assert sum(getattr(summer, name)) == pytest.approx(sum(getattr(even, name)), rel=0.12)
    np.testing.assert_allclose(np.array(summer.new_customers) / even.new_customers, SUMMER)


def test_who_came_in_season_is_not_counted_as_if_it_were_the_whole_year():
    counted = Arrivals(92, 920)
    august = dt.date(2023, 8, 31)
    shops, days = (
        forecast(segment(model=model), index=SUMMER, as_of=august, arrivals=counted)
        for model in ("bg_nbd", "bg_bb")
    )
    # 10 a day from June to August, when nearly twice as many come as in a mean month.
    assert sum(shops.new_customers) == pytest.approx(3650 / 1.8, rel=0.1)
    np.testing.assert_allclose(days.new_customers, shops.new_customers, rtol=0.01)


def test_silence_in_the_quiet_months_is_no_sign_of_leaving():
    """Customers last seen before the winter: the clock of the season has hardly moved since."""
    entry = segment()
    rows = many(rows_of(entry), 100)
    rows = rows[rows["T"] - rows["recency"] > 120]
    april = dt.date(2023, 3, 31)
    even, summer = (forecast(entry, rows, index=index, as_of=april) for index in (FLAT, SUMMER))
    assert sum(summer.existing_purchases) > 1.1 * sum(even.existing_purchases)


def test_parameters_of_a_segment_above_stay_and_own_ones_move_to_the_clock():
    own, taken = segment(**UNSURE), segment(**UNSURE | {"purchases_segment": "global"})
    rows = rows_of(own)
    moved, stayed = (forecast(entry, rows, index=SUMMER) for entry in (own, taken))
    assert moved.new_purchases != stayed.new_purchases
    same = [forecast(replace(entry, segment="uk"), rows) for entry in (own, taken)]
    np.testing.assert_allclose(same[0].new_purchases, same[1].new_purchases, rtol=1e-12)


def test_the_order_of_rows_does_not_change_a_bit():
    entry = segment(**UNSURE)
    rows = rows_of(entry)
    shuffled = rows.sample(frac=1, random_state=1)
    assert forecast(entry, rows, index=SUMMER) == forecast(entry, shuffled, index=SUMMER)


def test_doubt_about_the_season_and_noise_of_months_widen_the_interval():
    number = list(range(12 * 2020, 12 * 2023))
    revenue = np.exp(0.2 * np.random.default_rng(1).standard_normal(36))
    unsure = estimate_season("uk", number, revenue, np.full(36, 1e-3), flat_season("global"))
    part = forecast(segment(), many(rows_of(segment()), 1e4), arrivals=Arrivals(365, 10**7))
    widths = [
        (row["revenue_high"] - row["revenue_low"]) / row["expected_revenue"]
        for season in (flat_season("uk"), unsure)
        for row in forecast_rows([part], season, AS_OF)[:1]
    ]
    assert widths[0] < 0.02
    # Months differ by 20% for no known reason: an interval of 80% is 2 x 1.28 times as wide.
    assert 0.4 < widths[1] < 0.7


LEVELS = ["root", "region", "country"]


def months_of(region, country, *, first=dt.date(2020, 1, 1), count=36, revenue=lambda month: 1000):
    number = 12 * first.year + first.month - 1
    for month in range(number, number + count):
        start = dt.date(month // 12, month % 12 + 1, 1)
        yield {
            "root": "global",
            "region": region,
            "country": f"{region}/{country}",
            "event_month": start,
            "first_date": max(first, start),
            "cents": 100 * round(revenue(month)),
            "square": float(revenue(month)),
        }


def seasons(rows, as_of=dt.date(2022, 12, 31), least=24):
    return seasons_by_segment(rows, LEVELS, {"global": segment("global")}, as_of, least)


def december(month):
    return 30_000 if month % 12 == 11 else 10_000


def test_segments_with_two_years_have_a_season_of_their_own():
    rows = [*months_of("Europe", "Spain", revenue=december)]
    rows += months_of("Europe", "Malta", first=dt.date(2021, 2, 1), count=23, revenue=december)
    found = seasons(rows)
    assert set(found) == {"global", "Europe", "Europe/Spain"}
    assert found["Europe/Spain"].index[11] > 2
    assert found["global"].index[11] > 2
    # The same rows in another order, the same bits.
    again = seasons(rows[::-1])
    assert all(found[name].draws.tobytes() == again[name].draws.tobytes() for name in found)


def test_months_that_are_not_full_do_not_count():
    started = dt.date(2021, 1, 15)
    rows = list(months_of("Europe", "Spain", first=started, count=25, revenue=december))
    # From February 2021 to December 2022 there are 23 full months; January 2023 makes 24.
    assert set(seasons(rows)) == {"global"}
    assert set(seasons(rows, dt.date(2023, 1, 30))) == {"global"}
    assert set(seasons(rows, dt.date(2023, 1, 31))) == {"global", "Europe", "Europe/Spain"}
    nothing = [row | {"cents": 0} for row in rows[:3]] + rows[3:]
    assert set(seasons(nothing, dt.date(2023, 1, 31))) == {"global"}


def test_without_history_there_is_no_season():
    assert seasons([])["global"].index.tolist() == FLAT


def test_bounds_of_all_months_so_far_are_wider_than_a_month_and_narrower_than_the_sum():
    entry = segment(**UNSURE)
    part = forecast(entry, many(rows_of(entry), 100), index=SUMMER)
    season = replace(flat_season("uk"), noise=0.1)
    rows = pd.DataFrame(forecast_rows([part], season, AS_OF))
    assert rows["cumulative_revenue"].tolist() == rows["expected_revenue"].cumsum().tolist()
    first = rows.iloc[0]
    for name in ("low", "high"):
        assert first[f"cumulative_revenue_{name}"] == pytest.approx(
            first[f"revenue_{name}"], rel=0.01
        )
    width = rows["cumulative_revenue_high"] - rows["cumulative_revenue_low"]
    summed = (rows["revenue_high"] - rows["revenue_low"]).cumsum()
    assert width.is_monotonic_increasing
    assert (width[1:] < 0.95 * summed[1:]).all()
    assert (
        rows["cumulative_revenue"]
        .between(rows["cumulative_revenue_low"], rows["cumulative_revenue_high"])
        .all()
    )


def test_months_vary_together_in_the_sum_of_a_few_customers():
    """Who is still there, and buys much, does so every month."""
    entry = segment()
    part = forecast(entry, rows_of(entry), arrivals=Arrivals(365, 0, per_month=0.0))
    variance, to_date = (
        np.array(getattr(part, name)).reshape(12, DRAWS)[:, 0]
        for name in ("variance", "variance_to_date")
    )
    assert to_date[0] == pytest.approx(variance[0], rel=0.01)
    assert (to_date[1:] > 1.05 * variance.cumsum()[1:]).all()
