"""customer_features -> the kernel's input, and the kernel's output -> rows of clv_scores."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from clv_spark.config import Config
from clv_spark.kernels.score_batch import STATUSES, SegmentParameters
from clv_spark.schemas import CLV_SCORES
from clv_spark.schemas.scores import JUDGED, VALUED
from clv_spark.transforms.earlier import EARLIER, without_earlier
from clv_spark.transforms.segments import UNKNOWN, segment_name

# Above this number of segments scoring brings those of one segment together; a segment of more
# than so many customers is spread over tasks.
MANY_SEGMENTS, LARGE_SEGMENT = 200, 100_000

# Columns of the kernel that stand for texts of the table.
PLACE_TYPES = {"parameters_place": "INT", "status_place": "INT"}
# What is known of contracts alone, and not in the table: days on which one ran, payments so far,
# whether one ran a year ago, expected days of the early phase on which one will run.
OF_CONTRACTS = {
    "served_days": "INT",
    "periods_paid": "INT",
    "ran_a_year_ago": "BOOLEAN",
    "early_days_ahead": "DOUBLE",
}
# The model of a score without one.
NO_MODEL = "none"


class Origin(NamedTuple):
    """Where the parameters behind a score come from, as ``clv_scores`` names it."""

    model: str
    parameters_segment: str | None
    spend_parameters_segment: str | None = None


# The same for all of a run. As what parameters_place stands for it is added near the end, since
# every step copies what is there, texts most of all.
_OF_RUN = ("fit_date", "horizon_days", "annual_discount_rate", "currency")
_LATER = (*VALUED, *JUDGED, *Origin._fields, *_OF_RUN)
# What both relationships give first, what service costs grow with, and the own rhythm.
SCORED = (
    *(c for c in CLV_SCORES.column_names if c not in _LATER),
    "parameters_place",
    "purchases_ahead",
    "days_ahead",
    *OF_CONTRACTS,
    "rhythm_days",
    "report_code",
)
# Columns of the kernel beside those of the table.
SUMMARY_TYPES = {
    "purchases_ahead": "DOUBLE",
    "days_ahead": "DOUBLE",
    "rhythm_days": "DOUBLE",
    "spend_x": "DOUBLE",
    "spent": "DOUBLE",
}


def score_input(
    features: DataFrame, keys: tuple[str, ...], report: Mapping[str, Sequence[str]]
) -> DataFrame:
    """The columns a score depends on, money as DOUBLE since decimals reach Python as objects.

    Args:
        features: rows of ``customer_features``.
        keys: names of the segment keys.
        report: what :func:`report_groups` gives.
    """
    return features.select(
        "customer_id",
        segment_name(keys).alias("segment"),
        "frequency",
        "recency",
        "T",
        "monetary_value",
        F.col("gross_amount").cast("double").alias("gross_amount"),
        F.col("refund_amount").cast("double").alias("refund_amount"),
        F.col("margin_amount").cast("double").alias("margin_amount"),
        _report_code(report).alias("report_code"),
    )


def _report_code(report: Mapping[str, Sequence[str]]) -> Column:
    """The number of a customer's group: texts cost more to carry along."""
    if not report:
        return F.lit(None).cast("int")
    groups = [list(values) for values in zip(*report.values(), strict=True)]
    # As Spark writes an array of texts.
    numbers = {_as_json(group): place for place, group in enumerate(groups)}
    table = F.from_json(F.lit(json.dumps(numbers)), "map<string,int>")
    return F.try_element_at(table, F.to_json(F.array(*(_group_value(key) for key in report))))


def _as_json(texts: Sequence[str]) -> str:
    return json.dumps(texts, separators=(",", ":"), ensure_ascii=False)


def _group_value(key: str) -> Column:
    return F.coalesce(F.col(key), F.lit(UNKNOWN))


def report_groups(features: DataFrame, keys: tuple[str, ...]) -> DataFrame:
    """The combinations of values of the further keys of the summary, in order."""
    values = (_group_value(key).alias(key) for key in keys)
    return features.select(*values).distinct().orderBy(*keys)


def spread_segments(inputs: DataFrame, sizes: Mapping[str, int]) -> DataFrame:
    """With many segments brings customers together who share parameters and frequency.

    A worker computes the forecasts of living customers once for all who share them. A few segments
    fit into its memory in any order; of thousands it would compute the same ones again and again.

    Args:
        inputs: Customers as the kernel takes them.
        sizes: Customers of each segment at the time of the fit.
    """
    if len(sizes) <= MANY_SEGMENTS:
        return inputs
    large = [name for name, customers in sizes.items() if customers > LARGE_SEGMENT]
    # A large segment would be one task; its customers are spread by age.
    salt = F.when(F.col("segment").isin(sorted(large)), F.col("T") % 64).otherwise(0)
    spread = inputs.repartition(F.col("segment"), F.col("frequency"), salt)
    return spread.sortWithinPartitions("segment", "frequency", "T")


def score_columns(scored: DataFrame, as_of: dt.date) -> DataFrame:
    """Adds what is the same for every customer; keeps the parts of a segment's sums.

    Args:
        scored: Customers as the kernel gives them back.
        as_of: Last day that counts.
    """
    return (
        without_earlier(scored)
        .withColumns(
            {
                "as_of_date": F.lit(as_of),
                "relationship": F.lit("purchases"),
                **{name: F.lit(None).cast(kind) for name, kind in OF_CONTRACTS.items()},
                "score_status": decoded("status_place", STATUSES),
            }
        )
        .select(*dict.fromkeys((*SCORED, *SUMMARY_TYPES, *EARLIER)))
    )


def purchase_origins(parameters: Iterable[SegmentParameters], spend: str) -> list[Origin]:
    """Where the parameters of purchases come from, in the order that parameters_place refers to.

    Args:
        parameters: What the customers were scored with.
        spend: The model of spend.
    """
    return [
        Origin(f"{one.model} + {spend}", one.purchases_segment, one.spend_segment)
        for one in parameters
    ]


def with_origin(
    rows: DataFrame, origins: Sequence[Origin], config: Config, fit_date: dt.date
) -> DataFrame:
    """Adds what a score was made with: model, whose parameters, when fitted, by which settings.

    Args:
        rows: Scores, with parameters_place.
        origins: What that is the position of; a score without has no model.
        config: The settings of the run.
        fit_date: When the parameters were fitted.
    """
    place = "parameters_place"
    texts = {
        name: decoded(place, [getattr(one, name) for one in origins]) for name in Origin._fields
    }
    texts["model"] = F.coalesce(texts["model"], F.lit(NO_MODEL))
    return rows.withColumns({**texts, **of_run(config, fit_date)})


def of_run(config: Config, fit_date: dt.date) -> dict[str, Column]:
    """The columns that have one value in every score of a run."""
    return {
        "fit_date": F.lit(fit_date),
        "horizon_days": F.lit(config.value.horizon_days),
        "annual_discount_rate": F.lit(config.value.annual_discount_rate),
        "currency": F.lit(config.currency).cast("string"),
    }


def decoded(place: str, texts: Sequence[str | None]) -> Column:
    """The texts that a column of positions stands for; NULL for NULL."""
    # As JSON a list of thousands is one literal; item by item it would be thousands of calls.
    values = F.from_json(F.lit(json.dumps(texts)), "array<string>")
    return F.element_at(values, F.col(place) + 1)
