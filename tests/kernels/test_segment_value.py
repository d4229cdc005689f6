"""Rows of segment_summary from sums and outlooks: parts add up, groups share what leaves know."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from clv_spark.config import Scenario
from clv_spark.kernels.churn import Future
from clv_spark.kernels.new_value import NewValue, mixed
from clv_spark.kernels.segment_value import (
    LeafOutlook,
    SummarySettings,
    added,
    scenario_values,
    summary_values,
)
from clv_spark.kernels.sum_segment import SegmentSum
from clv_spark.kernels.what_if import BASE

SETTINGS = SummarySettings(
    definition="net", recent_days=73, target_clv_to_cac=3.0, target_payback_days=100
)
DAYS = np.array([0.0, 50.0, 365.0])
MONEY_AHEAD = ("clv_revenue", "clv_margin", "clv_service_cost", "clv", "expected_revenue_365d")


def new(top, draws=()):
    curve = np.array([top / 4, top / 2, top])
    return NewValue(DAYS, curve, curve * 0.9, np.array([top * 0.9, *draws]), top, top / 2, top / 10)


def outlook(clv, top, scenario_top=None):
    summed = SegmentSum("leaf", 10.0, 5.0, clv, [clv * f for f in (0.8, 1.0, 1.2)], [1.0, 1.0, 1.0])
    values = {BASE: (new(top, (top * 0.8, top)),)}
    if scenario_top is not None:
        values["other"] = (new(scenario_top),)
    return LeafOutlook((summed,), (Future(20.0, 8.0, {}),), values)


def sums(**more):
    return {
        "customers": 10,
        "valued": 10,
        "loss_making": 2,
        "purchases": 40,
        "age_days": 3650,
        "lost": 2,
        "retained": 6,
        "with_cost": 8,
        "new_customers": 4,
        "new_with_cost": 4,
        "p_active_365d": 5.0,
        "expected_revenue_365d": 1050.0,
        "clv_revenue": 1000.0,
        "clv_margin": 300.0,
        "clv_service_cost": 90.0,
        "loss": -15.0,
        "clv": 210.0,
        "service_of_purchases_ahead": 60.0,
        "service_of_time_ahead": 30.0,
        "events_of_purchases_ahead": 0.0,
        "events_of_time_ahead": 0.0,
        "purchases_ahead": 20.0,
        "days_ahead": 8.0 * 365,
        "historical_revenue": 2000.0,
        "historical_margin": 600.0,
        "historical_service_cost": 200.0,
        "historical_clv": 400.0,
        "acquisition_cost": 80.0,
        "new_acquisition_cost": 40.0,
        **more,
    }


def test_the_numbers_of_a_segment_by_hand():
    row = summary_values({"uk": sums()}, {"uk": outlook(300.0, 120.0)}, SETTINGS)
    assert (row["customers"], row["loss_making_customers"]) == (10, 2)
    assert row["clv_sum"] == row["clv_margin"] - row["clv_service_cost"] == 210.0
    assert row["historical_clv_mean"] == 40.0
    assert row["cac"] == 10.0
    assert row["new_customer_value"] == pytest.approx(108.0)
    assert row["new_customer_clv"] == pytest.approx(98.0)
    assert row["clv_to_cac"] == pytest.approx(10.8)
    assert row["payback_days"] == 0.0
    assert row["max_cac"] == pytest.approx(36.0)
    # Four in 73 days are twenty a year.
    assert row["acquisition_budget"] == pytest.approx(720.0)
    assert (row["clv_to_cac_reached"], row["payback_reached"]) == (True, True)
    assert row["observed_churn"] == 0.25
    # 50 an order, 4 orders in each of 10 years together: 4 a year. Of both formulas one lifetime.
    monthly = 1 - 0.75 ** (1 / 12)
    years = 1 / monthly / 12
    assert row["formula_orders_revenue"] == pytest.approx(50 * 4 * years)
    assert row["formula_orders_net"] == pytest.approx((50 * 0.3 - 5) * 4 * years)
    assert row["formula_churn_margin"] == pytest.approx(2000 / 120 * 0.3 / monthly)


def test_where_no_value_is_known_nobody_can_say_whether_it_pays_back():
    unknown = {"uk": outlook(300.0, np.nan)}
    row = summary_values({"uk": sums()}, unknown, SETTINGS)
    assert row["cac"] == 10.0
    names = ("new_customer_value", "clv_to_cac_reached", "payback_days", "payback_reached")
    assert [row[name] for name in names] == [None] * 4


def test_bounds_are_those_of_the_margin_less_what_serving_costs():
    row = summary_values({"uk": sums()}, {"uk": outlook(300.0, 120.0)}, SETTINGS)
    margin = SummarySettings("margin", 73, 3.0, 100)
    plain = summary_values({"uk": sums()}, {"uk": outlook(300.0, 120.0)}, margin)
    for name in ("clv_sum_low", "clv_sum_high"):
        assert row[name] == pytest.approx(plain[name] * (1 - 60 / 300) - 30)
    assert plain["clv_sum_low"] < 300 < plain["clv_sum_high"]


def test_a_group_has_its_share_of_what_the_leaf_segments_know():
    half = {name: value / 2 for name, value in sums().items()}
    known = {"uk": outlook(300.0, 120.0)}
    whole, part = (summary_values({"uk": one}, known, SETTINGS) for one in (sums(), half))
    assert part["clv_sum"] == whole["clv_sum"] / 2
    # Parameters are shared, so most of the width is; customers' own chance is not.
    width, narrow = (row["clv_sum_high"] - row["clv_sum_low"] for row in (whole, part))
    assert 0.5 * width < narrow < 0.6 * width
    assert part["new_customer_value"] == whole["new_customer_value"]


def test_new_customers_of_a_group_are_in_the_mix_of_its_new_ones():
    leaves = {"uk": sums(new_customers=3), "fr": sums(new_customers=1)}
    known = {"uk": outlook(300.0, 100.0), "fr": outlook(300.0, 200.0)}
    row = summary_values(leaves, known, SETTINGS)
    assert row["new_customer_value"] == pytest.approx(0.9 * 125)
    nobody = {leaf: {**one, "new_customers": 0, "new_with_cost": 0} for leaf, one in leaves.items()}
    row = summary_values(nobody, known, SETTINGS)
    assert row["new_customer_value"] == pytest.approx(0.9 * 150)
    assert (row["cac"], row["clv_to_cac"], row["payback_reached"]) == (None, None, None)
    assert row["acquisition_budget"] == 0.0


def test_all_customers_of_a_month_are_its_new_ones_however_long_ago_it_was():
    cohort = replace(SETTINGS, cohort=True)
    old = {
        "uk": sums(customers=8, new_customers=0, new_with_cost=0, new_acquisition_cost=0.0),
        # A leaf segment with a few who still count as new ones, and more who don't.
        "fr": sums(customers=24, with_cost=2, acquisition_cost=70.0),
    }
    known = {"uk": outlook(300.0, 100.0, 100.0), "fr": outlook(300.0, 200.0, 200.0)}
    row = summary_values(old, known, cohort)
    assert row["new_customers"] == row["customers"] == 32
    # Of ten of them it is known: 80 and 70.
    assert row["cac"] == 15.0
    assert row["new_customer_value"] == pytest.approx(0.9 * 175)
    assert row["clv_to_cac"] == pytest.approx(0.9 * 175 / 15)
    assert row["payback_days"] == 0.0
    assert row["acquisition_budget"] == pytest.approx(row["max_cac"] * 32)
    usual, other = scenario_values("2020-01", old, known, {"other": Scenario(cac=2.0)}, cohort)
    assert (usual["cac"], other["cac"]) == (15.0, 30.0)
    assert usual["clv_to_cac"] == pytest.approx(row["clv_to_cac"])


def test_without_a_model_only_the_past_is_known():
    row = summary_values({"uk": sums(valued=0, **dict.fromkeys(MONEY_AHEAD))}, {}, SETTINGS)
    assert all(row[name] is None for name in ("clv_sum", "clv_sum_low", "clv_margin"))
    assert "new_customer_value" not in row
    assert row["historical_clv_sum"] == 400.0


def test_of_contracts_that_never_paid_no_formula_says_anything():
    """They ended on the day they began; a year ago others of the plan ran."""
    nothing = ("purchases", "historical_revenue", "historical_margin", "historical_service_cost")
    for age in (0, 3650):
        one = sums(age_days=age, historical_clv=0.0, **dict.fromkeys(nothing, 0))
        row = summary_values({"trial": one}, {"trial": outlook(300.0, 120.0)}, SETTINGS)
        formulas = [value for name, value in row.items() if name.startswith("formula_")]
        assert formulas == [None] * 6
        assert (row["observed_churn"], row["customers"], row["cac"]) == (0.25, 10, 10.0)


@pytest.mark.parametrize("definition", ["revenue", "margin", "net"])
def test_contracts_that_have_all_ended_are_worth_nothing_for_sure(definition):
    ahead = ("service_of_purchases_ahead", "service_of_time_ahead", "purchases_ahead", "days_ahead")
    ended = sums(p_active_365d=0.0, **dict.fromkeys((*MONEY_AHEAD, *ahead), 0.0))
    settings, scenarios = replace(SETTINGS, definition=definition), {"other": Scenario(churn=0.9)}
    names = ("clv_sum", "clv_mean", "clv_sum_low", "clv_sum_high")
    row = summary_values({"old": ended}, {}, settings)
    assert [row[name] for name in names] == [0.0] * 4
    both = scenario_values("old", {"old": ended}, {}, scenarios, settings)
    assert [(one["clv_sum"], one["clv_change"]) for one in both] == [(0.0, 0.0)] * 2
    # Beside others they add nothing, and of those nobody knows they say nothing.
    known = {"uk": outlook(300.0, 120.0)}
    alone = summary_values({"uk": sums()}, known, settings)
    row = summary_values({"uk": sums(), "old": ended}, known, settings)
    assert {name: row[name] for name in names if name != "clv_mean"} == {
        name: alone[name] for name in names if name != "clv_mean"
    }
    unknown = sums(valued=0, **dict.fromkeys(MONEY_AHEAD))
    row = summary_values({"uk": unknown}, {}, settings)
    assert [row[name] for name in names] == [None] * 4
    both = scenario_values("uk", {"uk": unknown}, {}, scenarios, settings)
    assert [one["clv_sum"] for one in both] == [None] * 2


def test_scenarios_of_a_group():
    known = {"uk": outlook(300.0, 120.0, scenario_top=150.0)}
    scenarios = {"other": Scenario(margin_rate=0.02, cac=2.0)}
    usual, other = scenario_values("uk", {"uk": sums()}, known, scenarios, SETTINGS)
    assert usual["clv_sum"] == pytest.approx(210.0)
    assert other["clv_change"] == pytest.approx(20.0)
    assert other["new_customer_value"] == pytest.approx(135.0)
    assert other["cac"] == 20.0


def test_service_costs_of_a_group_change_with_what_its_own_customers_do():
    """Ninety buy once and stay, ten buy often: half of the value each, not half of the work."""
    some = {"customers": 90, "valued": 90, "purchases_ahead": 2.0, "days_ahead": 7.0 * 365}
    rest = {"customers": 10, "valued": 10, "purchases_ahead": 18.0, "days_ahead": 1.0 * 365}
    known = {"uk": outlook(600.0, 120.0, scenario_top=150.0)}
    known["uk"].new.update(purchase=(new(150.0),), year=(new(150.0),))
    scenarios = {
        "other": Scenario(),
        "purchase": Scenario(service_cost_per_purchase=3.0),
        "year": Scenario(service_cost_per_year=5.0),
    }
    for group, purchases, years in ((some, 2.0, 7.0), (rest, 18.0, 1.0)):
        rows = scenario_values("a", {"uk": sums(**group)}, known, scenarios, SETTINGS)
        changes = {row["scenario"]: row["clv_change"] for row in rows}
        assert changes["purchase"] == pytest.approx(-3.0 * purchases)
        assert changes["year"] == pytest.approx(-5.0 * years)


def test_a_mix_of_jumps_and_lines_is_their_mean_on_both_sides_of_each_day():
    jump = NewValue(
        np.array([0.0, 30.0, 30.0, 60.0]),
        *[np.array([5.0, 5.0, 9.0, 9.0])] * 2,
        np.array([9.0, 8.0, 10.0]),
        9.0,
        9.0,
        0.0,
    )
    line = NewValue(
        np.array([0.0, 60.0]), *[np.array([0.0, 60.0])] * 2, np.array([60.0]), 60.0, 60.0, 0.0
    )
    both = mixed([(1, jump), (1, line)])
    assert both.days.tolist() == [0, 0, 30, 30, 60, 60]
    assert both.plain.tolist() == [2.5, 2.5, 17.5, 19.5, 34.5, 34.5]
    assert both.draws.tolist() == [34.5, 34.0, 35.0]


def test_sums_of_the_unknown_stay_out():
    assert added([{"a": 1, "b": None}, {"a": 2, "b": 0.5}, {"a": 3, "b": None}]) == {
        "a": 6,
        "b": 0.5,
    }


def test_sums_of_decimals_do_not_depend_on_how_they_are_split():
    tenth = Decimal("0.1")
    # As doubles 0.1 + 0.2 and 0.3 differ.
    assert added([{"a": tenth}, {"a": 2 * tenth}]) == added([{"a": 3 * tenth}]) == {"a": 0.3}
    assert added([{"a": None}, {"a": tenth}, {"a": None}]) == {"a": 0.1}
    assert added([{"a": None}]) == {"a": 0.0}
