"""Part of job score-customers: what parameters say of the customers of each leaf segment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame, Row

from clv_spark.config import Config
from clv_spark.kernels.contract_forecasts import Outlook
from clv_spark.kernels.contract_parameters import ContractKey, ContractParameters
from clv_spark.kernels.fit_segment import as_frame
from clv_spark.kernels.new_contracts import new_contract_curve
from clv_spark.kernels.new_customers import new_customer_curve
from clv_spark.kernels.new_value import NewValue, mixed, new_value
from clv_spark.kernels.segment_table import SegmentParameters
from clv_spark.kernels.segment_value import LeafOutlook
from clv_spark.kernels.sum_contracts import sum_contracts
from clv_spark.kernels.sum_segment import DRAWS, SegmentSum, sum_segment
from clv_spark.pipelines.run_context import Run
from clv_spark.pipelines.scored import Rates
from clv_spark.transforms.contract_sums import contract_value_sums, new_contract_sums
from clv_spark.transforms.summary import value_sums

# Beyond this many customers the patterns of a segment are rounded; its exact sum is known anyway.
MANY_CUSTOMERS = 20_000
SUMMED = (
    "segment STRING, customers DOUBLE, active DOUBLE, clv DOUBLE, "
    "mean ARRAY<DOUBLE>, variance ARRAY<DOUBLE>"
)
_ARRAYS = ("days", "plain", "discounted", "draws")
_NEW = ", ".join(
    [*(f"{name} ARRAY<DOUBLE>" for name in _ARRAYS)]
    + [f"{name} DOUBLE" for name in ("revenue", "margin", "service_cost")]
)


def purchase_outlooks(
    run: Run,
    scored: DataFrame,
    counts: Mapping[str, int],
    parameters: Mapping[str, SegmentParameters],
    rates: Rates,
) -> dict[str, LeafOutlook]:
    """Add up every segment's customers under draws of the parameters, and value a new one.

    Args:
        run: The run.
        scored: The scored customers.
        counts: How many there are, by leaf segment.
        parameters: What was used to score them, by segment.
        rates: What serving costs, by leaf segment.
    """
    large = frozenset(name for name, customers in counts.items() if customers > MANY_CUSTOMERS)
    # A number of partitions of its own: adaptive execution would put all groups into one task.
    partitions = max(1, min(len(counts), 4 * run.spark.sparkContext.defaultParallelism))
    sums = value_sums(scored, large).repartition(partitions, "segment")
    costs = {segment: rates(segment) for segment in counts}
    groups = sums.groupBy("segment")
    found = groups.applyInPandas(
        _outlook_of_group(run, parameters, costs), f"{SUMMED}, {_NEW}"
    ).collect()
    return {row["segment"]: _outlook(row) for row in found}


def _outlook_of_group(
    run: Run, parameters: Mapping[str, SegmentParameters], costs: Mapping[str, Any]
) -> Callable[[pd.DataFrame], pd.DataFrame]:
    value, refunds = run.config.value, run.config.refunds
    horizon: dict[str, Any] = {
        "horizon_days": value.horizon_days,
        "annual_discount_rate": value.annual_discount_rate,
    }

    def sum_one(rows: pd.DataFrame) -> pd.DataFrame:
        segment = rows["segment"].iloc[0]
        used, rates = parameters[segment], costs[segment]
        curve = new_customer_curve(
            used, **horizon, early_days=rates.early_days, draws=DRAWS, refunds=refunds
        )
        new = new_value(curve, rates, value.definition)
        arrays = {name: getattr(new, name).tolist() for name in _ARRAYS}
        return as_frame({**asdict(sum_segment(rows, used, **horizon)), **asdict(new), **arrays})

    return sum_one


def _outlook(row: Row) -> LeafOutlook:
    names = ("segment", "customers", "active", "clv", "mean", "variance")
    days, plain, discounted, draws = (np.array(row[name], dtype=np.float64) for name in _ARRAYS)
    new = NewValue(
        days, plain, discounted, draws, row["revenue"], row["margin"], row["service_cost"]
    )
    return LeafOutlook((SegmentSum(**{name: row[name] for name in names}),), new)


def contract_outlooks(
    run: Run,
    scored: DataFrame,
    parameters: Mapping[ContractKey, ContractParameters],
    rates: Rates,
) -> dict[str, LeafOutlook]:
    """The same of contracts, whose segments hold one part per period.

    Args:
        run: The run.
        scored: The scored contracts.
        parameters: What was used to score them, by segment and period.
        rates: What serving costs, by leaf segment.
    """
    outlook = Outlook(run.config.value.horizon_days, run.config.value.annual_discount_rate)

    def sum_one(rows: pd.DataFrame) -> pd.DataFrame:
        key = (rows["segment"].iloc[0], rows["period"].iloc[0])
        return as_frame(asdict(sum_contracts(rows, parameters[key], outlook)))

    groups = contract_value_sums(scored).groupBy("segment", "period")
    sums: dict[str, list[SegmentSum]] = {}
    for row in sorted(groups.applyInPandas(sum_one, SUMMED).collect()):
        sums.setdefault(row["segment"], []).append(SegmentSum(**row.asDict()))
    new = _new_contracts(run, scored, parameters, rates)
    return {leaf: LeafOutlook(parts, new.get(leaf)) for leaf, parts in sums.items()}


def _new_contracts(
    run: Run,
    scored: DataFrame,
    parameters: Mapping[ContractKey, ContractParameters],
    rates: Rates,
) -> dict[str, NewValue]:
    """What a new contract brings, of several periods in the mix of the new ones."""
    value = run.config.value
    recent = recent_days(run.config)
    parts: dict[str, list[tuple[float, NewValue]]] = {}
    for row in sorted(new_contract_sums(scored, recent).collect()):
        used = parameters.get((row["segment"], row["period"]))
        if used is None or used.values is None or not row["amount"]:
            continue
        costs = rates(row["segment"])
        curve = new_contract_curve(
            used,
            order_value=row["amount"] / row["contracts"],
            margin_rate=row["margin"] / row["amount"],
            horizon_days=value.horizon_days,
            annual_discount_rate=value.annual_discount_rate,
            early_days=costs.early_days,
            draws=DRAWS,
        )
        one = (row["contracts"], new_value(curve, costs, value.definition))
        parts.setdefault(row["segment"], []).append(one)
    return {segment: mixed(values) for segment, values in parts.items()}


def recent_days(config: Config) -> int:
    """How old a customer is at most who counts as new for what winning one costs."""
    return round(config.costs.acquisition.recent_months * 365 / 12)
