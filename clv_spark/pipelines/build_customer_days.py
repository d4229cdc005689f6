"""Job build-customer-days: source lines -> customer_days and rejected_transactions."""

from __future__ import annotations

import datetime as dt
import decimal
from dataclasses import replace
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from clv_spark.config import Config, TransactionsSource
from clv_spark.errors import ConfigError, GateError, InputError
from clv_spark.lake import SPARK_ERRORS, Commit, condition, read_source, source_version
from clv_spark.pipelines.run_context import Run, cached, open_run, reached, shape_of
from clv_spark.schemas import CUSTOMER_DAYS, REJECTED_TRANSACTIONS
from clv_spark.transforms.conform import conform
from clv_spark.transforms.customer_days import (
    customer_days,
    rejected_transactions,
    totals_by_reason,
    totals_of_days,
)

# Beyond this a segment key is a mistake, such as a customer id mapped as country.
MOST_SEGMENTS = 100_000


def build_customer_days(spark: SparkSession, config: Config) -> dict[str, Any]:
    """Read the source once more and replace ``customer_days`` and ``rejected_transactions``.

    Returns:
        The outcome of the run.

    Raises:
        InputError: the source is missing, empty, unreadable, or has no usable line.
        GateError: lines or money do not reconcile, or too many lines are refused.
    """
    with open_run(spark, config, "build-customer-days") as run:
        customer_days_stage(run)
        return run.outcome()


def customer_days_stage(run: Run) -> Commit:
    """Read -> conform -> sum per customer and day -> check -> publish."""
    config = transactions_of(run.config)
    source = read_source(run.spark, config)
    version = source_version(run.spark, config, source)
    # Read again: a commit that lands between the two is seen now or by the next run, never lost.
    source = read_source(run.spark, config) if version.startswith("delta:") else source
    lines = conform(source, config, currency=run.config.currency, segments=run.config.segments)
    return run.stage(
        CUSTOMER_DAYS,
        [version],
        lambda commit: _write(run, config, lines, commit),
        source_version=version,
    )


def transactions_of(config: Config) -> TransactionsSource:
    """The configured transactions source.

    Raises:
        ConfigError: none is configured.
    """
    if config.source.transactions is None:
        raise ConfigError(
            "source.transactions is not configured; conf/base.yml shows how, conf/demo.yml is an "
            "example that runs"
        )
    return config.source.transactions


def _write(run: Run, config: TransactionsSource, lines: DataFrame, commit: Commit) -> Commit:
    # Finding duplicates shuffles the lines; doing that once is worth the disk. Only a refused line
    # is needed as it came.
    if config.deduplicate != "none":
        slim = lines.withColumn("line", F.when(F.col("reason").isNotNull(), F.col("line")))
        with cached(slim) as kept:
            return _write_lines(run, config, kept, commit)
    return _write_lines(run, config, lines, commit)


def _write_lines(run: Run, config: TransactionsSource, lines: DataFrame, commit: Commit) -> Commit:
    read, segment_values = read_totals(lines, run.config.segments)
    check_usable(read)
    if run.as_of is not None:
        require_data(read[None]["first_date"], read[None]["last_date"], run.as_of)
    run.input_accepted = True
    _gate_rejected(run, read)
    spec = CUSTOMER_DAYS.of(shape_of(lines, run.config))
    days = customer_days(
        lines,
        segment_values,
        by_transaction="transaction_id" in config.columns,
        with_margin="margin" in config.columns,
    )
    with cached(days) as kept:
        reached("customer_days:read")
        reconcile(read, kept)
        # The features job asks for the dates; from the commit they cost no scan.
        dates = {name: read[None][name].isoformat() for name in ("first_date", "last_date")}
        commit = replace(commit, figures=figures_of(read) | dates)
        refused = rejected_transactions(lines)
        if not commit.figures["rows_rejected"]:
            refused = refused.limit(0)
        # Whatever the table refuses shows before the first of the two is replaced.
        run.lake.ensure(spec)
        rejected = run.lake.replace(REJECTED_TRANSACTIONS, refused, commit)
        _check_rejected(commit, rejected)
        reached("customer_days:rejected_written")
        by_date = kept.repartitionByRange("event_month", "event_date", "customer_id")
        by_date = by_date.sortWithinPartitions("event_month", "event_date", "customer_id")
        return run.lake.replace(spec, by_date, commit)


def read_totals(
    lines: DataFrame, segments: tuple[str, ...]
) -> tuple[dict[str | None, dict[str, Any]], dict[str, list[str]]]:
    """Lines, cents and dates by reason (None = used), and the values of each segment key.

    Raises:
        InputError: Spark failed while it read the source, or a segment key has so many values
            that it can't be a segment.
    """
    try:
        rows = totals_by_reason(lines, segments).limit(MOST_SEGMENTS + 1).collect()
    except SPARK_ERRORS as error:
        raise InputError(
            f"source.transactions: reading the lines failed ({condition(error)}). "
            "Run check-source, and mend the file or the mapped expression it names"
        ) from error
    if len(rows) > MOST_SEGMENTS:
        raise InputError(
            f"segments {list(segments)}: more than {MOST_SEGMENTS} distinct values; map a key "
            "with few values, such as a country, channel or region"
        )
    totals: dict[str | None, dict[str, Any]] = {}
    for row in rows:
        found = {name: row[name] for name in ("line_count", "cents", "first_date", "last_date")}
        known = totals.get(row["reason"])
        totals[row["reason"]] = found if known is None else _together(known, found)
    return totals, {key: sorted({row[key] for row in rows}) for key in segments}


def _together(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    def both(name: str) -> list[Any]:
        return [part[name] for part in (one, other) if part[name] is not None]

    return {
        "line_count": sum(both("line_count")),
        "cents": sum(both("cents")),
        "first_date": min(both("first_date"), default=None),
        "last_date": max(both("last_date"), default=None),
    }


def check_usable(read: dict[str | None, dict[str, Any]]) -> None:
    """Stop before anything is written when the source is empty or nothing of it can be used.

    Raises:
        InputError: there is no line, or no usable line.
    """
    if not read:
        raise InputError(
            "source.transactions: the source has no line. Check that the path or table holds the "
            "data; every table is left as it was"
        )
    if None not in read:
        refused = {str(reason): totals["line_count"] for reason, totals in sorted(read.items())}
        raise InputError(
            f"source.transactions: none of the lines can be used; refused by reason: {refused}. "
            "Run check-source to see how the columns are mapped"
        )


def figures_of(read: dict[str | None, dict[str, Any]]) -> dict[str, Any]:
    """The reconciliation of lines and money, as it goes to the commit and pipeline_runs."""
    used = {reason: totals for reason, totals in read.items() if reason is None}
    refused = {str(reason): totals for reason, totals in read.items() if reason is not None}
    return {
        "rows_read": _sum(read, "line_count"),
        "rows_used": _sum(used, "line_count"),
        "rows_rejected": _sum(refused, "line_count"),
        "amount_read": _money(_sum(read, "cents")),
        "amount_used": _money(_sum(used, "cents")),
        "amount_rejected": _money(_sum(refused, "cents")),
        "rejected_by_reason": {r: t["line_count"] for r, t in sorted(refused.items())},
    }


def reconcile(read: dict[str | None, dict[str, Any]], days: DataFrame) -> None:
    """Hold what went into customer_days against what was read as usable, lines and cents.

    The two come from separate passes over the source, so a source that changes under the run, or
    a line lost or doubled on the way, shows here.

    Raises:
        GateError: they differ.
    """
    (written,) = totals_of_days(days).collect()
    for what in ("line_count", "cents"):
        expected, found = int(read[None][what]), int(written[what])
        if expected != found:
            raise GateError(
                f"customer_days does not reconcile: {found} {what} were summed up, {expected} were "
                "read as usable. Did the source change during the run? Nothing was published; run "
                "again on a source that stands still"
            )


def require_data(first: dt.date, last: dt.date, as_of: dt.date) -> None:
    """Stop before anything is written when the data begins after the as-of date.

    Raises:
        InputError: there is no day up to ``as_of``.
    """
    if first > as_of:
        raise InputError(
            f"customer_days holds no day up to {as_of}; it runs from {first} to {last}. "
            "Give an --as-of date within the data"
        )


def _check_rejected(expected: Commit, written: Commit) -> None:
    counted, found = expected.figures["rows_rejected"], written.rows_written or 0
    if counted != found:
        raise GateError(
            f"rejected_transactions does not reconcile: {found} lines were written, {counted} were "
            "read as refused. Did the source change during the run? customer_days is as it was; "
            "run again on a source that stands still"
        )


def _gate_rejected(run: Run, read: dict[str | None, dict[str, Any]]) -> None:
    figures = figures_of(read)
    share = figures["rows_rejected"] / figures["rows_read"]
    limit = run.config.gates.max_rejected_share
    if share > limit:
        raise GateError(
            f"{share:.1%} of the lines are refused, gates.max_rejected_share allows {limit:.1%}: "
            f"{figures['rejected_by_reason']}. Nothing was published; run check-source"
        )


def _sum(totals: dict[Any, dict[str, Any]], what: str) -> int:
    return sum(int(t[what] or 0) for t in totals.values())


def _money(cents: int) -> str:
    return str(decimal.Decimal(cents).scaleb(-2))
