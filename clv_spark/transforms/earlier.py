"""What an earlier slice of clv_scores said of each customer, to tell what has changed since."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from clv_spark.config import Config
from clv_spark.transforms.segments import UNKNOWN

_USED = {
    "clv": "double",
    "clv_tier": "string",
    "lifecycle_status": "string",
    "frequency": "int",
}
# The same beside what holds now.
EARLIER = {f"__clv_spark_before_{name}": kind for name, kind in _USED.items()}
BEFORE_CLV, BEFORE_TIER, BEFORE_STATUS, BEFORE_FREQUENCY = EARLIER


def counted_by(config: Config) -> dict[str, str | float | None]:
    """What a clv depends on by configuration: one that counted otherwise is not compared."""
    return {
        "value_definition": config.value.definition,
        "horizon_days": config.value.horizon_days,
        "annual_discount_rate": config.value.annual_discount_rate,
        "currency": config.currency,
    }


def earlier_values(previous: DataFrame, counted: Mapping[str, str | float | None]) -> DataFrame:
    """What is used of an earlier slice; its tier is '(unknown)' where it had none to compare.

    Args:
        previous: An earlier slice of clv_scores, maybe of a schema that had less columns.
        counted: What :func:`counted_by` gives now.

    Returns:
        customer_id, relationship, clv, clv_tier, lifecycle_status, frequency.
    """
    columns = {
        name: F.col(name) if name in previous.columns else F.lit(None).cast(kind)
        for name, kind in _USED.items()
    }
    for setting, value in counted.items():
        if setting in previous.columns:
            same = F.col(setting).eqNullSafe(F.lit(value))
            columns |= {name: F.when(same, columns[name]) for name in ("clv", "clv_tier")}
    columns["clv_tier"] = F.coalesce(columns["clv_tier"], F.lit(UNKNOWN))
    return previous.select(
        "customer_id", "relationship", *(column.alias(name) for name, column in columns.items())
    )


def with_earlier(
    rows: DataFrame,
    previous: DataFrame | None,
    counted: Mapping[str, str | float | None],
    relationship: str,
) -> DataFrame:
    """Adds ``EARLIER`` to customers of one relationship, by one join of few columns.

    Args:
        rows: One row per customer.
        previous: As in :func:`earlier_values`; None where there is none.
        counted: As there.
        relationship: That of the customers.
    """
    if previous is None:
        return without_earlier(rows)
    held = earlier_values(previous, counted).where(F.col("relationship") == relationship)
    named = (F.col(name).alias(before) for name, before in zip(_USED, EARLIER, strict=True))
    return rows.join(held.select("customer_id", *named), "customer_id", "left")


def without_earlier(rows: DataFrame) -> DataFrame:
    """Adds what is missing of ``EARLIER`` as NULL."""
    nothing = {
        name: F.lit(None).cast(kind) for name, kind in EARLIER.items() if name not in rows.columns
    }
    return rows.withColumns(nothing) if nothing else rows
