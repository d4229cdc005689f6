"""The sums of segments: exact in the middle, and honest about what all customers share."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from clv_spark.kernels import sum_segment as kernel
from clv_spark.kernels.score_batch import LivingForecasts, ScoreSettings, score_batch
from clv_spark.kernels.segment_value import LeafOutlook, SummarySettings, summary_values
from clv_spark.kernels.sum_segment import sum_segment
from clv_spark.models.draws import Shared, own_root
from tests.kernels.test_segment_value import sums
from tests.kernels.worlds import MODELS, covariance, random_batch, segment

pytestmark = pytest.mark.filterwarnings("error")

SETTINGS = ScoreSettings(refunds="rate", spend_basis="all", new_customer_days=30)
HORIZON, RATE = 180, 0.1
KEYS = ["segment", "frequency", "recency", "T", "spend_x"]
UNSURE = {"purchases_covariance": covariance(4, 0.02), "spend_covariance": covariance(3, 0.01)}


def rows_of(entry, customers=40):
    """What Spark sums up of the scores of a segment; errors of parameters do not change it."""
    return _rows_of(entry.segment, entry.model, entry.margin_rate, customers).copy()


@cache
def _rows_of(name, model, margin_rate, customers):
    # One margin for all, as the sums know it.
    batch = random_batch(customers, (name,), seed=3)
    unknown = pa.nulls(customers, pa.float64())
    place = batch.schema.get_field_index("margin_amount")
    batch = batch.set_column(place, "margin_amount", unknown)
    memory = LivingForecasts(HORIZON, RATE)
    entry = segment(name, model, margin_rate=margin_rate)
    scored = score_batch(batch, SETTINGS, {name: entry}, memory).to_pandas()
    c, s = 1 - scored["return_rate"], scored["spent"]
    parts = scored[KEYS].assign(
        customers=1.0,
        active=scored["p_active_365d"],
        clv=scored["clv"],
        kept=c,
        kept_spent=c * s,
        kept_2=c**2,
        kept_2_spent=c**2 * s,
        kept_2_spent_2=(c * s) ** 2,
    )
    return parts.groupby(KEYS, as_index=False).sum()


def many(rows, copies):
    """As many customers of each kind."""
    numbers = rows.columns.difference(KEYS)
    return rows.assign(**{name: rows[name] * copies for name in numbers})


def summed(entry, rows):
    return sum_segment(rows, entry, horizon_days=HORIZON, annual_discount_rate=RATE)


def summary_row(parts):
    """The summary of segments without costs and past."""
    leaves, outlooks = {}, {}
    for number, part in enumerate(parts):
        known = {"customers": part.customers, "valued": part.customers, "purchases": 1}
        money = {"p_active_365d": part.active, "clv": part.clv, "clv_margin": part.clv}
        leaves[number] = dict.fromkeys(sums(), 0) | known | money
        outlooks[number] = LeafOutlook([part], [], {})
    return summary_values(leaves, outlooks, SummarySettings("margin", 365, 3.0, 365))


def width(*parts):
    row = summary_row(parts)
    return row["clv_sum_high"] - row["clv_sum_low"]


@pytest.mark.parametrize("model", MODELS)
def test_the_sum_is_that_of_the_customers_and_lies_within_its_bounds(model, monkeypatch):
    # As few draws as four parameters need: those of the BG/BB take their time.
    monkeypatch.setattr(kernel, "DRAWS", 16)
    seen = []
    draw = kernel.total_draws
    monkeypatch.setattr(
        kernel, "total_draws", lambda *args, **how: seen.append(draw(*args, **how)) or seen[0]
    )
    entry = segment(model=model, **UNSURE)
    rows = rows_of(entry)
    part = summed(entry, rows)
    assert part.segment == "uk"
    assert part.customers == 40
    assert part.clv == pytest.approx(rows["clv"].sum(), rel=1e-12)
    assert part.active == pytest.approx(rows["active"].sum(), rel=1e-12)
    assert len(part.mean) == len(part.variance) == 16
    # The sums of patterns say the same as the customers one by one: nothing is lost in them.
    assert seen[0].mean[0] == pytest.approx(part.clv, rel=1e-6)
    row = summary_row([part])
    assert row["clv_sum_low"] < row["clv_sum"] < row["clv_sum_high"]
    assert row["clv_sum"] == part.clv
    assert row["clv_mean"] == pytest.approx(part.clv / 40, rel=1e-12)
    assert row["active_customers"] == part.active


def test_draws_follow_the_exact_sum_where_patterns_are_coarse():
    """Recency and T of large segments are rounded; the middle stays that of the customers."""
    entry = segment(**UNSURE)
    rows = rows_of(entry)
    other = rows.assign(clv=rows["clv"] * 1.1)
    exact, scaled = summed(entry, rows), summed(entry, other)
    assert scaled.clv == pytest.approx(1.1 * exact.clv)
    np.testing.assert_allclose(scaled.mean, 1.1 * np.array(exact.mean))
    np.testing.assert_allclose(scaled.variance, 1.21 * np.array(exact.variance))


def test_without_uncertain_parameters_only_the_customers_own_chance_is_left():
    entry = segment()
    part = summed(entry, rows_of(entry, 1000))
    np.testing.assert_allclose(part.mean, part.clv, rtol=1e-12)
    assert len(set(part.variance)) == 1
    assert part.variance[0] > 0
    # A sum of a thousand is nearly normal.
    sd = math.sqrt(part.variance[0])
    assert width(part) == pytest.approx(2 * 1.2816 * sd, rel=0.02)


def test_own_chance_averages_out_and_parameters_do_not():
    """A hundred times as many customers: bounds ten times as narrow, or as they were."""
    relative = {}
    for name, how in (("sure", {}), ("unsure", UNSURE)):
        entry = segment(**how)
        for copies in (1e4, 1e6):
            part = summed(entry, many(rows_of(entry), copies))
            relative[name, copies] = width(part) / part.clv
    assert relative["sure", 1e6] == pytest.approx(relative["sure", 1e4] / 10, rel=0.01)
    assert relative["unsure", 1e6] == pytest.approx(relative["unsure", 1e4], rel=0.01)


def test_more_uncertain_parameters_make_a_wider_interval():
    widths = []
    for variance in (0.003, 0.03):
        entry = segment(purchases_covariance=covariance(4, variance))
        widths.append(width(summed(entry, many(rows_of(entry), 1e4))))
    # Ten times the variance, so three times the width or a little more.
    assert 2.5 < widths[1] / widths[0] < 4


def taken_from(owner, unsure):
    """The same errors, all of which are the owner's."""
    kinds = {"purchases": f"bg_nbd {owner}", "spend": f"spend {owner}"}
    shared = {}
    for kind, stream in kinds.items():
        root = own_root(unsure[f"{kind}_covariance"])
        shared[f"{kind}_shared"] = (Shared(stream, tuple(map(tuple, root.tolist()))),)
    return {**unsure, **shared}


def test_segments_that_share_parameters_share_their_draws():
    names = ("fr", "uk", "de", "jp")

    def parts(names, unsure):
        for name in names:
            entry = segment(name, **unsure)
            yield summed(entry, many(rows_of(entry), 1e4))

    (parent,) = parts(["global"], UNSURE)
    shared = list(parts(names[:2], taken_from("global", UNSURE)))
    apart = list(parts(names, UNSURE))
    for part in shared:
        assert part.mean == pytest.approx(parent.mean, rel=1e-7)
    correlation = np.corrcoef([part.mean for part in apart])
    assert np.abs(correlation - np.eye(4)).max() < 0.6
    # What is wrong with shared parameters adds up. Other errors cancel: among four to a half, but
    # for the chance in so few draws.
    assert width(*shared) == pytest.approx(2 * width(shared[0]), rel=0.03)
    assert width(*apart) < 0.8 * 2 * width(*shared)
    row = summary_row(apart)
    assert row["clv_sum"] == sum(part.clv for part in apart)
    assert row["clv_mean"] == pytest.approx(row["clv_sum"] / 1_600_000, rel=1e-12)


def test_purchases_and_spend_of_other_segments_are_drawn_apart():
    """Taking the spend of another segment changes its draws alone."""
    own = segment(**UNSURE)
    taken = segment(**UNSURE | {"spend_shared": taken_from("global", UNSURE)["spend_shared"]})
    other_model = segment(model="mbg_nbd", **UNSURE)
    rows = rows_of(own)
    means = [np.array(summed(entry, rows).mean) for entry in (own, taken, other_model)]
    correlation = np.corrcoef(means)
    assert 0.3 < correlation[0, 1] < 0.99
    assert correlation[0, 2] < 0.9


def test_the_order_of_rows_does_not_change_a_bit():
    entry = segment(**UNSURE)
    rows = rows_of(entry)
    first = summed(entry, rows)
    assert summed(entry, rows.sample(frac=1, random_state=1)) == first


def test_customers_who_are_worth_nothing_have_a_sum_of_nothing():
    entry = segment(margin_rate=0.0, **UNSURE)
    part = summed(entry, rows_of(entry))
    assert part.clv == 0
    row = summary_row([part])
    assert (row["clv_sum"], row["clv_sum_low"], row["clv_mean"]) == (0, 0, 0)
    assert row["clv_sum_high"] == pytest.approx(0, abs=1e-12)
    assert row["active_customers"] > 0


def test_one_customer_has_a_sum():
    entry = segment(**UNSURE)
    rows = rows_of(entry, 1)
    part = summed(entry, pd.DataFrame(rows))
    row = summary_row([part])
    assert part.customers == 1
    assert 0 <= row["clv_sum_low"] < row["clv_sum_high"]


def test_the_unit_of_time_does_not_move_the_draws():
    """In years young customers lie between two neighbouring nodes, were these a year apart."""
    weeks = segment(**UNSURE)
    r, alpha, a, b = weeks.purchases
    years = replace(weeks, unit_days=365, purchases=(r, alpha * 7 / 365, a, b))
    rows = rows_of(weeks)
    young = rows[rows["T"] <= 300]
    assert len(young) > 5
    one, other = (summed(entry, young) for entry in (weeks, years))
    np.testing.assert_allclose(one.mean, other.mean, rtol=2e-3)


def test_revenue_has_bounds_also_where_nothing_is_left_of_it():
    rows = rows_of(segment(margin_rate=1.0))
    whole, nothing = (summed(segment(margin_rate=rate, **UNSURE), rows) for rate in (1.0, 0.0))
    assert nothing.mean == pytest.approx(whole.mean)
    assert min(whole.mean) > 0
