"""Keys that a summary is broken down by travel through the scoring as one number, and come back."""

from __future__ import annotations

from collections import Counter
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from clv_spark.schemas import CUSTOMER_FEATURES, Shape
from clv_spark.transforms.scores import report_groups, score_input
from clv_spark.transforms.segment_sums import (
    COUNTS,
    MONEY,
    kind_sums,
    kind_totals,
    tier_sums,
    with_levels,
)

KEYS = ("channel", "shelf")
CUSTOMERS = [
    ("Europe", 'say "hi"', "a,b"),
    ("Europe", 'say "hi"', "a,b"),
    ("Europe", "web", None),
    ("Asia/East", "web", "a,b"),
    ("global", "ünï", "x"),
]


def test_groups_survive_as_numbers(spark: SparkSession) -> None:
    rows = [(n, *customer) for n, customer in enumerate(CUSTOMERS)]
    known = spark.createDataFrame(
        rows, "customer_id INT, region STRING, channel STRING, shelf STRING"
    )
    names = CUSTOMER_FEATURES.of(Shape("INT", ())).columns
    features = known.select(
        "*", *(F.lit(None).cast(c.type).alias(c.name) for c in names if c.name != "customer_id")
    )
    groups = report_groups(features, KEYS).collect()
    report = {key: [row[key] for row in groups] for key in KEYS}
    assert len(groups) == 4
    scored = score_input(features, ("region",), report).select(
        "customer_id",
        "segment",
        "report_code",
        F.lit("purchases").alias("relationship"),
        F.lit(None).cast("string").alias("acquisition_month"),
        F.lit("Low").alias("clv_tier"),
        F.lit(0).cast("bigint").alias("step"),
        *(F.lit(1).cast("bigint").alias(name) for name in COUNTS),
        *(F.lit(1).cast("decimal(28,6)").alias(name) for name in MONEY),
        F.lit(7).alias("oldest"),
    )
    segment_keys = {"purchases": ("region",), "contract": ()}
    found = Counter[Any]()
    for row in tier_sums(with_levels(scored, segment_keys, report)).collect():
        found[row["segment_level"], row["name"]] += row["customers"]
    wanted, calls = Counter[Any](), Counter[Any]()
    for number, (region, channel, shelf) in enumerate(CUSTOMERS):
        segment = "region=global" if region == "global" else region
        levels = {"region": segment, "channel": channel, "shelf": shelf or "(unknown)"}
        for place in (("global", "global"), *levels.items()):
            wanted[place] += 1
            calls[place] += 2**number
    assert found == wanted
    cost = F.expr("map('call', cast(power(2, customer_id) AS DECIMAL(28,2)))")
    costed = scored.withColumn("cost_by_kind", cost)
    by_kind = with_levels(kind_sums(costed, by_month=False), segment_keys, report)
    totals = kind_totals(by_kind).collect()
    assert {row["kind"] for row in totals} == {"call"}
    assert {(row["segment_level"], row["name"]): row["cost"] for row in totals} == calls


def test_levels_of_nested_keys(spark: SparkSession) -> None:
    rows = [("Europe/France", 1), ("Europe/Malta", 2), ("global/x%2Fy", 4)]
    sums = spark.createDataFrame(rows, "segment STRING, n INT").select(
        "segment",
        "n",
        F.lit("purchases").alias("relationship"),
        F.lit(None).cast("int").alias("report_code"),
        F.lit("2024-01").alias("acquisition_month"),
    )
    keys = {"purchases": ("region", "country"), "contract": ("plan",)}
    found = Counter[Any]()
    for row in with_levels(sums, keys, {}).collect():
        found[row["segment_level"], row["name"]] += row["n"]
    assert found == {
        ("global", "global"): 7,
        ("region", "Europe"): 3,
        ("region", "region=global"): 4,
        ("country", "Europe/France"): 1,
        ("country", "Europe/Malta"): 2,
        ("country", "global/x%2Fy"): 4,
        ("acquisition_month", "2024-01"): 7,
    }
