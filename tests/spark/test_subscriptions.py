"""The bridge of monthly recurring revenue, event by event and to the cent."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from clv_spark.transforms.contracts import contract_rows, with_lives
from clv_spark.transforms.subscriptions import (
    arrival_sums,
    subscription_events,
    subscription_metrics,
)
from tests.contract_rows import SHAPE, Values, conformed, source

AS_OF = dt.date(2024, 5, 15)
NAMES = (
    "running_end",
    "new_contracts",
    "reactivated_contracts",
    "lost_contracts",
    "new_mrr",
    "reactivated_mrr",
    "expansion_mrr",
    "contraction_mrr",
    "churned_mrr",
    "mrr_end",
)


@pytest.fixture(scope="module")
def metrics(values: Values) -> dict[tuple[str, int], Any]:
    rows: dict[str, tuple[str | None, ...]] = {
        "a1": ("c", "graded", "2024-01-10", "2024-02-09", "month", "10", "small"),
        "a2": ("c", "graded", "2024-02-10", "2024-04-10", "month", "20", "large"),
        "a3": ("c", "graded", "2024-04-10", None, "month", "5", "small"),
        "b1": ("c", "paused", "2024-01-01", "2024-03-01", "month", "10", "large"),
        "b2": ("c", "paused", "2024-04-01", None, "month", "10", "large"),
        "c1": ("c", "changed", "2024-01-01", "2024-04-01", "month", "10", "large"),
        "c2": ("c", "changed", "2024-04-01", "2024-05-16", "year", "100", "large"),
        "d1": ("c", "later", "2024-05-16", None, "month", "10", "large"),
    }
    lines = contract_rows(with_lives(conformed(source(values, rows))), SHAPE)
    return by_month(lines, None)


def by_month(
    lines: DataFrame,
    window: int | None,
    as_of: dt.date = AS_OF,
    rate: float | dict[str, float] = 0.3,
) -> dict[tuple[str, int], Any]:
    events = subscription_events(lines, ("plan",), as_of, snapshot_window=window, margin_rate=rate)
    found = subscription_metrics(
        events,
        ("global", "plan"),
        as_of,
        margin_rate=rate,
        annual_discount_rate=0.1,
        last_month_only=window is not None,
    )
    return {(row["segment"], row["month"].month): row for row in found.collect()}


def test_churn_is_of_those_who_ran_when_the_month_began(values: Values) -> None:
    rows: dict[str, tuple[str | None, ...]] = {
        # Tried for some days: lost, and none of those who ran when the month began.
        "e1": ("c", "kept too", "2024-02-05", None, "month", "10", "tried"),
        "e2": ("c", "tried", "2024-03-05", "2024-03-20", "month", "10", "tried"),
        "e3": ("c", "tried too", "2024-03-05", "2024-03-20", "month", "10", "tried"),
        # After a pause of months it is not one of them either.
        "e4": ("c", "again", "2024-01-01", "2024-02-01", "month", "10", "tried"),
        "e5": ("c", "again", "2024-03-02", "2024-03-05", "month", "10", "tried"),
    }
    lines = contract_rows(with_lives(conformed(source(values, rows))), SHAPE)
    march = by_month(lines, None)["tried", 3]
    assert (march["running_start"], march["lost_contracts"]) == (1, 3)
    assert (march["churn_rate"], march["retention_rate"]) == (0.0, 1.0)


@pytest.mark.slow
def test_churn_of_a_month_that_is_not_over_is_that_of_the_month_up_to_the_date(
    values: Values,
) -> None:
    """All are billed on the 1st, so that who leaves in March has left on its first day."""
    rows: dict[str, tuple[str | None, ...]] = {
        **{f"s{n}": ("c", f"s{n}", "2024-01-01", None, "month", "10", "p") for n in range(15)},
        **{
            f"l{n}": ("c", f"l{n}", "2024-01-01", "2024-03-01", "month", "10", "p")
            for n in range(5)
        },
        # On 1 March none of those who ran a month before: it had ended; they have begun since.
        "e": ("c", "ended", "2024-01-01", "2024-02-01", "month", "10", "p"),
        "t": ("c", "tried", "2024-02-20", "2024-03-01", "month", "10", "p"),
        "a1": ("c", "again", "2024-01-01", "2024-01-20", "month", "10", "p"),
        "a2": ("c", "again", "2024-02-10", "2024-02-28", "month", "10", "p"),
    }
    lines = contract_rows(with_lives(conformed(source(values, rows))), SHAPE)
    # A month before the 15th the one that began again ran as well, before the 30th the tried one.
    for day, churn in ((1, 5 / 20), (15, 6 / 21), (30, 6 / 21)):
        found = by_month(lines, None, dt.date(2024, 3, day))
        for segment in ("global", "p"):
            march = found[segment, 3]
            # The bridge is that of the days of March.
            assert (march["running_start"], march["lost_contracts"]) == (21, 6)
            assert march["churn_rate"] == pytest.approx(churn), day
            assert march["formula_clv"] == pytest.approx(10 * 0.3 / churn)
    # A month that is over has its own losses, of those who ran as it began.
    march = by_month(lines, None, dt.date(2024, 3, 31))["p", 3]
    assert march["churn_rate"] == pytest.approx(6 / 21)
    assert by_month(lines, None, dt.date(2024, 4, 1))["p", 3]["churn_rate"] == march["churn_rate"]
    # Of the month up to 15 February nobody who had begun by 15 January has left but two.
    february = by_month(lines, None, dt.date(2024, 2, 15))["p", 2]
    assert february["churn_rate"] == pytest.approx(2 / 22)
    # A month before the first contract nobody ran.
    assert by_month(lines, None, dt.date(2024, 1, 30))["p", 1]["churn_rate"] is None


@pytest.mark.parametrize(("period", "months"), [("month", 1), ("year", 12)])
def test_churn_of_a_snapshot_is_that_of_a_month_not_of_its_window(
    values: Values, period: str, months: int
) -> None:
    rows: dict[str, tuple[str | None, ...]] = {
        f"{n}": ("c", f"{n}", "2024-01-01", None, period, "10", "p") for n in range(10)
    }
    lines = contract_rows(with_lives(conformed(source(values, rows))), SHAPE)
    held = lines.withColumns(
        {
            "tenure": F.lit(3),
            # Three of ten.
            "is_lost": F.col("contract_id").cast("int") < 3,
            "end_date": F.lit(None).cast("date"),
        }
    )
    found = by_month(held, 4)["global", 5]
    assert (found["running_start"], found["lost_contracts"]) == (10, 3)
    assert found["churn_rate"] == pytest.approx(1 - 0.7 ** (1 / (4 * months)))


def test_every_event_is_in_its_month(metrics: dict[tuple[str, int], Any]) -> None:
    nothing = Decimal(0)
    expected = {
        # Running, new, reactivated, lost; MRR: new, reactivated, up, down, churned, at the end.
        1: (3, 3, 0, 0, 30, nothing, nothing, nothing, nothing, 30),
        2: (3, 0, 0, 0, nothing, nothing, 10, nothing, nothing, 40),
        3: (2, 0, 0, 1, nothing, nothing, nothing, nothing, 10, 30),
        4: (3, 0, 1, 0, nothing, 10, nothing, Decimal("16.67"), nothing, Decimal("23.33")),
        5: (3, 0, 0, 0, nothing, nothing, nothing, nothing, nothing, Decimal("23.33")),
    }
    found = {
        month: tuple(metrics["global", month][name] for name in NAMES) for month in range(1, 6)
    }
    assert found == expected


def test_the_bridge_adds_up(metrics: dict[tuple[str, int], Any]) -> None:
    for (segment, month), row in metrics.items():
        rise = row["new_mrr"] + row["reactivated_mrr"] + row["expansion_mrr"]
        assert (
            row["mrr_end"] == row["mrr_start"] + rise - row["contraction_mrr"] - row["churned_mrr"]
        )
        before = metrics.get((segment, month - 1))
        if before is not None:
            assert (row["mrr_start"], row["running_start"]) == (
                before["mrr_end"],
                before["running_end"],
            )


def test_rates_and_the_formula(metrics: dict[tuple[str, int], Any]) -> None:
    march = metrics["global", 3]
    assert march["churn_rate"] == pytest.approx(1 / 3)
    assert march["retention_rate"] == pytest.approx(2 / 3)
    assert march["formula_clv"] == pytest.approx(15 * 0.3 * 3)
    assert march["formula_clv_discounted"] < march["formula_clv"]
    # Nobody was lost: the formula has no answer.
    assert metrics["global", 5]["formula_clv"] is None
    assert metrics["global", 1]["churn_rate"] is None


def test_the_margin_of_all_is_the_mix_of_the_segments(values: Values) -> None:
    rows: dict[str, tuple[str | None, ...]] = {
        "h1": ("c", "leaves", "2024-01-01", "2024-03-10", "month", "10", "gold"),
        "h2": ("c", "raised", "2024-01-01", "2024-03-01", "month", "10", "gold"),
        "h3": ("c", "raised", "2024-03-01", None, "month", "30", "gold"),
        "i": ("c", "other", "2024-04-01", None, "year", "120", "basic"),
        "f": ("c", "free", "2024-04-01", None, "month", "0", "free"),
    }
    lines = contract_rows(with_lives(conformed(source(values, rows))), SHAPE)
    rates = {"default": 0.2, "gold": 0.6, "free": 0.9}
    found = by_month(lines, None, rate=rates)
    # All are gold: 15 a month at .6, one of two is lost. Then 30 at .6 and 10 at .2.
    for month, margin in ((1, 0.6), (2, 0.6), (3, 0.6), (4, 0.5), (5, 0.5)):
        assert found["global", month]["margin_rate"] == pytest.approx(margin, abs=1e-9), month
    assert found["global", 3]["formula_clv"] == pytest.approx(30 * 0.6 / 0.5)
    for segment, margin in (("gold", 0.6), ("basic", 0.2), ("free", 0.9)):
        assert found[segment, 5]["margin_rate"] == pytest.approx(margin, abs=1e-9), segment
    # What the source says of the margin wins.
    held = lines.withColumn("periodic_margin", (F.col("periodic_amount") / 4).cast("decimal(18,2)"))
    assert by_month(held, None, rate=rates)["global", 5]["margin_rate"] == pytest.approx(0.25)


def test_a_contract_counts_in_the_segment_of_its_newest_row(
    metrics: dict[tuple[str, int], Any],
) -> None:
    assert metrics["small", 2]["expansion_mrr"] == 10
    assert metrics["large", 2]["expansion_mrr"] == 0
    assert metrics["small", 5]["mrr_end"] == 5


def test_what_arrived_lately_counts_whether_it_still_runs_or_not(spark: SparkSession) -> None:
    columns = (
        "segment STRING, period STRING, life INT, age_days INT, is_active BOOLEAN, amount DOUBLE, "
        "margin DOUBLE"
    )
    rows = [
        ("basic", "month", 1, 10, True, 20.0, None),
        ("basic", "month", 1, 364, False, 30.0, 6.0),
        # Went on with another period; too old; at a loss, which is no margin.
        ("basic", "month", 2, 50, True, 40.0, 10.0),
        ("basic", "month", 1, 365, True, 50.0, -5.0),
        ("annual", "year", 1, 5, True, 120.0, 60.0),
        ("annual", "year", 1, 900, False, 240.0, None),
    ]
    frame = spark.createDataFrame(rows, columns)
    sums = arrival_sums(frame, {"default": 0.3, "basic": 0.5}, 1, 365).collect()
    found = {(row["segment"], row["period"]): row.asDict() for row in sums}
    assert found["basic", "month"] == {
        "segment": "basic",
        "period": "month",
        "mrr": pytest.approx(20 + 40 + 50),
        "margin": pytest.approx(10 + 10),
        "new": 2,
        "new_mrr": pytest.approx(20 + 30),
        "new_margin": pytest.approx(10 + 6),
        "oldest": 365,
    }
    annual = found["annual", "year"]
    assert (annual["mrr"], annual["margin"], annual["new"]) == pytest.approx((10.0, 5.0, 1))
    assert (annual["new_mrr"], annual["oldest"]) == pytest.approx((10.0, 900))
