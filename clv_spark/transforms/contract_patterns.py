"""contract_features -> the small weighted patterns that models of contracts are fitted on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from clv_spark.transforms.contract_features import months
from clv_spark.transforms.segments import on_every_level


def entering_contract_fit(
    features: DataFrame, as_of: dt.date, cohort_start: dt.date | None
) -> DataFrame:
    """Contracts as the likelihood sees them, with the column lost (0 or 1).

    A loss counts at its renewal, as for those who stay: one that ended within a period that is not
    over yet has survived the renewals before, no more is known.
    """
    due = F.add_months("start_date", F.col("tenure") * months())
    lost = F.col("is_lost") & (due <= F.lit(as_of))
    early = F.col("is_lost") & ~lost
    seen = features.withColumns(
        {
            "lost": lost.cast("int"),
            "tenure": F.when(early, F.col("tenure") - 1).otherwise(F.col("tenure")),
        }
    )
    return seen if cohort_start is None else seen.where(F.col("start_date") >= F.lit(cohort_start))


def contract_totals(named: DataFrame, levels: Sequence[str]) -> DataFrame:
    """Contracts per period and leaf segment, with the names of its segments by level."""
    return named.groupBy("period", *levels).agg(F.count(F.lit(1)).alias("customers"))


def contract_patterns(entering: DataFrame, levels: Sequence[str]) -> DataFrame:
    """Contracts by (entry_tenure, tenure, lost) in every segment of every level.

    Args:
        entering: contracts with the names of their segments.
        levels: the columns of these names, the root's first.

    Returns:
        period, level, segment, entry_tenure, tenure, lost, customers: how many contracts.
    """
    pattern = ("entry_tenure", "tenure", "lost")
    leaf = entering.groupBy("period", *levels, *pattern).agg(F.count(F.lit(1)).alias("customers"))
    return (
        on_every_level(leaf, levels)
        .groupBy("period", "level", "segment", *pattern)
        .agg(F.sum("customers").alias("customers"))
    )
