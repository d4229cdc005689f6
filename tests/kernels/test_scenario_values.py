"""Scenarios of a segment from its leaf segments: what adds up, who is like its new customers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clv_spark.config import Scenario
from clv_spark.economics import ServiceRates
from clv_spark.kernels.churn import future_of_customers
from clv_spark.kernels.event_rates import EventMix, ServiceCosts
from clv_spark.kernels.new_customers import new_customer_curve
from clv_spark.kernels.new_value import new_customer_value
from clv_spark.kernels.segment_value import LeafOutlook, SummarySettings, scenario_values
from clv_spark.kernels.sum_segment import SegmentSum
from clv_spark.kernels.what_if import churn_factors, new_values
from tests.kernels.test_churn import random_rows
from tests.kernels.worlds import segment

pytestmark = pytest.mark.filterwarnings("error")

HOW = {"horizon_days": 365, "annual_discount_rate": 0.1}
RATES = ServiceRates(per_purchase=1.0, per_year=2.0, early_days=30)
MIX = EventMix(time={"call": 0.5, "visit": 0.5})
COSTS = ServiceCosts(RATES, ServiceRates(per_year=1.0), MIX)
SCENARIOS = {
    "stay": Scenario(churn=0.8),
    "win": Scenario(cac=0.5),
    "call": Scenario(service_cost_per_purchase=0.5),
    "longer calls": Scenario(service_cost_by_kind={"call": 2.0}),
}
SETTINGS = SummarySettings("net", 365, 3.0, 365)
FUTURE = future_of_customers(random_rows(), segment(), [0.8], **HOW)


def curve(churn, **changes):
    return new_customer_curve(segment(**changes), **HOW, early_days=30, draws=0, churn=churn)


def leaf(**changes):
    curves = {churn: curve(churn, **changes) for churn in (1.0, *churn_factors(SCENARIOS))}
    new = new_values(curves, COSTS, SCENARIOS, "net", of_groups=False)
    # What is counted is the margin: 300 in the whole leaf segment.
    return LeafOutlook((SegmentSum("uk", 60.0, 30.0, 300.0, (), ()),), (FUTURE,), new, MIX)


def sums(**changes):
    usual = {
        "customers": 60,
        "valued": 60,
        "new_customers": 10,
        "new_with_cost": 10,
        "new_acquisition_cost": 200.0,
        "clv_revenue": 1000.0,
        "clv_margin": 300.0,
        "service_of_purchases_ahead": 40.0,
        "service_of_time_ahead": 30.0,
        "events_of_purchases_ahead": 0.0,
        "events_of_time_ahead": 12.0,
        "purchases_ahead": 25.0,
        "days_ahead": 10_950.0,
    }
    return usual | changes


def rows_of(leaves, outlooks):
    found = scenario_values("all", leaves, outlooks, SCENARIOS, SETTINGS)
    return {row["scenario"]: row for row in found}


def test_a_leaf_segment_by_its_sums_future_and_new_customers():
    rows = rows_of({"uk": sums()}, {"uk": leaf()})
    assert rows["base"]["clv_sum"] == 230
    ratio = FUTURE.ratios[0.8]
    change = 300 * (ratio.revenue - 1) - 40 * (ratio.purchases - 1) - 30 * (ratio.time - 1)
    assert rows["stay"]["clv_change"] == pytest.approx(change)
    assert rows["call"]["clv_change"] == pytest.approx(-0.5 * 25)
    assert rows["longer calls"]["clv_change"] == pytest.approx(-6)
    lost = rows["longer calls"]["new_customer_value"] - rows["base"]["new_customer_value"]
    # A year costs 2, and half of one more: so much of what time costs a new customer.
    none = new_customer_value(
        curve(1.0), replace(RATES, per_year=0.0), "net", 20.0, target_ratio=3.0
    )
    assert lost == pytest.approx(
        (rows["base"]["new_customer_value"] - none["new_customer_value"]) / 4
    )
    value = new_customer_value(curve(0.8), RATES, "net", 20.0, target_ratio=3.0)
    for name in ("new_customer_value", "clv_to_cac", "payback_days"):
        assert rows["stay"][name] == value[name]
    assert rows["win"]["cac"] == 10


def test_new_customers_of_a_segment_are_like_those_it_wins():
    parts = {"uk": leaf(), "fr": leaf(margin_rate=0.9)}
    each = {name: rows_of({name: sums()}, parts)["stay"]["new_customer_value"] for name in parts}

    def together(**new):
        leaves = {
            name: sums(new_customers=count, new_with_cost=count) for name, count in new.items()
        }
        return rows_of(leaves, parts)["stay"]["new_customer_value"]

    assert together(uk=3, fr=1) == pytest.approx((3 * each["uk"] + each["fr"]) / 4)
    assert together(uk=5, fr=0) == pytest.approx(each["uk"])
    # Where nobody is new they are like all.
    assert together(uk=0, fr=0) == pytest.approx((each["uk"] + each["fr"]) / 2)
    assert rows_of({name: sums() for name in parts}, parts)["base"]["cac"] == 20


def test_leaf_segments_without_value_or_new_customers_are_left_out():
    outlooks = {"uk": leaf(), "lost": LeafOutlook((), (), {})}
    empty = sums(valued=0, new_customers=0, clv_margin=0.0)
    rows = rows_of({"uk": sums(), "lost": empty, "unknown": empty}, outlooks)
    assert rows["base"]["clv_sum"] == 230
    alone = rows_of({"lost": empty}, outlooks)["base"]
    assert (alone["clv_sum"], alone["new_customer_value"], alone["cac"]) == (None, None, None)
