"""Job build-features: customer_days, contracts -> customer_features, contract_features."""

from __future__ import annotations

import datetime as dt
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from clv_spark.config import Config
from clv_spark.errors import GateError, InputError
from clv_spark.lake import Commit
from clv_spark.pipelines.build_contract_features import contract_features_stage
from clv_spark.pipelines.build_customer_days import require_data, require_purchase
from clv_spark.pipelines.build_products import products_stage
from clv_spark.pipelines.features_of_date import check_drop
from clv_spark.pipelines.fold_customers import fold_customers
from clv_spark.pipelines.run_context import Run, open_run, reached, shape_of
from clv_spark.pipelines.segment_values import figures_of_values
from clv_spark.pipelines.snapshot import state_of_days
from clv_spark.schemas import CUSTOMER_DAYS, CUSTOMER_FEATURES, REFUND_ONLY_CUSTOMERS
from clv_spark.transforms.features import customer_features, refund_only_customers


def build_features(spark: SparkSession, config: Config, as_of: dt.date) -> dict[str, Any]:
    """Fold ``customer_days`` and ``contracts`` up to ``as_of``; replace that slice of features.

    With ``products.enabled`` also ``product_days``, into that slice of ``customer_products``.

    Returns:
        The outcome of the run.

    Raises:
        InputError: customer_days or contracts does not exist, or holds nothing up to ``as_of``.
    """
    with open_run(spark, config, "build-features", as_of) as run:
        if config.has_purchases:
            features_stage(run)
        if config.products.enabled:
            products_stage(run)
        if config.has_contracts:
            contract_features_stage(run)
        return run.outcome()


def features_stage(run: Run) -> Commit:
    """Read a slice and what has happened since, or all days -> fold -> check -> publish."""
    days = run.lake.read(CUSTOMER_DAYS)
    upstream = run.upstream(CUSTOMER_DAYS, "build-customer-days")
    return run.stage(
        CUSTOMER_FEATURES,
        state_of_days(upstream),
        lambda commit: _write(run, days, upstream, commit),
        source_version=upstream.source_version,
        slice_date=run.date,
        beside=(REFUND_ONLY_CUSTOMERS,),
    )


def _write(run: Run, days: DataFrame, upstream: Commit, commit: Commit) -> Commit:
    _check_dates(run)
    run.input_accepted = True
    shape = shape_of(days, run.config.customer_keys)
    with ExitStack() as kept:
        folded = fold_customers(run, days, commit, kept)
        buyers, everyone = _counts(folded.rows)
        _check_customers(run, buyers)
        reached("customer_features:read")
        figures = {
            "message": f"{everyone - buyers} customers without a purchase are left out; "
            + folded.how,
            "days_version": upstream.table_version,
            **figures_of_values(folded.values),
        }
        commit = replace(commit, figures=figures)
        others = REFUND_ONLY_CUSTOMERS.of(shape)
        # Whatever the second table refuses shows before the first is replaced.
        run.lake.ensure(others)
        features = customer_features(folded.rows, shape, run.date)
        written = run.lake.replace(CUSTOMER_FEATURES.of(shape), features, commit, run.date)
        reached("customer_features:features_written")
        if everyone > buyers or run.lake.holds(others, run.date):
            without = refund_only_customers(folded.rows, run.date)
            run.lake.replace(others, without, commit, run.date)
        else:
            # Nobody, as before: to find that out again would be another pass over all customers.
            run.lake.record(others, commit)
        return written


def _counts(folded: DataFrame) -> tuple[int, int]:
    row = folded.agg(F.count("first_purchase_date"), F.count(F.lit(1))).first()
    return (int(row[0]), int(row[1])) if row else (0, 0)


def _check_dates(run: Run) -> None:
    held = run.lake.date_range(CUSTOMER_DAYS)
    if held is None:
        raise InputError(
            "customer_days holds no day: no line of the source is used any more. Look into "
            "rejected_transactions and mend the source, then run build-customer-days"
        )
    first, last = held
    require_data(first, last, run.date)
    limit = run.config.gates.max_source_age_days
    if limit is None:
        return
    if last > run.date:
        # A mistyped year in a line must not make every delivery look new.
        since = run.date - dt.timedelta(days=limit)
        last = _last_day(run, since) or _last_day(run, first) or first
    age = (run.date - last).days
    if age > limit:
        raise GateError(
            f"the newest line is of {last}, {age} days before {run.date}; "
            f"gates.max_source_age_days allows {limit}. Nothing was published; check the delivery "
            "of the source"
        )


def _last_day(run: Run, since: dt.date) -> dt.date | None:
    """The last day from ``since`` to the date of the run; None where there is none."""
    days, date = run.lake.read(CUSTOMER_DAYS), F.col("event_date")
    # The month is the partition, so that files of earlier ones are not opened.
    days = days.where(F.col("event_month") >= F.lit(since.replace(day=1)))
    found = days.where(date.between(F.lit(since), F.lit(run.date))).agg(F.max(date)).collect()
    last: dt.date | None = found[0][0]
    return last


def _check_customers(run: Run, customers: int) -> None:
    # Days that were derived for another date can lack a purchase up to this one.
    require_purchase(customers > 0, run.date)
    before = run.lake.newest_slice(CUSTOMER_FEATURES, run.date - dt.timedelta(days=1))
    previous = None
    if before is not None:
        previous = (before, run.lake.count(CUSTOMER_FEATURES, before))
    check_drop(run, "customers", customers, previous)
