"""Part of job score-customers: what parameters say of the customers of each leaf segment."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
from pyspark.sql import DataFrame

from clv_spark.config import ACQUISITION_MONTH, Config
from clv_spark.kernels.begun_contracts import contract_prices, contracts_of_a_customer
from clv_spark.kernels.churn import Future, future_of_contracts, future_of_customers
from clv_spark.kernels.contract_forecasts import Outlook
from clv_spark.kernels.contract_parameters import ContractKey, ContractParameters
from clv_spark.kernels.event_rates import ServiceCosts
from clv_spark.kernels.new_contracts import new_contract_curve
from clv_spark.kernels.new_customers import new_customer_curve
from clv_spark.kernels.new_value import NewValue, mixed, several
from clv_spark.kernels.segment_table import SegmentParameters
from clv_spark.kernels.segment_value import LeafOutlook
from clv_spark.kernels.sum_contracts import sum_contracts
from clv_spark.kernels.sum_segment import DRAWS, SegmentSum, sum_segment
from clv_spark.kernels.what_if import churn_factors, new_values
from clv_spark.kernels.worker import in_worker
from clv_spark.pipelines.run_context import Run
from clv_spark.pipelines.scored import Costs
from clv_spark.transforms.contract_sums import contract_value_sums, new_contract_sums

# What a group comes to travels as it is: an object of ours, made by our own workers.
_PICKLED = "segment STRING, outlook BINARY"


def purchase_outlooks(
    run: Run,
    patterns: DataFrame,
    segments: Iterable[str],
    parameters: Mapping[str, SegmentParameters],
    costs: Costs,
) -> dict[str, LeafOutlook]:
    """Add up every segment's customers under draws of the parameters, and value a new one.

    Args:
        run: The run.
        patterns: Sums of the scored customers by pattern, those of a segment together.
        segments: Names of the leaf segments.
        parameters: What was used to score them, by segment.
        costs: What serving costs, by leaf segment.
    """
    serving = {segment: costs(segment) for segment in segments}
    config = run.config
    horizon = _horizon(config)

    def look(rows: pd.DataFrame) -> pd.DataFrame:
        segment = rows["segment"].iloc[0]
        used = parameters[segment]
        futures = []
        if config.what_if:
            # Only scenarios ask for it, and it costs more than the sum.
            factors = churn_factors(config.what_if)
            futures.append(future_of_customers(rows, used, factors, **horizon))
        summed = sum_segment(rows, used, **horizon)
        new = _customer_values(config, used, serving[segment])
        return _pickled(segment, LeafOutlook((summed,), futures, new, serving[segment].mix))

    found = patterns.groupBy("segment").applyInPandas(in_worker(look), _PICKLED).collect()
    return {row["segment"]: pickle.loads(row["outlook"]) for row in found}


def _customer_values(
    config: Config, used: SegmentParameters, costs: ServiceCosts
) -> dict[str, tuple[NewValue, ...]]:
    """What one new customer brings, by scenario."""
    curves = {
        churn: new_customer_curve(
            used,
            **_ahead_of_new(config),
            early_days=costs.rates.early_days,
            draws=DRAWS if churn == 1 else 0,
            refunds=config.refunds,
            churn=churn,
        )
        for churn in (1.0, *churn_factors(config.what_if))
    }
    definition, of_groups = config.value.definition, has_groups(config)
    return new_values(curves, costs, config.what_if, definition, of_groups=of_groups)


def contract_outlooks(
    run: Run,
    scored: DataFrame,
    parameters: Mapping[ContractKey, ContractParameters],
    costs: Costs,
) -> dict[str, LeafOutlook]:
    """The same of contracts, whose segments hold one part per period.

    Args:
        run: The run.
        scored: The scored contracts.
        parameters: What was used to score them, by segment and period.
        costs: What serving costs, by leaf segment.
    """
    outlook, factors = Outlook(**_horizon(run.config)), churn_factors(run.config.what_if)

    def look(rows: pd.DataFrame) -> pd.DataFrame:
        key = (rows["segment"].iloc[0], rows["period"].iloc[0])
        summed = sum_contracts(rows, parameters[key], outlook)
        future = future_of_contracts(rows, parameters[key], factors, outlook)
        return _pickled(key[0], (key, summed, future))

    groups = contract_value_sums(scored).groupBy("segment", "period")
    rows = groups.applyInPandas(in_worker(look), _PICKLED).collect()
    found = [pickle.loads(row["outlook"]) for row in rows]
    parts: dict[str, list[tuple[SegmentSum, Future]]] = {}
    for (segment, _), summed, future in sorted(found, key=lambda one: one[0]):
        parts.setdefault(segment, []).append((summed, future))
    new = _new_contracts(run, scored, parameters, costs)
    return {
        leaf: LeafOutlook(
            [summed for summed, _ in both],
            [future for _, future in both],
            {name: (value,) for name, value in new.get(leaf, {}).items()},
            costs(leaf).mix,
        )
        for leaf, both in parts.items()
    }


def _new_contracts(
    run: Run,
    scored: DataFrame,
    parameters: Mapping[ContractKey, ContractParameters],
    costs: Costs,
) -> dict[str, dict[str, NewValue]]:
    """What a new customer's contracts bring, by the customer's segment and by scenario.

    Of each segment and period as many as a new customer begins with; where a segment has no new
    customer, as many as one has who has any. Of a kind without parameters all others stand for it.
    """
    begin = run.config.value.new_customer_days
    summed = new_contract_sums(scored, recent_days(run.config), begin)
    rows = [row.asDict() for row in sorted(summed.collect())]
    values = {}
    for key, price in contract_prices(rows).items():
        used = parameters.get(key)
        if used is not None and used.values is not None:
            values[key] = _contract_values(run.config, used, price, costs(key[0]))
    found = {}
    for home, mix in contracts_of_a_customer(rows).items():
        known = {key: weight for key, weight in mix.items() if key in values}
        if known:
            found[home] = {
                name: several(
                    mixed([(weight, values[key][name]) for key, weight in known.items()]),
                    sum(mix.values()),
                )
                for name in values[next(iter(known))]
            }
    return found


def _contract_values(
    config: Config, used: ContractParameters, price: tuple[float, float], costs: ServiceCosts
) -> dict[str, NewValue]:
    """What one new contract brings, by scenario; contracts know no groups but the months."""
    order_value, margin_rate = price
    curves = {
        churn: new_contract_curve(
            used,
            order_value=order_value,
            margin_rate=margin_rate,
            **_ahead_of_new(config),
            early_days=costs.rates.early_days,
            draws=DRAWS if churn == 1 else 0,
            churn=churn,
        )
        for churn in (1.0, *churn_factors(config.what_if))
    }
    found = new_values(curves, costs, config.what_if, config.value.definition, of_groups=False)
    return {name: value for name, (value,) in found.items()}


def has_groups(config: Config) -> bool:
    """Whether the summary has groups of customers with a likeness of their own.

    Customers of one month are of one age, so that nothing tells them from others of that age.
    """
    return any(key != ACQUISITION_MONTH for key in config.report_by)


def recent_days(config: Config) -> int:
    """How old a customer is at most who counts as new for what winning one costs."""
    return round(config.costs.acquisition.recent_months * 365 / 12)


def _horizon(config: Config) -> dict[str, Any]:
    value = config.value
    return {
        "horizon_days": value.horizon_days,
        "annual_discount_rate": value.annual_discount_rate,
    }


def _ahead_of_new(config: Config) -> dict[str, Any]:
    target = config.costs.acquisition.target_payback_days
    return {**_horizon(config), "target_payback_days": target}


def _pickled(segment: str, found: object) -> pd.DataFrame:
    return pd.DataFrame({"segment": [segment], "outlook": [pickle.dumps(found)]})
