"""Scenarios by hand: every key of a scenario moves what it should, by as much as it should."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clv_spark.config import Scenario
from clv_spark.economics import DEFINITIONS, ServiceRates
from clv_spark.kernels.churn import ChurnRatios, Future
from clv_spark.kernels.event_rates import EventMix, ServiceCosts
from clv_spark.kernels.new_customers import Course, NewCustomerCurve
from clv_spark.kernels.new_value import new_customer_value
from clv_spark.kernels.what_if import (
    CostsAhead,
    ExistingCustomers,
    NewCustomers,
    SegmentBase,
    churn_factors,
    new_values,
    what_if_rows,
)

pytestmark = pytest.mark.filterwarnings("error")

# All deliveries are events; of the cost of time a half is, and of that calls are four fifths.
MIX = EventMix(purchases={"delivery": 1.0}, time={"call": 0.8, "visit": 0.2})
EXISTING = ExistingCustomers(
    revenue=1000.0,
    margin=300.0,
    costs=CostsAhead(50.0, 20.0, 50.0, 10.0, MIX),
    future=Future(
        purchases=25.0, years=10.0, ratios={0.9: ChurnRatios(revenue=1.1, purchases=1.2, time=1.3)}
    ),
)
RATES = ServiceRates(
    per_purchase=2.0, per_purchase_early=4.0, per_year=10.0, per_year_early=20.0, early_days=5
)
OF_EVENTS = ServiceRates(per_purchase=2.0, per_purchase_early=2.0, per_year=5.0, per_year_early=8.0)
COSTS = ServiceCosts(RATES, OF_EVENTS, MIX)


def curve(repeats):
    """An order of 100 at once, so many more by day 10 and as many by day 20; alive all the time."""
    days = np.array([0.0, 10.0, 20.0])
    course = Course(
        purchases=np.array([[1.0, 1.0 + repeats, 1.0 + 2 * repeats]]),
        purchases_early=np.ones((1, 3)),
        years=np.array([[0.0, 0.1, 0.2]]),
        years_early=np.array([[0.0, 0.05, 0.05]]),
    )
    return NewCustomerCurve(
        days=days,
        plain=course,
        discounted=course,
        order_value=np.array([100.0]),
        kept=1.0,
        margin_rate=0.3,
        horizon_days=20,
        early_days=5,
    )


CHANGES = ("clv_change", "clv_service_cost_change", "clv_to_cac_change", "payback_days_change")
CURVES = {1.0: curve(0.5), 0.9: curve(0.6)}


def segment(scenarios, definition, existing=(EXISTING,), cac=40.0):
    found = new_values(CURVES, COSTS, scenarios, definition, of_groups=False)
    values = {name: value for name, (value,) in found.items()}
    return SegmentBase("uk", existing, NewCustomers(values, cac))


def changed(scenario, definition="net", **how):
    """The rows of the base and of one scenario."""
    scenarios = {"other": scenario}
    usual, other = what_if_rows(segment(scenarios, definition, **how), scenarios, definition)
    assert (usual["scenario"], other["scenario"]) == ("base", "other")
    return usual, other


def test_the_base_by_hand():
    (row,) = what_if_rows(segment({}, "net"), {}, "net")
    assert row["segment"] == "uk"
    assert row["clv_sum"] == 300 - 50 - 20
    assert row["clv_service_cost"] == 50 + 20
    # Two orders: 60 of margin, less 4 + 2 for them and 0.05 x 20 + 0.15 x 10 for the time.
    assert row["new_customer_value"] == pytest.approx(60 - 6 - 2.5)
    assert row["cac"] == 40
    assert row["clv_to_cac"] == pytest.approx(51.5 / 40)
    # Net 26 at once; after ten days 45 - 5 - 1.5 = 38.5, after twenty 51.5.
    assert row["payback_days"] == pytest.approx(10 + 10 * 1.5 / 13)
    for name in CHANGES:
        assert row[name] == 0


@pytest.mark.parametrize(
    ("scenario", "clv", "new"),
    [
        ({"margin_rate": 0.02}, 230 + 20, 51.5 + 4),
        ({"order_value": 1.05}, 230 + 15, 51.5 + 3),
        # 3% of revenue, all of it margin.
        ({"price": 1.03}, 230 + 30, 51.5 + 6),
        ({"service_cost": 1.1}, 230 - 7, 51.5 - 0.85),
        ({"service_cost": 0.0}, 300, 60),
        ({"service_cost_per_purchase": 0.5}, 230 - 12.5, 51.5 - 1),
        ({"service_cost_per_year": 3.0}, 230 - 30, 51.5 - 0.6),
        # A fifth more on 8 of the 20; of a new one on 0.8 x (0.05 x 8 + 0.15 x 5).
        ({"service_cost_by_kind": {"call": 1.2}}, 230 - 1.6, 51.5 - 0.2 * 0.92),
        ({"service_cost_by_kind": {"delivery": 0.5}}, 230 + 25, 51.5 + 2),
        # Of the base of the factor on all costs these are a part.
        (
            {"service_cost_by_kind": {"delivery": 2.0, "visit": 0.0}, "service_cost": 1.5},
            300 - 1.5 * (100 + 18),
            60 - 1.5 * (10 + 2.5 - 0.2 * 1.15),
        ),
        ({"churn": 0.9}, 330 - 60 - 26, 66 - 6.4 - 2.5),
        ({"cac": 0.8}, 230, 51.5),
        # Orders, margin and prices together: 1050 at 32%, and 3% more for the same goods.
        (
            {"order_value": 1.05, "margin_rate": 0.02, "price": 1.03},
            1050 * 0.35 - 70,
            210 * 0.35 - 8.5,
        ),
        (
            {"churn": 0.9, "service_cost": 2.0, "service_cost_per_purchase": 1.0},
            330 - (100 + 25) * 1.2 - 40 * 1.3,
            66 - 12.8 - 2.2 - 5.0,
        ),
    ],
)
def test_each_change_by_hand(scenario, clv, new):
    usual, other = changed(Scenario(**scenario))
    assert other["clv_sum"] == pytest.approx(clv)
    assert other["clv_change"] == pytest.approx(clv - 230)
    assert other["new_customer_value"] == pytest.approx(new)
    cac = 40 * scenario.get("cac", 1.0)
    assert other["cac"] == pytest.approx(cac)
    assert other["clv_to_cac"] == pytest.approx(new / cac)
    assert other["clv_to_cac_change"] == pytest.approx(new / cac - 51.5 / 40)
    change = other["payback_days"] - usual["payback_days"]
    assert other["payback_days_change"] == pytest.approx(change)
    assert (change < 0) == (new / cac > 51.5 / 40)


def test_prices_lift_revenue_and_points_of_margin_do_not():
    assert changed(Scenario(price=1.03), "revenue")[1]["clv_change"] == pytest.approx(30)
    assert changed(Scenario(order_value=1.05), "revenue")[1]["clv_change"] == pytest.approx(50)
    assert changed(Scenario(margin_rate=0.02), "revenue")[1]["clv_change"] == 0
    dearer = changed(Scenario(service_cost=3.0), "margin")[1]
    assert (dearer["clv_change"], dearer["clv_service_cost_change"]) == (0, 140)
    value = changed(Scenario(price=1.03), "revenue")[1]["new_customer_value"]
    assert value == pytest.approx(206)


def test_payback_is_of_margin_where_value_is_revenue():
    usual, other = changed(Scenario(margin_rate=0.02), "revenue")
    # A margin of 30 at once and 45 after ten days; then of 32 and 48.
    assert usual["payback_days"] == pytest.approx(10 * 10 / 15)
    assert other["payback_days_change"] == pytest.approx(5 - 10 * 10 / 15)
    assert other["clv_to_cac_change"] == 0


MONEY = st.floats(-1e6, 1e6)
POSITIVE = st.floats(0, 1e6)
AHEAD = st.builds(CostsAhead, POSITIVE, POSITIVE)
FUTURE = st.builds(Future, POSITIVE, POSITIVE, st.just({}))


@given(
    st.builds(ExistingCustomers, POSITIVE, MONEY, AHEAD, FUTURE),
    st.sampled_from(DEFINITIONS),
    st.one_of(st.none(), st.floats(0.1, 200)),
)
def test_a_scenario_without_a_change_changes_nothing(part, definition, cac):
    usual, other = changed(Scenario(), definition, existing=[part], cac=cac)
    assert {**other, "scenario": "base"} == usual
    for name in CHANGES:
        assert usual[name] in (0, None)
    # And the base is what the summary of segments says of new customers.
    value = new_customer_value(curve(0.5), RATES, definition, cac, target_ratio=3.0)
    for name in ("new_customer_value", "clv_to_cac", "payback_days"):
        assert usual[name] == value[name]


@settings(deadline=None)
@given(
    st.lists(
        st.builds(ExistingCustomers, POSITIVE, POSITIVE, AHEAD, FUTURE), min_size=2, max_size=4
    ),
    st.builds(Scenario, margin_rate=st.floats(-1, 1), price=st.floats(0.5, 2)),
)
def test_the_sum_of_a_segment_is_that_of_its_parts(parts, scenario):
    whole = changed(scenario, existing=parts)[1]
    each = [changed(scenario, existing=[part])[1] for part in parts]
    total = sum(row["clv_sum"] for row in each)
    assert whole["clv_sum"] == pytest.approx(total, rel=1e-9, abs=1e-6)


def test_what_is_not_known_stays_so():
    for row in what_if_rows(SegmentBase("uk", [], None), {"a": Scenario(price=2.0)}, "net"):
        assert {row[name] for name in row.keys() - {"segment", "scenario"}} == {None}
    usual, other = changed(Scenario(cac=0.01), cac=1000.0)
    assert usual["payback_days"] is None
    assert other["payback_days"] == 0
    assert other["payback_days_change"] is None
    assert other["clv_to_cac_change"] > 0


def test_rows_come_in_the_order_of_names_and_each_factor_once():
    scenarios = {"b": Scenario(churn=0.9), "a": Scenario(churn=0.9), "c": Scenario(price=1.1)}
    rows = what_if_rows(segment(scenarios, "net"), scenarios, "net")
    assert [row["scenario"] for row in rows] == ["base", "a", "b", "c"]
    assert churn_factors(scenarios) == [0.9]
    assert churn_factors({}) == []
