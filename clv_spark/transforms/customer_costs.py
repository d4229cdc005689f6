"""Conformed service events and acquisition costs -> rows of customer_costs."""

from __future__ import annotations

import datetime as dt
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from clv_spark.config import ServiceConfig
from clv_spark.schemas import CUSTOMER_COSTS
from clv_spark.transforms.money import money

_SUMS = ("service_of_purchases", "service_of_early_time", "service_of_later_time")


def customer_starts(purchases: DataFrame | None, contracts: DataFrame | None) -> DataFrame:
    """Who bears costs as what, and since when: one row per customer.

    Args:
        purchases: a slice of ``customer_features``.
        contracts: a slice of ``contract_features``.

    Returns:
        customer_id, relationship, start: the first purchase or the first start of a contract.
    """
    parts = []
    if purchases is not None:
        first = F.col("first_purchase_date").alias("start")
        parts.append(purchases.select("customer_id", first, F.lit(0).alias("holds")))
    if contracts is not None:
        first = F.col("start_date").alias("start")
        parts.append(contracts.select("customer_id", first, F.lit(1).alias("holds")))
    both = reduce(DataFrame.unionByName, parts)
    return both.groupBy("customer_id").agg(
        F.min("start").alias("start"),
        F.when(F.max("holds") == 1, "contract").otherwise("purchases").alias("relationship"),
    )


def customer_costs(
    events: DataFrame | None,
    acquisition: DataFrame | None,
    starts: DataFrame,
    service: ServiceConfig,
    as_of: dt.date,
) -> DataFrame:
    """The costs of each customer up to a date, exactly.

    Args:
        events: conformed service events, None without any.
        acquisition: conformed acquisition costs, None without any.
        starts: what :func:`customer_starts` gives.
        service: the kinds of events and the length of the early phase.
        as_of: last day that counts.
    """
    parts = []
    if events is not None:
        parts.append(_of_events(events, starts, service, as_of))
    if acquisition is not None:
        used = acquisition.where(F.col("reason").isNull())
        parts.append(
            used.groupBy("customer_id").agg(F.sum("amount_cents").alias("acquisition_cost"))
        )
    folded = reduce(lambda one, other: one.join(other, "customer_id", "full"), parts)
    of_events = ("service_events", "first_event_date", "cost_by_kind")
    for name in (*_SUMS, *of_events, "acquisition_cost"):
        if name not in folded.columns:
            folded = folded.withColumn(name, F.lit(None))
    rows = folded.join(starts.select("customer_id", "relationship"), "customer_id", "left")
    return rows.select(
        F.lit(as_of).alias("as_of_date"),
        "customer_id",
        F.coalesce("relationship", F.lit("none")).alias("relationship"),
        F.coalesce("service_events", F.lit(0)).cast("bigint").alias("service_events"),
        F.col("first_event_date").cast("date").alias("first_event_date"),
        *(money(F.coalesce(name, F.lit(0)), 28).alias(name) for name in _SUMS),
        F.col("cost_by_kind").cast("map<string,decimal(28,2)>").alias("cost_by_kind"),
        money(F.col("acquisition_cost"), 28).alias("acquisition_cost"),
    ).select(*CUSTOMER_COSTS.column_names)


def _of_events(
    events: DataFrame, starts: DataFrame, service: ServiceConfig, as_of: dt.date
) -> DataFrame:
    counted = events.where(F.col("reason").isNull() & (F.col("event_date") <= F.lit(as_of)))
    begun = counted.join(starts.select("customer_id", "start"), "customer_id", "left")
    of_purchases = F.col("kind").isin(
        sorted(name for name, kind in service.kinds.items() if kind.grows_with == "purchases")
    )
    # Before the first purchase nobody is a customer: what was served then was the early phase.
    later = F.datediff("event_date", "start") >= service.early_days
    is_later = F.coalesce(later, F.lit(False))
    by_kind = begun.groupBy("customer_id", "kind").agg(
        F.count(F.lit(1)).alias("service_events"),
        F.min("event_date").alias("first_event_date"),
        F.sum("amount_cents").alias("cents"),
        _sum_when(of_purchases).alias("service_of_purchases"),
        _sum_when(~of_purchases & ~is_later).alias("service_of_early_time"),
        _sum_when(~of_purchases & is_later).alias("service_of_later_time"),
    )
    pairs = F.array_sort(F.collect_list(F.struct("kind", money(F.col("cents"), 28).alias("cost"))))
    return by_kind.groupBy("customer_id").agg(
        F.sum("service_events").alias("service_events"),
        F.min("first_event_date").alias("first_event_date"),
        *(F.sum(name).alias(name) for name in _SUMS),
        F.map_from_entries(pairs).alias("cost_by_kind"),
    )


def _sum_when(condition: Column) -> Column:
    return F.sum(F.when(condition, F.col("amount_cents")).otherwise(0))


def totals_of_costs(costs: DataFrame) -> DataFrame:
    """What the customers' costs come to, in one row of cents, to hold against what was read."""
    service = F.col("service_of_purchases") + F.col("service_of_early_time")
    return costs.agg(
        _cents(service + F.col("service_of_later_time")).alias("service"),
        _cents(F.col("acquisition_cost")).alias("acquisition"),
    )


def used_cents(lines: DataFrame, as_of: dt.date) -> DataFrame:
    """What the used rows up to a date come to, in one row of cents."""
    counts = F.col("reason").isNull() & (
        F.col("event_date").isNull() | (F.col("event_date") <= F.lit(as_of))
    )
    return lines.where(counts).agg(F.coalesce(F.sum("amount_cents"), F.lit(0)))


def _cents(amount: Column) -> Column:
    return F.coalesce((F.sum(amount) * 100).cast("decimal(38,0)"), F.lit(0))
