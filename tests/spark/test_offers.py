"""What the best tiers buy, and what to offer, against a few lines of plain Python."""

from __future__ import annotations

import datetime as dt
import random
from collections import defaultdict
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from pyspark.sql import SparkSession

from clv_spark.config import ProductsConfig
from clv_spark.lake import trusted_session
from clv_spark.schemas import SEGMENT_PRODUCTS
from clv_spark.transforms.offers import offers, segment_products

AS_OF = dt.date(2024, 5, 15)
CONFIG = ProductsConfig(min_buyers=3, min_share=0.2, min_lift=1.1)
TIERS = ("Platinum", "Gold", "Silver", "Bronze", "Low", None)
CATEGORIES = ("(unknown)", "O'Brien's", "a/b", "books", "toys")
BOUGHT = "customer_id STRING, category STRING, gross_amount DECIMAL(28,2), next_date DATE"
RANKED = "customer_id STRING, segment STRING, clv_tier STRING"


class Bought(NamedTuple):
    who: str
    category: str
    amount: Decimal
    next_date: dt.date | None


class Ranked(NamedTuple):
    who: str
    segment: str
    tier: str | None


def world(seed: int) -> tuple[list[Bought], list[Ranked]]:
    """Customers who like some categories more the better they are; one segment is small."""
    draw = random.Random(seed)
    bought, ranked = [], []
    for number in range(150):
        who, tier = f"c{number}", draw.choice(TIERS)
        segment = "Fiji" if number < 2 else draw.choice(["Peru", "Chile"])
        ranked.append(Ranked(who, segment, tier))
        good = tier in CONFIG.best_tiers
        for place, category in enumerate(CATEGORIES):
            if draw.random() < (0.25 + 0.1 * place if good else 0.3):
                due = draw.choice([None, AS_OF + dt.timedelta(days=draw.randrange(-20, 21))])
                # Few amounts, so that there are ties.
                bought.append(Bought(who, category, Decimal(draw.randrange(1, 4)), due))
    bought.append(Bought("nobody ranked", "books", Decimal(5), AS_OF))
    # What only the best buy has no lift.
    best = [r.who for r in ranked if r.tier in CONFIG.best_tiers and r.segment == "Peru"]
    bought += [Bought(who, "pearls", Decimal(9), None) for who in best[::2]]
    return bought, ranked


def segments_by_hand(
    bought: list[Bought], ranked: list[Ranked]
) -> dict[tuple[str, str], tuple[Any, ...]]:
    """Counts, shares, lift and money by segment and category."""
    place = {r.who: r for r in ranked}
    found = {}
    for segment in ("global", "Peru", "Chile", "Fiji"):
        members = [r for r in ranked if segment in ("global", r.segment)]
        best = {r.who for r in members if r.tier in CONFIG.best_tiers}
        others = {r.who for r in members} - best
        by_category: dict[str, list[Bought]] = defaultdict(list)
        for row in bought:
            if row.who in place and segment in ("global", place[row.who].segment):
                by_category[row.category].append(row)
        for category, rows in by_category.items():
            n = len({row.who for row in rows} & best)
            m = len({row.who for row in rows} & others)
            share = n / len(best) if best else None
            other = m / len(others) if others else None
            lift = share / other if share is not None and other else None
            amounts = sum(r.amount for r in rows), sum(r.amount for r in rows if r.who in best)
            counts = (len(best), n, len(others), m)
            found[segment, category] = (*counts, share, other, lift, *amounts)
    return found


def offers_by_hand(
    bought: list[Bought], ranked: list[Ranked], segments: dict[tuple[str, str], tuple[Any, ...]]
) -> dict[str, tuple[Any, ...]]:
    """The offers by customer, from the rules as they are documented."""
    wanted: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for (segment, category), (_, n, others, m, share, _, lift, *_) in segments.items():
        enough = n >= CONFIG.min_buyers and share >= CONFIG.min_share and others > 0
        order = float("inf") if m == 0 else lift
        if category != "(unknown)" and enough and order >= CONFIG.min_lift:
            wanted[segment].append((-order, category))
    found = {}
    for who, segment, _ in ranked:
        mine = [b for b in bought if b.who == who and b.category != "(unknown)"]
        away = {b: abs((b.next_date - AS_OF).days) for b in mine if b.next_date}
        due = [b for b, days in away.items() if days <= CONFIG.replenish_days]
        first = min(due, key=lambda b: (away[b], -b.amount, b.category), default=None)
        have = {b.category for b in mine}
        candidates = sorted(wanted.get(segment) or wanted["global"])
        new = next((name for _, name in candidates if name not in have), None)
        replenish = (None, None) if first is None else (first.category, first.next_date)
        found[who] = (*replenish, new)
    return found


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.long)])
def test_segments_and_offers_agree_with_plain_python(spark: SparkSession, seed: int) -> None:
    bought, ranked = world(seed)
    expected = segments_by_hand(bought, ranked)
    expected_offers = offers_by_hand(bought, ranked, expected)
    results = []
    for partitions in (1, 4):
        with trusted_session(spark):
            products = spark.createDataFrame(bought, BOUGHT).repartition(partitions)
            ranks = spark.createDataFrame(ranked, RANKED).repartition(partitions)
            rows = segment_products(products, ranks, AS_OF, CONFIG)
            assert rows.columns == SEGMENT_PRODUCTS.column_names
            found = offers(products, rows, ranks, AS_OF, CONFIG).collect()
            results.append(({(r[1], r[2]): tuple(r[3:]) for r in rows.collect()}, found))
        random.Random(seed).shuffle(bought)
    for segments, found in results:
        assert segments == expected
        assert len(found) == len(ranked)
        assert {row[0]: tuple(row[1:]) for row in found} == expected_offers
    # Nothing of this would show without these.
    offered = {one[2] for one in expected_offers.values()}
    assert {"pearls", None} < offered
    assert len({one[0] for one in expected_offers.values()}) > 3
    assert any(expected_offers[r.who][2] for r in ranked if r.segment == "Fiji"), "those of all"


def test_what_is_due_tomorrow_is_not_hidden_by_what_is_due_in_a_month(spark: SparkSession) -> None:
    """However large the other; of equally near ones the larger is named, then the first by name."""
    given = {
        "a": [("cars", 900, 30), ("milk", 1, 1)],
        "b": [("cars", 900, -30), ("milk", 1, 2)],
        "c": [("cars", 900, -5), ("bread", 9, 5), ("milk", 9, 5)],
        "d": [("milk", 9, -5), ("bread", 9, 5)],
        "e": [("milk", 9, 46)],
    }
    bought = [
        Bought(who, category, Decimal(amount), AS_OF + dt.timedelta(days))
        for who, rows in given.items()
        for category, amount, days in rows
    ]
    with trusted_session(spark):
        products = spark.createDataFrame(bought, BOUGHT)
        ranks = spark.createDataFrame([(who, "Peru", "Gold") for who in given], RANKED)
        segments = segment_products(products, ranks, AS_OF, CONFIG)
        wide = ProductsConfig(replenish_days=45)
        rows = offers(products, segments, ranks, AS_OF, wide).collect()
    named = {row[0]: (row[1], row[2] and (row[2] - AS_OF).days) for row in rows}
    assert named == {
        "a": ("milk", 1),
        "b": ("milk", 2),
        "c": ("cars", -5),
        "d": ("bread", 5),
        "e": (None, None),
    }


def test_without_segments_there_is_one_row_per_category(spark: SparkSession) -> None:
    bought = [("a", "toys", Decimal(2), None), ("b", "toys", Decimal(3), None)]
    ranked = [("a", "global", "Gold"), ("b", "global", "Low"), ("c", "global", None)]
    with trusted_session(spark):
        products = spark.createDataFrame(bought, BOUGHT)
        ranks = spark.createDataFrame(ranked, RANKED)
        (row,) = segment_products(products, ranks, AS_OF, CONFIG).collect()
    assert tuple(row[1:]) == ("global", "toys", 1, 1, 2, 1, 1.0, 0.5, 2.0, 5, 2)


def test_all_customers_among_the_best_leave_nothing_to_compare(spark: SparkSession) -> None:
    bought = [(who, "toys", Decimal(2), None) for who in "abcd"]
    ranked = [(who, "Peru", "Gold") for who in "abcde"]
    with trusted_session(spark):
        products = spark.createDataFrame(bought, BOUGHT)
        ranks = spark.createDataFrame(ranked, RANKED)
        rows = segment_products(products, ranks, AS_OF, CONFIG)
        assert {(row["other_share"], row["lift"]) for row in rows.collect()} == {(None, None)}
        found = offers(products, rows, ranks, AS_OF, CONFIG).collect()
    assert {tuple(row[1:]) for row in found} == {(None, None, None)}
    assert len(found) == 5
