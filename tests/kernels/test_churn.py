"""Another risk of leaving: as customers live it whose true rates are known, and by hand."""

from __future__ import annotations

import dataclasses
import math
from functools import cache

import numpy as np
import pandas as pd
import pytest

from clv_spark.kernels.churn import (
    ChurnRatios,
    future_of_contracts,
    future_of_customers,
)
from clv_spark.kernels.contract_forecasts import Outlook, forecast_contracts
from clv_spark.kernels.contract_parameters import ContractParameters
from clv_spark.kernels.new_contracts import new_contract_curve
from clv_spark.kernels.new_customers import new_customer_curve
from clv_spark.models import PURCHASE_MODELS, gamma_gamma
from tests.kernels.worlds import (
    MODELS,
    SPEND,
    UNIT_DAYS,
    covariance,
    named,
    patterns_at_random,
    segment,
)

pytestmark = pytest.mark.filterwarnings("error")

HORIZON, RATE = 365, 0.1
HOW = {"horizon_days": HORIZON, "annual_discount_rate": RATE}
FACTORS = (0.5, 0.8, 0.9, 1.0, 1.1, 1.25, 2.0)
RISKS = (0.8, 1.2)
PARTS = ("revenue", "purchases", "time")


def rows_of(x, recency, T, **changes):
    """A row of value_sums per customer, all of whom keep what they buy and spend alike."""
    ones = np.ones(len(x))
    columns = {
        "segment": "uk",
        "frequency": x,
        "recency": recency,
        "T": T,
        "spend_x": 0 * ones,
        "customers": ones,
        "kept": ones,
        "kept_spent": 0 * ones,
    }
    return pd.DataFrame(columns | changes)


@cache
def random_rows():
    return rows_of(*patterns_at_random(60, seed=8))


@cache
def world(model, customers=60_000):
    """Customers with a past and what nobody sees: are they alive, how often do they buy, and leave.

    Returns:
        Their rows, whether they are alive, purchases per unit, and the risk: per unit of time for
        the Pareto/NBD, else by purchase or opportunity.
    """
    random = np.random.default_rng(17)
    one, two, three, four = named(model).values()
    unit = UNIT_DAYS[model]
    T = random.integers(60, 600, customers)
    end = T / unit
    if model == "bg_bb":
        buys, leaves = random.beta(one, two, customers), random.beta(three, four, customers)
        alive, x, last = np.ones(customers, dtype=bool), np.zeros(customers), np.zeros(customers)
        for day in range(1, int(T.max()) + 1):
            seen = alive & (day <= T)
            alive &= ~(seen & (random.random(customers) < leaves))
            bought = seen & alive & (random.random(customers) < buys)
            x, last = x + bought, np.where(bought, day, last)
        return rows_of(x.astype(np.int64), last.astype(np.int64), T), alive, buys, leaves
    rate = np.maximum(random.gamma(one, 1 / two, customers), 1e-12)
    x, last, now = np.zeros(customers), np.zeros(customers), np.zeros(customers)
    alive, until = np.ones(customers, dtype=bool), end.copy()
    if model == "pareto_nbd":
        risk = random.gamma(three, 1 / four, customers)
        left = random.exponential(1, customers) / np.maximum(risk, 1e-12)
        alive, until = left > end, np.minimum(left, end)
    else:
        risk = random.beta(three, four, customers)
        alive = random.random(customers) >= risk if model == "mbg_nbd" else alive
    chance = np.zeros(customers) if model == "pareto_nbd" else risk
    here = np.flatnonzero(alive) if model == "mbg_nbd" else np.arange(customers)
    while here.size:
        now[here] += random.exponential(1, here.size) / rate[here]
        here = here[now[here] <= until[here]]
        x[here], last[here] = x[here] + 1, now[here]
        goes = random.random(here.size) < chance[here]
        alive[here[goes]] = False
        here = here[~goes]
    rows = rows_of(x.astype(np.int64), np.minimum(np.ceil(last * unit), T).astype(np.int64), T)
    return rows, alive, rate, risk


@cache
def lived(model, factor):
    """Discounted purchases and time of those who are alive, given their true rates and risks."""
    _, alive, rate, risk = world(model)
    rate, risk = rate[alive], risk[alive]
    unit = UNIT_DAYS[model]
    delta = math.log1p(RATE) * unit / 365
    end = HORIZON / unit
    if model == "bg_bb":
        days = np.arange(1, HORIZON + 1)
        stays = (1 - np.minimum(risk * factor, 1))[:, np.newaxis] ** days[np.newaxis, ::5]
        time = 5 * np.sum(stays * np.exp(-delta * days[::5]), axis=1)
        return float(np.sum(rate * time)), float(np.sum(time))
    leaving = risk * factor if model == "pareto_nbd" else rate * np.minimum(risk * factor, 1)
    time = -np.expm1(-(leaving + delta) * end) / (leaving + delta)
    return float(np.sum(rate * time)), float(np.sum(time))


@cache
def ratios(model):
    rows = world(model)[0]
    alike = rows.groupby(["segment", "frequency", "recency", "T", "spend_x"], as_index=False).sum()
    return future_of_customers(alike, segment(model=model), RISKS, **HOW).ratios


@pytest.mark.studies
@pytest.mark.parametrize("factor", RISKS)
@pytest.mark.parametrize("model", MODELS)
def test_customers_with_another_risk_buy_and_stay_as_the_ratios_say(model, factor):
    found = ratios(model)[factor]
    usual, other = lived(model, 1.0), lived(model, factor)
    # What changes, to a few percent of it; the rest is chance.
    assert found.purchases - 1 == pytest.approx(other[0] / usual[0] - 1, rel=0.06)
    assert found.time - 1 == pytest.approx(other[1] / usual[1] - 1, rel=0.06)


@pytest.mark.parametrize("model", MODELS)
def test_no_other_risk_changes_nothing_and_more_risk_means_less(model):
    found = future_of_customers(random_rows(), segment(model=model), FACTORS, **HOW).ratios
    assert found[1.0] == ChurnRatios(1.0, 1.0, 1.0)
    for name in PARTS:
        assert np.all(np.diff([getattr(found[factor], name) for factor in FACTORS]) < 0)


@pytest.mark.parametrize("model", MODELS)
def test_customers_weigh_what_they_are_worth(model):
    """The ratio of all is the mean of the ratios of each, weighed by value, purchases or time."""
    entry, unit = segment(model=model), UNIT_DAYS[model]
    spend_x = np.array([0.0, 3.0, 1.0])
    rows = rows_of(
        np.array([0, 3, 1]),
        np.array([0, 200, 5]),
        np.array([100, 230, 300]),
        spend_x=spend_x,
        customers=np.array([5.0, 2.0, 1.0]),
        kept=np.array([4.5, 1.8, 1.0]),
        kept_spent=np.array([0.0, 300.0, 8.0]),
    )
    x, t_x, age = rows["frequency"], rows["recency"] / unit, rows["T"] / unit
    bought = PURCHASE_MODELS[model].discounted_expected_purchases(
        named(model), math.log1p(RATE) * unit / 365, HORIZON / unit, x, t_x, age
    )
    mean = gamma_gamma.expected_spend(
        SPEND, spend_x, rows["kept_spent"] / rows["kept"] / np.maximum(spend_x, 1)
    )
    each = [
        future_of_customers(rows.iloc[[place]], entry, [0.8], **HOW).ratios[0.8]
        for place in range(len(rows))
    ]
    future = future_of_customers(rows, entry, [0.8], **HOW)
    assert future.purchases == pytest.approx(np.sum(bought * rows["customers"]), rel=1e-8)
    every = future.ratios[0.8]
    for name, weight in (
        ("revenue", bought * mean * rows["kept"]),
        ("purchases", bought * rows["customers"]),
    ):
        expected = np.average([getattr(one, name) for one in each], weights=weight)
        assert getattr(every, name) == pytest.approx(expected, rel=1e-9)
    assert every.revenue != pytest.approx(every.purchases, rel=1e-4)


@pytest.mark.studies
@pytest.mark.parametrize("factor", [0.8, 1.2])
@pytest.mark.parametrize("model", MODELS)
def test_a_customer_of_today_is_a_new_one(model, factor):
    """The MBG/NBD alone lets another risk show at the first purchase already."""
    rows = rows_of(np.array([0]), np.array([0]), np.array([0]))
    future = future_of_customers(rows, segment(model=model), [factor], **HOW)
    found = future.ratios[factor]
    curves = [new_curve(model, churn, horizon_days=HORIZON) for churn in (1.0, factor)]
    year = int(np.flatnonzero(curves[0].days == HORIZON)[0])
    usual, other = (curve.discounted for curve in curves)
    assert future.purchases == pytest.approx(usual.purchases[0, year] - 1, rel=1e-7)
    assert future.years == pytest.approx(usual.years[0, year], rel=1e-3)
    bought = (other.purchases[0, year] - 1) / (usual.purchases[0, year] - 1)
    time = other.years[0, year] / usual.years[0, year]
    if model == "mbg_nbd":
        assert abs(bought - 1) > 1.5 * abs(found.purchases - 1)
    else:
        assert found.purchases == pytest.approx(bought, rel=1e-6)
        assert found.time == pytest.approx(time, rel=2e-4)


@cache
def new_curve(model, churn, **how):
    usual = {"early_days": 0, "draws": 0, "horizon_days": 1095, "annual_discount_rate": RATE}
    return new_customer_curve(segment(model=model), **usual | how, churn=churn)


@pytest.mark.parametrize("factor", [0.8, 1.2])
def test_new_customers_of_the_mbg_nbd_leave_with_the_first_purchase_at_another_risk(factor):
    random = np.random.default_rng(9)
    r, alpha, a, b = named("mbg_nbd").values()
    rate, p = random.gamma(r, 1 / alpha, 400_000), random.beta(a, b, 400_000)
    end = 1095 / 7

    def lived(f):
        there, leaving = 1 - np.minimum(f * p, 1), np.maximum(f * p * rate, 1e-300)
        time = there * -np.expm1(-leaving * end) / leaving
        return np.mean(rate * time), np.mean(time) * 7 / 365

    usual, other = (new_curve("mbg_nbd", churn).plain for churn in (1.0, factor))
    for place, values in enumerate(
        ([usual.purchases - 1, other.purchases - 1], [usual.years, other.years])
    ):
        before, after = (one[0, -1] for one in values)
        assert before == pytest.approx(lived(1.0)[place], rel=0.02)
        change = lived(factor)[place] / lived(1.0)[place] - 1
        assert after / before - 1 == pytest.approx(change, rel=0.05)


def test_the_order_of_rows_does_not_change_a_bit():
    rows = random_rows()
    shuffled = rows.sample(frac=1, random_state=1)
    found = [future_of_customers(one, segment(), [0.9, 1.1], **HOW) for one in (rows, shuffled)]
    assert found[0] == found[1]


def test_who_is_worth_nothing_changes_nothing():
    rows = random_rows().assign(kept=0.0)
    found = future_of_customers(rows, segment(), [0.5], **HOW).ratios[0.5]
    assert found.revenue == 1.0
    assert found.purchases > 1.0


YEAR = Outlook(HORIZON, RATE)
MONTHLY = ContractParameters(
    segment="uk",
    period="month",
    model="sbg",
    values=(0.7, 3.8),
    covariance=covariance(2, 0.01),
    parameters_segment="uk",
)
YEARLY = dataclasses.replace(MONTHLY, period="year", values=(1.0, 1.0))
BDW = dataclasses.replace(
    MONTHLY, model="bdw", values=(0.26, 1.72, 1.58), covariance=covariance(3, 0.01)
)


def contract_rows():
    return pd.DataFrame(
        {
            "tenure": [3, 3, 9, 2000],
            "days_to_renewal": [10, 20, 10, 5],
            "period_days": [30, 30, 31, 31],
            "contracts": [100, 50, 80, 7],
            "margin": [100.0, 500.0, 80.0, 9.0],
        }
    )


@pytest.mark.parametrize("parameters", [MONTHLY, BDW], ids=["sbg", "bdw"])
def test_contracts_weigh_what_they_pay(parameters):
    rows = contract_rows()
    found = future_of_contracts(rows, parameters, FACTORS, YEAR).ratios
    assert found[1.0] == ChurnRatios(1.0, 1.0, 1.0)
    for name in PARTS:
        assert np.all(np.diff([getattr(found[factor], name) for factor in FACTORS]) < 0)
    phase = (rows["days_to_renewal"] / rows["period_days"]).to_numpy()
    usual = forecast_contracts(parameters, YEAR, rows["tenure"].to_numpy(), phase).discounted
    each = [
        future_of_contracts(rows.iloc[[place]], parameters, [0.8], YEAR).ratios[0.8]
        for place in range(len(rows))
    ]
    for name, weight in (("revenue", "margin"), ("purchases", "contracts")):
        ratios = [getattr(one, name) for one in each]
        expected = np.average(ratios, weights=usual * rows[weight])
        assert getattr(found[0.8], name) == pytest.approx(expected, rel=1e-9)
    shuffled = future_of_contracts(rows.iloc[[3, 1, 0, 2]], parameters, FACTORS, YEAR).ratios
    assert shuffled == found


def test_a_yearly_contract_by_hand():
    """Half are lost at the first renewal; at half the rate E[(1 - p)^(1/2)] = 2/3 stay."""
    rows = contract_rows().iloc[:1].assign(tenure=0, days_to_renewal=73, period_days=365)
    future = future_of_contracts(rows, YEARLY, [0.5], Outlook(365, 0.0))
    # A hundred contracts.
    assert future.purchases == pytest.approx(100 * 0.5)
    assert future.years == pytest.approx(100 * (73 + 0.5 * 292) / 365)
    found = future.ratios[0.5]
    assert found.revenue == found.purchases == pytest.approx(2 / 3 / 0.5)
    # A fifth of the year is sure.
    assert found.time == pytest.approx((73 + 2 / 3 * 292) / (73 + 0.5 * 292))
    discounted = future_of_contracts(rows, YEARLY, [0.5], Outlook(365, 0.1)).ratios[0.5]
    weight = 1.1 ** -np.array([0.0, 0.2, 1.0])
    sure, rest = weight[0] - weight[1], weight[1] - weight[2]
    assert discounted.time == pytest.approx((sure + 2 / 3 * rest) / (sure + 0.5 * rest))
    soon = future_of_contracts(rows, YEARLY, [0.5], Outlook(30, 0.1)).ratios[0.5]
    assert soon == ChurnRatios(1.0, 1.0, 1.0)


def test_new_contracts_at_another_risk():
    """Half of all stay at each renewal of the first; at half the rate of leaving two thirds."""
    how = {"order_value": 1.0, "margin_rate": 1.0, "early_days": 0, "draws": 0} | HOW
    usual = new_contract_curve(YEARLY, **how)
    other = new_contract_curve(YEARLY, **how, churn=0.5)
    assert usual.plain.purchases[0, usual.days == 365][-1] == pytest.approx(1.5)
    assert other.plain.purchases[0, other.days == 365][-1] == pytest.approx(1 + 2 / 3)
