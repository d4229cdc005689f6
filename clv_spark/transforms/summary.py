"""Scored customers -> the few sums per pattern of purchases that a segment's total needs."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from clv_spark.transforms.money import orderless_sum

# In segments of many customers T and the days since the last purchase are counted in steps, finer
# where they are few and change a forecast most: up to so many days, and how wide. The middle of a
# step stands for all days of it, so that what is expected of all moves by a thousandth, not by the
# five hundredths that an age rounded up would take off.
STEPS = ((56, 7), (168, 14))
WIDEST_STEP = 28

KEYS = ("segment", "frequency", "recency", "T", "spend_x")
SUMS = (
    "customers",
    "active",
    "clv",
    "kept",
    "kept_spent",
    "kept_2",
    "kept_2_spent",
    "kept_2_spent_2",
)


def value_sums(scored: DataFrame, large: frozenset[str]) -> DataFrame:
    """Sums over the customers of each segment who share purchases, recency and age.

    Args:
        scored: Rows of the scoring kernel; those without a value do not count.
        large: Segments whose age and days since the last purchase are counted in ``STEPS``.

    Returns:
        ``KEYS`` and ``SUMS`` as doubles: the number of customers, expected active ones, their clv,
        and with c the share of spend that is kept after returns and s the spent the sums of c, c s,
        c^2, c^2 s and c^2 s^2.
    """
    is_large = F.col("segment").isin(sorted(large))
    recency, age = (
        F.when(is_large, stepped).otherwise(F.col(name)).cast("int").alias(name)
        for name, stepped in zip(("recency", "T"), _in_steps(), strict=True)
    )
    c, s = 1 - F.col("return_rate"), F.col("spent")
    parts = {
        "active": F.col("p_active_365d"),
        "clv": F.col("clv"),
        "kept": c,
        "kept_spent": c * s,
        "kept_2": c * c,
        "kept_2_spent": c * c * s,
        "kept_2_spent_2": c * s * c * s,
    }
    valued = scored.where(F.col("clv").isNotNull()).select(
        "segment",
        "frequency",
        recency,
        age,
        "spend_x",
        *(part.alias(name) for name, part in parts.items()),
    )
    summed = valued.groupBy(*KEYS).agg(
        F.count(F.lit(1)).alias("customers"),
        *(orderless_sum(F.col(n), squares=n == "kept_2_spent_2").alias(n) for n in parts),
    )
    return summed.select(*KEYS, *(F.col(name).cast("double").alias(name) for name in SUMS))


def _in_steps() -> tuple[Column, Column]:
    """Recency and T; how long ago the last purchase was is what a forecast hangs on most."""
    frequency, age = F.col("frequency"), _middle_of_step(F.col("T"))
    last = age - _middle_of_step(F.col("T") - F.col("recency"))
    recency = F.when(frequency > 0, F.greatest(last, frequency)).otherwise(0)
    return recency, F.greatest(age, recency)


def _middle_of_step(days: Column) -> Column:
    """Steps end where the next begin; 0 stays 0."""
    width = F.lit(WIDEST_STEP)
    for until, narrower in reversed(STEPS):
        width = F.when(days <= until, F.lit(narrower)).otherwise(width)
    middle = F.ceil(days / width) * width - F.floor(width / 2)
    return F.when(days > 0, middle).otherwise(0)
