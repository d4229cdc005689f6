"""The curve of a new customer: as the model says, as simulated lives go, and what it is worth."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from clv_spark.economics import ServiceRates
from clv_spark.errors import InputError
from clv_spark.kernels import sum_segment
from clv_spark.kernels.new_customers import (
    Course,
    NewCustomerCurve,
    days_of_curve,
    new_customer_curve,
)
from clv_spark.kernels.new_value import mixed, new_customer_row, new_customer_value, new_value
from clv_spark.models import PURCHASE_MODELS
from clv_spark.models.draws import parameter_draws
from tests.kernels.worlds import MODELS, SPEND, UNIT_DAYS, covariance, named, segment

pytestmark = pytest.mark.filterwarnings("error")

HORIZON, EARLY, RATE = 365, 90, 0.1
UNSURE = {"purchases_covariance": covariance(4, 0.02), "spend_covariance": covariance(3, 0.01)}
COSTS = ServiceRates(
    per_purchase=2.0, per_purchase_early=5.0, per_year=3.0, per_year_early=8.0, early_days=EARLY
)


def curve_of(entry, **how):
    usual = {"horizon_days": HORIZON, "annual_discount_rate": RATE, "early_days": EARLY, "draws": 0}
    return new_customer_curve(entry, **(usual | how))


def at(curve, values, day):
    return values[0, curve.days == day][-1]


def lives(model, customers=100_000, seed=5):
    """Days with a repeat purchase and last day of new customers, lived purchase by purchase."""
    random = np.random.default_rng(seed)
    params, unit = named(model), UNIT_DAYS[model]
    one, two, three, four = params.values()
    end = HORIZON / unit
    who, when = [np.zeros(0, dtype=np.int64)], [np.zeros(0)]
    left = np.full(customers, np.inf)
    if model == "bg_bb":
        buys, leaves = random.beta(one, two, customers), random.beta(three, four, customers)
        here = np.arange(customers)
        for day in range(1, int(end) + 1):
            goes = random.random(here.size) < leaves[here]
            left[here[goes]] = day
            here = here[~goes]
            some = here[random.random(here.size) < buys[here]]
            who.append(some)
            when.append(np.full(some.size, float(day)))
        return np.concatenate(who), np.concatenate(when) * unit, left * unit
    rate = np.maximum(random.gamma(one, 1 / two, customers), 1e-12)
    if model == "pareto_nbd":
        left = random.exponential(1, customers) / np.maximum(
            random.gamma(three, 1 / four, customers), 1e-12
        )
        chance = np.zeros(customers)
    else:
        chance = random.beta(three, four, customers)
        if model == "mbg_nbd":
            left[random.random(customers) < chance] = 0.0
    now, here = np.zeros(customers), np.flatnonzero(left > 0)
    while here.size:
        now[here] += random.exponential(1, here.size) / rate[here]
        here = here[now[here] <= np.minimum(end, left[here])]
        who.append(here)
        when.append(now[here])
        goes = random.random(here.size) < chance[here]
        left[here[goes]] = now[here[goes]]
        here = here[~goes]
    return np.concatenate(who), np.concatenate(when) * unit, left * unit


def near(drawn, expected):
    """Within four standard errors, of a few draws it may be; a model off by a percent is not."""
    error = np.std(drawn) / math.sqrt(drawn.size)
    assert abs(np.mean(drawn) - expected) < 4 * error
    assert error < 0.02 * abs(expected)


@pytest.mark.parametrize("model", MODELS)
def test_purchases_are_those_the_model_expects_of_a_new_customer(model):
    curve = curve_of(segment(model=model))
    days = curve.days / UNIT_DAYS[model]
    expected = PURCHASE_MODELS[model].expected_purchases_new(named(model), days)
    np.testing.assert_allclose(curve.plain.purchases[0], 1 + expected, rtol=1e-8)
    rate = math.log1p(RATE) * UNIT_DAYS[model] / 365
    discounted = PURCHASE_MODELS[model].discounted_expected_purchases(
        named(model), rate, HORIZON / UNIT_DAYS[model], 0.0, 0.0, 0.0
    )
    found = at(curve, curve.discounted.purchases, HORIZON)
    assert found == pytest.approx(1 + float(discounted), rel=1e-8)


@pytest.mark.parametrize("model", MODELS)
def test_a_simulated_life_has_these_purchases_and_this_time(model):
    curve = curve_of(segment(model=model))
    who, when, left = lives(model)
    for end, purchases, years in (
        (HORIZON, curve.plain.purchases, curve.plain.years),
        (EARLY, curve.plain.purchases_early, curve.plain.years_early),
    ):
        count = 1 + np.bincount(who[when <= end], minlength=left.size)
        near(count, at(curve, purchases, HORIZON))
        # Who leaves before an opportunity of the BG/BB has lived up to it.
        near(np.minimum(left, end) / 365, at(curve, years, HORIZON))
    weight = (1 + RATE) ** (-when / 365)
    worth = 1 + np.bincount(who, weights=weight, minlength=left.size)
    near(worth, at(curve, curve.discounted.purchases, HORIZON))
    delta = math.log1p(RATE) / 365
    time = -np.expm1(-delta * np.minimum(left, HORIZON)) / delta / 365
    near(time, at(curve, curve.discounted.years, HORIZON))


def test_survival_of_a_new_customer_before_and_after_the_first_repeat():
    """In the BG/NBD nobody leaves before it; in the MBG/NBD some leave with the first purchase."""
    first = {model: curve_of(segment(model=model)).plain.years[0, 1] * 365 / 7 for model in MODELS}
    assert 0.98 < first["bg_nbd"] < 1
    chance = named("mbg_nbd")
    assert first["mbg_nbd"] == pytest.approx(chance["b"] / (chance["a"] + chance["b"]), rel=0.02)


@pytest.mark.parametrize("model", MODELS)
def test_the_early_phase_is_the_curve_up_to_its_end(model):
    curve = curve_of(segment(model=model))
    for course in (curve.plain, curve.discounted):
        for name in ("purchases", "years"):
            whole, early = getattr(course, name), getattr(course, f"{name}_early")
            before = curve.days <= EARLY
            assert early[:, before].tolist() == whole[:, before].tolist()
            assert set(early[0, ~before]) == {at(curve, whole, EARLY)}
    nobody = curve_of(segment(model=model), early_days=0).plain
    assert not nobody.purchases_early.any()
    assert not nobody.years_early.any()
    always = curve_of(segment(model=model), early_days=5000).plain
    assert always.purchases_early.tolist() == always.purchases.tolist()


def test_days_reach_payback_and_horizon():
    assert days_of_curve(365, 90)[-1] == 1095
    assert days_of_curve(2000, 90)[-1] == 2000
    assert days_of_curve(365, 90, 100).tolist() == days_of_curve(365, 90).tolist()
    assert days_of_curve(365, 9000, 2000)[-1] == 2000
    for horizon, early in ((365, 90), (1, 0), (3000, 1200), (30, 9000)):
        days = days_of_curve(horizon, early)
        assert days[0] == 0
        assert np.all(np.diff(days) > 0)
        assert horizon in days
        assert min(early, days[-1]) in days


def test_a_target_beyond_three_years_can_be_reached():
    """2,000 days are no multiple of a week, and the curve bends between the third year and them."""
    near, far = curve_of(segment()), curve_of(segment(), target_payback_days=2000)
    every = curve_of(segment(), horizon_days=1800)
    rates = ServiceRates(early_days=EARLY)
    known = new_value(every, rates, "margin").plain[every.days == 1800][0]
    values = [new_value(curve, rates, "margin") for curve in (near, far)]
    paid = [new_customer_row(value, known, 3.0)["payback_days"] for value in values]
    assert paid == [None, pytest.approx(1800, abs=0.1)]
    # Nothing else moves.
    for name in ("new_customer_value", "new_customer_margin", "max_cac"):
        before, after = (new_customer_row(value, known, 3.0)[name] for value in values)
        assert before == pytest.approx(after, rel=1e-12)


def test_without_discount_both_courses_are_one():
    curve = curve_of(segment(), annual_discount_rate=0.0)
    for name, values in vars(curve.plain).items():
        np.testing.assert_allclose(getattr(curve.discounted, name), values, rtol=1e-12)


def test_draws_are_those_of_the_segments_sum_and_the_first_is_the_fit():
    entry = segment(**UNSURE)
    curve = curve_of(entry, draws=sum_segment.DRAWS)
    sure = curve_of(segment())
    assert curve.plain.purchases.shape == (65, curve.days.size)
    assert curve.plain.purchases[0].tolist() == sure.plain.purchases[0].tolist()
    assert curve.order_value[0] == sure.order_value[0]
    assert sure.order_value[0] == pytest.approx(6.25 * 15.44 / 2.74)
    drawn = parameter_draws(named("bg_nbd"), UNSURE["purchases_covariance"], 64, "bg_nbd uk")
    year = PURCHASE_MODELS["bg_nbd"].expected_purchases_new(drawn, 365 / 7)
    found = curve.plain.purchases[1:, curve.days == 365][:, 0]
    np.testing.assert_allclose(found, 1 + year, rtol=1e-8)
    money = parameter_draws(SPEND, UNSURE["spend_covariance"], 64, "spend uk")
    mean = money["p"] * money["gamma"] / (money["q"] - 1)
    np.testing.assert_allclose(curve.order_value[1:], mean)


def test_returns_are_taken_off_unless_they_are_ignored():
    assert curve_of(segment()).kept == 0.9
    assert curve_of(segment(), refunds="ignore").kept == 1.0


def test_parts_add_up_to_the_value_by_each_definition():
    curve = curve_of(segment(**UNSURE), draws=16)
    found = {
        name: new_customer_value(curve, COSTS, name, 7.0, target_ratio=3.0)
        for name in ("revenue", "margin", "net")
    }
    for name, row in found.items():
        course = {
            part: at(curve, values, HORIZON) for part, values in vars(curve.discounted).items()
        }
        revenue = course["purchases"] * curve.order_value[0] * 0.9
        cost = (
            5 * course["purchases_early"]
            + 2 * (course["purchases"] - course["purchases_early"])
            + 8 * course["years_early"]
            + 3 * (course["years"] - course["years_early"])
        )
        assert row["new_customer_revenue"] == pytest.approx(revenue)
        assert row["new_customer_margin"] == pytest.approx(0.3 * revenue)
        assert row["new_customer_service_cost"] == pytest.approx(cost)
        value = {"revenue": revenue, "margin": 0.3 * revenue, "net": 0.3 * revenue - cost}[name]
        assert row["new_customer_value"] == pytest.approx(value)
        assert row["new_customer_clv"] == pytest.approx(value - 7)
        assert row["clv_to_cac"] == pytest.approx(value / 7)
        assert row["max_cac"] == pytest.approx(max(value, 0) / 3)
        assert (
            row["new_customer_value_low"]
            < row["new_customer_value"]
            < row["new_customer_value_high"]
        )
    assert found["net"]["new_customer_value"] < found["margin"]["new_customer_value"]


def test_bounds_are_those_of_the_draws_alone():
    """Ten draws worth 1 to 10 orders of 100; the fit says nothing of how sure it is."""
    orders = np.concatenate([[50.0], np.arange(1.0, 11.0)])[:, np.newaxis]
    flat = Course(orders, orders, 0 * orders, 0 * orders)
    curve = by_hand(days=np.array([0.0]), horizon_days=0, plain=flat, discounted=flat)
    curve = dataclasses.replace(curve, order_value=np.full(11, 100.0), kept=1.0, margin_rate=1.0)
    row = new_customer_value(curve, ServiceRates(early_days=5), "margin", None, target_ratio=3.0)
    assert row["new_customer_value"] == 5000
    assert row["new_customer_value_low"] == pytest.approx(190)
    assert row["new_customer_value_high"] == pytest.approx(910)


def by_hand(**changes):
    """Two purchases of 100 at once and after ten days, alive for 20 days; discounted by a tenth."""
    days = np.array([0.0, 10.0, 20.0, 30.0])
    plain = Course(
        purchases=np.array([[1.0, 2.0, 2.0, 2.0]]),
        purchases_early=np.array([[1.0, 1.0, 1.0, 1.0]]),
        years=np.array([[0.0, 1.0, 2.0, 2.0]]),
        years_early=np.array([[0.0, 0.5, 0.5, 0.5]]),
    )
    less = Course(*(0.9 * values for values in vars(plain).values()))
    usual = {
        "days": days,
        "plain": plain,
        "discounted": less,
        "order_value": np.array([100.0]),
        "kept": 0.8,
        "margin_rate": 0.5,
        "horizon_days": 20,
        "early_days": 5,
    }
    return NewCustomerCurve(**(usual | changes))


def test_a_curve_by_hand():
    costs = ServiceRates(
        per_purchase=2.0, per_purchase_early=6.0, per_year=4.0, per_year_early=10.0, early_days=5
    )
    row = new_customer_value(by_hand(), costs, "net", 45.0, target_ratio=2.0)
    assert row["new_customer_revenue"] == pytest.approx(0.9 * 160)
    assert row["new_customer_margin"] == pytest.approx(0.9 * 80)
    assert row["new_customer_service_cost"] == pytest.approx(0.9 * (6 + 2 + 5 + 6))
    assert row["new_customer_value"] == pytest.approx(54.9)
    assert row["new_customer_value_low"] == row["new_customer_value_high"] == pytest.approx(54.9)
    assert row["new_customer_clv"] == pytest.approx(9.9)
    assert row["max_cac"] == pytest.approx(27.45)
    # Net of costs: 34 at once, 80 - 15 = 65 after ten days, then service alone.
    assert row["payback_days"] == pytest.approx(10 * (45 - 34) / (65 - 34))
    assert row["payback_days_discounted"] == pytest.approx(10 * (45 / 0.9 - 34) / (65 - 34))


def test_payback_at_once_late_and_never():
    def paid(cac):
        return new_customer_value(
            by_hand(), ServiceRates(early_days=5), "margin", cac, target_ratio=3
        )

    assert paid(40.0)["payback_days"] == 0
    assert paid(80.0)["payback_days"] == 10
    assert paid(80.0)["payback_days_discounted"] is None
    assert paid(81.0)["payback_days"] is None
    assert paid(81.0)["clv_to_cac"] == pytest.approx(72 / 81)


def test_payback_is_of_margin_where_value_is_revenue():
    value = new_value(by_hand(), ServiceRates(early_days=5), "revenue")
    for one in (value, mixed([(1, value), (3, value)])):
        row = new_customer_row(one, 60.0, 3.0)
        # Revenue of 80 at once would pay 60 back; half of it does not.
        assert row["payback_days"] == pytest.approx(10 * (60 - 40) / (80 - 40))
        assert row["payback_days_discounted"] == pytest.approx(10 * (60 / 0.9 - 40) / (80 - 40))
        assert row["clv_to_cac"] == pytest.approx(0.9 * 160 / 60)
        assert row["max_cac"] == pytest.approx(0.9 * 160 / 3)


def test_without_acquisition_cost_there_is_nothing_to_compare_with():
    row = new_customer_value(by_hand(), ServiceRates(early_days=5), "margin", None, target_ratio=3)
    for name in ("new_customer_clv", "clv_to_cac", "payback_days", "payback_days_discounted"):
        assert row[name] is None
    assert row["new_customer_value"] == pytest.approx(72)
    assert row["max_cac"] == pytest.approx(24)


@pytest.mark.parametrize("spend", [None, {"p": 6.0, "q": 0.9, "gamma": 15.0}])
def test_without_an_order_value_nothing_is_known(spend):
    curve = curve_of(segment(spend=spend))
    row = new_customer_value(curve, COSTS, "net", 10.0, target_ratio=3.0)
    assert set(row.values()) == {None}


def test_mistakes_are_named():
    with pytest.raises(InputError, match="no parameters of purchases"):
        curve_of(segment(purchases=None))
    with pytest.raises(InputError, match=r"early phase of 5 days .* of 90"):
        new_customer_value(by_hand(), COSTS, "net", 1.0, target_ratio=3.0)
