"""Part of job score-customers: what it cost to win each customer."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from clv_spark.config import AcquisitionSpend, Config
from clv_spark.errors import InputError
from clv_spark.lake import Source, open_source
from clv_spark.pipelines.line_totals import reading
from clv_spark.pipelines.local_rows import local_rows
from clv_spark.pipelines.run_context import Run
from clv_spark.transforms.acquisition import (
    acquisition_month,
    conform_spend,
    is_dated,
    key_of_segment,
    since_first_customer,
    spend_and_customers,
    spend_per_customer,
    spend_until,
    unusable_spend,
)
from clv_spark.transforms.mapping import OURS, quoted
from clv_spark.transforms.scores import decoded
from clv_spark.transforms.segments import of_segment_column

log = logging.getLogger(__name__)

# Beside a scored customer who buys: whether the same customer has or had a contract.
HOLDS = "holds_contract"
_BEARS = "bears_acquisition"


def shared_acquisition(config: Config) -> bool:
    """Whether a cost is given for both relationships; some customers may both buy and hold one."""
    costs = config.costs.acquisition
    by_spend = costs.spend is not None and len(config.spend_counts_for) > 1
    return (
        (costs.per_customer is not None or by_spend)
        and config.has_purchases
        and config.has_contracts
    )


def open_spend(run: Run) -> Source | None:
    """The source of acquisition spend at this moment; None where none is configured."""
    spend = run.config.costs.acquisition.spend
    return None if spend is None else open_source(run.spark, spend)


def with_acquisition_cost(
    run: Run, scored: DataFrame, spend: Source | None, report: Mapping[str, list[str]]
) -> DataFrame:
    """Adds acquisition_cost: the customer's own, the segment's, or the spend per new customer.

    One that is given by name is looked for by the names of the segment, then by the values of the
    further keys in their order.

    Args:
        run: The run.
        scored: Scored customers; with their own acquisition_cost where it is read, with ``HOLDS``
            where :func:`shared_acquisition` asks for it.
        spend: What :func:`open_spend` gives.
        report: The values of each further key of the summary, by report_code.

    Raises:
        InputError: a row of spend can't be used.
    """
    costs = run.config.costs.acquisition
    if costs.customers is not None:
        return scored
    # Of who buys and holds a contract the contract alone bears the cost.
    bears = F.col(HOLDS).isNull() if shared_acquisition(run.config) else F.lit(True)
    if costs.per_customer is not None:
        groups = [decoded("report_code", values) for values in report.values()]
        rate = of_segment_column(costs.per_customer, run.config.segment_depths, groups)
        return scored.withColumn("acquisition_cost", F.when(bears, rate)).drop(HOLDS)
    if costs.spend is None or spend is None:
        return scored.withColumn("acquisition_cost", F.lit(None).cast("double"))
    values = {key: _key(run.config, key, report) for key in costs.spend.keys}
    return _with_spend(run, scored.withColumn(_BEARS, bears), values, costs.spend, spend)


def _with_spend(
    run: Run,
    scored: DataFrame,
    keys: Mapping[str, Column],
    config: AcquisitionSpend,
    source: Source,
) -> DataFrame:
    rows = conform_spend(source.rows, config)
    dated = _require_usable(rows, config)
    rows = spend_until(rows, run.date, dated=dated)
    # Names of our own: a key may be called like a column of the scores.
    names = {name: f"{OURS}{name}" for name in ("month", *keys)}
    values = {"month": acquisition_month(), **keys}
    placed = scored.withColumns({names[name]: value for name, value in values.items()})
    counts = F.col("relationship").isin(*run.config.spend_counts_for)
    ours = placed.where(F.col(_BEARS) & counts)
    # A handful of rows, so that the customers are counted once and not for each use.
    grouped = ours.select(*(F.col(names[name]).alias(name) for name in names))
    counted = spend_and_customers(rows, grouped, tuple(keys)).collect()
    counted, early = since_first_customer(counted)
    if early:
        log.warning(
            "%d months and segments of %s come before the month of the first customer; their spend "
            "counts for nobody",
            early,
            config.key,
        )
    found, ahead = spend_per_customer(counted, tuple(keys))
    if ahead:
        log.warning(
            "%d months and segments of %s come after the last new customer of their segment, or "
            "it has won none: their spend counts for nobody yet, nor in the CAC of all. Compare "
            "how the segments are written if that is not so",
            ahead,
            config.key,
        )
    texts = (f"{quoted(names[key])} STRING" for key in keys)
    schema = ", ".join((f"{names['month']} DATE", *texts, "acquisition_cost DOUBLE"))
    rates = local_rows(run.spark, found, schema)
    joined = placed.join(F.broadcast(rates), list(names.values()), "left")
    cost = F.when(F.col(_BEARS), F.col("acquisition_cost"))
    return joined.withColumn("acquisition_cost", cost).drop(*names.values(), HOLDS, _BEARS)


def _key(config: Config, key: str, report: Mapping[str, list[str]]) -> Column:
    """The value of a key, by relationship, where spend counts for it."""
    value = F.lit(None).cast("string")
    ours = {"purchases": config.segments, "contract": config.contract_segments}
    for relationship in config.spend_counts_for:
        names, is_one = ours[relationship], F.col("relationship") == relationship
        if key in names:
            value = F.when(is_one, key_of_segment(names, key)).otherwise(value)
        elif key in report:
            value = F.when(is_one, decoded("report_code", report[key])).otherwise(value)
    return value


def _require_usable(rows: DataFrame, config: AcquisitionSpend) -> bool:
    """A handful of rows, kept by hand: one that can't be used stops the job.

    Returns:
        Whether they tell days and not only months.

    Raises:
        InputError: there is none, one lacks its month or has no amount of at least 0.
    """
    with reading(config, "rows"):
        (found,) = rows.agg(
            F.count(F.lit(1)), F.count(F.when(unusable_spend(), 1)), is_dated(config.keys)
        ).collect()
    if not found[0] or found[1]:
        raise InputError(
            f"{config.key}: {found[1]} of {found[0]} rows have no month or no amount of at least "
            "0; each needs both. Nothing was published"
        )
    return bool(found[2])
