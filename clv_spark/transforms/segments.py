"""Segment keys as small integers inside aggregates, and the name of a customer's segment."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

GLOBAL = "global"


def encode(df: DataFrame, key: str) -> tuple[DataFrame, DataFrame]:
    """Replace a text key by ``<key>_code``, whole numbers in the order of the values.

    Text in an aggregate's buffer makes Spark sort instead of hash, so the fold works on codes.

    Returns:
        The frame with ``<key>_code`` instead of the key, and the dictionary to decode it.
    """
    values = df.select(key).distinct().agg(F.array_sort(F.collect_set(key)).alias("values"))
    dictionary = F.broadcast(values.select(F.posexplode("values").alias(f"{key}_code", key)))
    return df.join(dictionary, on=key, how="left").drop(key), dictionary


def decode(df: DataFrame, key: str, dictionary: DataFrame) -> DataFrame:
    """The reverse of :func:`encode`."""
    return df.join(dictionary, on=f"{key}_code", how="left").drop(f"{key}_code")


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
