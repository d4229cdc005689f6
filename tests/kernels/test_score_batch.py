"""A batch of customers in, scores out: meanings, statuses, nulls, and the same bits always."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from clv_spark.errors import InputError
from clv_spark.kernels.score_batch import (
    OUTPUT_COLUMNS,
    ScoreSettings,
    SegmentParameters,
    score_batch,
)
from clv_spark.models import bg_nbd, gamma_gamma

PURCHASES = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
SPEND = {"p": 6.25, "q": 3.74, "gamma": 15.44}
SETTINGS = ScoreSettings(
    unit_days=7, horizon_days=730, annual_discount_rate=0.1, refunds="rate", new_customer_days=30
)
UK = SegmentParameters(
    segment="uk",
    purchases=PURCHASES,
    purchases_segment="uk",
    spend=SPEND,
    spend_segment="uk",
    return_rate=0.1,
    return_prior_amount=50.0,
    margin_rate=0.3,
)
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
SCHEMA = pa.schema(
    [
        ("customer_id", pa.string()),
        ("segment", pa.string()),
        ("frequency", pa.int32()),
        ("recency", pa.int32()),
        ("T", pa.int32()),
        ("monetary_value", pa.float64()),
        ("gross_amount", pa.float64()),
        ("refund_amount", pa.float64()),
        ("margin_amount", pa.float64()),
    ]
)
MONEY = ("expected_order_value", "expected_revenue_365d", "clv", "residual_clv", "total_clv")
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


def score(settings=SETTINGS, parameters=None, default=None, **customer):
    batch = batch_of({**CUSTOMER, **customer})
    scored = score_batch(batch, settings, {"uk": UK} if parameters is None else parameters, default)
    assert scored.schema.names == list(OUTPUT_COLUMNS)
    return scored.to_pylist()[0]


def random_batch(size, segments=("uk", "de", "fr"), seed=11):
    random = np.random.default_rng(seed)
    T = random.integers(1, 900, size)
    x = np.where(random.random(size) < 0.4, 0, np.minimum(random.geometric(0.3, size), T))
    recency = np.where(x > 0, random.integers(np.minimum(x, T), T + 1), 0)
    columns = {
        "customer_id": [f"c{row}" for row in range(size)],
        "segment": random.choice(segments, size),
        "frequency": x,
        "recency": recency,
        "T": T,
        "monetary_value": pa.array(random.gamma(2, 20, size), mask=x == 0),
        "gross_amount": random.gamma(2, 60, size),
        "refund_amount": random.gamma(1, 10, size),
        "margin_amount": pa.array(random.gamma(2, 9, size), mask=random.random(size) < 0.5),
    }
    return pa.RecordBatch.from_pydict(columns, schema=SCHEMA)


def three_segments():
    other = {**PURCHASES, "a": 0.5, "alpha": 7.0}
    return {
        "uk": UK,
        "de": replace(UK, segment="de", purchases=other, purchases_segment="de"),
        "fr": replace(UK, segment="fr"),
    }


def test_every_number_has_its_meaning():
    row = score()
    weeks = (2, 213 / 7, 272 / 7)
    alive = float(bg_nbd.probability_alive(PURCHASES, *weeks))
    delta = math.log(1.1) * 7 / 365
    order = float(gamma_gamma.expected_spend(SPEND, 2, 22.35))
    returned = (20 + 50 * 0.1) / (80 + 50)
    horizon = float(bg_nbd.discounted_expected_purchases(PURCHASES, delta, 730 / 7, *weeks))
    endless = float(bg_nbd.discounted_expected_purchases(PURCHASES, delta, math.inf, *weeks))
    year = float(bg_nbd.expected_purchases(PURCHASES, 365 / 7, *weeks))
    expected = {
        "return_rate": returned,
        "p_alive": alive,
        "p_active_365d": float(bg_nbd.probability_active(PURCHASES, 365 / 7, *weeks)),
        "expected_purchases_30d": float(bg_nbd.expected_purchases(PURCHASES, 30 / 7, *weeks)),
        "expected_purchases_90d": float(bg_nbd.expected_purchases(PURCHASES, 90 / 7, *weeks)),
        "expected_purchases_365d": year,
        "expected_order_value": order,
        "expected_revenue_365d": year * order * (1 - returned),
        "clv": 0.3 * order * (1 - returned) * horizon,
        "residual_clv": 0.3 * order * (1 - returned) * endless,
        "historical_clv": 0.3 * (80 - 20),
        "total_clv": 0.3 * (80 - 20) + 0.3 * order * (1 - returned) * horizon,
    }
    assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-9)
    for name in ("customer_id", "segment", "frequency", "recency", "T", "monetary_value"):
        assert row[name] == CUSTOMER[name]
    assert row["parameters_segment"] == row["spend_parameters_segment"] == "uk"
    assert row["score_status"] == "ok"


def test_refunds_can_be_ignored():
    row = score(replace(SETTINGS, refunds="ignore"))
    assert row["return_rate"] == 0.0
    assert row["historical_clv"] == pytest.approx(0.3 * 80)


def test_recorded_margin_wins_and_past_value_is_never_negative():
    assert score(margin_amount=11.0)["historical_clv"] == 11.0
    assert score(margin_amount=-11.0)["historical_clv"] == 0.0
    assert score(refund_amount=200.0)["historical_clv"] == 0.0


def test_without_discount_there_is_no_endless_value():
    row = score(replace(SETTINGS, annual_discount_rate=0.0))
    assert row["residual_clv"] is None
    assert row["clv"] > score()["clv"]
    assert row["score_status"] == "ok"


@pytest.mark.parametrize("mean", [0.0, -3.0, None])
def test_a_mean_that_is_not_positive_gives_the_segments_mean(mean):
    row = score(monetary_value=mean)
    assert row["expected_order_value"] == pytest.approx(6.25 * 15.44 / 2.74)
    assert row["monetary_value"] == mean


@pytest.mark.parametrize(
    ("customer", "segment", "status"),
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
def test_status_by_precedence(customer, segment, status):
    assert score(parameters={"uk": replace(UK, **segment)}, **customer)["score_status"] == status


def test_without_purchase_parameters_predictions_are_null():
    nobody = replace(UK, purchases=None, purchases_segment=None)
    for frequency in (0, 2):
        row = score(parameters={"uk": nobody}, frequency=frequency)
        assert [row[name] for name in PREDICTIONS] == [None] * len(PREDICTIONS)
        assert row["historical_clv"] == pytest.approx(18.0)
        assert row["parameters_segment"] is None


def test_without_spend_parameters_only_money_is_null():
    row = score(parameters={"uk": replace(UK, spend=None, spend_segment=None)})
    assert [row[name] for name in MONEY] == [None] * len(MONEY)
    assert row["p_alive"] > 0
    assert row["expected_purchases_365d"] > 0
    assert row["spend_parameters_segment"] is None


@pytest.mark.parametrize("segment", ["mars", None])
def test_a_segment_nobody_knows_takes_the_default_or_says_so(segment):
    row = score(segment=segment)
    assert row["score_status"] == "insufficient_data"
    assert row["historical_clv"] is None
    assert score(segment=segment, margin_amount=5.0)["historical_clv"] == 5.0
    world = replace(UK, segment="global", purchases_segment="global", spend_segment="global")
    taken = score(segment=segment, default=world)
    assert taken["score_status"] == "parent_model"
    assert taken["parameters_segment"] == "global"
    assert taken["clv"] == score()["clv"]


def test_no_value_is_ever_nan_even_for_wild_customers():
    random = np.random.default_rng(2)
    wild = [
        {**CUSTOMER, "frequency": int(x), "recency": int(T * share), "T": int(T)}
        for x, T, share in zip(
            random.integers(1, 3000, 200),
            random.integers(0, 20000, 200),
            random.random(200),
            strict=True,
        )
    ]
    parameters = {"uk": replace(UK, purchases={"r": 1e-4, "alpha": 1e-3, "a": 1e-3, "b": 1e3})}
    for settings in (SETTINGS, replace(SETTINGS, unit_days=1)):
        scored = score_batch(batch_of(*wild), settings, parameters)
        for name in PREDICTIONS:
            column = scored.column(name)
            assert column.null_count == 0, name
            assert np.isfinite(column.to_numpy()).all(), name


def test_values_are_bit_equal_in_any_batch_and_any_order():
    batch, parameters = random_batch(400), three_segments()
    together = score_batch(batch, SETTINGS, parameters)
    order = pa.array(np.random.default_rng(4).permutation(400))
    assert score_batch(batch.take(order), SETTINGS, parameters).equals(together.take(order))
    for size in (1, 2, 7, 150):
        parts = [
            score_batch(batch.slice(first, size), SETTINGS, parameters)
            for first in range(0, 60 if size < 7 else 400, size)
        ]
        glued = pa.Table.from_batches(parts).combine_chunks()
        assert glued.equals(pa.Table.from_batches([together.slice(0, glued.num_rows)]))


def test_segments_in_one_batch_are_scored_as_if_alone():
    batch, parameters = random_batch(60), three_segments()
    together = score_batch(batch, SETTINGS, parameters)
    for name in parameters:
        rows = pa.array([s == name for s in batch.column("segment").to_pylist()])
        alone = score_batch(batch.filter(rows), SETTINGS, {name: parameters[name]})
        assert alone.equals(together.filter(rows))


def test_any_type_of_id_and_an_empty_batch_pass_through():
    for ids in (pa.array([7]), pa.array([b"x"]), pa.array([None], pa.string())):
        batch = batch_of(CUSTOMER).set_column(0, "customer_id", ids)
        assert score_batch(batch, SETTINGS, {"uk": UK}).column("customer_id").equals(ids)
    empty = score_batch(random_batch(5).slice(0, 0), SETTINGS, {"uk": UK})
    assert empty.num_rows == 0
    assert empty.schema.equals(score_batch(random_batch(5), SETTINGS, three_segments()).schema)


def test_a_missing_column_is_named():
    with pytest.raises(InputError, match=r"lacks \['T'\]"):
        score_batch(batch_of(CUSTOMER).drop_columns(["T"]), SETTINGS, {"uk": UK})
