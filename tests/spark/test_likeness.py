"""Groups against others of their segment and age: the sums are those of plain Python."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest
from pyspark.sql import SparkSession

from clv_spark.transforms.likeness import group_sums

COLUMNS = (
    "relationship STRING, segment STRING, report_code INT, T INT, frequency INT, "
    "clv_revenue DOUBLE, purchases_ahead DOUBLE, historical_margin DOUBLE, "
    "historical_revenue DOUBLE"
)
REPORT = {"channel": ["web", "store"], "shelf": ["toys", "toys"]}
PAIRS = {
    "repeats": ("frequency", "T"),
    "revenue": ("clv_revenue", "purchases_ahead"),
    "margin": ("historical_margin", "historical_revenue"),
}


def test_groups_are_held_against_others_of_their_segment_and_age(spark: SparkSession) -> None:
    rng = random.Random(3)
    names = [part.split()[0] for part in COLUMNS.split(", ")]
    rows = []
    for number in range(600):
        age = rng.choice([0, 10, 11, 400, 401, 900])
        known = number % 7 > 0
        rows.append(
            (
                "purchases" if number % 11 else "contract",
                rng.choice(["uk", "fr"]),
                rng.randrange(2),
                age,
                rng.randrange(9) if age else 0,
                rng.uniform(0, 90) if known else None,
                rng.uniform(0, 3) if known else None,
                rng.uniform(0, 20),
                rng.uniform(20, 90),
            )
        )
    ours = [dict(zip(names, row, strict=True)) for row in rows if row[0] == "purchases"]
    totals = Counter[object]()
    for row in ours:
        row["step"] = math.floor(math.log1p(row["T"] / 30) / 0.1)
        for name in names[3:]:
            totals[row["segment"], row["step"], name] += row[name] or 0
    found = group_sums(spark.createDataFrame(rows, COLUMNS), REPORT).collect()
    assert {(row["segment_level"], row["name"]) for row in found} == {
        ("channel", "web"),
        ("channel", "store"),
        ("shelf", "toys"),
    }
    for row in found:
        codes = [c for c, value in enumerate(REPORT[row["segment_level"]]) if value == row["name"]]
        group = [one for one in ours if one["report_code"] in codes]
        assert row["customers"] == len(group)
        for name, (seen, base) in PAIRS.items():
            assert row[name] == pytest.approx(sum(one[seen] or 0 for one in group))
            expected = 0.0
            for one in group:
                place = (one["segment"], one["step"])
                if totals[*place, base]:
                    expected += (one[base] or 0) * totals[*place, seen] / totals[*place, base]
            assert row[f"{name}_expected"] == pytest.approx(expected), name
    # All together are as they are expected to be.
    (every,) = (row for row in found if row["segment_level"] == "shelf")
    for name in PAIRS:
        assert every[name] == pytest.approx(every[f"{name}_expected"])
