"""Segments that came after the fit that is in use: rows as model_parameters would have them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from pyspark.sql import DataFrame

from clv_spark.kernels.newcomers import newcomer_rows
from clv_spark.pipelines.run_context import Run

Rows = list[dict[str, Any]]


def new_segments(
    run: Run, fit_date: dt.date, customers: DataFrame, fitted: Sequence[dict[str, Any]]
) -> Rows:
    """The segments of customers that the fit did not know, each with the nearest one above.

    Args:
        run: The run.
        fit_date: When the parameters were fitted.
        customers: Has the column segment.
        fitted: The chosen rows of model_parameters, those of purchases.
    """
    if _knows_all(run, fit_date):
        return []
    names = sorted(row["segment"] for row in customers.select("segment").distinct().collect())
    return newcomer_rows(names, fitted, nested=len(run.config.segments) > 1)


def new_contract_segments(
    run: Run, fit_date: dt.date, contracts: DataFrame, fitted: Sequence[dict[str, Any]]
) -> Rows:
    """The same of contracts, of each period with the nearest segment above.

    Args:
        run: The run.
        fit_date: When the parameters were fitted.
        contracts: Has the columns segment and period.
        fitted: The chosen rows of model_parameters, those of contracts.
    """
    if _knows_all(run, fit_date):
        return []
    there: dict[str, list[str]] = {}
    pairs = contracts.select("segment", "period").distinct().collect()
    for segment, period in sorted(map(tuple, pairs)):
        there.setdefault(period, []).append(segment)
    nested = len(run.config.contract_segments) > 1
    found: Rows = []
    for period, names in there.items():
        known = [row for row in fitted if row["time_unit"] == period]
        # A period that nobody had at the fit has no parameters.
        found += newcomer_rows(names, known, nested=nested) if known else []
    return found


def _knows_all(run: Run, fit_date: dt.date) -> bool:
    """Whether the fit saw the customers who are there now.

    Outside job ``run`` features may have been built again since the fit of the same date.
    """
    return fit_date == run.date and run.job == "run"
