"""Part of job score-customers: scored customers -> ranks, each beside all others."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from clv_spark.errors import ConfigError
from clv_spark.pipelines.run_context import Run
from clv_spark.transforms.ranks import rank_starts, with_ranks
from clv_spark.transforms.rfm import combinations


@dataclass(frozen=True)
class Rules:
    """The configured rules, found to fit before anything is scored.

    Attributes:
        rfm_names: The named segment of each combination of scores.
    """

    rfm_names: tuple[str, ...]


def checked_rules(run: Run) -> Rules:
    """Read the rules of the configuration, so that a mistake does not show after the scoring.

    Raises:
        ConfigError: a rule is wrong, or leaves a combination of scores without a name.
    """
    rows = combinations(run.spark, run.config.ranks.rfm_segments).orderBy("place").collect()
    nameless = [row for row in rows if row["name"] is None]
    if nameless:
        recency, frequency, monetary = nameless[0][:3]
        raise ConfigError(
            f"ranks.rfm_segments leaves {len(nameless)} of 125 combinations of scores without a "
            f"name, such as recency {recency}, frequency {frequency}, monetary {monetary}; let the "
            "last segment have when: 'true'"
        )
    return Rules(tuple(row["name"] for row in rows))


def judge_customers(run: Run, scored: DataFrame, rules: Rules) -> DataFrame:
    """Count where everybody stands, in one pass over the scores, then say it of each.

    Args:
        run: The run.
        scored: Scored customers of both relationships, kept, as they are read twice.
        rules: The rules of :func:`checked_rules`.

    Returns:
        Rows of clv_scores.
    """
    ranks = run.config.ranks
    starts = rank_starts(scored, ranks.tiers).collect()
    since = (F.col("T") - F.col("recency")).alias("days_since_last_purchase")
    return with_ranks(scored.select("*", since), starts, ranks.tiers, rules.rfm_names)
