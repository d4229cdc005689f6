"""Cost to serve and value of single customers, against the same in plain Python."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from clv_spark.config import ServiceConfig, ValueConfig, of_segment
from clv_spark.transforms.segments import of_segment_column
from clv_spark.transforms.service import RATE_TYPES, with_exposure, with_service_costs
from clv_spark.transforms.value import with_value

SERVICE = ServiceConfig(
    per_purchase={"default": 2.0, "fr": 3.0},
    per_purchase_early=5.0,
    per_year=10.0,
    per_year_early=50.0,
    early_days=60,
)
# Per purchase, per early and per later day, and what weighs as much as these.
RATES = {"uk": (0.5, 0.02, 0.01, 4.0, 6.0), "fr": (0.0, 0.0, 0.0, 0.0, 0.0)}
SCHEMA = (
    "id INT, relationship STRING, segment STRING, frequency INT, recency INT, T INT, "
    "p_alive DOUBLE, served_days INT, periods_paid INT, early_days_ahead DOUBLE, "
    "expected_purchases_30d DOUBLE, expected_purchases_90d DOUBLE, expected_purchases_365d DOUBLE, "
    "purchases_ahead DOUBLE, days_ahead DOUBLE, clv_margin DOUBLE, clv DOUBLE, clv_low DOUBLE, "
    "clv_high DOUBLE, residual_clv DOUBLE, historical_revenue DOUBLE, historical_margin DOUBLE, "
    "service_of_purchases DECIMAL(28,2), service_of_early_time DECIMAL(28,2), "
    "service_of_later_time DECIMAL(28,2)"
)


@st.composite
def customers(draw: st.DrawFn) -> dict[str, Any]:
    age = draw(st.integers(0, 1000))
    recency = draw(st.integers(0, age))
    served = draw(st.one_of(st.none(), st.integers(0, age)))
    # Of contracts each begins with a payment, and they may follow each other without a renewal.
    paid = None if served is None else draw(st.integers(1 if recency == 0 else 2, 20))
    year = draw(st.floats(0, 50))
    margin = draw(st.sampled_from([0.0, 1.0, 25.0, 400.0]))
    cents = st.integers(0, 10_000).map(lambda number: number / 100)
    return {
        "relationship": "purchases",
        "segment": draw(st.sampled_from(sorted(RATES))),
        "frequency": draw(st.integers(1 if paid is None else 0, 20)) if recency else 0,
        "recency": recency,
        "T": age,
        "p_alive": draw(st.floats(0, 1)),
        "served_days": served,
        "periods_paid": paid,
        "early_days_ahead": None if served is None else draw(st.floats(0, max(60 - age, 0))),
        "expected_purchases_30d": 0.12 * year,
        "expected_purchases_90d": 0.3 * year,
        "expected_purchases_365d": year,
        "purchases_ahead": 0.95 * year,
        "days_ahead": draw(st.floats(0, 365)),
        "clv_margin": margin,
        "clv": margin,
        "clv_low": margin / 3,
        "clv_high": margin * 2,
        "residual_clv": margin * 4,
        "historical_revenue": 900.0,
        "historical_margin": 300.0,
        **{
            name: draw(cents)
            for name in ("service_of_purchases", "service_of_early_time", "service_of_later_time")
        },
    }


def frame_of(spark: SparkSession, rows: list[dict[str, Any]]) -> DataFrame:
    numbered = [{"id": number, **row} for number, row in enumerate(rows)]
    texts = [tuple(v if v is None else str(v) for v in row.values()) for row in numbered]
    typed = [part.strip().split(" ", 1) for part in SCHEMA.split(", ")]
    frame = spark.createDataFrame(texts, ", ".join(f"{name} STRING" for name in numbered[0]))
    return frame.select(*(F.col(name).cast(kind) for name, kind in typed))


def seen_by_hand(row: dict[str, Any], seen_days: int | None) -> tuple[float, float, float]:
    """Purchases, early and later days since events begin."""
    age, last, served = row["T"], row["recency"], row["served_days"]
    begins = 0 if seen_days is None else max(age - seen_days, 0)
    repeats = (row["periods_paid"] or row["frequency"] + 1) - 1
    if begins == 0:
        bought = repeats + 1.0
    elif last < begins:
        bought = 0.0
    else:
        # The last one, and what of the others lies after the day before events begin.
        bought = repeats - max(repeats - 1, 0) * (begins - 1) / last
    if served is None:
        known = range(begins, last)
        days = len(known) + row["p_alive"] * len(range(max(begins, last), age))
        alive = last + row["p_alive"] * (age - last)
    else:
        end = age if row["p_alive"] == 1 else max(served, last)
        days = served / end * len(range(begins, end)) if end else served
        alive = served
    early = max(min(alive, 60) - begins, 0)
    return bought, early, days - early


def by_hand(row: dict[str, Any], seen_days: int | None) -> dict[str, float]:
    per_purchase = 3.0 if row["segment"] == "fr" else 2.0
    purchase, early_day, later_day, prior_purchases, prior_time = RATES[row["segment"]]
    alive = row["recency"] + row["p_alive"] * (row["T"] - row["recency"])
    alive = alive if row["served_days"] is None else row["served_days"]
    early_so_far, later_so_far = min(alive, 60), max(alive - 60, 0)
    left = max(60 - row["T"], 0)
    rate = math.log(1.1) / 365
    counted = (1 - math.exp(-rate * left)) / rate
    early_days = min(row["p_alive"] * counted, row["days_ahead"])
    if row["early_days_ahead"] is not None:
        # A contract may end within its early phase.
        early_days = min(row["early_days_ahead"], row["days_ahead"])
    later_days = row["days_ahead"] - early_days
    known = [(0, 0.0), *((n, row[f"expected_purchases_{n}d"]) for n in (30, 90, 365))]
    within = known[-1][1]
    for (a, x), (b, y) in pairwise(known):
        if a <= left <= b:
            within = x + (y - x) * (left - a) / (b - a)
            break
    early = min(within * counted / left if left else 0.0, row["purchases_ahead"])
    # Of repeat purchases only the day of the last one is known.
    bought = row["periods_paid"] or row["frequency"] + 1
    some = bought - 1
    if row["recency"] > 60:
        some = max(bought - 2, 0) * 60 / row["recency"]
    early_bought = 1 + some

    def own(cost: float, usual: float, prior: float) -> float:
        return (cost + prior) / (usual + prior) if usual + prior > 0 else 1.0

    time_cost = row["service_of_early_time"] + row["service_of_later_time"]
    bought_seen, early_seen, later_seen = seen_by_hand(row, seen_days)
    usual_time = early_day * early_seen + later_day * later_seen
    more = own(row["service_of_purchases"], purchase * bought_seen, prior_purchases)
    longer = own(time_cost, usual_time, prior_time)
    return {
        "service_of_purchases_ahead": per_purchase * (row["purchases_ahead"] - early)
        + 5.0 * early
        + more * purchase * row["purchases_ahead"],
        "events_of_purchases_ahead": more * purchase * row["purchases_ahead"],
        "events_of_time_ahead": longer * (early_day * early_days + later_day * later_days),
        "service_of_time_ahead": (10 * later_days + 50 * early_days) / 365
        + longer * (early_day * early_days + later_day * later_days),
        "historical_service_cost": 5.0 * early_bought
        + per_purchase * (bought - early_bought)
        + (50 * early_so_far + 10 * later_so_far) / 365
        + row["service_of_purchases"]
        + time_cost,
    }


@settings(
    max_examples=6,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
@given(
    rows=st.lists(customers(), min_size=30, max_size=60),
    seen_days=st.one_of(st.none(), st.integers(0, 500)),
)
def test_costs_and_net_values_are_those_by_hand(
    spark: SparkSession, rows: list[dict[str, Any]], seen_days: int | None
) -> None:
    frame = frame_of(spark, rows)
    rates = [("purchases", name, *values) for name, values in RATES.items()]
    exposed = with_exposure(frame, SERVICE.early_days, 0.10, seen_days)
    of_events = spark.createDataFrame(rates, RATE_TYPES)
    costed = with_service_costs(exposed, SERVICE, of_events, {"purchases": 1, "contract": 0})
    found = with_value(costed, ValueConfig(definition="net")).collect()
    assert len(found) == len(rows)
    for row in found:
        wanted = by_hand(rows[row["id"]], seen_days)
        costs = {name: row[name] for name in wanted}
        assert costs == pytest.approx(wanted, rel=1e-9, abs=1e-9)
        of_purchases, of_time = costs["service_of_purchases_ahead"], costs["service_of_time_ahead"]
        margin = row["clv_margin"]
        assert row["clv_service_cost"] == pytest.approx(of_purchases + of_time)
        assert row["clv"] == pytest.approx(margin - of_purchases - of_time)
        scale = 1 - of_purchases / margin if margin else 1.0
        bounds = sorted((margin / 3 * scale - of_time, margin * 2 * scale - of_time))
        assert [row["clv_low"], row["clv_high"]] == pytest.approx(bounds)
        assert row["loss_making"] == (row["clv"] < -1e-4)
        assert row["historical_clv"] == pytest.approx(300 - row["historical_service_cost"])
        grown = 4.0 if margin else 1.0
        assert row["residual_clv"] == pytest.approx(margin * 4 - row["clv_service_cost"] * grown)


@settings(
    max_examples=2,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
@given(rows=st.lists(customers(), min_size=60, max_size=90))
def test_events_that_go_back_to_the_first_customer_see_all_there_was(
    spark: SparkSession, rows: list[dict[str, Any]]
) -> None:
    oldest = max(row["T"] for row in rows)
    frame = frame_of(spark, rows).withColumn("cost_by_kind", F.lit(None).cast("map<string,double>"))
    exposed = with_exposure(frame, SERVICE.early_days, 0.10, oldest).collect()
    for row in exposed:
        for what in ("purchases", "early_days", "later_days"):
            # To the last bit, for those who have been there longest, too.
            assert row[f"{what}_seen"] == row[f"{what}_so_far"]
    begun_later = with_exposure(frame, SERVICE.early_days, 0.10, oldest - 1).collect()
    pairs = zip(exposed, begun_later, strict=True)
    changed = [one["T"] for one, other in pairs if one != other]
    assert changed == [row["T"] for row in rows if row["T"] == oldest]


@pytest.mark.parametrize(
    ("definition", "history"), [("revenue", 900.0), ("margin", 300.0), ("net", 288.0)]
)
def test_what_counts_as_value(spark: SparkSession, definition: str, history: float) -> None:
    row = spark.sql(
        "SELECT 50D AS clv_margin, 50D AS clv, 10D AS clv_low, 90D AS clv_high, "
        "80D AS residual_clv, 900D AS historical_revenue, 300D AS historical_margin, "
        "12D AS historical_service_cost, 5D AS service_of_purchases_ahead, "
        "7D AS service_of_time_ahead, 0D AS events_of_purchases_ahead, "
        "0D AS events_of_time_ahead"
    )
    (found,) = with_value(row, ValueConfig(definition=definition)).collect()
    assert found["value_definition"] == definition
    assert found["clv"] == (38.0 if definition == "net" else 50.0)
    assert found["historical_clv"] == history
    assert found["total_clv"] == found["historical_clv"] + found["clv"]
    assert found["clv_service_cost"] == 12.0
    assert not found["loss_making"]


def test_a_slash_is_a_path_only_where_its_relationship_has_several_keys(
    spark: SparkSession,
) -> None:
    places = [
        ("purchases", "Bosnia/Herzegovina"),
        ("purchases", "Bosnia"),
        ("contract", "Bosnia/Herzegovina"),
        ("contract", "Europe/Malta"),
    ]
    rows = spark.createDataFrame(places, "relationship STRING, segment STRING")
    given = {"default": 4.0, "Bosnia": 6.0}
    both = of_segment_column(given, {"purchases": 1, "contract": 2})
    assert [row[0] for row in rows.select(both).collect()] == [4.0, 6.0, 6.0, 4.0]
    # The sums of segments are made of the same numbers.
    for (_, name), keys in zip(places, (1, 1, 2, 2), strict=True):
        ours = rows.where(F.col("segment") == name)
        found = ours.select(of_segment_column(given, keys)).first()
        assert found is not None
        assert found[0] == of_segment(given, name, keys), (name, keys)
