"""Job check-source: show how a source is understood, before anything is written."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from clv_spark.config import Config, LocalSource, SourceSection
from clv_spark.lake import open_source, trusted_session
from clv_spark.pipelines.build_contracts import contracts_of
from clv_spark.pipelines.build_customer_days import transactions_of
from clv_spark.pipelines.check_costs import (
    NO_RATE,
    NO_SPEND,
    TWO_RATES,
    Understood,
    sources_of_costs,
)
from clv_spark.pipelines.line_totals import figures_of, read_totals
from clv_spark.transforms import conform as reasons
from clv_spark.transforms.conform import conform, map_columns
from clv_spark.transforms.conform_contracts import conform_contracts, map_contracts
from clv_spark.transforms.customer_days import totals_by_reason
from clv_spark.transforms.mapping import MAPPED, text_of
from clv_spark.transforms.segments import BLANKS

_SAMPLE = 10
_LOCAL = "date, in the configured time zone"
ADVICE = {
    reasons.MISSING_CUSTOMER_ID: (
        "lines without customer cannot be scored; if there are many, check columns.customer_id"
    ),
    reasons.INVALID_AMOUNT: "check columns.amount: it is missing, NaN, infinite or no number",
    reasons.INVALID_MARGIN: (
        "check columns.margin, of contracts periodic_margin: it is missing, NaN, infinite or no "
        "number; where it is not known give a usual one, such as coalesce(margin, 0.3 * amount)"
    ),
    reasons.INVALID_REFUND_FLAG: (
        "check columns.is_refund: no true or false; write a condition such as type = 'refund'"
    ),
    reasons.INVALID_DATE: "check columns.event_time: give to_timestamp the format of your text",
    reasons.DATE_OUT_OF_RANGE: "check first_date and last_date against the dates seen above",
    reasons.FOREIGN_CURRENCY: "convert to one currency upstream, or run one lake per currency",
    reasons.DUPLICATE: "equal lines count once; with a line id use deduplicate: line_id",
    "missing_contract_id": "check columns.contract_id; a customer with one contract may name it",
    "unknown_period": "map columns.period to month, quarter or year",
    "invalid_start": "check columns.start_date: give to_date the format of your text",
    "invalid_end": "check columns.end_date: NULL means running, other text must be a date",
    "end_before_start": "check that start_date and end_date are not mixed up",
    "invalid_tenure": "tenure is whole periods, at least 1 for a lost contract; is_lost is known",
    "before_since": "before costs.service.events.since: no cost of anybody, and in no rate",
    "missing_kind": "check columns.kind: it says what kind of event it was",
    "unknown_kind": "name the kind under costs.service.kinds, or refuse it by a rule under reject",
    "no_amount": "check columns.amount, or give the kind a unit_cost; costs are not negative",
    NO_SPEND: "each row needs its month and an amount of at least 0: a run would stop",
    NO_RATE: "each row needs a rate from 0 to 1: a run would stop",
    TWO_RATES: "keep one rate for each name: a run would stop",
    "overlap": "rows of a contract must follow each other; close a row when the next begins",
}

# Where the same reason means another column: sources that name no segment keys.
_ADVICE_ON_COSTS = {
    reasons.MISSING_CUSTOMER_ID: "costs of nobody are left out: check columns.customer_id",
    reasons.INVALID_DATE: "check columns.event_date: a date, or a text such as 2024-01-31",
}

_KEYS = {
    "source.transactions": ("segments", "country"),
    "source.contracts": ("contract_segments", "plan"),
}


def check_source(spark: SparkSession, config: Config) -> dict[str, Any]:
    """Read the sources as a run would, and report; nothing is written anywhere.

    Returns:
        ``source`` (its section), ``mapping`` (column, expression, type), ``sample`` (ten conformed
        lines), ``reasons`` (lines and money by reason; "used" for the rest), ``first_date``,
        ``last_date``, ``currencies``, ``advice`` (what to change) and the reconciled totals, of the
        transactions, or of the contracts where only they are configured; ``beside`` lists the same
        of the other sources: contracts, service events, acquisition costs and spend, margins.

    Raises:
        InputError: a source cannot be read, or a mapped expression has the wrong type.
        ConfigError: no source is configured.
    """
    with trusted_session(spark):
        first, *others = [_look(config, one) for one in _sources(spark, config)]
        return {**first, "beside": others}


def _sources(spark: SparkSession, config: Config) -> Iterator[Understood]:
    if config.has_purchases or not config.has_contracts:
        lines, keys = transactions_of(config), config.customer_keys
        state = open_source(spark, lines)
        conformed = conform(state.rows, lines, currency=config.currency, segments=keys)
        mapped = map_columns(state.rows, lines)
        yield Understood(lines, state.version, mapped, conformed, keys)
    if config.has_contracts:
        contracts, keys = contracts_of(config), config.contract_segments
        state = open_source(spark, contracts)
        conformed = conform_contracts(
            state.rows, contracts, currency=config.currency, segments=keys
        )
        mapped = map_contracts(state.rows, contracts)
        yield Understood(contracts, state.version, mapped, conformed, keys)
    yield from sources_of_costs(spark, config)


def _look(config: Config, one: Understood) -> dict[str, Any]:
    """What one source holds."""
    read = read_totals(totals_by_reason(one.conformed), one.source)
    unshown = ("reason", "line", *(text_of(key) for key in one.keys or ()))
    sample = one.conformed.where(F.col("reason").isNull()).drop(*unshown).limit(_SAMPLE)
    return {
        "source": one.source.key,
        "source_version": one.version,
        "mapping": _mapping(one.mapped, one.source),
        "sample": [row.asDict() for row in sample.collect()],
        "reasons": {
            reason or "used": {
                "lines": totals["line_count"],
                "amount": (totals["cents"] or 0) / 100,
            }
            for reason, totals in sorted(read.items(), key=lambda item: item[0] or "")
        },
        "totals": figures_of(read),
        "first_date": min(_dates(read, "first_date"), default=None),
        "last_date": max(_dates(read, "last_date"), default=None),
        "currencies": _currencies(one.mapped, one.source),
        "advice": [*_advice(read, config, one), *_zones_of_nobody(one)],
    }


def _dates(read: dict[str | None, dict[str, Any]], name: str) -> list[dt.date]:
    return [totals[name] for totals in read.values() if totals[name] is not None]


def _mapping(mapped: DataFrame, config: SourceSection) -> list[dict[str, str]]:
    """How each column is read."""
    types = {f.name: f.dataType.simpleString() for f in mapped.schema.fields}
    if isinstance(config, LocalSource):
        types |= {MAPPED + name: _LOCAL for name in config.local_days}
    return [
        {"column": name, "expression": sql, "type": types.get(MAPPED + name, _LOCAL)}
        for name, sql in config.columns.items()
    ]


def _currencies(mapped: DataFrame, config: SourceSection) -> dict[str, int] | None:
    if "currency" not in config.columns:
        return None
    rows = mapped.groupBy(F.col(f"{MAPPED}currency").cast("string")).count().collect()
    return dict(sorted((str(row[0]), int(row[1])) for row in rows))


def _zones_of_nobody(one: Understood) -> list[str]:
    """Countries with a zone that no line is of: spelled otherwise, they have the default one."""
    if not isinstance(one.source, LocalSource):
        return []
    named = one.source.zones.keys() - {"default"}
    if not named:
        return []
    country = F.trim(F.col(f"{MAPPED}country").cast("string"), F.lit(BLANKS))
    rows = one.mapped.where(country.isin(sorted(named))).select(country).distinct().collect()
    strange = sorted(named - {row[0] for row in rows})
    if not strange:
        return []
    return [f"timezone names {strange}, the country of no line: write them as the source does"]


def _advice(read: dict[str | None, dict[str, Any]], config: Config, one: Understood) -> list[str]:
    advice, source = [], one.source
    known = ADVICE if one.keys is not None else ADVICE | _ADVICE_ON_COSTS
    for reason in sorted(key for key in read if key is not None):
        text = known.get(reason, f"refused by your rule under {source.key}.reject")
        advice.append(f"{reason}: {text}")
    if not read:
        advice.append("the source holds no line: check path or table")
    elif None not in read:
        advice.append("no line can be used: a run would stop with exit code 11")
    if one.keys is not None and config.currency is None:
        advice.append("currency is not set: amounts are taken as one currency and not labelled")
    if one.keys == ():
        name, key = _KEYS[source.key]
        advice.append(f"{name} is empty: one global model; name a key such as {key} to split")
    return advice
