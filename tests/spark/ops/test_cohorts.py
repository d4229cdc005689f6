"""cohort_summary of the shop: what plain Python finds, month by month of age."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from clv_spark.config import Config
from clv_spark.lake import Commit, Lake
from clv_spark.pipelines.cohort_history import cohorts_are_due
from clv_spark.pipelines.run_context import Run
from clv_spark.schemas import COHORT_SUMMARY
from tests.operations import AS_OF, Finished, read_table

Cell = tuple[str, dt.date, int]
CENT = Decimal("0.01")


def months_between(first: dt.date, last: dt.date) -> int:
    return 12 * (last.year - first.year) + last.month - first.month


@pytest.fixture(scope="module")
def cohorts(costed: Finished) -> dict[Cell, dict[str, Any]]:
    rows = read_table(costed.lake / "cohort_summary").to_pylist()
    found = {(row["segment"], row["cohort_month"], row["age_months"]): row for row in rows}
    assert len(found) == len(rows)
    return found


@pytest.fixture(scope="module")
def segments(costed: Finished) -> dict[str, tuple[str, dt.date]]:
    """Segment and first day of each customer."""
    rows = read_table(costed.lake / "customer_features").to_pylist()
    return {row["customer_id"]: (row["country"], row["first_purchase_date"]) for row in rows}


def test_every_cohort_has_every_age(
    cohorts: dict[Cell, dict[str, Any]], segments: dict[str, tuple[str, dt.date]]
) -> None:
    sizes: dict[tuple[str, dt.date], int] = defaultdict(int)
    for country, first in segments.values():
        for name in (country, "global"):
            sizes[name, first.replace(day=1)] += 1
    ages = {
        (name, month, age): size
        for (name, month), size in sizes.items()
        for age in range(months_between(month, AS_OF) + 1)
    }
    assert {cell: row["customers"] for cell, row in cohorts.items()} == ages
    assert {row["as_of_date"] for row in cohorts.values()} == {AS_OF}


def test_months_are_those_of_plain_python(
    costed: Finished,
    cohorts: dict[Cell, dict[str, Any]],
    segments: dict[str, tuple[str, dt.date]],
) -> None:
    active: dict[Cell, set[str]] = defaultdict(set)
    bought: dict[Cell, int] = defaultdict(int)
    revenue: dict[Cell, Decimal] = defaultdict(Decimal)
    refunded = 0
    for day in read_table(costed.lake / "customer_days").to_pylist():
        if day["event_date"] > AS_OF or day["customer_id"] not in segments:
            continue
        country, first = segments[day["customer_id"]]
        age = max(months_between(first, day["event_date"]), 0)
        refunded += day["refund_amount"] > 0
        for name in (country, "global"):
            cell = (name, first.replace(day=1), age)
            if day["transactions"] > 0:
                active[cell].add(day["customer_id"])
                bought[cell] += 1
            revenue[cell] += day["gross_amount"] - day["refund_amount"]
    assert refunded > 0
    for cell, row in cohorts.items():
        assert row["active_customers"] == len(active[cell]), cell
        assert row["purchase_days"] == bought[cell], cell
        assert row["revenue"] == revenue[cell], cell
        # The shop records no margin; a leaf is rounded to the cent, and there are two.
        assert abs(row["margin"] - revenue[cell] * Decimal("0.3")) <= CENT, cell


def test_sums_so_far_are_exact(cohorts: dict[Cell, dict[str, Any]]) -> None:
    for name in ("revenue", "margin"):
        so_far: dict[tuple[str, dt.date], Decimal] = defaultdict(Decimal)
        for cell in sorted(cohorts):
            so_far[cell[:2]] += cohorts[cell][name]
            assert cohorts[cell][f"cumulative_{name}"] == so_far[cell[:2]]


def test_what_is_expected_grows_and_comes_true_in_sum(
    cohorts: dict[Cell, dict[str, Any]],
) -> None:
    """The shop's customers behave as the models say, so all cohorts together come out right."""
    newest = [row for cell, row in cohorts.items() if cell[2] == months_between(cell[1], AS_OF)]
    expected = sum(row["expected_cumulative_revenue"] for row in newest)
    actual = float(sum(row["cumulative_revenue"] for row in newest))
    assert expected == pytest.approx(actual, rel=0.1)
    for (name, month, age), row in cohorts.items():
        after = cohorts.get((name, month, age + 1))
        if after is not None:
            assert after["expected_cumulative_revenue"] > row["expected_cumulative_revenue"]
        if name == "global":
            parts = [
                other["expected_cumulative_revenue"]
                for (country, *rest), other in cohorts.items()
                if country != "global" and rest == [month, age]
            ]
            assert row["expected_cumulative_revenue"] == pytest.approx(sum(parts), rel=1e-9)
        margin = 0.3 * row["expected_cumulative_revenue"]
        assert row["expected_cumulative_margin"] == pytest.approx(margin, abs=1e-5)


def test_monthly_means_the_first_date_and_then_the_last_days_of_months(
    spark: SparkSession, tmp_path: Path
) -> None:
    config = Config.model_validate({"lake": {"path": str(tmp_path)}})
    assert config.reports.cohorts == "monthly"

    def is_due(day: dt.date) -> bool:
        return cohorts_are_due(Run(spark, config, "run", day))

    assert is_due(dt.date(2024, 2, 11))
    lake = Lake(spark, config)
    lake.ensure(COHORT_SUMMARY)
    values = {name: None for name in COHORT_SUMMARY.column_names}
    values |= {"as_of_date": dt.date(2024, 2, 11), "segment": "global", "relationship": "purchases"}
    values |= {"cohort_month": dt.date(2024, 2, 1), "age_months": 0}
    types = {column.name: column.type for column in COHORT_SUMMARY.columns}
    row = spark.range(1).select(
        *(
            F.lit(values[name] if values[name] is not None else 0 if "DATE" not in kind else None)
            .cast(kind)
            .alias(name)
            for name, kind in types.items()
        )
    )
    commit = Commit("run", "2024-02-11", "f", "s", "c", "v")
    lake.replace(COHORT_SUMMARY, row, commit, dt.date(2024, 2, 11))
    # A slice that is there may be repeated; the next comes with the end of the month.
    days = [dt.date(2024, 2, day) for day in (10, 11, 12, 28, 29)]
    assert [is_due(day) for day in days] == [False, True, False, False, True]
    end = dt.date(2024, 2, 29)
    rows = row.withColumn("as_of_date", F.lit(end))
    lake.replace(COHORT_SUMMARY, rows, Commit("run", "2024-02-29", "f", "s", "c", "v"), end)
    assert [is_due(day) for day in days] == [False, True, False, False, True]
