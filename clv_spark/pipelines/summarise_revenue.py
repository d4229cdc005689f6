"""Part of jobs run and score-customers: customer_days -> revenue_history, by month and segment."""

from __future__ import annotations

from dataclasses import replace

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from clv_spark.config import Config
from clv_spark.lake import Commit
from clv_spark.pipelines.run_context import Run, reached
from clv_spark.pipelines.snapshot import Snapshot, newest_snapshot, state_of_days
from clv_spark.schemas import CUSTOMER_DAYS, REVENUE_HISTORY
from clv_spark.transforms.forecast import monthly_revenue


def forecasts(config: Config) -> bool:
    """Whether revenue is forecast, which goes on from its history."""
    return config.has_purchases and config.reports.forecast


def history_stage(run: Run) -> Commit:
    """Read the months of an earlier slice that are what they were, add up the others -> publish."""
    upstream = run.upstream(CUSTOMER_DAYS, "build-customer-days")
    return run.stage(
        REVENUE_HISTORY,
        state_of_days(upstream),
        lambda commit: _write(run, upstream, commit),
        source_version=upstream.source_version,
        slice_date=run.date,
    )


def _write(run: Run, upstream: Commit, commit: Commit) -> Commit:
    run.input_accepted = True
    run.lake.ensure(REVENUE_HISTORY)
    snapshot = newest_snapshot(run, commit, REVENUE_HISTORY)
    rows = _history(run, snapshot)
    reached("revenue_history:read")
    how = "all months" if snapshot is None else f"starts from the slice of {snapshot.date}"
    figures = {"message": how, "days_version": upstream.table_version}
    return run.lake.replace(REVENUE_HISTORY, rows, replace(commit, figures=figures), run.date)


def _history(run: Run, snapshot: Snapshot | None) -> DataFrame:
    """A night adds up the months that its days belong to, and reads no other."""
    month, of_days = F.col("month"), F.col("event_month")
    so_far = of_days <= F.lit(run.date)
    if snapshot is None:
        return _months(run, run.all_days().where(so_far))
    days = run.lake.read(CUSTOMER_DAYS).where(so_far)
    last = snapshot.date.replace(day=1)
    changed = sorted({day.replace(day=1) for day in snapshot.changed} - {last})
    before = run.lake.read(REVENUE_HISTORY, snapshot.date)
    kept = before.where((month < F.lit(last)) & ~month.isin(changed))
    again = days.where((of_days >= F.lit(last)) | of_days.isin(changed))
    return kept.withColumn("as_of_date", F.lit(run.date)).unionByName(_months(run, again))


def _months(run: Run, days: DataFrame) -> DataFrame:
    same = {"as_of_date": F.lit(run.date), "relationship": F.lit("purchases")}
    months = monthly_revenue(days, run.config.segments, run.date)
    currency = F.lit(run.config.currency).cast("string").alias("currency")
    found = months.withColumns(same).select("*", currency)
    return found.select(*REVENUE_HISTORY.column_names).coalesce(1)
