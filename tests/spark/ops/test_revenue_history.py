"""revenue_history: as counted from the days, and a night reads the months of its days alone."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession

from clv_spark.config import Config
from clv_spark.pipelines import summarise_revenue
from clv_spark.pipelines.run_context import Run, open_run
from clv_spark.pipelines.snapshot import Snapshot
from clv_spark.pipelines.summarise_revenue import history_stage
from tests.operations import AS_OF, Finished, copied, read_table, rows_of, sections

pytestmark = pytest.mark.slow

BEFORE = AS_OF - dt.timedelta(days=75)


@contextmanager
def months_added_up() -> Iterator[set[dt.date]]:
    """The months of the days that are added up within."""
    seen: set[dt.date] = set()
    of_days = summarise_revenue._months

    def months(run: Run, days: DataFrame) -> DataFrame:
        seen.update(row[0] for row in days.select("event_month").distinct().collect())
        return of_days(run, days)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(summarise_revenue, "_months", months)
        yield seen


def made(spark: SparkSession, config: Config, as_of: dt.date) -> tuple[str, set[dt.date]]:
    """What the stage says it did, and the months that it added up."""
    with months_added_up() as seen, open_run(spark, config, "score-customers", as_of) as run:
        done = history_stage(run)
    return str(done.figures["message"]), seen


def counted(lake: Path, as_of: dt.date) -> dict[tuple[str, dt.date], list[Any]]:
    """First day, purchase days and money by country and month, in plain Python."""
    sums: dict[tuple[str, dt.date], list[Any]] = defaultdict(
        lambda: [dt.date.max, 0, Decimal(0), Decimal(0)]
    )
    for row in read_table(lake / "customer_days").to_pylist():
        if row["event_date"] <= as_of:
            one = sums[row["country"], row["event_month"]]
            one[0] = min(one[0], row["event_date"])
            one[1] += row["transactions"] > 0
            one[2] += row["gross_amount"]
            one[3] += row["refund_amount"]
    return dict(sums)


def published(lake: Path, as_of: dt.date) -> dict[tuple[str, dt.date], list[Any]]:
    rows = read_table(lake / "revenue_history").to_pylist()
    names = ("first_date", "purchases", "gross_amount", "refund_amount")
    return {
        (row["segment"], row["month"]): [row[name] for name in names]
        for row in rows
        if row["as_of_date"] == as_of
    }


def test_a_later_date_adds_up_the_months_since_and_ends_as_all(
    spark: SparkSession, finished: Finished, tmp_path: Path
) -> None:
    lake = copied(finished.lake, tmp_path / "lake")
    values = {**sections(finished.source), "lake": {"path": str(lake)}}
    config = Config.model_validate(values)
    how, months = made(spark, config, BEFORE)
    assert how == "all months"
    assert published(lake, BEFORE) == counted(lake, BEFORE)

    how, again = made(spark, config, AS_OF)
    assert how == f"starts from the slice of {BEFORE}"
    first = BEFORE.replace(day=1)
    assert months - again == {month for month in months if month < first} != set()
    assert sorted(again)[0] == first
    assert len(again) == 3
    assert published(lake, AS_OF) == counted(lake, AS_OF)

    rows = [r for r in read_table(lake / "revenue_history").to_pylist() if r["as_of_date"] == AS_OF]
    # The same where days of an older month have been derived again, which is then added up too.
    late = min(months)
    snapshot = Snapshot(BEFORE, 0, frozenset({late + dt.timedelta(days=4)}))
    with open_run(spark, config, "score-customers", AS_OF) as run, months_added_up() as seen:
        for start in (None, snapshot):
            seen.clear()
            whole = [row.asDict() for row in summarise_revenue._history(run, start).collect()]
            assert rows_of(pa.Table.from_pylist(whole)) == rows_of(pa.Table.from_pylist(rows))
    assert seen == {late, *again}
