"""Scores and tiers are those of plain counting, for any order of the rows and any partitioning."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as hs
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from clv_spark.config import RanksConfig, RfmSegment, Tier
from clv_spark.errors import ConfigError
from clv_spark.transforms.ranks import SCORES, SPENT, money_step, rank_starts, with_ranks
from clv_spark.transforms.rfm import combinations

TIERS = RanksConfig().tiers
SCHEMA = f"id INT, relationship STRING, segment STRING, frequency INT, recency INT, T INT, {SPENT} "
SCHEMA += "DOUBLE, clv DOUBLE"
NAMES = [f"{place // 25 + 1}{place // 5 % 5 + 1}{place % 5 + 1}" for place in range(125)]
Customer = tuple[int, str, str, int, int, int, float, float | None]


def step(amount: float) -> int:
    """As documented: steps of 0.2%, losses below nothing, nothing in between."""
    if abs(amount) < 1e-6:
        return 0
    size = math.floor(math.log(abs(amount)) / 0.002) + 6909
    return size if amount > 0 else -size


def quintiles(values: Sequence[int]) -> list[int]:
    """The quintile of the middle of those who share a value."""
    n = len(values)
    found = []
    for value in values:
        below, equal = sum(v < value for v in values), sum(v == value for v in values)
        found.append(1 + (5 * (2 * below + equal)) // (2 * n))
    return found


def tier_of(value: int, values: Sequence[int], tiers: Sequence[Tier]) -> str:
    """The first tier whose share holds this value and all above."""
    from_top = sum(v >= value for v in values)
    for tier in tiers[:-1]:
        if from_top * 10**6 <= round(tier.top * 10**6) * len(values):
            return tier.name
    return tiers[-1].name


def expected(customers: Sequence[Customer], tiers: Sequence[Tier]) -> dict[int, tuple[Any, ...]]:
    scores: dict[int, list[int]] = {}
    for segment in {c[2] for c in customers}:
        ours = [c for c in customers if c[1] == "purchases" and c[2] == segment]
        by_measure = (
            quintiles([c[4] - c[5] for c in ours]),
            # Bought once: the lowest, whatever the share.
            [q if c[3] else 1 for c, q in zip(ours, quintiles([c[3] for c in ours]), strict=True)],
            quintiles([step(c[6]) for c in ours]),
        )
        for place, customer in enumerate(ours):
            scores[customer[0]] = [measure[place] for measure in by_measure]
    valued = [step(c[7]) for c in customers if c[7] is not None]
    found: dict[int, tuple[Any, ...]] = {}
    for c in customers:
        three = scores.get(c[0], [None, None, None])
        name = None if three[0] is None else "".join(map(str, three))
        tier = None if c[7] is None else tier_of(step(c[7]), valued, tiers)
        found[c[0]] = (*three, name, tier)
    return found


def ranked(rows: DataFrame, tiers: Sequence[Tier] = TIERS) -> DataFrame:
    return with_ranks(rows, rank_starts(rows, tiers).collect(), tiers, NAMES)


def found_in(rows: DataFrame, tiers: Sequence[Tier] = TIERS) -> dict[int, tuple[Any, ...]]:
    columns = ("id", *SCORES, "rfm_segment", "clv_tier")
    return {row["id"]: tuple(row)[1:] for row in ranked(rows, tiers).select(*columns).collect()}


@hs.composite
def shops(draw: hs.DrawFn) -> list[Customer]:
    """Small segments and large ones, many ties, losses, and customers without a value."""
    amounts = hs.sampled_from([0.0, -3.5, 1e-9, 0.01, 9.99, 10.0, 10.001, 55.0, 1e9])
    amount = hs.one_of(amounts, hs.floats(0.01, 1e5))
    customers: list[Customer] = []
    for name in draw(hs.lists(hs.sampled_from("abcd"), min_size=1, max_size=4, unique=True)):
        for _ in range(draw(hs.sampled_from([1, 2, 5, 30]))):
            age = draw(hs.integers(0, 12))
            recency = draw(hs.integers(0, age))
            number = len(customers)
            kind = draw(hs.sampled_from(["purchases", "purchases", "purchases", "contract"]))
            clv = draw(hs.one_of(hs.none(), amount, amount))
            frequency = draw(hs.integers(0, recency))
            customers.append((number, kind, name, frequency, recency, age, draw(amount), clv))
    return customers


@settings(
    max_examples=6,
    deadline=None,
    # To shrink an example takes a Spark job for each try.
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(customers=shops(), partitions=hs.integers(1, 4), order=hs.randoms(use_true_random=False))
def test_scores_and_tiers_are_those_of_plain_counting(
    spark: SparkSession, customers: list[Customer], partitions: int, order: Any
) -> None:
    shuffled = list(customers)
    order.shuffle(shuffled)
    rows = spark.createDataFrame(shuffled, SCHEMA).repartition(partitions)
    tiers = (Tier(name="top", top=0.29), Tier(name="next", top=0.5), Tier(name="rest", top=1))
    found = found_in(rows, tiers)
    assert found == expected(customers, tiers)
    valued = [tier for *_, tier in found.values() if tier is not None]
    assert valued.count("top") <= 0.29 * len(valued)
    assert valued.count("top") + valued.count("next") <= 0.5 * len(valued)


def test_a_share_is_the_decimal_that_was_written(spark: SparkSession) -> None:
    """29% of 100 are 29; as doubles 0.29 x 100 falls short of it."""
    assert math.floor(0.29 * 100) == 28
    rows = spark.range(100).selectExpr(
        "CAST(id AS INT) AS id",
        "'contract' AS relationship",
        "'a' AS segment",
        "0 AS frequency",
        "0 AS recency",
        "0 AS T",
        f"0D AS {SPENT}",
        "CAST(exp(id / 10) AS DOUBLE) AS clv",
    )
    tiers = (Tier(name="top", top=0.29), Tier(name="rest", top=1))
    tops = [key for key, (*_, tier) in found_in(rows, tiers).items() if tier == "top"]
    assert sorted(tops) == list(range(71, 100))


def test_a_customer_alone_is_in_the_middle(spark: SparkSession) -> None:
    rows = spark.createDataFrame([(1, "purchases", "a", 4, 9, 9, 10.0, 5.0)], SCHEMA)
    # One of one is more than any share but the last.
    assert found_in(rows) == {1: (3, 3, 3, "333", "Low")}


def test_money_steps_keep_the_order(spark: SparkSession) -> None:
    amounts = [-1e12, -1.0, -1e-5, -1e-7, 0.0, 1e-7, 1e-5, 0.99, 1.0, 1.01, 1e12, 1e300]
    rows = spark.createDataFrame([(a,) for a in amounts], "amount DOUBLE")
    steps = [row[0] for row in rows.select(money_step(F.col("amount"))).collect()]
    assert steps == sorted(steps)
    assert steps == [step(a) for a in amounts]
    assert steps[3:6] == [0, 0, 0]


def test_no_customer_is_moved_and_no_function_is_python(spark: SparkSession) -> None:
    rows = spark.range(10).selectExpr(
        "CAST(id AS INT) AS id",
        "IF(id < 7, 'purchases', 'contract') AS relationship",
        "CAST(id % 2 AS STRING) AS segment",
        "1 AS frequency",
        "CAST(id AS INT) AS recency",
        "20 AS T",
        f"CAST(id AS DOUBLE) AS {SPENT}",
        "CAST(id AS DOUBLE) AS clv",
    )
    # What Spark takes for never NULL it writes and compiles without looking.
    assert all(ranked(rows).schema[name].nullable for name in (*SCORES, "rfm_segment", "clv_tier"))
    plan = ranked(rows)._jdf.queryExecution().executedPlan().toString()
    assert not re.search(r"Exchange hash|Exchange range|SortMerge|Window|Python|Arrow", plan), plan
    assert "BroadcastHashJoin" in plan
    counted = rank_starts(rows, TIERS)._jdf.queryExecution().executedPlan().toString()
    assert not re.search(r"Python|Arrow", counted), counted
    # One aggregation of the customers for all measures.
    assert len(re.findall(r"Range \(0, 10", counted)) == 1, counted


def test_thousands_of_segments_are_one_small_table(spark: SparkSession) -> None:
    rows = spark.range(6000).selectExpr(
        "CAST(id AS INT) AS id",
        "'purchases' AS relationship",
        "CAST(id DIV 2 AS STRING) AS segment",
        "CAST(id % 2 AS INT) AS frequency",
        "10 AS recency",
        "20 AS T",
        f"1D AS {SPENT}",
        "1D AS clv",
    )
    counts = ranked(rows).groupBy("rfm_frequency", "rfm_recency").count().collect()
    assert {tuple(row) for row in counts} == {(1, 3, 3000), (4, 3, 3000)}


def names_of(spark: SparkSession, segments: Sequence[RfmSegment]) -> list[Row]:
    return combinations(spark, segments).orderBy("place").collect()


def test_the_first_condition_that_holds_names_a_combination(spark: SparkSession) -> None:
    segments = (
        RfmSegment(name="first", when="recency >= 4"),
        RfmSegment(name="it's", when="frequency + monetary = 10"),
    )
    rows = names_of(spark, segments)
    assert [row["place"] for row in rows] == list(range(125))
    assert [f"{row[0]}{row[1]}{row[2]}" for row in rows] == NAMES
    named = {tuple(row[:3]): row["name"] for row in rows}
    assert (named[4, 5, 5], named[3, 5, 5], named[3, 5, 4]) == ("first", "it's", None)


@pytest.mark.parametrize(
    ("when", "says"),
    [
        ("recency > ", "PARSE_SYNTAX_ERROR"),
        ("recency + 1", "FILTER_NOT_BOOLEAN"),
        ("clv > 1", "may name recency, frequency, monetary"),
        ("max(recency) > 1", "INVALID_WHERE_CONDITION"),
    ],
)
def test_a_wrong_condition_is_named(spark: SparkSession, when: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        names_of(spark, (RfmSegment(name="mine", when=when),))
    assert "ranks.rfm_segments 'mine'" in str(caught.value)
