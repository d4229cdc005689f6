"""Segment keys as small integers inside aggregates, and the names of a customer's segments."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

GLOBAL = "global"
_LEVEL = "__clv_spark_level_{}"


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


def segment_name(keys: tuple[str, ...], level: int | None = None) -> Column:
    """The segment of a customer: the value of its key, or 'global' where no key is configured.

    With several keys it is the path of their values, such as ``Europe/France``; a slash or percent
    sign within a value is then written %2F or %25. A value that happens to be called 'global' is
    written ``key=global``, since that name is the root's.

    Args:
        keys: Names of the segment keys, outermost first.
        level: How many of the keys count, 0 for the root; all of them by default.
    """
    used = keys if level is None else keys[:level]
    if not used:
        return F.lit(GLOBAL)
    values = [F.col(key) if len(keys) == 1 else _part_of_path(key) for key in used]
    name = values[0] if len(values) == 1 else F.concat_ws("/", *values)
    return F.when(name == GLOBAL, F.lit(f"{keys[0]}={GLOBAL}")).otherwise(name)


def _part_of_path(key: str) -> Column:
    value = F.replace(F.col(key), F.lit("%"), F.lit("%25"))
    return F.replace(value, F.lit("/"), F.lit("%2F"))


def level_columns(keys: tuple[str, ...]) -> list[str]:
    """Names of the columns that :func:`with_segments` adds: the root's first, the leaf's last."""
    return [_LEVEL.format(level) for level in range(len(keys) + 1)]


def with_segments(rows: DataFrame, keys: tuple[str, ...]) -> DataFrame:
    """Adds the name of the customer's segment on each level, from 'global' to the leaf."""
    names = level_columns(keys)
    return rows.withColumns({name: segment_name(keys, at) for at, name in enumerate(names)})
