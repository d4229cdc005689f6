"""The named segments of RFM scores: every combination of three scores and the name it has."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from clv_spark.config import RfmSegment
from clv_spark.transforms.rules import condition


def combinations(spark: SparkSession, segments: Sequence[RfmSegment]) -> DataFrame:
    """Every combination of scores with the first segment whose condition holds.

    Args:
        spark: The session.
        segments: The named segments in order.

    Returns:
        125 rows of recency, frequency, monetary (1 to 5) and name, NULL where no condition holds,
        with place = 25 (recency - 1) + 5 (frequency - 1) + monetary - 1.

    Raises:
        ConfigError: a condition is none, or names something else than the three scores.
    """
    scores = spark.range(125).selectExpr(
        "CAST(id AS INT) DIV 25 + 1 AS recency",
        "CAST(id AS INT) DIV 5 % 5 + 1 AS frequency",
        "CAST(id AS INT) % 5 + 1 AS monetary",
    )
    name = F.lit(None).cast("string")
    for segment in reversed(segments):
        holds = condition(scores, f"ranks.rfm_segments {segment.name!r}", segment.when)
        name = F.when(holds, F.lit(segment.name)).otherwise(name)
    place = F.expr("25 * (recency - 1) + 5 * (frequency - 1) + monetary - 1")
    return scores.select("*", name.alias("name"), place.alias("place"))
