"""Scores of any batch: the same bits however it is cut, and finite numbers whatever is in it."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clv_spark.kernels.score_batch import STATUSES, LivingForecasts, ScoreSettings, score_batch
from tests.kernels.worlds import MODELS, SCHEMA, SPEND, UNIT_DAYS, covariance, random_batch, segment

SETTINGS = ScoreSettings(refunds="rate", spend_basis="all", new_customer_days=30)
# One segment of every model that is certain, and one that is not; two share parameters.
PARAMETERS = {
    **{model: segment(model, model) for model in MODELS},
    **{
        f"small {model}": segment(
            f"small {model}",
            model,
            purchases_covariance=covariance(4, 0.05),
            spend_covariance=covariance(3, 0.03),
        )
        for model in MODELS
    },
    "twin": segment("twin", "mbg_nbd", purchases_segment="mbg_nbd"),
    "unknown": segment("unknown", purchases=None, purchases_segment=None),
}
BATCH = random_batch(90, tuple(PARAMETERS))
NUMBERS = (
    "p_alive",
    "p_active_365d",
    "expected_purchases_30d",
    "expected_purchases_90d",
    "expected_purchases_365d",
    "expected_order_value",
    "expected_revenue_365d",
    "clv_revenue",
    "clv_margin",
    "clv",
    "clv_low",
    "clv_high",
    "residual_clv",
    "historical_revenue",
    "historical_margin",
)


def scored(batch, memory=None):
    return score_batch(batch, SETTINGS, PARAMETERS, memory or LivingForecasts(730, 0.1))


@pytest.fixture(scope="module")
def together():
    return scored(BATCH)


def test_values_are_equal_to_the_bit_in_any_order(together):
    order = pa.array(np.random.default_rng(4).permutation(BATCH.num_rows))
    assert scored(BATCH.take(order)).equals(together.take(order))


@pytest.mark.parametrize(("size", "end"), [(1, 8), (17, 90)])
def test_values_are_equal_to_the_bit_in_any_batch(together, size, end):
    memory = LivingForecasts(730, 0.1)
    parts = [scored(BATCH.slice(first, size), memory) for first in range(0, end, size)]
    glued = pa.Table.from_batches(parts).combine_chunks()
    assert glued.equals(pa.Table.from_batches([together.slice(0, glued.num_rows)]))


def test_segments_in_one_batch_are_scored_as_if_alone(together):
    for name in PARAMETERS:
        rows = pa.array([one == name for one in BATCH.column("segment").to_pylist()])
        assert scored(BATCH.filter(rows)).equals(together.filter(rows))


def test_a_segment_scores_as_the_one_whose_parameters_it_shares(together):
    column = pa.array(["mbg_nbd" if one == "twin" else one for one in BATCH["segment"].to_pylist()])
    other = scored(BATCH.set_column(1, "segment", column))
    for name in NUMBERS:
        assert other.column(name).equals(together.column(name)), name


def assert_fit_for_the_table(rows):
    """What the checks of the table ask for, row by row."""
    for row in rows:
        values = {name: row[name] for name in NUMBERS}
        assert all(value is None or np.isfinite(value) for value in values.values()), values
        assert all(value is None or value >= 0 for value in values.values()), values
        money = ("clv", "clv_low", "clv_high", "clv_revenue", "expected_revenue_365d")
        status = STATUSES[row["status_place"]]
        if status in ("spend_undefined", "insufficient_data"):
            assert all(row[name] is None for name in money)
        else:
            assert None not in values.values(), values
            assert row["clv_low"] <= row["clv_high"]
        if status != "insufficient_data":
            assert row["p_active_365d"] <= row["p_alive"] <= 1
            counts = [row[f"expected_purchases_{days}d"] for days in (30, 90, 365)]
            # But for rounding, where all purchases come within days.
            assert np.all(np.diff(counts) >= -1e-12 * counts[-1])


def test_scores_are_fit_for_the_table(together):
    assert_fit_for_the_table(together.to_pylist())


def cents(low, high):
    """Money as the tables hold it."""
    return st.integers(100 * low, 100 * high).map(lambda amount: amount / 100)


@st.composite
def customers(draw):
    """Any customer that can be in the features: an age up to 14 years, any money."""
    age = draw(st.integers(0, 5_000))
    frequency = draw(st.integers(0, min(age, 2_000)))
    money = cents(0, 10**9)
    return {
        "customer_id": "c",
        "segment": draw(st.sampled_from(("own", "other", "nobody"))),
        "frequency": frequency,
        "recency": draw(st.integers(frequency, age)) if frequency else 0,
        "T": age,
        "monetary_value": draw(cents(-1, 10**7)) if frequency else None,
        "gross_amount": draw(money),
        "refund_amount": draw(money),
        "margin_amount": draw(st.none() | cents(-(10**9), 10**9)),
    }


@st.composite
def segments(draw, model):
    """A segment as a fit may leave it: shapes within its limits, errors up to a factor of ten."""
    shapes = st.floats(-5.0, 5.0).map(lambda exponent: float(np.exp(exponent)))
    spend = {"p": draw(shapes), "q": 1 + draw(shapes) / 10, "gamma": 10 * draw(shapes)}
    errors = draw(st.sampled_from((0.0, 0.01, 5.0)))
    return segment(
        "own",
        model,
        purchases=tuple(draw(shapes) for _ in range(4)),
        unit_days=UNIT_DAYS[model],
        spend=spend,
        purchases_covariance=covariance(4, errors) if errors else (),
        spend_covariance=covariance(3, errors) if errors else (),
        return_rate=draw(st.floats(0.0, 1.0)),
        return_prior_amount=draw(cents(0, 10**6)),
        margin_rate=draw(st.floats(0.0, 1.0)),
    )


@settings(deadline=None, derandomize=True, max_examples=20, database=None)
@given(data=st.data())
def test_any_customer_of_any_segment_has_numbers_fit_for_the_table(data):
    own = data.draw(segments(data.draw(st.sampled_from(MODELS))))
    other = replace(own, spend={**SPEND, "q": 0.8}, margin_rate=0.0)
    rows = data.draw(st.lists(customers(), min_size=1, max_size=6))
    batch = pa.RecordBatch.from_pylist(rows, schema=SCHEMA)
    how = ScoreSettings("rate", data.draw(st.sampled_from(("all", "repeat"))), 30)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        memory = LivingForecasts(data.draw(st.sampled_from((1, 365, 1_500))), 0.1)
        found = score_batch(batch, how, {"own": own, "other": other}, memory).to_pylist()
    assert_fit_for_the_table(found)
    for row in found:
        status = STATUSES[row["status_place"]]
        assert (row["segment"] == "own") == (status in ("ok", "new", "one_purchase"))
