"""Contracts to come, by hand: as many begin as lately, and each renews as all have done."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import beta as beta_function

from clv_spark.kernels.forecast_subscriptions import (
    DRAWS,
    MONTHS,
    NewSubscriptions,
    SubscriptionDraws,
    forecast_rows,
    new_subscriptions,
)
from tests.kernels.worlds import CONTRACT_VALUES, contracts

pytestmark = pytest.mark.filterwarnings("error")

ALPHA, BETA = CONTRACT_VALUES["sbg"]
SUMS = {"mrr": 500.0, "margin": 200.0, "new": 40, "new_mrr": 600.0, "new_margin": 240.0}


def survival(renewals):
    """Fader and Hardie (2007), JIM 21, eq. 6: S(t) = B(alpha, beta + t) / B(alpha, beta)."""
    return beta_function(ALPHA, BETA + renewals) / beta_function(ALPHA, BETA)


@pytest.mark.parametrize(("period", "months"), [("month", 1), ("quarter", 3), ("year", 12)])
def test_those_who_began_in_each_month_have_renewed_as_often_as_they_could(period, months):
    ahead = new_subscriptions(contracts(period=period), SUMS, recent_days=365)
    for month in range(MONTHS):
        ages = [month - begun + 0.5 for begun in range(month + 1)]
        wanted = 40 / 12 * sum(survival(int(age / months)) for age in ages)
        assert ahead.running[month] == pytest.approx(wanted)
    assert (ahead.mrr, ahead.margin, ahead.margin_rate) == (15.0, 6.0, 0.4)


def test_where_none_began_none_will_and_who_pays_nothing_leaves_no_margin():
    none = dict.fromkeys(SUMS, 0.0)
    ahead = new_subscriptions(contracts(), none, recent_days=365)
    assert ahead.running.tolist() == [0.0] * MONTHS
    assert (ahead.mrr, ahead.margin, ahead.margin_rate) == (0.0, 0.0, 0.0)


def test_a_segment_is_the_sum_of_its_parts():
    def part(count):
        flat = np.full(MONTHS * (DRAWS + 1), count)
        return SubscriptionDraws("basic", "month", flat, 0.1 * flat, 10 * flat, 10 * flat)

    def to_come(count):
        return NewSubscriptions(0.2 * count, np.arange(MONTHS) * count, 10.0 * count, 2.0)

    rows = forecast_rows([part(1.0), part(3.0)], [to_come(1.0), to_come(2.0)])
    assert [row["months_ahead"] for row in rows] == list(range(1, MONTHS + 1))
    last = rows[-1]
    assert (last["running_contracts"], last["mrr"]) == (4.0, 40.0)
    # 10 at a fifth, and 30 at two fifths.
    assert last["margin"] == pytest.approx(2 + 12)
    assert last["new_contracts"] == 23 + 46
    assert last["new_mrr"] == 23 * 10 + 46 * 20
    assert last["new_margin"] == (23 + 46) * 2
    assert rows[0]["new_contracts"] == 0
