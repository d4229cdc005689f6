"""What is expected of cohorts: a first order and the model's repeats, at the right age."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

from clv_spark.kernels.expect_cohorts import expect_cohorts
from clv_spark.models import PURCHASE_MODELS
from tests.kernels.worlds import SPEND, UNIT_DAYS, named, segment

AS_OF = dt.date(2023, 3, 10)
COHORTS = pd.DataFrame(
    {
        "segment": "uk",
        "cohort_month": [dt.date(2023, 3, 1), dt.date(2023, 1, 1)],
        "customers": [3, 4],
        # March: on the 4th on average; January: on the 11th.
        "late": [9, 40],
    }
)
MEAN = SPEND["p"] * SPEND["gamma"] / (SPEND["q"] - 1)


@pytest.mark.parametrize("model", ["bg_nbd", "mbg_nbd", "pareto_nbd"])
@pytest.mark.parametrize("keeps_refunds", [False, True])
def test_by_hand(model, keeps_refunds):
    entry = segment(model=model, return_rate=0.2)
    found = expect_cohorts(COHORTS, entry, as_of=AS_OF, keeps_refunds=keeps_refunds)
    rows = {
        (row.cohort_month, row.age_months): row.expected for row in found.itertuples(index=False)
    }
    days = {
        (dt.date(2023, 1, 1), 0): (4, 20),
        (dt.date(2023, 1, 1), 1): (4, 48),
        # As of the 10th of March, not to its end.
        (dt.date(2023, 1, 1), 2): (4, 58),
        (dt.date(2023, 3, 1), 0): (3, 6),
    }
    assert set(rows) == set(days)
    kept = 1.0 if keeps_refunds else 0.8
    for cell, (customers, age) in days.items():
        again = PURCHASE_MODELS[model].expected_purchases_new(named(model), age / UNIT_DAYS[model])
        wanted = customers * (1 + float(again)) * MEAN * kept
        assert rows[cell] == pytest.approx(wanted, rel=1e-7), cell
    margins = (entry.margin_rate * found["expected"]).tolist()
    assert found["expected_margin"].tolist() == pytest.approx(margins)


def test_without_parameters_nothing_is_expected():
    for missing in ("purchases", "spend"):
        entry = segment(**{missing: None})
        assert expect_cohorts(COHORTS, entry, as_of=AS_OF, keeps_refunds=False).empty
