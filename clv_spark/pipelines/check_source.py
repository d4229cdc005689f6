"""Job check-source: show how a source is understood, before anything is written."""

from __future__ import annotations

import datetime as dt
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from clv_spark.config import Config, TransactionsSource
from clv_spark.lake import open_source, trusted_session
from clv_spark.pipelines.build_customer_days import transactions_of
from clv_spark.pipelines.line_totals import figures_of, read_totals
from clv_spark.transforms import conform as reasons
from clv_spark.transforms.conform import conform, map_columns
from clv_spark.transforms.mapping import MAPPED

_SAMPLE = 10
_ADVICE = {
    reasons.MISSING_CUSTOMER_ID: (
        "lines without customer cannot be scored; if there are many, check columns.customer_id"
    ),
    reasons.INVALID_AMOUNT: "check columns.amount: it is missing, NaN, infinite or no number",
    reasons.INVALID_MARGIN: "check columns.margin: it is missing, NaN, infinite or no number",
    reasons.INVALID_DATE: "check columns.event_time: give to_timestamp the format of your text",
    reasons.DATE_OUT_OF_RANGE: "check first_date and last_date against the dates seen below",
    reasons.FOREIGN_CURRENCY: "convert to one currency upstream, or run one lake per currency",
    reasons.DUPLICATE: "equal lines count once; with a line id use deduplicate: line_id",
}


def check_source(spark: SparkSession, config: Config) -> dict[str, Any]:
    """Read the source as a run would, and report; nothing is written anywhere.

    Returns:
        ``mapping`` (column, expression, type), ``sample`` (ten conformed lines), ``reasons``
        (lines and money by reason; "used" for the rest), ``first_date``, ``last_date``,
        ``currencies``, ``advice`` (what to change) and the reconciled totals.

    Raises:
        InputError: the source cannot be read, or a mapped expression has the wrong type.
        ConfigError: no source is configured.
    """
    with trusted_session(spark):
        source_config = transactions_of(config)
        state = open_source(spark, source_config)
        source = state.rows
        lines = conform(source, source_config, currency=config.currency, segments=config.segments)
        read, _ = read_totals(lines, config.segments)
        sample = lines.where(F.col("reason").isNull()).drop("reason", "line").limit(_SAMPLE)
        return {
            "source_version": state.version,
            "mapping": _mapping(source, source_config),
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
            "currencies": _currencies(source, source_config),
            "advice": _advice(read, config),
        }


def _dates(read: dict[str | None, dict[str, Any]], name: str) -> list[dt.date]:
    return [totals[name] for totals in read.values() if totals[name] is not None]


def _mapping(source: DataFrame, config: TransactionsSource) -> list[dict[str, str]]:
    mapped = map_columns(source, config)
    types = {f.name: f.dataType.simpleString() for f in mapped.schema.fields}
    return [
        {
            "column": name,
            "expression": sql,
            "type": types.get(f"{MAPPED}{name}", "date, in the configured time zone"),
        }
        for name, sql in config.columns.items()
    ]


def _currencies(source: DataFrame, config: TransactionsSource) -> dict[str, int] | None:
    if not reasons.currency_mapped(config):
        return None
    mapped = map_columns(source, config)
    rows = mapped.groupBy(F.col(f"{MAPPED}currency").cast("string")).count().collect()
    return dict(sorted((str(row[0]), int(row[1])) for row in rows))


def _advice(read: dict[str | None, dict[str, Any]], config: Config) -> list[str]:
    advice = []
    for reason in sorted(key for key in read if key is not None):
        text = _ADVICE.get(reason, "refused by your rule under source.transactions.reject")
        advice.append(f"{reason}: {text}")
    if not read:
        advice.append("the source holds no line: check path or table")
    elif None not in read:
        advice.append("no line can be used: a run would stop with exit code 11")
    if config.currency is None:
        advice.append("currency is not set: amounts are taken as one currency and not labelled")
    if not config.segments:
        advice.append("segments is empty: one global model; name a key such as country to split")
    return advice
