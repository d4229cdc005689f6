"""Job build-customer-days: source lines -> customer_days and rejected_transactions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from clv_spark.config import Config, TransactionsSource
from clv_spark.errors import ConfigError, InputError
from clv_spark.lake import DAYS_HELD, Commit, Source, open_source
from clv_spark.pipelines.line_totals import (
    Totals,
    check_refused,
    check_usable,
    figures_of,
    first_look,
    gate_rejected,
    read_totals,
    reconcile,
    totals_together,
)
from clv_spark.pipelines.margins import Margins, open_margins
from clv_spark.pipelines.product_days import check_products, summed_products, write_products
from clv_spark.pipelines.reading import Reading
from clv_spark.pipelines.run_context import Run, cached, open_run, reached, shape_of
from clv_spark.pipelines.segment_values import Values, figures_of_values, together, values_of_days
from clv_spark.pipelines.source_changes import find_reading, has_become_due, record_files
from clv_spark.schemas import CUSTOMER_DAYS, REJECTED_TRANSACTIONS
from clv_spark.transforms.conform import conform
from clv_spark.transforms.customer_days import (
    customer_days,
    rejected_transactions,
    sum_lines,
    totals_of_sums,
)


def build_customer_days(spark: SparkSession, config: Config) -> dict[str, Any]:
    """Read what changed in the source, and derive its days again in ``customer_days``.

    Returns:
        The outcome of the run.

    Raises:
        InputError: the source is missing, empty, unreadable, or has no usable line.
        GateError: lines or money do not reconcile, or too many lines are refused.
        ConfigError: no source is configured.
    """
    # Before the lake's folder is made.
    transactions_of(config)
    with open_run(spark, config, "build-customer-days") as run:
        customer_days_stage(run)
        return run.outcome()


def customer_days_stage(run: Run) -> Commit:
    """Read what changed -> conform -> sum per customer and day -> check -> publish."""
    config = transactions_of(run.config)
    source, margins = open_source(run.spark, config), open_margins(run)
    last = run.lake.last_commit(CUSTOMER_DAYS)
    return run.stage(
        CUSTOMER_DAYS,
        [source.version, margins.version],
        lambda commit: _write(run, config, (source, margins), last, commit),
        source_version=source.version,
        due=has_become_due(run, last),
    )


def transactions_of(config: Config) -> TransactionsSource:
    """The configured transactions source.

    Raises:
        ConfigError: none is configured.
    """
    if config.source.transactions is None:
        raise ConfigError(
            "source.transactions is not configured; name it in the file that --conf gives: "
            "conf/base.yml shows how, conf/demo.yml is an example that runs"
        )
    return config.source.transactions


def _write(
    run: Run,
    config: TransactionsSource,
    sources: tuple[Source, Margins],
    last: Commit | None,
    commit: Commit,
) -> Commit:
    source, margins = sources
    if last is not None and last.figures.get("margins", Margins().version) != margins.version:
        # Every line has another margin.
        last = replace(last, config_hash="other margins")
    reading = find_reading(run, config, source, last, commit)
    figures = {**reading.figures(run.run_id), **figures_of({}), "margins": margins.version}
    commit = replace(commit, figures=figures)
    if reading.days is not None and not reading.days:
        record_files(run, reading, commit)
        return run.lake.record(CUSTOMER_DAYS, _with_what_is_held(run, reading, {}, {}, commit))
    conformed = conform(
        reading.rows,
        config,
        currency=run.config.currency,
        segments=run.config.customer_keys,
        margins=margins.table,
    )
    lines = reading.of_its_days(conformed)
    # Finding duplicates shuffles the lines; doing that once is worth the disk. Only a refused line
    # is needed as it came.
    if config.deduplicate != "none":
        slim = lines.withColumn("line", F.when(F.col("reason").isNotNull(), F.col("line")))
        with cached(slim) as kept:
            return _write_lines(run, config, kept, reading, commit)
    return _write_lines(run, config, lines, reading, commit)


def _write_lines(
    run: Run, config: TransactionsSource, lines: DataFrame, reading: Reading, commit: Commit
) -> Commit:
    look = first_look(lines, run.config.customer_keys, config)
    summed = sum_lines(
        lines,
        look.codes,
        by_transaction="transaction_id" in config.columns,
        with_margin="margin" in config.columns or run.config.value.margins is not None,
    )
    with cached(summed) as kept, summed_products(run, lines) as products:
        read = read_totals(totals_of_sums(kept), config)
        _check_read(run, config, reading, read)
        reached("customer_days:read")
        reconcile(look.totals(), totals_together(read), CUSTOMER_DAYS.name)
        if products is not None:
            check_products(run, products, kept)
        commit = replace(commit, figures=commit.figures | figures_of(read))
        spec = CUSTOMER_DAYS.of(shape_of(lines, run.config.customer_keys))
        # Whatever the table refuses shows before the first of them is replaced, and so does a
        # column that nothing but a refused line is read for.
        run.lake.ensure(spec)
        with _refused_lines(lines, config, commit.figures) as refused:
            record_files(run, reading, commit)
            reached("customer_days:files_written")
            run.lake.replace(REJECTED_TRANSACTIONS, refused, commit, where=reading.condition())
            reached("customer_days:rejected_written")
        if products is not None:
            write_products(run, products, reading, commit)
            reached("customer_days:products_written")
        days = customer_days(kept, look.codes)
        by_date = days.repartitionByRange("event_month", "event_date", "customer_id")
        by_date = by_date.sortWithinPartitions("event_month", "event_date", "customer_id")
        commit = _with_what_is_held(run, reading, read, look.values(), commit)
        return run.lake.replace(spec, by_date, commit, where=reading.condition(months=True))


def _with_what_is_held(
    run: Run, reading: Reading, read: Totals, values: Values, commit: Commit
) -> Commit:
    """The commit, with the days and segment values of the table after it, where they are known."""
    before = None if reading.days is None else run.lake.date_range(CUSTOMER_DAYS)
    used = read.get(None)
    found = None if used is None else (used["first_date"], used["last_date"])
    after = reading.range_after(before, found)
    days = [] if after is None else [day.isoformat() for day in after]
    keys = run.config.customer_keys
    parts = [{key: values.get(key, ()) for key in keys}]
    held = together(parts if reading.days is None else [*parts, values_of_days(run)], keys)
    return replace(commit, figures=commit.figures | {DAYS_HELD: days} | figures_of_values(held))


def _check_read(run: Run, config: TransactionsSource, reading: Reading, read: Totals) -> None:
    if reading.days is None:
        check_usable(read, config)
        used = read[None]
        if run.as_of is not None:
            require_data(used["first_date"], used["last_date"], run.as_of)
            first = used["first_purchase_date"]
            require_purchase(first is not None and first <= run.as_of, run.as_of)
    run.input_accepted = True
    limit = run.config.gates.max_rejected_share
    gate_rejected(figures_of(read), limit, config, reading.seen_undated)


@contextmanager
def _refused_lines(
    lines: DataFrame, config: TransactionsSource, figures: Mapping[str, Any]
) -> Iterator[DataFrame]:
    """The refused lines as they came, read to their end.

    Raises:
        GateError: they are not those that were counted.
        InputError: one of their columns is unreadable.
    """
    refused = rejected_transactions(lines)
    if not figures["rows_rejected"]:
        # Without a refused line the source need not be read for them.
        yield refused.limit(0)
        return
    with cached(refused) as kept:
        check_refused(kept, figures, config)
        yield kept


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


def require_purchase(is_there: bool, as_of: dt.date) -> None:
    """Stop where nobody has bought up to the as-of date.

    Raises:
        InputError: there is no purchase up to ``as_of``.
    """
    if not is_there:
        raise InputError(
            f"no customer has a purchase up to {as_of}; only refunds were found. Check "
            "source.transactions.columns.is_refund and the sign of amount"
        )
