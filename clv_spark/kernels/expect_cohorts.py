"""What a model expects of acquisition cohorts, month of age by month of age."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from clv_spark.economics.season import MONTHS
from clv_spark.kernels.segment_table import SegmentParameters
from clv_spark.models import PURCHASE_MODELS


def expect_cohorts(
    cohorts: pd.DataFrame,
    parameters: SegmentParameters,
    *,
    as_of: dt.date,
    keeps_refunds: bool,
) -> pd.DataFrame:
    """Expected cumulative revenue and margin of cohorts of one segment up to as_of.

    Customers x (1 + E[X(t)]) x p gamma / (q - 1) x share kept, with t from the mean first day of
    the cohort to the end of the month, or to as_of.

    Args:
        cohorts: segment, cohort_month, customers and late: the sum of their days from the first of
            the month to the first purchase.
        parameters: Of the segment; without purchases or spend there is nothing to expect.
        as_of: Last day that counts.
        keeps_refunds: Whether refunds are left out.

    Returns:
        segment, cohort_month, age_months, expected and expected_margin.
    """
    if parameters.purchases is None or parameters.spend is None:
        return pd.DataFrame()
    cohorts = cohorts.sort_values("cohort_month")
    last = MONTHS * as_of.year + as_of.month - 1
    segment = str(cohorts["segment"].iloc[0])
    found = []
    columns = (cohorts[name].tolist() for name in ("cohort_month", "customers", "late"))
    for start, customers, late in zip(*columns, strict=True):
        first = MONTHS * start.year + start.month - 1
        for age in range(last - first + 1):
            after = first + age + 1
            end = min(dt.date(after // MONTHS, after % MONTHS + 1, 1) - dt.timedelta(days=1), as_of)
            # A late first day of a cohort that is days old may lie behind the mean.
            days = max((end - start).days - late / customers, 0.0)
            found.append((segment, start, age, float(customers), days))
    frame = pd.DataFrame(
        found, columns=["segment", "cohort_month", "age_months", "expected", "days"]
    )
    model = PURCHASE_MODELS[parameters.model]
    letters = dict(zip(model.MODEL.parameters, parameters.purchases, strict=True))
    times, places = np.unique(frame["days"] / parameters.unit_days, return_inverse=True)
    nobody = np.zeros(1)
    ahead = model.forecast_if_alive(letters, times.tolist(), 0.0, nobody, nobody)
    alive = float(model.probability_alive(letters, 0.0, 0.0, 0.0))
    p, q, gamma = (parameters.spend[name] for name in ("p", "q", "gamma"))
    kept = 1.0 if keeps_refunds else 1 - parameters.return_rate
    each = (1 + alive * ahead.expected[places, 0]) * p * gamma / (q - 1) * kept
    revenue = frame["expected"] * each
    margin = revenue * parameters.margin_rate
    return frame.drop(columns="days").assign(expected=revenue, expected_margin=margin)
