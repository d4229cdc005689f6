"""Rows of sources of costs -> rows with one meaning each, or a reason why they are refused."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as st

from clv_spark.config import AcquisitionCosts, ServiceConfig, ServiceEvents, SourceSection
from clv_spark.transforms.mapping import (
    MAPPED,
    cents_of,
    first_rule,
    id_of,
    line_as_json,
    map_expressions,
    require_type,
    widen_integers,
)
from clv_spark.transforms.money import cents_of_double, money
from clv_spark.transforms.segments import BLANKS

_DATES = (st.DateType, st.TimestampType, st.TimestampNTZType, st.StringType)


def conform_events(source: DataFrame, config: ServiceEvents, service: ServiceConfig) -> DataFrame:
    """Give every service event its meaning, and a reason if it can't be used.

    Args:
        source: events as the source has them.
        config: mapping of columns, reject rules.
        service: the kinds of events, with what one costs that carries no amount.

    Returns:
        customer_id, event_date, kind, amount_cents, reason (NULL = used) and ``line``, the event
        as JSON.

    Raises:
        InputError: a mapped expression has a type that can't carry its meaning.
    """
    mapped = source.transform(widen_integers).transform(map_expressions, config, config.columns)
    date, kind = day_of(mapped, config, "event_date"), _text("kind")
    units = {name: one.unit_cost for name, one in service.kinds.items()}
    unit = _by_name({name: cost for name, cost in units.items() if cost is not None}, kind)
    amount = cents_of_double(unit)
    if "amount" in config.columns:
        # One that can't be read is refused; it must not pass for one that is missing.
        given = cents_of(mapped, config, "amount")
        amount = F.when(_text("amount").isNull(), amount).otherwise(given)
    customer = id_of(mapped, config, "customer_id")
    reason = (
        F.when(customer.isNull(), "missing_customer_id")
        .when(date.isNull(), "invalid_date")
        # Where nothing is configured that is NULL, and does not hold.
        .when(date < F.lit(config.since).cast("date"), "before_since")
        .when(kind.isNull(), "missing_kind")
        .when(~kind.isin(sorted(service.kinds)), "unknown_kind")
        .when(amount.isNull() | (amount < 0), "no_amount")
    )
    return mapped.select(
        customer.alias("customer_id"),
        date.alias("event_date"),
        kind.alias("kind"),
        amount.alias("amount_cents"),
        first_rule(reason, config).alias("reason"),
        line_as_json(mapped).alias("line"),
    )


def conform_acquisition(source: DataFrame, config: AcquisitionCosts) -> DataFrame:
    """The same for what single customers cost to win; several rows of a customer add up.

    Returns:
        customer_id, event_date (NULL), amount_cents, reason, line.
    """
    mapped = source.transform(widen_integers).transform(map_expressions, config, config.columns)
    customer, amount = id_of(mapped, config, "customer_id"), cents_of(mapped, config, "amount")
    reason = F.when(customer.isNull(), "missing_customer_id").when(
        amount.isNull() | (amount < 0), "no_amount"
    )
    return mapped.select(
        customer.alias("customer_id"),
        F.lit(None).cast("date").alias("event_date"),
        amount.alias("amount_cents"),
        first_rule(reason, config).alias("reason"),
        line_as_json(mapped).alias("line"),
    )


def rejected_costs(lines: DataFrame, config: SourceSection) -> DataFrame:
    """The refused rows of one source."""
    return lines.where(F.col("reason").isNotNull()).select(
        F.lit(config.key).alias("source"),
        "reason",
        money(F.col("amount_cents"), 18).alias("amount"),
        "line",
    )


def day_of(mapped: DataFrame, config: SourceSection, name: str) -> Column:
    """A mapped date; NULL where it is unreadable.

    Raises:
        InputError: it is neither a date, a time nor text.
    """
    require_type(mapped.schema[MAPPED + name], _DATES, config)
    return F.col(MAPPED + name).try_cast("date")


def _text(name: str) -> Column:
    text = F.trim(F.col(MAPPED + name).cast("string"), F.lit(BLANKS))
    return F.when(text != "", text)


def _by_name(values: Mapping[str, float], name: Column) -> Column:
    known = F.from_json(F.lit(json.dumps(values)), "map<string,double>")
    return F.try_element_at(known, name)
