"""New customers of a group: what follows from four corners is what the changed curve says."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clv_spark.economics import DEFINITIONS, ServiceRates
from clv_spark.kernels.likeness import Likeness, alike, corner_values, likeness_of
from clv_spark.kernels.new_customers import new_customer_curve
from clv_spark.kernels.new_value import NewValue, new_value
from tests.kernels.worlds import segment

pytestmark = pytest.mark.filterwarnings("error")

FACTORS = st.floats(0.0, 5.0)


def curve(early_days):
    return new_customer_curve(
        segment(), horizon_days=365, annual_discount_rate=0.1, early_days=early_days, draws=16
    )


CURVES = {days: curve(days) for days in (0, 90)}


def changed(course, repeats, early_days):
    """The first purchase, and so many times the others."""
    early = 1.0 if early_days else 0.0
    return replace(
        course,
        purchases=1 + repeats * (course.purchases - 1),
        purchases_early=early + repeats * (course.purchases_early - early),
    )


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(sorted(CURVES)),
    st.builds(Likeness, FACTORS, FACTORS, FACTORS),
    st.sampled_from(DEFINITIONS),
)
def test_a_group_is_worth_what_its_own_curve_says(early_days, like, definition):
    costs = ServiceRates(2.0, 3.0, 10.0, 20.0, early_days)
    usual = CURVES[early_days]
    own = replace(
        usual,
        plain=changed(usual.plain, like.repeats, early_days),
        discounted=changed(usual.discounted, like.repeats, early_days),
        order_value=usual.order_value * like.order_value,
        margin_rate=usual.margin_rate * like.margin,
    )
    wanted = new_value(own, costs, definition)
    found = alike(corner_values(usual, costs, definition), like, definition)
    for field in fields(NewValue):
        one, other = getattr(found, field.name), getattr(wanted, field.name)
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9, err_msg=field.name)


def test_who_is_like_all_others_is_worth_the_same_and_a_value_alone_stays():
    costs = ServiceRates(2.0, 3.0, 10.0, 20.0, 90)
    corners = corner_values(CURVES[90], costs, "net")
    assert alike(corners, Likeness(), "net") is corners[0]
    assert alike(corners[:1], Likeness(2.0, 3.0, 0.5), "net") is corners[0]


def sums(**more):
    same = {"repeats": 80.0, "revenue": 500.0, "margin": 100.0}
    expected = {f"{name}_expected": value for name, value in same.items()}
    return {"customers": 100, **same, **expected, **more}


def test_few_customers_count_little():
    assert likeness_of(sums(), 100) == Likeness()
    twice = {"repeats": 160.0, "revenue": 250.0, "margin": 120.0}
    found = likeness_of(sums(**twice), min_customers=100)
    assert found == Likeness(repeats=1.5, order_value=0.75, margin=pytest.approx(1.1))
    assert likeness_of(sums(customers=1, **twice), 100).repeats == pytest.approx(1 + 1 / 101)
    many = likeness_of(sums(customers=10**9, **twice), 100)
    assert many.repeats == pytest.approx(2.0, rel=1e-6)


def test_where_nothing_is_to_be_expected_nobody_differs():
    nothing = {"repeats": None, "repeats_expected": None, "revenue": 0.0, "revenue_expected": 0.0}
    assert likeness_of(sums(**nothing), 100) == Likeness()
