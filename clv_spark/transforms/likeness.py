"""Valued customers -> how groups of them differ from others of the same leaf segment and age."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from clv_spark.transforms.money import exact_sum
from clv_spark.transforms.segment_sums import GROUP, group_columns, with_levels

# What is compared, and what it grows with.
_PAIRS = {
    "repeats": ("frequency", "T"),
    "revenue": ("clv_revenue", "purchases_ahead"),
    "margin": ("historical_margin", "historical_revenue"),
}
# Ages within a tenth of each other are compared; the youngest within three days.
_WIDTH, _YOUNGEST = 0.1, 30


def group_sums(valued: DataFrame, report: Mapping[str, Sequence[str]]) -> DataFrame:
    """Sums of the customers of each group, and what they would be if they were as all others are.

    All others are those of the same leaf segment and age: who has been there for longer has bought
    more often, and who still buys after long may pay another price.

    Args:
        valued: Rows of clv_scores, with report_code and purchases_ahead.
        report: The values of each further key of the summary, by report_code.

    Returns:
        segment_level (a key of ``report``), name, customers, and each of repeats, revenue (ahead)
        and margin (so far) beside what is expected, with _expected.
    """
    names = sorted({name for pair in _PAIRS.values() for name in pair})
    step = F.floor(F.log1p(F.col("T") / _YOUNGEST) / _WIDTH).cast("int")
    buyers = valued.where(F.col("relationship") == "purchases")
    placed = buyers.select(*group_columns(by_month=False), step.alias("step"), *names)
    steps = placed.groupBy(*GROUP, "step").agg(
        F.count(F.lit(1)).alias("customers"),
        *(exact_sum(F.col(name).cast("double")).alias(name) for name in names),
    )
    alike = Window.partitionBy("segment", "step")
    expected = {
        f"{name}_expected": F.col(base).cast("double")
        * F.try_divide(
            F.sum(seen).over(alike).cast("double"), F.sum(base).over(alike).cast("double")
        )
        for name, (seen, base) in _PAIRS.items()
    }
    compared = steps.select(
        *GROUP,
        "customers",
        *(F.col(seen).alias(name) for name, (seen, _) in _PAIRS.items()),
        *(value.alias(name) for name, value in expected.items()),
    )
    grouped = with_levels(compared, {}, report).where(F.col("segment_level").isin(*report))
    return grouped.groupBy("segment_level", "name").agg(
        F.sum("customers").alias("customers"),
        *(F.sum(name).cast("double").alias(name) for name in _PAIRS),
        *(exact_sum(F.col(name)).cast("double").alias(name) for name in expected),
    )
