"""Formulas by hand: each with its edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clv_spark.economics import (
    DEFINITIONS,
    ServiceRates,
    service_cost,
    value_by_definition,
)
from clv_spark.economics import formulas as f
from clv_spark.errors import InputError

MONEY = st.floats(-1e6, 1e6)
RATES = ServiceRates(
    per_purchase=1.0, per_purchase_early=3.0, per_year=10.0, per_year_early=40.0, early_days=90
)


@given(MONEY, MONEY, MONEY)
def test_the_definitions_are_the_parts_and_their_difference(revenue, margin, cost):
    parts = {"revenue": revenue, "margin": margin, "service_cost": cost}
    found = [float(value_by_definition(name, **parts)) for name in DEFINITIONS]
    assert found == [revenue, margin, margin - cost]


def test_another_definition_is_named_with_those_there_are():
    with pytest.raises(InputError, match=r"'profit'.*revenue.*margin.*net"):
        value_by_definition("profit", revenue=1, margin=1, service_cost=1)


def test_service_cost_is_each_amount_at_the_rate_of_its_phase():
    amounts = {"purchases": 5.0, "purchases_early": 2.0, "years": 1.5, "years_early": 0.25}
    assert service_cost(RATES, **amounts) == 2 * 3 + 3 * 1 + 0.25 * 40 + 1.25 * 10
    assert service_cost(ServiceRates(), **amounts) == 0
    many = service_cost(RATES, **{name: np.array([0, value]) for name, value in amounts.items()})
    assert many.tolist() == [0.0, 31.5]


def test_historical_clv_of_nobody():
    assert f.historical_clv([]) == 0.0
    assert f.mean_historical_clv([]) is None


@given(st.floats(1, 1e3), st.floats(0.1, 50), st.floats(0.1, 20), st.floats(0.01, 1))
def test_both_formulas_agree_where_they_say_the_same(order, per_year, years, margin_rate):
    """Revenue of a month and its churn, from orders of a year and a lifetime."""
    orders = f.order_formula_clv(
        order, per_year, years, margin_rate=margin_rate, cost_per_order=0.5, cost_per_year=6.0
    )
    months = f.churn_formula_clv(
        order * per_year / 12,
        1 / (12 * years),
        margin_rate=margin_rate,
        cost_per_month=(0.5 * per_year + 6.0) / 12,
    )
    for name in ("revenue", "margin", "net"):
        assert getattr(months, name) == pytest.approx(getattr(orders, name), rel=1e-9, abs=1e-6)
    assert orders.net == pytest.approx(orders.margin - years * (0.5 * per_year + 6), abs=1e-6)


def test_what_has_no_answer_is_none():
    nothing = f.Variants(None, None, None)
    assert f.churn_formula_clv(25.0, 0.0, margin_rate=0.5) == nothing
    assert f.churn_formula_clv(25.0, None, margin_rate=0.5) == nothing
    assert f.churn_formula_clv(None, 0.1, margin_rate=0.5) == nothing
    assert f.order_formula_clv(1.0, 1.0, None, margin_rate=0.5) == nothing
    assert f.arpu(10.0, 0.0) is None
    assert f.observed_churn(0, 0) is None
    assert f.lifetime(0.0) is None
    assert f.clv_to_cac(None, 10.0) is f.clv_to_cac(10.0, None) is f.clv_to_cac(10.0, 0.0) is None
    assert f.max_cac(None, 3.0) is f.acquisition_budget(None, 10) is None
    assert f.payback_days([0.0], [1.0], None) is None


def test_all_lost_is_a_lifetime_of_one():
    assert f.lifetime(f.observed_churn(10, 0)) == 1.0


def test_payback_is_the_first_day_that_reaches_the_cost():
    days, value = [0, 7, 14, 21], [10.0, 30.0, 20.0, 60.0]
    assert f.payback_days(days, value, 0.0) == 0
    assert f.payback_days(days, value, 10.0) == 0
    assert f.payback_days(days, value, 20.0) == 3.5
    assert f.payback_days(days, value, 30.0) == 7
    assert f.payback_days(days, value, 40.0) == 14 + 3.5
    assert f.payback_days(days, value, 60.1) is None


def test_a_jump_pays_back_on_its_day():
    days, value = [0, 30, 30, 60, 60], [10.0, 9.0, 19.0, 18.0, 28.0]
    assert f.payback_days(days, value, 15.0) == 30
    assert f.payback_days(days, value, 20.0) == 60


@given(st.lists(st.floats(0, 100), min_size=1, max_size=20), st.floats(0, 500))
def test_payback_lies_where_the_curve_meets_the_cost(steps, cac):
    days, value = 7.0 * np.arange(len(steps)), np.cumsum(steps)
    paid = f.payback_days(days, value, cac)
    if paid is None:
        assert value[-1] < cac
    else:
        assert np.interp(paid, days, value) >= cac - 1e-6
        assert np.all(value[days < paid] < cac)


@pytest.mark.parametrize(("days", "value"), [([], []), ([1.0], [1.0, 2.0]), ([[1.0]], [[1.0]])])
def test_a_curve_needs_a_value_for_each_day(days, value):
    with pytest.raises(InputError, match="a value for each"):
        f.payback_days(days, value, 1.0)


def test_the_most_a_customer_may_cost_meets_the_target():
    assert f.clv_to_cac(500.0, f.max_cac(500.0, 3.0)) == pytest.approx(3.0)
    assert f.max_cac(-1.0, 3.0) == 0.0
    assert f.acquisition_budget(20.0, 30) == 600.0
