"""Segment keys as small integers inside aggregates, and the names of a customer's segments."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

GLOBAL = "global"
UNKNOWN = "(unknown)"
BLANKS = " \t\r\n"
# Up to so many values comparing is faster than a join.
_MOST_BRANCHES = 50
_LEVEL = "__clv_spark_level_{}"


@dataclass(frozen=True)
class Codes:
    """Small numbers for the values of a segment key, in the order of the values.

    Attributes:
        names: The values, sorted; a value's place is its number.
        of_text: The number of each text that stands for a value, None for a missing one.
    """

    names: tuple[str, ...]
    of_text: Mapping[str | None, int]

    @staticmethod
    def of_names(names: Iterable[str]) -> Codes:
        """Each value stands for itself."""
        ordered = tuple(sorted(set(names)))
        return Codes(ordered, {name: number for number, name in enumerate(ordered)})

    @staticmethod
    def of_texts(texts: Iterable[str | None]) -> Codes:
        """Texts as a source has them, with blanks around them or missing.

        Example:
            >>> codes = Codes.of_texts(["Peru", " Peru", "", None, "Chile"])
            >>> codes.names, codes.of_text[" Peru"], codes.of_text[None]
            (('(unknown)', 'Chile', 'Peru'), 2, 0)
        """
        cleaned = {text: (text or "").strip(BLANKS) or UNKNOWN for text in texts}
        codes = Codes.of_names(cleaned.values())
        return Codes(codes.names, {text: codes.of_text[name] for text, name in cleaned.items()})


def code_of(key: str) -> str:
    """The column that holds a key's number while sums are made."""
    return f"__clv_spark_code_{key}"


def encode(df: DataFrame, column: str, codes: Codes, name: str) -> DataFrame:
    """Replace a text column by its number, NULL for a text that has none.

    Text in an aggregate's buffer makes Spark sort instead of hash, so the fold works on numbers; as
    they keep the order of the values, the smallest number is the smallest value.

    Args:
        df: Any rows.
        column: The text column; it is left out of the result.
        codes: The numbers.
        name: Of the new column.
    """
    texts = {text: code for text, code in codes.of_text.items() if text is not None}
    text = F.col(column)
    number = F.when(text.isNull(), F.lit(codes.of_text.get(None)).cast("int"))
    if len(texts) <= _MOST_BRANCHES:
        # For each row a few comparisons, where a join would hash the text and look it up.
        for value, code in sorted(texts.items()):
            number = number.when(text == F.lit(value), F.lit(code))
        return df.withColumn(name, number).drop(column)
    values = F.from_json(F.lit(json.dumps(texts)), "map<string,int>")
    table = df.sparkSession.range(1).select(F.explode(values).alias(column, name))
    coded = df.join(F.broadcast(table), on=column, how="left")
    return coded.withColumn(name, number.otherwise(F.col(name))).drop(column)


def decode(name: str, codes: Codes) -> Column:
    """The values behind the numbers of a column."""
    return F.element_at(F.lit(list(codes.names)), F.col(name) + 1)


def segment_name(
    keys: tuple[str, ...], level: int | None = None, value_of: Callable[[str], Column] = F.col
) -> Column:
    """The segment of a customer: the value of its key, or 'global' where no key is configured.

    With several keys it is the path of their values, such as ``Europe/France``; a slash or percent
    sign within a value is then written %2F or %25. A value that happens to be called 'global' is
    written ``key=global``, since that name is the root's.

    Args:
        keys: Names of the segment keys, outermost first.
        level: How many of the keys count, 0 for the root; all of them by default.
        value_of: The value of a key; by default the column of its name.
    """
    used = keys if level is None else keys[:level]
    if not used:
        return F.lit(GLOBAL)
    values = [value_of(key) if len(keys) == 1 else _part_of_path(value_of(key)) for key in used]
    name = values[0] if len(values) == 1 else F.concat_ws("/", *values)
    return F.when(name == GLOBAL, F.lit(f"{keys[0]}={GLOBAL}")).otherwise(name)


def segment_above(keys: tuple[str, ...], depth: int) -> Column:
    """The segment on one level, from the column ``segment`` with the name of the leaf.

    Args:
        keys: Names of the segment keys, outermost first.
        depth: How many of the keys count, 0 for the root.
    """
    if depth == 0:
        return F.lit(GLOBAL)
    if depth == len(keys):
        return F.col("segment")
    path = F.substring_index("segment", "/", depth)
    return F.when(path == GLOBAL, F.lit(f"{keys[0]}={GLOBAL}")).otherwise(path)


def _part_of_path(value: Column) -> Column:
    escaped = F.replace(value, F.lit("%"), F.lit("%25"))
    return F.replace(escaped, F.lit("/"), F.lit("%2F"))


def of_segment_column(
    value: float | Mapping[str, float],
    keys: int | Mapping[str, int],
    groups: Iterable[Column] = (),
    segment: Column | None = None,
) -> Column:
    """A configured number of a segment: of a path the nearest one above.

    Args:
        value: One for all, or by name with a default.
        keys: Number of segment keys, for all rows or by relationship; with a single one a slash in
            a name means nothing.
        groups: Other names that count where none of the segment's is given, the first that is.
        segment: Its name; by default the column ``segment``.
    """
    if not isinstance(value, Mapping):
        return F.lit(float(value))
    numbers = F.from_json(F.lit(json.dumps(value)), "map<string,double>")
    names = [F.col("segment") if segment is None else segment]
    depths = keys if isinstance(keys, Mapping) else {"": keys}
    for above in range(1, max(depths.values())):
        name = F.regexp_replace(names[-1], "/[^/]*$", "")
        if isinstance(keys, Mapping):
            deeper = [relationship for relationship, depth in keys.items() if depth > above]
            name = F.when(F.col("relationship").isin(deeper), name)
        names.append(name)
    given = (F.try_element_at(numbers, name) for name in (*names, *groups))
    return F.coalesce(*given, numbers["default"])


def level_columns(keys: tuple[str, ...]) -> list[str]:
    """Names of the columns that :func:`with_segments` adds: the root's first, the leaf's last."""
    return [_LEVEL.format(level) for level in range(len(keys) + 1)]


def on_every_level(rows: DataFrame, levels: Sequence[str]) -> DataFrame:
    """Repeats each row for its segment on every level, so that one pass counts for all of them.

    Args:
        rows: any rows with the names of their segments.
        levels: the columns of these names, the root's first.

    Returns:
        level and segment instead of the names, and all other columns.
    """
    others = [name for name in rows.columns if name not in levels]
    places = (
        F.struct(F.lit(level).alias("level"), F.col(name).alias("segment"))
        for level, name in enumerate(levels)
    )
    return rows.select(F.explode(F.array(*places)).alias("of"), *others).select("of.*", *others)


def with_segments(rows: DataFrame, keys: tuple[str, ...]) -> DataFrame:
    """Adds the name of the customer's segment on each level, from 'global' to the leaf."""
    names = level_columns(keys)
    return rows.withColumns({name: segment_name(keys, at) for at, name in enumerate(names)})
