"""Source lines in any shape -> lines with one meaning each, or a reason why they are refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as st
from pyspark.sql.window import Window

from clv_spark.config import Margins, TransactionsSource
from clv_spark.transforms.local_days import with_local_day
from clv_spark.transforms.mapping import (
    FLAGS,
    MAPPED,
    OURS,
    cents_of,
    first_rule,
    id_of,
    line_as_json,
    map_expressions,
    quoted,
    require_type,
    segment_text,
    segment_value,
    source_columns,
    text_of,
    widen_integers,
)
from clv_spark.transforms.segments import BLANKS, of_segment_column, segment_name

MISSING_CUSTOMER_ID = "missing_customer_id"
INVALID_AMOUNT = "invalid_amount"
INVALID_MARGIN = "invalid_margin"
INVALID_REFUND_FLAG = "invalid_refund_flag"
INVALID_DATE = "invalid_date"
DATE_OUT_OF_RANGE = "date_out_of_range"
FOREIGN_CURRENCY = "foreign_currency"
DUPLICATE = "duplicate"

COPY = f"{OURS}copy"
_TIMES = (st.DateType, st.TimestampType, st.TimestampNTZType, st.StringType)
_COPIES = f"{OURS}copies"
_AMOUNT = f"{OURS}amount_cents"
_MARGIN = f"{OURS}margin_cents"
_REASON = f"{OURS}reason"
_REFUND_FLAG = f"{MAPPED}is_refund"
_RATE = f"{OURS}margin_rate"
_RATE_TYPE = "decimal(9,6)"


@dataclass(frozen=True)
class MarginTable:
    """Margin rates by what lines are of.

    Attributes:
        rows: ``name`` and ``rate``, each name once.
        by: product or category: the mapped column that the names are of.
        usual: The rate of a line whose name is not in the table; one for all, or by segment.
        segments: The keys that the line's segment is named by.
    """

    rows: DataFrame
    by: str
    usual: float | Mapping[str, float]
    segments: tuple[str, ...]


def conform(
    source: DataFrame,
    config: TransactionsSource,
    *,
    currency: str | None,
    segments: tuple[str, ...],
    margins: MarginTable | None = None,
) -> DataFrame:
    """Give every line of the source its meaning, and a reason if it can't be used.

    Args:
        source: transaction lines as the source has them.
        config: mapping of columns, time zone, duplicates, reject rules.
        currency: the one currency to accept; only used when a currency column is mapped.
        segments: names of the segment keys.
        margins: margin rates of products or categories, None without a table of them.

    Returns:
        One row per source line: customer_id (BIGINT or STRING), event_date, amount_cents (signed:
        refunds negative), margin_cents (NULL without a margin column), is_refund, transaction_id
        (NULL when not mapped), category (where it is mapped, clean), the segment keys, clean and
        as :func:`text_of` names them, reason (NULL = used), and ``line``, the source line as JSON.
        What is not selected costs nothing.

    Raises:
        InputError: a mapped expression has a type that can't carry its meaning.
    """
    return (
        widen_integers(source)
        .transform(number_copies, config)
        .transform(map_columns, config)
        .transform(number_versions, config)
        .transform(with_margin_rate, margins)
        .transform(give_meaning, config, currency=currency, segments=segments)
    )


def number_copies(source: DataFrame, config: TransactionsSource) -> DataFrame:
    """Adds the copy number: 1 for the first of exactly equal lines, 2 and up for its copies.

    Equal lines are counted by a hash aggregate and spread again, which needs neither a sort nor
    an order among lines that can't be told apart.
    """
    if config.deduplicate != "all_columns":
        return source.withColumn(COPY, F.lit(1))
    names = [quoted(name) for name in source.columns]
    counted = source.groupBy(*names).agg(F.count(F.lit(1)).cast("int").alias(_COPIES))
    return counted.select(*names, F.explode(F.sequence(F.lit(1), F.col(_COPIES))).alias(COPY))


def map_columns(source: DataFrame, config: TransactionsSource) -> DataFrame:
    """Adds one column per mapped name and per reject rule, and the local calendar day."""
    others = [name for name in config.columns if name != "event_time"]
    mapped = map_expressions(source, config, others)
    return with_local_day(mapped, config, "event_time", _TIMES, f"{MAPPED}event_date")


def number_versions(mapped: DataFrame, config: TransactionsSource) -> DataFrame:
    """With ``deduplicate: line_id`` the copy number is 1 for the newest version of a line."""
    if config.deduplicate != "line_id":
        return mapped
    newest = [F.col(f"{MAPPED}updated_at").desc_nulls_last()]
    if "updated_at" not in config.columns:
        newest = []
    # Versions that agree in everything named are ordered by their whole content, so that the
    # choice does not depend on where a line was read.
    content_text = F.to_json(F.struct(*source_columns(mapped)))
    line_id = _line_id(mapped)
    # Lines without an id are no versions of each other; alone they would all be one group.
    apart = F.when(line_id.isNull(), F.xxhash64(content_text))
    line = (F.col(f"{MAPPED}event_date"), line_id, apart)
    versions = Window.partitionBy(*line).orderBy(*newest, content_text.desc())
    number = F.when(line_id.isNull(), 1).otherwise(F.row_number().over(versions))
    return mapped.withColumn(COPY, number)


def _line_id(mapped: DataFrame) -> Column:
    """The id of a line; NULL where it is missing: blank, or NaN, as pandas writes it."""
    field = mapped.schema[f"{MAPPED}line_id"]
    column = F.col(field.name)
    if isinstance(field.dataType, st.StringType):
        return F.when(F.trim(column, F.lit(BLANKS)) != "", column)
    if isinstance(field.dataType, st.FloatType | st.DoubleType):
        return F.when(~F.isnan(column), column)
    return column


def margin_rates(source: DataFrame, config: Margins) -> DataFrame:
    """Rates by name, as a table of them has them; NULL where a row can't be used.

    Raises:
        InputError: a mapped expression has a type that can't carry its meaning.
    """
    mapped = source.transform(widen_integers).transform(map_expressions, config, config.columns)
    field = mapped.schema[f"{MAPPED}margin_rate"]
    require_type(field, (st.NumericType, st.StringType), config)
    rate = F.col(field.name).try_cast("double")
    known = F.when(rate.between(0, 1), rate.cast(_RATE_TYPE))
    return mapped.select(segment_value(config.by).alias("name"), known.alias("rate"))


def with_margin_rate(mapped: DataFrame, margins: MarginTable | None) -> DataFrame:
    """Adds the rate of what a line is of, else of its segment, where there is a table of rates."""
    if margins is None:
        return mapped
    name, rate = f"{OURS}name", f"{OURS}rate"
    table = margins.rows.select(F.col("name").alias(name), F.col("rate").alias(rate))
    joined = mapped.join(F.broadcast(table), segment_value(margins.by) == F.col(name), "left")
    keys = margins.segments
    segment = segment_name(keys, value_of=segment_value)
    usual = of_segment_column(margins.usual, len(keys), segment=segment).cast(_RATE_TYPE)
    return joined.withColumn(_RATE, F.coalesce(rate, usual)).drop(name, rate)


def give_meaning(
    mapped: DataFrame,
    config: TransactionsSource,
    *,
    currency: str | None,
    segments: tuple[str, ...],
) -> DataFrame:
    """Mapped columns -> the conformed columns and the first reason that applies."""
    has = config.columns.__contains__
    mapped = _with_cents(mapped, config)
    amount = F.col(_AMOUNT)
    refund = amount < 0
    if has("is_refund"):
        require_type(mapped.schema[_REFUND_FLAG], FLAGS, config)
        refund = F.coalesce(F.col(_REFUND_FLAG).try_cast("boolean"), refund)
    turned = refund & (amount > 0)
    margin = F.lit(None).cast("bigint")
    if has("margin"):
        margin = F.when(turned, -F.col(_MARGIN)).otherwise(F.col(_MARGIN))
    elif _RATE in mapped.columns:
        margin = F.round(F.when(turned, -amount).otherwise(amount) * F.col(_RATE)).cast("bigint")
    transaction = F.lit(None).cast("string")
    if has("transaction_id"):
        transaction = F.col(f"{MAPPED}transaction_id")
    reason = _first_reason(mapped, config, amount, margin, currency)
    mapped = mapped.withColumn(_REASON, reason)
    return mapped.select(
        id_of(mapped, config, "customer_id").alias("customer_id"),
        F.col(f"{MAPPED}event_date").alias("event_date"),
        F.when(turned, -amount).otherwise(amount).alias("amount_cents"),
        margin.alias("margin_cents"),
        F.coalesce(refund, F.lit(False)).alias("is_refund"),
        transaction.alias("transaction_id"),
        *([segment_value("category").alias("category")] if has("category") else []),
        *(segment_value(key).alias(key) for key in segments),
        *(segment_text(key).alias(text_of(key)) for key in segments),
        *(
            [F.col(f"{MAPPED}currency").cast("string").alias("currency")]
            if currency_mapped(config)
            else []
        ),
        F.col(_REASON).alias("reason"),
        line_as_json(mapped).alias("line"),
    )


def _with_cents(mapped: DataFrame, config: TransactionsSource) -> DataFrame:
    """Money as whole cents in columns of its own, so that each line is rounded once."""
    columns = {_AMOUNT: cents_of(mapped, config, "amount")}
    if "margin" in config.columns:
        columns[_MARGIN] = cents_of(mapped, config, "margin")
    return mapped.withColumns(columns)


def currency_mapped(config: TransactionsSource) -> bool:
    """Whether lines carry their currency."""
    return "currency" in config.columns


def _first_reason(
    mapped: DataFrame,
    config: TransactionsSource,
    amount: Column,
    margin: Column,
    currency: str | None,
) -> Column:
    date = F.col(f"{MAPPED}event_date")
    reason = F.when(id_of(mapped, config, "customer_id").isNull(), MISSING_CUSTOMER_ID)
    reason = reason.when(amount.isNull(), INVALID_AMOUNT)
    if "margin" in config.columns:
        reason = reason.when(margin.isNull(), INVALID_MARGIN)
    if "is_refund" in config.columns:
        flag = F.col(_REFUND_FLAG)
        given = F.trim(flag.cast("string"), F.lit(BLANKS)) != ""
        reason = reason.when(given & flag.try_cast("boolean").isNull(), INVALID_REFUND_FLAG)
    reason = reason.when(date.isNull(), INVALID_DATE)
    if config.first_date:
        reason = reason.when(date < F.lit(config.first_date), DATE_OUT_OF_RANGE)
    if config.last_date:
        reason = reason.when(date > F.lit(config.last_date), DATE_OUT_OF_RANGE)
    if currency_mapped(config):
        same = F.col(f"{MAPPED}currency").cast("string").eqNullSafe(F.lit(currency))
        reason = reason.when(~same, FOREIGN_CURRENCY)
    reason = reason.when(F.col(COPY) > 1, DUPLICATE)
    return first_rule(reason, config)
