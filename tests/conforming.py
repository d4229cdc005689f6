"""Conform a few lines in a test."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from pyspark.sql import DataFrame

from clv_spark.config import TransactionsSource
from clv_spark.lake import trusted_session
from clv_spark.pipelines.line_totals import first_look
from clv_spark.transforms.conform import conform
from clv_spark.transforms.customer_days import customer_days, sum_lines

MAPPING = {"customer_id": "customer", "event_time": "at", "amount": "amount"}
DAY = dt.date(2011, 6, 15)


def meaning(
    source: DataFrame,
    *,
    columns: dict[str, str] | None = None,
    segments: tuple[str, ...] = (),
    currency: str | None = None,
    **settings: Any,
) -> DataFrame:
    mapping = {**MAPPING, **(columns or {})}
    config = TransactionsSource.model_validate({"path": "-", "columns": mapping, **settings})
    with trusted_session(source.sparkSession):
        return conform(source, config, currency=currency, segments=segments)


def by_case(lines: DataFrame) -> dict[str, Any]:
    """The conformed lines under the name each has in its source's column ``name``."""
    found: dict[str, Any] = {}
    for row in lines.collect():
        found[json.loads(row["line"])["name"]] = row
    return found


def days_of_conformed(
    lines: DataFrame, *, by_transaction: bool = True, with_margin: bool = True
) -> DataFrame:
    """Conformed lines with a country as rows of customer_days."""
    source = TransactionsSource.model_validate({"path": "-", "columns": MAPPING})
    codes = first_look(lines, ("country",), source).codes
    summed = sum_lines(lines, codes, by_transaction=by_transaction, with_margin=with_margin)
    return customer_days(summed, codes)
