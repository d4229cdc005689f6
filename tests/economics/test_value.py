"""Money: discounting, margin, shrinkage."""

from __future__ import annotations

import math

import numpy as np
import pytest

from clv_spark.economics import customer_value, past_margin, rate_per_unit, shrunk_rate


def test_a_year_discounts_by_one_plus_the_rate_whatever_the_unit():
    for unit_days in (1, 7, 30):
        units = 365 / unit_days
        assert math.exp(-rate_per_unit(0.15, unit_days) * units) == pytest.approx(1 / 1.15)


def test_weekly_rate_is_that_of_fader_hardie_lee_2005_jmr_up_to_the_length_of_the_year():
    assert rate_per_unit(0.15, 7) == pytest.approx(0.00268773 * 52 * 7 / 365, rel=1e-6)


def test_without_discount_rate_nothing_is_discounted():
    assert rate_per_unit(0.0, 7) == 0.0


def test_every_part_of_a_customers_value_counts():
    parts = {
        "purchases": 3.0,
        "discounted_purchases": 2.5,
        "residual_purchases": 7.0,
        "order_value": 40.0,
        "return_rate": 0.1,
        "margin_rate": 0.3,
    }
    value = customer_value(**parts)
    assert value.revenue == pytest.approx(3 * 40 * 0.9)
    assert value.clv_revenue == pytest.approx(2.5 * 40 * 0.9)
    assert value.clv_margin == pytest.approx(2.5 * 40 * 0.9 * 0.3)
    assert value.residual_revenue == pytest.approx(7 * 40 * 0.9)
    assert value.residual_margin == pytest.approx(7 * 40 * 0.9 * 0.3)
    unknown = customer_value(**parts | {"residual_purchases": np.nan})
    assert np.isnan(unknown.residual_margin)
    assert unknown.clv_margin == value.clv_margin


def test_recorded_margin_wins_over_the_rate_and_neither_goes_below_zero():
    margin = past_margin(
        margin_amount=[np.nan, 12.0, -5.0, np.nan],
        gross_amount=[100.0, 100.0, 100.0, 10.0],
        refund_amount=[10.0, 10.0, 10.0, 20.0],
        margin_rate=0.5,
    )
    assert margin.tolist() == [45.0, 12.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("part", "base", "prior_base", "expected"),
    [
        (0.0, 0.0, 0.0, 0.2),
        (0.0, 0.0, 50.0, 0.2),
        (30.0, 100.0, 0.0, 0.3),
        (30.0, 100.0, 100.0, 0.25),
        (500.0, 100.0, 10.0, 1.0),
    ],
)
def test_own_rate_is_drawn_towards_the_prior_one(part, base, prior_base, expected):
    assert shrunk_rate(part, base, 0.2, prior_base) == pytest.approx(expected)
