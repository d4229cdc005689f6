"""Who counts as lost within a year, and who as kept."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from clv_spark.transforms.earlier import BEFORE_CLV, BEFORE_TIER
from clv_spark.transforms.segment_sums import MONEY, leaf_sums

# relationship, days since the first purchase, days of it to the last one, ran a year ago, P(alive)
CUSTOMERS = {
    "lost": ("purchases", 900, 500, None, 0.1),
    "bought a year ago to the day": ("purchases", 900, 535, None, 0.1),
    "kept": ("purchases", 900, 600, None, 0.9),
    # Two purchases, on the first day and the last: nothing tells of the silence between.
    "came back after years": ("purchases", 2000, 2000, None, 0.9),
    "gone for long": ("purchases", 900, 100, None, 0.0),
    "too young": ("purchases", 365, 0, None, 0.5),
    "contract lost": ("contract", 900, 700, True, 0.0),
    "contract kept": ("contract", 900, 900, True, 1.0),
    "contract of before": ("contract", 900, 100, False, 0.0),
}


@pytest.mark.parametrize(
    ("ends_known", "of_contracts"), [(True, (1, 1)), (False, (0, 0))], ids=["dates", "snapshot"]
)
def test_who_was_lost_and_who_was_kept(
    spark: SparkSession, ends_known: bool, of_contracts: tuple[int, int]
) -> None:
    names = "relationship STRING, T INT, recency INT, ran_a_year_ago BOOLEAN, p_alive DOUBLE"
    given = spark.createDataFrame(list(CUSTOMERS.values()), names)
    no_money = {name: F.lit(0.0) for name in (*MONEY, BEFORE_CLV)}
    valued = given.withColumns(
        {
            **no_money,
            "segment": F.lit("global"),
            "report_code": F.lit(0),
            "clv_tier": F.lit("Low"),
            BEFORE_TIER: F.lit("Low"),
            "loss_making": F.lit(False),
            "purchases_so_far": F.lit(1),
        }
    )
    rows = leaf_sums(valued, recent_days=365, by_month=False, ends_known=ends_known).collect()
    found = {row["relationship"]: (row["lost"], row["retained"]) for row in rows}
    assert found == {"purchases": (1, 3), "contract": of_contracts}
