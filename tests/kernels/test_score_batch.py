"""A batch of customers in, scores out: what every column means, statuses and nulls."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from clv_spark.economics import predictive_cdf, value_distribution
from clv_spark.errors import InputError
from clv_spark.kernels.score_batch import (
    OUTPUT_COLUMNS,
    STATUSES,
    LivingForecasts,
    ScoreSettings,
    score_batch,
)
from clv_spark.models import PURCHASE_MODELS, gamma_gamma
from tests.kernels.worlds import MODELS, SCHEMA, SPEND, covariance, named, random_batch, segment

pytestmark = pytest.mark.filterwarnings("error")

SETTINGS = ScoreSettings(refunds="rate", spend_basis="repeat", new_customer_days=30)
HORIZON = 730
UK = segment()
CUSTOMER = {
    "customer_id": "c1",
    "segment": "uk",
    "frequency": 2,
    "recency": 213,
    "T": 272,
    "monetary_value": 22.35,
    "gross_amount": 80.0,
    "refund_amount": 20.0,
    "margin_amount": None,
}
# Who bought often has two humps, who bought once may be new, and somebody is long gone.
CUSTOMERS = [
    CUSTOMER,
    {**CUSTOMER, "frequency": 0, "recency": 0, "monetary_value": None},
    {**CUSTOMER, "frequency": 40, "recency": 260, "gross_amount": 900.0},
    {**CUSTOMER, "frequency": 9, "recency": 30, "T": 800},
    {**CUSTOMER, "frequency": 1, "recency": 3, "T": 5},
]
INTERVAL = ("clv_low", "clv_high")
MONEY = (
    "expected_order_value",
    "expected_revenue_365d",
    "clv_revenue",
    "clv_margin",
    "clv",
    *INTERVAL,
    "residual_clv",
)
PREDICTIONS = (
    "p_alive",
    "p_active_365d",
    "expected_purchases_30d",
    "expected_purchases_90d",
    "expected_purchases_365d",
    *MONEY,
)


def batch_of(*customers):
    return pa.RecordBatch.from_pylist(list(customers), schema=SCHEMA)


def status_of(row):
    return STATUSES[row["status_place"]]


def scores(customers, settings=SETTINGS, parameters=None, rate=0.1):
    forecasts = LivingForecasts(HORIZON, rate)
    known = {"uk": UK} if parameters is None else parameters
    scored = score_batch(batch_of(*customers), settings, known, forecasts)
    assert scored.schema.names == list(OUTPUT_COLUMNS)
    return scored.to_pylist()


def score(*args, **customer):
    options = {
        name: customer.pop(name) for name in ("settings", "parameters", "rate") if name in customer
    }
    return scores([{**CUSTOMER, **customer}], *args, **options)[0]


def expected_of(customer, entry):
    """The columns of a customer, each from the functions of the models."""
    model, params, unit = PURCHASE_MODELS[entry.model], named(entry.model), entry.unit_days
    past = (customer["frequency"], customer["recency"] / unit, customer["T"] / unit)
    delta = math.log(1.1) * unit / 365
    mean = customer["monetary_value"] or 0.0
    order = float(gamma_gamma.expected_spend(SPEND, past[0], mean))
    returned = (20 + 50 * 0.1) / (customer["gross_amount"] + 50)
    kept = 0.3 * order * (1 - returned)
    year = float(model.expected_purchases(params, 365 / unit, *past))

    def discounted(time):
        return float(model.discounted_expected_purchases(params, delta, time, *past))

    clv = kept * discounted(HORIZON / unit)
    history = 0.3 * (customer["gross_amount"] - 20)
    return {
        "return_rate": returned,
        "margin_rate": 0.3,
        "p_alive": float(model.probability_alive(params, *past)),
        "p_active_365d": float(model.probability_active(params, 365 / unit, *past)),
        "expected_purchases_30d": float(model.expected_purchases(params, 30 / unit, *past)),
        "expected_purchases_90d": float(model.expected_purchases(params, 90 / unit, *past)),
        "expected_purchases_365d": year,
        "expected_order_value": order,
        "expected_revenue_365d": year * order * (1 - returned),
        "clv_revenue": clv / 0.3,
        "clv_margin": clv,
        "clv": clv,
        "residual_clv": kept * discounted(math.inf),
        "historical_revenue": history / 0.3,
        "historical_margin": history,
        "purchases_ahead": discounted(HORIZON / unit),
        "days_ahead": 0.0,
        "rhythm_days": unit * float(model.purchase_interval(params, past[0], past[1])),
        "spend_x": past[0],
        "spent": past[0] * mean,
    }


def test_every_number_has_its_meaning_whatever_the_model_in_one_mixed_batch():
    parameters = {model: segment(model, model) for model in MODELS}
    customers = [{**one, "segment": model} for one in CUSTOMERS for model in MODELS]
    found = scores(customers, parameters=parameters)
    for customer, row in zip(customers, found, strict=True):
        expected = expected_of(customer, parameters[customer["segment"]])
        assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-6)
        for name in ("customer_id", "segment", "frequency", "recency", "T", "monetary_value"):
            assert row[name] == customer[name]
        assert list(parameters)[row["parameters_place"]] == customer["segment"]


def distribution_of(customer, entry):
    """What the next two years may bring, from the functions of the models."""
    model, params, unit = PURCHASE_MODELS[entry.model], named(entry.model), entry.unit_days
    x, t_x, T = (customer["frequency"], customer["recency"] / unit, customer["T"] / unit)
    horizon, delta = HORIZON / unit, math.log(1.1) * unit / 365
    ahead = model.forecast_if_alive(params, [horizon], delta, np.array([1.0 * x]), np.array([T]))
    alive = model.probability_alive(params, x, t_x, T)
    return value_distribution(
        alive=alive,
        stays=model.probability_alive(params, x, t_x, T, horizon) / alive,
        stays_half=model.probability_alive(params, x, t_x, T, horizon / 2) / alive,
        none=ahead.none[0],
        purchases=ahead.expected[0],
        discounted=ahead.discounted[0],
        discounted_square=ahead.discounted_square[0],
        **SPEND,
        x=x,
        m_x=customer["monetary_value"] or 0.0,
        margin=0.3 * (1 - expected_of(customer, entry)["return_rate"]),
    )


@pytest.mark.parametrize("model", MODELS)
def test_bounds_are_the_amounts_below_which_the_value_stays_in_one_and_nine_of_ten_cases(model):
    entry = segment(model=model)
    found = scores(CUSTOMERS, parameters={"uk": entry})
    for customer, row in zip(CUSTOMERS, found, strict=True):
        distribution = distribution_of(customer, entry)
        for name, level in (("clv_low", 0.1), ("clv_high", 0.9)):
            below = float(predictive_cdf(distribution, row[name])[0])
            if row[name] > 0:
                assert below == pytest.approx(level, abs=2e-3)
            else:
                assert below > level - 1e-5
        assert row["clv_low"] <= row["clv"]
    assert any(row["clv_low"] > 0 for row in found)
    assert any(row["clv_high"] == 0 or row["clv_low"] == 0 for row in found)


@pytest.mark.parametrize("model", MODELS)
def test_uncertain_parameters_make_the_interval_wider_and_nothing_else(model):
    buys, spends = covariance(4, 0.1), covariance(3, 0.1)
    kinds = {
        "sure": {},
        "tiny": {"purchases_covariance": covariance(4, 1e-4)},
        "buys": {"purchases_covariance": buys},
        "spends": {"spend_covariance": spends},
        "both": {"purchases_covariance": buys, "spend_covariance": spends},
    }
    parameters = {name: segment(name, model, **how) for name, how in kinds.items()}
    often = {**CUSTOMERS[2], "frequency": 20}
    rows = scores([{**often, "segment": name} for name in kinds], parameters=parameters)
    found = dict(zip(kinds, rows, strict=True))
    assert len({row["clv"] for row in rows}) == 1
    width = {name: math.log(row["clv_high"] / row["clv_low"]) for name, row in found.items()}
    assert width["tiny"] == width["sure"]
    assert width["sure"] < width["buys"] < width["both"]
    assert width["sure"] < width["spends"] < width["both"]
    for name in set(found["sure"]) - {"segment", "parameters_place", *INTERVAL}:
        assert found["both"][name] == found["sure"][name]


def test_the_spend_of_all_purchase_days_counts_where_it_is_asked_for():
    basis = {name: replace(SETTINGS, spend_basis=name) for name in ("repeat", "all")}
    repeat, every = (score(settings=basis[name]) for name in ("repeat", "all"))
    assert (repeat["spend_x"], repeat["spent"]) == (2, 2 * 22.35)
    assert (every["spend_x"], every["spent"]) == (3, 80.0)
    order = float(gamma_gamma.expected_spend(SPEND, 3, 80 / 3))
    assert every["expected_order_value"] == pytest.approx(order, rel=1e-12)
    assert every["clv"] / repeat["clv"] == pytest.approx(
        order / repeat["expected_order_value"], rel=1e-9
    )
    assert every["clv_high"] > repeat["clv_high"]
    # The mean in the table stays that of the repeat days.
    assert every["monetary_value"] == 22.35
    once = {"frequency": 0, "recency": 0, "monetary_value": None, "gross_amount": 500.0}
    by_itself, by_all = (score(settings=basis[name], **once) for name in ("repeat", "all"))
    assert (by_itself["spend_x"], by_itself["spent"]) == (0, 0)
    assert by_itself["expected_order_value"] == pytest.approx(6.25 * 15.44 / 2.74)
    assert by_all["expected_order_value"] == pytest.approx(
        float(gamma_gamma.expected_spend(SPEND, 1, 500.0))
    )


@pytest.mark.parametrize("model", MODELS)
def test_silence_does_not_stretch_the_rhythm_that_it_is_held_against(model):
    for past in ({"frequency": 0, "recency": 0}, {"frequency": 3, "recency": 90}):
        short, long = (
            score(**past, T=age, parameters={"uk": segment("uk", model)}) for age in (91, 1500)
        )
        assert short["rhythm_days"] == long["rhythm_days"] > 0
        assert short["p_alive"] >= long["p_alive"]


def test_refunds_can_be_ignored():
    row = score(settings=replace(SETTINGS, refunds="ignore"))
    assert row["return_rate"] == 0.0
    assert row["historical_margin"] == pytest.approx(0.3 * 80)
    assert row["clv_high"] > score()["clv_high"]


def test_recorded_margin_wins_and_past_value_is_never_negative():
    assert score(margin_amount=11.0)["historical_margin"] == 11.0
    assert score(margin_amount=-11.0)["historical_margin"] == 0.0


def test_a_recorded_margin_is_the_customers_own_rate_drawn_to_the_segments():
    usual = score()
    net, prior = CUSTOMER["gross_amount"] - 20, 50 * (1 - 0.1)
    for recorded in (0.0, 0.05 * net, 0.6 * net):
        row = score(margin_amount=recorded)
        rate = (recorded + prior * 0.3) / (net + prior)
        assert row["margin_rate"] == pytest.approx(rate)
        assert row["clv_margin"] == pytest.approx(rate * row["clv_revenue"])
        assert row["clv_revenue"] == usual["clv_revenue"]
        for name in ("clv_low", "clv_high", "residual_clv"):
            assert row[name] == pytest.approx(usual[name] * rate / 0.3, rel=1e-6), name
    # Of what was sold and came back no margin is left to judge by; a loss is no rate.
    returned = score(margin_amount=0.0, refund_amount=CUSTOMER["gross_amount"])
    assert returned["margin_rate"] == pytest.approx(0.3)
    assert score(margin_amount=-1e6)["margin_rate"] == 0.0
    assert score(refund_amount=200.0)["historical_margin"] == 0.0


def test_who_sends_everything_back_is_worth_nothing():
    row = score(refund_amount=1e9)
    assert row["return_rate"] == 1.0
    assert [row[name] for name in ("clv", *INTERVAL)] == [0.0, 0.0, 0.0]


def test_without_discount_there_is_no_endless_value():
    row = score(rate=0.0)
    assert row["residual_clv"] is None
    assert row["clv"] > score()["clv"]
    assert row["clv_high"] > score()["clv_high"]
    assert status_of(row) == "ok"


@pytest.mark.parametrize("mean", [0.0, -3.0, None])
def test_a_mean_that_is_not_positive_gives_the_segments_mean(mean):
    row = score(monetary_value=mean)
    assert row["expected_order_value"] == pytest.approx(6.25 * 15.44 / 2.74)
    assert row["monetary_value"] == mean
    assert (row["spend_x"], row["spent"]) == (0, 0)


@pytest.mark.parametrize(
    ("customer", "changes", "status"),
    [
        ({}, {}, "ok"),
        ({"frequency": 0, "recency": 0, "monetary_value": None}, {}, "one_purchase"),
        ({"frequency": 0, "recency": 0, "T": 29, "monetary_value": None}, {}, "new"),
        ({"recency": 10, "T": 29}, {}, "new"),
        ({"recency": 10, "T": 30}, {}, "ok"),
        ({"recency": 10, "T": 29}, {"purchases_segment": "global"}, "parent_model"),
        ({}, {"spend_segment": "global"}, "parent_model"),
        ({}, {"spend": None, "spend_segment": None}, "spend_undefined"),
        ({}, {"spend": {**SPEND, "q": 0.9}}, "spend_undefined"),
        ({}, {"spend": {**SPEND, "q": 1.0}, "purchases_segment": "global"}, "spend_undefined"),
        ({}, {"purchases": None, "purchases_segment": None, "spend": None}, "insufficient_data"),
    ],
)
def test_status_by_precedence(customer, changes, status):
    assert status_of(score(parameters={"uk": replace(UK, **changes)}, **customer)) == status


def test_without_purchase_parameters_predictions_are_null():
    nobody = replace(UK, purchases=None, purchases_segment=None)
    for frequency in (0, 2):
        row = score(parameters={"uk": nobody}, frequency=frequency)
        assert [row[name] for name in PREDICTIONS] == [None] * len(PREDICTIONS)
        assert row["historical_margin"] == pytest.approx(18.0)


@pytest.mark.parametrize("spend", [None, {**SPEND, "q": 0.9}, {**SPEND, "q": 1.0}])
@pytest.mark.parametrize("errors", [(), covariance(3, 0.1)])
def test_without_a_mean_of_spend_only_money_is_null(spend, errors):
    uk = replace(UK, spend=spend, spend_covariance=errors if spend else ())
    for customer in CUSTOMERS:
        row = score(parameters={"uk": uk}, **customer)
        assert [row[name] for name in MONEY] == [None] * len(MONEY)
        assert row["p_alive"] > 0
        assert row["expected_purchases_365d"] > 0
        assert status_of(row) == "spend_undefined"


def test_a_mean_of_spend_that_is_hardly_known_has_bounds_all_the_same():
    near = segment(spend={**SPEND, "q": 1.002}, spend_covariance=covariance(3, 0.05))
    # Most of all where no mean of the customer's own helps.
    for customer in (*CUSTOMERS, {**CUSTOMERS[2], "monetary_value": 0.0}):
        row = score(parameters={"uk": near}, **customer)
        assert row["clv"] > 0
        assert 0 <= row["clv_low"] <= row["clv_high"] < 10 * row["clv"]


def test_nulls_of_one_segment_do_not_reach_another():
    parameters = {
        "uk": UK,
        "poor": replace(
            UK, spend=None, spend_segment=None, purchases_covariance=covariance(4, 0.1)
        ),
        "none": replace(UK, purchases=None, purchases_segment=None),
    }
    names = ("uk", "poor", "uk", "none", "mars", None, "uk")
    rows = scores([{**CUSTOMER, "segment": name} for name in names], parameters=parameters)
    alone = score()
    for name, row in zip(names, rows, strict=True):
        assert (row["clv"], row["clv_high"]) == (
            (alone["clv"], alone["clv_high"]) if name == "uk" else (None, None)
        )


@pytest.mark.parametrize("name", ["mars", None])
def test_a_segment_nobody_knows_says_so(name):
    row = score(segment=name)
    assert status_of(row) == "insufficient_data"
    assert row["historical_margin"] is None
    assert row["parameters_place"] is None
    assert score(segment=name, margin_amount=5.0)["historical_margin"] == 5.0


def test_any_type_of_id_and_an_empty_batch_pass_through():
    forecasts = LivingForecasts(HORIZON, 0.1)
    for ids in (pa.array([7]), pa.array([b"x"]), pa.array([None], pa.string())):
        batch = batch_of(CUSTOMER).set_column(0, "customer_id", ids)
        scored = score_batch(batch, SETTINGS, {"uk": UK}, forecasts)
        assert scored.column("customer_id").equals(ids)
    some = random_batch(5, ("uk",))
    empty = score_batch(some.slice(0, 0), SETTINGS, {"uk": UK}, forecasts)
    assert empty.num_rows == 0
    assert empty.schema.equals(score_batch(some, SETTINGS, {"uk": UK}, forecasts).schema)


def test_a_missing_column_is_named():
    batch = batch_of(CUSTOMER).drop_columns(["T"])
    with pytest.raises(InputError, match=r"lacks \['T'\]"):
        score_batch(batch, SETTINGS, {"uk": UK}, LivingForecasts(HORIZON, 0.1))
