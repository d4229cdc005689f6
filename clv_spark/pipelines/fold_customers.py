"""Part of job build-features: an earlier slice and what has happened since -> every customer."""

from __future__ import annotations

import datetime as dt
from contextlib import ExitStack
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from clv_spark.lake import SPARK_ERRORS, Commit
from clv_spark.pipelines.run_context import Run, cached
from clv_spark.pipelines.segment_values import (
    Values,
    together,
    values_of_days,
    values_of_slice,
)
from clv_spark.pipelines.snapshot import Snapshot, newest_snapshot, unchanged_snapshot
from clv_spark.schemas import CUSTOMER_DAYS, CUSTOMER_FEATURES, REFUND_ONLY_CUSTOMERS
from clv_spark.transforms.features import fold, pieces_of_days, pieces_of_snapshot
from clv_spark.transforms.segments import Codes

# So many ids fit into the memory of every executor, and of the driver, through which Spark sends
# them as bytes; beyond them all customers are shuffled.
MOST_TOUCHED = 1_000_000


@dataclass(frozen=True)
class Folded:
    """Customers as :func:`clv_spark.transforms.features.fold` gives them, and how it was done.

    Attributes:
        rows: the customers.
        how: in words.
        values: which values their segment keys have, or more; None where that is unknown.
    """

    rows: DataFrame
    how: str
    values: Values | None


def fold_customers(run: Run, days: DataFrame, commit: Commit, kept: ExitStack) -> Folded:
    """Fold whoever has days that are new or have changed; all others stand in the newest slice.

    So a night moves the customers it hears of, and no others. Who was hit by a late, corrected or
    deleted event is folded from a slice that has not seen its day, or from all days.

    Args:
        run: The run; its date is the last that counts.
        days: Rows of customer_days.
        commit: The commit to come.
        kept: Holds what is kept on disks until everything is written.
    """
    newest = newest_snapshot(run, commit, CUSTOMER_FEATURES, REFUND_ONLY_CUSTOMERS)
    if newest is None or newest.changed:
        start = unchanged_snapshot(run, commit, CUSTOMER_FEATURES, REFUND_ONLY_CUSTOMERS)
    else:
        start = newest.date
    found = None if newest is None else _touched(run, days, newest, kept)
    if newest is None or found is None:
        how = "all days folded" if start is None else f"days after {start} folded"
        pieces = _pieces(run, run.all_days() if start is None else days, start)
        values = _values(run, start)
        return Folded(_fold(run, pieces, values, kept), how, values)
    touched, number = found
    others = _of_slice(run, newest.date).join(F.broadcast(touched), "customer_id", "left_anti")
    how = f"days after {newest.date} folded"
    if newest.changed:
        how += f", {number} customers from " + ("all their days" if start is None else f"{start}")
    values = _values(run, start, newest.date)
    if not number:
        return Folded(others, how, values)
    ours = _pieces(run, days, start).join(F.broadcast(touched), "customer_id", "left_semi")
    return Folded(_fold(run, ours, values, kept, _cores(run)).unionByName(others), how, values)


def _values(run: Run, *slices: dt.date | None) -> Values | None:
    """Values of the segment keys in customer_days, and in slices of the features."""
    dates = dict.fromkeys(date for date in slices if date is not None)
    parts = [values_of_days(run), *(values_of_slice(run, date) for date in dates)]
    return together(parts, run.config.customer_keys)


def _touched(
    run: Run, days: DataFrame, newest: Snapshot, kept: ExitStack
) -> tuple[DataFrame, int] | None:
    """Ids of the customers with days that are new or have changed; None where too many or unknown.

    A customer who was on a day before it was derived again may be gone from it.
    """
    try:
        ids = _ids_touched(run, days, newest)
        # They are few, and so are the files that they come to.
        touched = kept.enter_context(cached(ids.coalesce(_cores(run))))
        number = touched.count()
    except SPARK_ERRORS:
        if not newest.changed:
            raise
        # That version is past what Delta lets one read, or its files have been removed since.
        return None
    return (touched, number) if number <= MOST_TOUCHED else None


def _ids_touched(run: Run, days: DataFrame, newest: Snapshot) -> DataFrame:
    """Ids of whoever has a day after the slice, or has or had one that was derived again since."""
    date = F.col("event_date")
    parts = [days.where((date > F.lit(newest.date)) & (date <= F.lit(run.date)))]
    if newest.changed:
        before = run.lake.read_version(CUSTOMER_DAYS, newest.version)
        parts += [rows.where(date.isin(*sorted(newest.changed))) for rows in (days, before)]
    return reduce(DataFrame.union, [rows.select("customer_id") for rows in parts]).distinct()


def _pieces(run: Run, days: DataFrame, start: dt.date | None) -> DataFrame:
    """A slice and the days after it, or all days."""
    later = pieces_of_days(days, run.config.customer_keys, run.date, after=start)
    return later if start is None else _of_slice(run, start).unionByName(later)


def _of_slice(run: Run, date: dt.date) -> DataFrame:
    features = run.lake.read(CUSTOMER_FEATURES, date)
    others = run.lake.read(REFUND_ONLY_CUSTOMERS, date)
    return pieces_of_snapshot(features, others, run.config.customer_keys)


def _fold(
    run: Run,
    pieces: DataFrame,
    values: Values | None,
    kept: ExitStack,
    partitions: int | None = None,
) -> DataFrame:
    if values is None:
        codes = segment_codes(pieces, run.config.customer_keys)
    else:
        codes = {key: Codes.of_names(names) for key, names in values.items()}
    folded = fold(pieces, codes, run.config)
    return kept.enter_context(cached(folded.coalesce(partitions) if partitions else folded))


def _cores(run: Run) -> int:
    return run.spark.sparkContext.defaultParallelism


def segment_codes(rows: DataFrame, keys: tuple[str, ...]) -> dict[str, Codes]:
    """Numbers for the values of each segment key."""
    distinct = {key: rows.select(key).where(F.col(key).isNotNull()).distinct() for key in keys}
    return {
        key: Codes.of_names(str(row[0]) for row in found.collect())
        for key, found in distinct.items()
    }
