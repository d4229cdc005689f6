"""Segment keys as small integers inside aggregates, and the name of a customer's segment."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

GLOBAL = "global"


def encode(df: DataFrame, key: str, values: Sequence[str]) -> DataFrame:
    """Replace a text key by ``<key>_code``, its position in the sorted values.

    Text in an aggregate's buffer makes Spark sort instead of hash, so the fold works on codes;
    as they keep the order of the values, the smallest code is the smallest value.
    """
    one = df.sparkSession.range(1)
    codes = one.select(F.posexplode(F.lit(list(values))).alias(f"{key}_code", key))
    return df.join(F.broadcast(codes), on=key, how="left").drop(key)


def decode(key: str, values: Sequence[str]) -> Column:
    """The reverse of :func:`encode`, as a column."""
    return F.element_at(F.lit(list(values)), F.col(f"{key}_code") + 1).alias(key)


def segment_name(keys: tuple[str, ...]) -> Column:
    """The segment of a customer: the value of its key, or 'global' where no key is configured.

    A value that happens to be called 'global' is written ``key=global``, since that name is the
    root's.
    """
    if not keys:
        return F.lit(GLOBAL)
    (key,) = keys
    value = F.col(key)
    return F.when(value == GLOBAL, F.lit(f"{key}={GLOBAL}")).otherwise(value)
