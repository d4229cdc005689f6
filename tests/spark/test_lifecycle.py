"""Stages of life by the own rhythm, over two dates; and moves between tiers that add up."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as hs
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from clv_spark.config import Config, LifecycleConfig
from clv_spark.transforms.earlier import counted_by, with_earlier
from clv_spark.transforms.lifecycle import with_change, with_rhythm, with_stage
from clv_spark.transforms.migration import moves as tier_moves
from clv_spark.transforms.migration import tier_migration

AS_OF, BEFORE = dt.date(2024, 6, 30), dt.date(2024, 5, 31)
RULES = LifecycleConfig()
COUNTED = counted_by(Config.model_validate({"currency": "EUR"}))
SCHEMA = (
    "customer_id INT, relationship STRING, frequency INT, recency INT, T INT, p_alive DOUBLE, "
    "p_active_365d DOUBLE, expected_purchases_30d DOUBLE, rhythm_days DOUBLE, clv DOUBLE, "
    "clv_tier STRING"
)
EARLIER = (
    "customer_id INT, relationship STRING, frequency INT, clv DOUBLE, clv_tier STRING, "
    "lifecycle_status STRING"
)


def judged(rows: DataFrame, previous: DataFrame | None, rules: LifecycleConfig = RULES) -> Any:
    found = (
        compared(rows, previous).transform(with_rhythm, rules, AS_OF).transform(with_stage, rules)
    )
    return {(row["customer_id"], row["relationship"]): row for row in found.collect()}


def compared(rows: DataFrame, previous: DataFrame | None) -> DataFrame:
    """Customers of both relationships beside what was said of them before."""
    parts = [
        rows.where(F.col("relationship") == name).transform(with_earlier, previous, COUNTED, name)
        for name in ("purchases", "contract")
    ]
    return parts[0].unionByName(parts[1]).transform(with_change)


def buyer(number: int, since: int, active: float | None, **more: Any) -> tuple[Any, ...]:
    """A customer who buys every 100 days while alive, and bought so many days ago."""
    values = {
        "frequency": 3,
        "alive": None if active is None else 0.5,
        "purchases": None if active is None else 0.15,
        "rhythm": None if active is None else 100.0,
        **more,
    }
    times = (400 - since, 400)
    numbers = (values["alive"], active, values["purchases"], values["rhythm"], 10.0, "Gold")
    return (number, "purchases", values["frequency"], *times, *numbers)


def contract(number: int, alive: float, active: float, frequency: int) -> tuple[Any, ...]:
    return (number, "contract", frequency, 380, 400, alive, active, 0.9 * alive, None, 10.0, "Gold")


def test_stages_follow_the_own_rhythm_and_the_probability(spark: SparkSession) -> None:
    cases = {
        1: (buyer(1, 10, 0.9, frequency=0), "new"),
        2: (buyer(2, 24, 0.1), "active"),
        3: (buyer(3, 26, 0.9, frequency=0), "active"),
        4: (buyer(4, 199, 0.9), "active"),
        5: (buyer(5, 200, 0.9), "cooling"),
        6: (buyer(6, 300, 0.9), "at_risk"),
        7: (buyer(7, 26, 0.59), "cooling"),
        8: (buyer(8, 26, 0.39), "at_risk"),
        9: (buyer(9, 26, 0.24), "lost"),
        # The same 300 days are six intervals of a customer who comes every 50.
        10: (buyer(10, 300, 0.9, rhythm=50.0), "lost"),
        # Who still is a customer after this silence may buy every 1,500 days; the rhythm was 100.
        14: (buyer(14, 300, 0.9, purchases=0.01, frequency=0), "at_risk"),
        # Nothing is known, or too little to divide by.
        11: (buyer(11, 26, None), None),
        12: (buyer(12, 10, 0.0, alive=0.0, purchases=0.0), "lost"),
        13: (buyer(13, 10, 0.0, alive=1e-308, purchases=1e-309), "lost"),
        20: (contract(20, 0.0, 0.0, 5), "lost"),
        21: (contract(21, 1.0, 0.9, 0), "new"),
        22: (contract(22, 1.0, 0.24, 5), "at_risk"),
        23: (contract(23, 1.0, 0.9, 5), "active"),
        # Most likely it is lost at its first renewal.
        24: (contract(24, 1.0, 0.24, 0), "at_risk"),
        25: (contract(25, 1.0, 0.25, 0), "new"),
    }
    rows = spark.createDataFrame([row for row, _ in cases.values()], SCHEMA)
    found = judged(rows, None)
    stages = {number: row["lifecycle_status"] for (number, _), row in found.items()}
    assert stages == {number: stage for number, (_, stage) in cases.items()}
    intervals = {n: row["purchase_interval_days"] for (n, _), row in found.items()}
    assert (intervals[1], intervals[10]) == (pytest.approx(100), pytest.approx(50))
    assert {n for n, interval in intervals.items() if interval is None} == {11, *range(20, 26)}
    expected = {n for (n, _), row in found.items() if row["next_purchase_date"] is not None}
    assert expected == {1, 3, 4, 5, 6, 7, 10, 14}
    assert found[1, "purchases"]["next_purchase_date"] == AS_OF + dt.timedelta(days=100)
    assert found[14, "purchases"]["next_purchase_date"] == AS_OF + dt.timedelta(days=1500)
    assert {row["days_since_last_purchase"] for (n, _), row in found.items() if n >= 20} == {20}


def test_who_comes_back_is_reactivated_until_the_next_is_due(spark: SparkSession) -> None:
    rows, earlier, expected = [], [], {}
    cases = [
        # (now, stage before, frequency before, stage now)
        (buyer(1, 10, 0.9), "lost", 2, "reactivated"),
        (buyer(2, 10, 0.9), "at_risk", 2, "reactivated"),
        (buyer(3, 10, 0.9), "cooling", 2, "active"),
        (buyer(4, 10, 0.9), "lost", 3, "active"),
        (buyer(5, 99, 0.9), "reactivated", 3, "reactivated"),
        (buyer(6, 100, 0.9), "reactivated", 3, "active"),
        (buyer(7, 250, 0.9), "reactivated", 3, "cooling"),
        # An old purchase that became known, or one soon after the date before, is no return.
        (buyer(13, 250, 0.9), "at_risk", 2, "cooling"),
        (buyer(14, 700, 0.01), "lost", 2, "lost"),
        (contract(8, 1.0, 0.9, 5), "lost", 5, "reactivated"),
        (contract(9, 1.0, 0.9, 6), "at_risk", 5, "active"),
        (contract(10, 1.0, 0.9, 5), "reactivated", 5, "reactivated"),
        (contract(11, 1.0, 0.9, 6), "reactivated", 5, "active"),
        (contract(12, 0.0, 0.0, 5), "reactivated", 5, "lost"),
    ]
    for now, was, bought, stage in cases:
        rows.append(now)
        earlier.append((now[0], now[1], bought, 4.0, "Low", was))
        expected[now[0]] = stage
    # The other relationship of a customer is another one.
    rows.append(contract(1, 1.0, 0.9, 3))
    found = judged(spark.createDataFrame(rows, SCHEMA), spark.createDataFrame(earlier, EARLIER))
    assert found.pop((1, "contract"))["lifecycle_status"] == "active"
    assert {n: row["lifecycle_status"] for (n, _), row in found.items()} == expected
    assert {row["clv_change"] for row in found.values()} == {6.0}


def test_a_slice_of_an_older_schema_tells_only_what_it_holds(spark: SparkSession) -> None:
    rows = spark.createDataFrame([buyer(1, 10, 0.9), buyer(2, 10, 0.9)], SCHEMA)
    old = spark.createDataFrame(
        [(1, "purchases", 2, 4.0)],
        "customer_id INT, relationship STRING, frequency INT, clv DOUBLE",
    )
    found = judged(rows, old)
    names = ("previous_clv", "previous_clv_tier", "clv_change", "lifecycle_status")
    values = {n: tuple(row[name] for name in names) for (n, _), row in found.items()}
    assert values == {1: (4.0, "(unknown)", 6.0, "active"), 2: (None, None, None, "active")}


def test_a_slice_that_counts_something_else_is_not_compared(spark: SparkSession) -> None:
    rows = spark.createDataFrame([buyer(1, 10, 0.9)], SCHEMA)
    earlier = spark.createDataFrame([(1, "purchases", 2, 4.0, "Gold", "lost")], EARLIER)
    for definition, value, tier in (("margin", 4.0, "Gold"), ("revenue", None, "(unknown)")):
        previous = earlier.withColumn("value_definition", F.lit(definition))
        (row,) = judged(rows, previous).values()
        assert (row["previous_clv"], row["previous_clv_tier"]) == (value, tier)
        assert row["lifecycle_status"] == "reactivated"


Held = dict[tuple[int, str], tuple[str | None, float | None]]
TIERS = ["Gold", "Low", None]


@hs.composite
def two_dates(draw: hs.DrawFn) -> tuple[Held, Held]:
    money = hs.floats(-1e4, 1e6)

    def one() -> Held:
        kinds = hs.sampled_from(["purchases", "contract"])
        least = draw(hs.sampled_from([20, 20, 0]))
        keys = draw(hs.sets(hs.tuples(hs.integers(1, 40), kinds), min_size=least))
        held: Held = {}
        for key in sorted(keys):
            tier = draw(hs.sampled_from(TIERS))
            held[key] = (tier, None if tier is None else draw(money))
        return held

    return one(), one()


def exact(value: float | None) -> Decimal:
    return Decimal(str(value or 0.0)).quantize(Decimal("1e-6"), ROUND_HALF_UP)


def sums(moves: list[Any], tier: str, money: str, kinds: tuple[str, ...]) -> dict[Any, Any]:
    """Customers and money of each tier of one date, from the moves."""
    total: dict[Any, list[Any]] = defaultdict(lambda: [0, Decimal(0)])
    for move in moves:
        if move[tier] not in kinds:
            entry = total[move["relationship"], move[tier]]
            entry[0] += move["customers"]
            entry[1] += exact(move[money])
    return {key: tuple(entry) for key, entry in total.items()}


def totals(held: Held) -> dict[Any, Any]:
    found: dict[Any, list[Any]] = defaultdict(lambda: [0, Decimal(0)])
    for (_, relationship), (tier, clv) in held.items():
        entry = found[relationship, tier or "(unknown)"]
        entry[0] += 1
        entry[1] += exact(clv)
    return {key: tuple(entry) for key, entry in found.items()}


@pytest.mark.long
@settings(
    max_examples=5,
    deadline=None,
    # To shrink an example takes a Spark job for each try.
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(dates=two_dates(), partitions=hs.integers(1, 4))
def test_moves_between_tiers_add_up_to_both_dates(
    spark: SparkSession, dates: tuple[Held, Held], partitions: int
) -> None:
    held, now = dates
    earlier = [(n, kind, 0, clv, tier, "active") for (n, kind), (tier, clv) in held.items()]
    rows = [
        (n, kind, 1, 5, 9, 1.0, 0.9, 0.5, 9.0, clv, tier) for (n, kind), (tier, clv) in now.items()
    ]
    previous = spark.createDataFrame(earlier, EARLIER).repartition(partitions)
    scores = compared(spark.createDataFrame(rows, SCHEMA).repartition(partitions), previous)
    moved = scores.select(
        "relationship",
        F.col("previous_clv_tier").alias("from_tier"),
        "clv_tier",
        F.lit(1).alias("customers"),
        F.col("previous_clv").cast("decimal(38,6)").alias("clv_before"),
        F.col("clv").cast("decimal(38,6)").alias("clv"),
    ).transform(tier_moves)
    moves = tier_migration(moved, previous, COUNTED, (AS_OF, BEFORE)).collect()

    assert sums(moves, "from_tier", "clv_before", ("(none)",)) == totals(held)
    assert sums(moves, "to_tier", "clv_after", ("(gone)",)) == totals(now)
    counted = Counter({(m["from_tier"], m["to_tier"]): 0 for m in moves})
    for move in moves:
        counted[move["from_tier"], move["to_tier"]] += move["customers"]
    plain = Counter(
        (
            held.get(key, ("(none)",))[0] or "(unknown)",
            now.get(key, ("(gone)",))[0] or "(unknown)",
        )
        for key in held.keys() | now.keys()
    )
    assert counted == plain
    assert all((m["as_of_date"], m["previous_date"]) == (AS_OF, BEFORE) for m in moves)
