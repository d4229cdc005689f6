"""Where each customer stands among all: scores by quintile and tiers, from exact counts of steps.

A value is first put on a step: days and purchases as they are, money on steps of 0.2%. How many
customers stand on each step is counted exactly, in one aggregation for all measures, and says where
every score and tier begins. Equal steps share a score and a tier, so nothing depends on the order
of the rows, and no customer moves to be ranked.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from decimal import Decimal

from pyspark.sql import Column, DataFrame, Row, Window
from pyspark.sql import functions as F

from clv_spark.config import Tier

# Money spent so far, by which rfm_monetary ranks.
SPENT = "historical_revenue"
_FREQUENCY = "rfm_frequency"
SCORES = ("rfm_recency", _FREQUENCY, "rfm_monetary")
_VALUE = "clv"
_QUINTILES = 5
_SCORE_STARTS = "score_starts"
_TIER_STARTS = "tier_starts"
_STEP = 0.002
# Below this an amount counts as none.
_SMALLEST = 1e-6
_FIRST = 1 - math.floor(math.log(_SMALLEST) / _STEP)


def money_step(amount: Column) -> Column:
    """The step of an amount of money, 0.2% wide; losses have negative steps, nothing has 0."""
    size = (F.floor(F.log(F.abs(amount)) / _STEP) + _FIRST).cast("bigint")
    step = F.when(F.abs(amount) < _SMALLEST, F.lit(0).cast("bigint"))
    return step.when(amount > 0, size).when(amount < 0, -size)


def _steps() -> dict[str, Column]:
    """Of each measure the step, higher is better; NULL where a customer is not ranked by it."""
    buys = F.col("relationship") == "purchases"
    measures = {
        "rfm_recency": F.col("recency") - F.col("T"),
        _FREQUENCY: F.col("frequency"),
        "rfm_monetary": money_step(F.col(SPENT)),
    }
    steps = {name: F.when(buys, step).cast("bigint") for name, step in measures.items()}
    return {**steps, _VALUE: money_step(F.col(_VALUE))}


def rank_starts(rows: DataFrame, tiers: Sequence[Tier]) -> DataFrame:
    """Where each score of a segment and each tier of all begins.

    With b customers below a step, c on it and n in all, its score is 1 + floor(5 (b + c / 2) / n):
    the quintile of the middle of those who share it, so that a customer alone gets 3. Who bought
    once has frequency score 1, however many they are: most of a shop may have bought once. A step
    belongs to a tier, or a better one, when it and all steps above hold no more than its share.

    Args:
        rows: Scored customers of both relationships.
        tiers: Names and shares from the top; the last one takes the rest.

    Returns:
        One row per measure and segment (NULL for clv, which is ranked over all) with two arrays of
        steps, NULL where nobody gets there: score_starts for scores 2 to 5, tier_starts for all
        tiers but the last.
    """
    listed = [
        F.struct(
            F.lit(name).alias("measure"),
            (F.lit(None).cast("string") if name == _VALUE else F.col("segment")).alias("segment"),
            step.alias("step"),
        )
        for name, step in _steps().items()
    ]
    steps = rows.select(F.explode(F.array(*listed)).alias("of")).select("of.*")
    counts = steps.where(F.col("step").isNotNull()).groupBy("measure", "segment", "step").count()
    everyone = Window.partitionBy("measure", "segment")
    counted = counts.withColumns(
        {
            "up_to": F.sum("count").over(everyone.orderBy("step")),
            "total": F.sum("count").over(everyone),
        }
    )
    middle = F.expr(f"1 + ({_QUINTILES} * (2 * up_to - count)) DIV (2 * total)")
    once = (F.col("measure") == _FREQUENCY) & (F.col("step") == 0)
    score = F.when(once, 1).otherwise(middle)
    from_top = F.col("total") - F.col("up_to") + F.col("count")

    def first_step(reached: Column) -> Column:
        return F.min(F.when(reached, F.col("step")))

    return counted.groupBy("measure", "segment").agg(
        F.array(*(first_step(score >= n) for n in range(2, _QUINTILES + 1))).alias(_SCORE_STARTS),
        # As the decimal that was written: 29% of 100 are 29, of doubles they would be 28.
        F.array(
            *(
                first_step(from_top <= F.lit(Decimal(str(t.top))) * F.col("total"))
                for t in tiers[:-1]
            )
        ).alias(_TIER_STARTS),
    )


def with_ranks(
    rows: DataFrame, starts: Sequence[Row], tiers: Sequence[Tier], names: Sequence[str]
) -> DataFrame:
    """Adds the scores, the named segment and the tier of each customer; nobody is moved.

    Args:
        rows: Scored customers.
        starts: The rows of :func:`rank_starts`.
        tiers: As given there.
        names: The named segment of each combination of scores, in the order of
            :func:`clv_spark.transforms.rfm.combinations`.
    """
    steps = _steps()
    place = F.lit(0)
    for name in SCORES:
        place = place * _QUINTILES + F.col(name) - 1
    scored = rows.join(F.broadcast(_by_segment(rows, starts)), "segment", "left").withColumns(
        {name: _score(steps[name], F.col(f"{_SCORE_STARTS}_{name}")) for name in SCORES}
    )
    return scored.withColumns(
        {
            # Of a list without NULL Spark takes the element for never NULL, whatever the place is.
            "rfm_segment": F.when(place.isNotNull(), F.element_at(F.lit(list(names)), place + 1)),
            "clv_tier": _tier(steps[_VALUE], starts, tiers),
        }
    ).select(*rows.columns, *SCORES, "rfm_segment", "clv_tier")


def _by_segment(rows: DataFrame, starts: Sequence[Row]) -> DataFrame:
    """One row per segment with the starts of its scores by each measure."""
    found: dict[str, dict[str, list[int | None]]] = {}
    for row in starts:
        if row["measure"] in SCORES:
            found.setdefault(row["segment"], {})[row["measure"]] = row[_SCORE_STARTS]
    # As JSON a table of thousands is one literal.
    listed = [{"segment": name, **measures} for name, measures in sorted(found.items())]
    fields = ", ".join(f"{name}: array<bigint>" for name in SCORES)
    table = F.from_json(F.lit(json.dumps(listed)), f"array<struct<segment: string, {fields}>>")
    one = rows.sparkSession.range(1).select(F.explode(table).alias("of"))
    named = [F.col(f"of.{name}").alias(f"{_SCORE_STARTS}_{name}") for name in SCORES]
    return one.select("of.segment", *named)


def _score(step: Column, starts: Column) -> Column:
    reached = [
        F.when(step >= starts[place], F.lit(1)).otherwise(0) for place in range(_QUINTILES - 1)
    ]
    score = F.lit(1)
    for one in reached:
        score = score + one
    return F.when(step.isNotNull(), score)


def _tier(step: Column, starts: Sequence[Row], tiers: Sequence[Tier]) -> Column:
    of_value = [row[_TIER_STARTS] for row in starts if row["measure"] == _VALUE]
    begins = of_value[0] if of_value else [None] * (len(tiers) - 1)
    tier = F.when(step.isNull(), F.lit(None).cast("string"))
    for one, start in zip(tiers, begins, strict=False):
        if start is not None:
            tier = tier.when(step >= F.lit(start).cast("bigint"), F.lit(one.name))
    return tier.otherwise(F.lit(tiers[-1].name))
