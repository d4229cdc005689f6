"""The curve of a new contract: by hand, and in line with what is said of running ones."""

from __future__ import annotations

import numpy as np
import pytest

from clv_spark.economics import ServiceRates
from clv_spark.errors import InputError
from clv_spark.kernels.contract_forecasts import Outlook, forecast_contracts, survival_draws
from clv_spark.kernels.new_contracts import new_contract_curve
from clv_spark.kernels.new_value import new_customer_value
from tests.kernels.worlds import CONTRACT_VALUES, contracts, covariance

pytestmark = pytest.mark.filterwarnings("error")


def curve_of(parameters, **how):
    usual = {
        "order_value": 30.0,
        "margin_rate": 0.4,
        "horizon_days": 365,
        "annual_discount_rate": 0.1,
        "early_days": 0,
        "draws": 0,
    }
    return new_contract_curve(parameters, **(usual | how))


def last(curve, values, day):
    return values[0, np.searchsorted(curve.days, day, side="right") - 1]


def test_a_contract_by_hand():
    """Half are lost at the first renewal, then a third, a quarter: S is 1, 1/2, 1/3, 1/4."""
    entry = contracts(period="year", values=(1.0, 1.0))
    curve = curve_of(entry, horizon_days=1095, early_days=400, annual_discount_rate=0.25)
    paid = [last(curve, curve.plain.purchases, day) for day in (0, 364, 365, 730, 1095)]
    np.testing.assert_allclose(paid, [1, 1, 1.5, 1.5 + 1 / 3, 1.5 + 1 / 3 + 1 / 4])
    # Before a renewal the curve stands where it stood a year ago.
    assert curve.plain.purchases[0, curve.days == 730][0] == 1.5
    lived = [last(curve, curve.plain.years, day) for day in (0, 365, 400, 730, 1095)]
    np.testing.assert_allclose(lived, [0, 1, 1 + 0.5 * 35 / 365, 1.5, 1.5 + 1 / 3])
    np.testing.assert_allclose(last(curve, curve.plain.purchases_early, 1095), 1.5)
    np.testing.assert_allclose(last(curve, curve.plain.years_early, 1095), 1 + 0.5 * 35 / 365)
    worth = last(curve, curve.discounted.purchases, 730)
    assert worth == pytest.approx(1 + 0.8 / 2 + 0.64 / 3)
    # A year of being there, discounted: 1 - 0.8 of what a perpetuity is worth.
    year = 0.2 / np.log(1.25)
    assert last(curve, curve.discounted.years, 730) == pytest.approx(year + 0.8 * year / 2)


@pytest.mark.parametrize("model", CONTRACT_VALUES)
@pytest.mark.parametrize("period", ["month", "quarter", "year"])
@pytest.mark.parametrize("horizon", [30, 365, 1000])
def test_renewals_are_those_of_a_contract_that_began_today(model, period, horizon):
    entry = contracts(model, period)
    curve = curve_of(entry, horizon_days=horizon)
    new = forecast_contracts(entry, Outlook(horizon, 0.1), np.array([0]), np.array([1.0]))
    renewals = last(curve, curve.discounted.purchases, horizon) - 1
    assert renewals == pytest.approx(float(new.discounted[0]), rel=1e-9, abs=1e-12)
    in_year = last(curve, curve.plain.purchases, 365) - 1
    assert in_year == pytest.approx(float(new.expected[-1][0]), rel=1e-9)


def test_draws_are_those_of_running_contracts():
    entry = contracts(covariance=covariance(2, 0.02))
    curve = curve_of(entry, draws=64)
    running = survival_draws(entry, 12, 0, 64)
    found = curve.plain.purchases[:, np.searchsorted(curve.days, 365, side="right") - 1]
    np.testing.assert_allclose(found, running.sum(axis=1), rtol=1e-9)
    row = new_customer_value(curve, ServiceRates(), "margin", 50.0, target_ratio=3.0)
    low, high = row["new_customer_value_low"], row["new_customer_value_high"]
    assert low < row["new_customer_value"] < high


@pytest.mark.parametrize(("period", "price"), [("month", 10.0), ("quarter", 30.0), ("year", 120.0)])
@pytest.mark.parametrize("horizon", [364, 365])
def test_a_year_of_payments_is_a_year_whatever_the_period(period, price, horizon):
    """Nobody is lost: 120 a year is 120, also where a year ends on the day of a payment."""
    loyal = contracts(period=period, values=(1e-6, 1e3))
    curve = curve_of(
        loyal, order_value=price, margin_rate=1.0, annual_discount_rate=0.0, horizon_days=horizon
    )
    row = new_customer_value(curve, ServiceRates(), "margin", 40.0, target_ratio=3.0)
    assert row["new_customer_value"] == pytest.approx(120, rel=1e-4)
    assert row["clv_to_cac"] == pytest.approx(3, rel=1e-4)


def test_a_contract_pays_back_on_the_day_of_a_payment():
    curve = curve_of(contracts(period="month"))
    row = new_customer_value(curve, ServiceRates(), "margin", 20.0, target_ratio=3.0)
    # 12 at once, 12 x 0.844 after a month: that is enough.
    assert row["payback_days"] == pytest.approx(365 / 12, abs=1e-5)
    first = new_customer_value(curve, ServiceRates(), "margin", 12.0, target_ratio=3.0)
    assert first["payback_days"] == 0


def test_what_has_no_price_has_no_value():
    curve = curve_of(contracts(), order_value=float("nan"))
    row = new_customer_value(curve, ServiceRates(), "margin", 12.0, target_ratio=3.0)
    assert set(row.values()) == {None}


def test_parameters_are_needed():
    with pytest.raises(InputError, match="'basic' has no parameters of contracts"):
        curve_of(contracts(values=None))


def test_a_target_beyond_three_years_can_be_reached():
    """Nobody is lost: with 12 a month the sixtieth payment, after 59 months, makes it 720."""
    loyal = contracts(values=(1e-9, 1e6))
    paid = [
        new_customer_value(curve, ServiceRates(), "margin", 715.0, target_ratio=3.0)["payback_days"]
        for curve in (curve_of(loyal), curve_of(loyal, target_payback_days=2000))
    ]
    assert paid == [None, pytest.approx(59 * 365 / 12, abs=0.01)]
