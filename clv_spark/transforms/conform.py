"""Source lines in any shape -> lines with one meaning each, or a reason why they are refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as st
from pyspark.sql.window import Window

from clv_spark.config import TransactionsSource
from clv_spark.errors import InputError
from clv_spark.transforms.money import cents_of_decimal, cents_of_double
from clv_spark.transforms.segments import BLANKS, UNKNOWN

MISSING_CUSTOMER_ID = "missing_customer_id"
INVALID_AMOUNT = "invalid_amount"
INVALID_MARGIN = "invalid_margin"
INVALID_DATE = "invalid_date"
DATE_OUT_OF_RANGE = "date_out_of_range"
FOREIGN_CURRENCY = "foreign_currency"
DUPLICATE = "duplicate"

# No source has columns of these names; its own may well begin with underscores.
_OURS = "__clv_spark_"
COPY = f"{_OURS}copy"
MAPPED = f"{_OURS}m_"
_RULE = f"{_OURS}r_"
_COPIES = f"{_OURS}copies"
_AMOUNT = f"{_OURS}amount_cents"
_MARGIN = f"{_OURS}margin_cents"
_REASON = f"{_OURS}reason"


def conform(
    source: DataFrame,
    config: TransactionsSource,
    *,
    currency: str | None,
    segments: tuple[str, ...],
) -> DataFrame:
    """Give every line of the source its meaning, and a reason if it can't be used.

    Args:
        source: transaction lines as the source has them.
        config: mapping of columns, time zone, duplicates, reject rules.
        currency: the one currency to accept; only used when a currency column is mapped.
        segments: names of the segment keys.

    Returns:
        One row per source line: customer_id (BIGINT or STRING), event_date, amount_cents (signed:
        refunds negative), margin_cents (NULL without a margin column), is_refund, transaction_id
        (NULL when not mapped), the segment keys, clean and as :func:`text_of` names them, reason
        (NULL = used), and ``line``, the source line as JSON. What is not selected costs nothing.

    Raises:
        InputError: a mapped expression has a type that can't carry its meaning.
    """
    return (
        widen_integers(source)
        .transform(number_copies, config)
        .transform(map_columns, config)
        .transform(number_versions, config)
        .transform(give_meaning, config, currency=currency, segments=segments)
    )


def widen_integers(source: DataFrame) -> DataFrame:
    """Small integers as BIGINT, so that ``Quantity * Cents`` in a mapping can't wrap around."""
    narrow = (st.ByteType, st.ShortType, st.IntegerType)
    return source.select(
        *(
            F.col(quoted(field.name)).cast("bigint").alias(field.name)
            if isinstance(field.dataType, narrow)
            else F.col(quoted(field.name))
            for field in source.schema.fields
        )
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
    """Adds one column per mapped name and per reject rule, evaluated without ANSI errors.

    A date or number that can't be read must send its line to quarantine, not end the job, so the
    operator's expressions are analysed with ANSI off: they give NULL instead.
    """
    session = source.sparkSession
    others = {name: sql for name, sql in config.columns.items() if name != "event_time"}
    with _analysed_with(session, **{"spark.sql.ansi.enabled": "false"}):
        mapped = source.select(
            "*",
            *(
                _expression(source, f"columns.{name}", sql).alias(MAPPED + name)
                for name, sql in others.items()
            ),
            *(
                F.coalesce(
                    _expression(source, f"reject.{reason}", sql).cast("boolean"), F.lit(False)
                ).alias(f"{_RULE}{number}")
                for number, (reason, sql) in enumerate(config.reject.items())
            ),
        )
    return _with_event_date(mapped, config)


def _with_event_date(mapped: DataFrame, config: TransactionsSource) -> DataFrame:
    """Adds the local calendar day, the expression being read once in each time zone in use.

    Analysed in the zone, text without an offset is local time and a TIMESTAMP is an instant that
    is turned into local time; TIMESTAMP_NTZ and DATE are local already.
    """
    zones = config.timezone if isinstance(config.timezone, dict) else {"default": config.timezone}
    expression = config.columns["event_time"]
    dates: dict[str, Column] = {}
    for number, zone in enumerate(dict.fromkeys(zones.values())):
        name = f"{_OURS}date_{number}"
        settings = {"spark.sql.ansi.enabled": "false", "spark.sql.session.timeZone": zone}
        with _analysed_with(mapped.sparkSession, **settings):
            event_time = _expression(mapped, "columns.event_time", expression)
            probe = mapped.select(event_time.alias("event_time")).schema["event_time"]
            _require(probe, (st.DateType, st.TimestampType, st.TimestampNTZType, st.StringType))
            mapped = mapped.select("*", _local_day(event_time, probe).alias(name))
        dates[zone] = F.col(name)
    day = dates[zones["default"]]
    for country, zone in zones.items():
        if country != "default":
            here = F.trim(F.col(f"{MAPPED}country").cast("string")) == F.lit(country)
            day = F.when(here, dates[zone]).otherwise(day)
    # Beyond these Python has no date: a year such as 43038 is milliseconds taken for seconds.
    known = day.between(F.lit("0001-01-01").cast("date"), F.lit("9999-12-31").cast("date"))
    return mapped.withColumn(f"{MAPPED}event_date", F.when(known, day))


def _local_day(event_time: Column, field: st.StructField) -> Column:
    day = event_time.cast("date")
    if not isinstance(field.dataType, st.StringType):
        return day
    # Text cast to a date loses its offset from UTC; text that is no date at all, such as 10:30,
    # would be a time of today.
    return F.when(day.isNotNull(), event_time.cast("timestamp").cast("date"))


def number_versions(mapped: DataFrame, config: TransactionsSource) -> DataFrame:
    """With ``deduplicate: line_id`` the copy number is 1 for the newest version of a line."""
    if config.deduplicate != "line_id":
        return mapped
    newest = [F.col(f"{MAPPED}updated_at").desc_nulls_last()]
    if "updated_at" not in config.columns:
        newest = []
    # Versions that agree in everything named are ordered by their whole content, so that the
    # choice does not depend on where a line was read.
    content_text = F.to_json(F.struct(*_source_columns(mapped)))
    # Lines without an id are no versions of each other; alone they would all be one group.
    apart = F.when(F.col(f"{MAPPED}line_id").isNull(), F.xxhash64(content_text))
    line = (f"{MAPPED}event_date", f"{MAPPED}line_id", apart)
    versions = Window.partitionBy(*line).orderBy(*newest, content_text.desc())
    number = F.when(F.col(f"{MAPPED}line_id").isNull(), 1).otherwise(F.row_number().over(versions))
    return mapped.withColumn(COPY, number)


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
        refund = F.coalesce(F.col(f"{MAPPED}is_refund").cast("boolean"), refund)
    turned = refund & (amount > 0)
    margin = F.lit(None).cast("bigint")
    if has("margin"):
        margin = F.when(turned, -F.col(_MARGIN)).otherwise(F.col(_MARGIN))
    transaction = F.lit(None).cast("string")
    if has("transaction_id"):
        transaction = F.col(f"{MAPPED}transaction_id")
    reason = _first_reason(mapped, config, amount, margin, currency)
    mapped = mapped.withColumn(_REASON, reason)
    line = F.to_json(F.struct(*_source_columns(mapped)), {"ignoreNullFields": "false"})
    return mapped.select(
        _customer_id(mapped).alias("customer_id"),
        F.col(f"{MAPPED}event_date").alias("event_date"),
        F.when(turned, -amount).otherwise(amount).alias("amount_cents"),
        margin.alias("margin_cents"),
        F.coalesce(refund, F.lit(False)).alias("is_refund"),
        transaction.alias("transaction_id"),
        *(_segment_value(key).alias(key) for key in segments),
        *(_segment_text(key).alias(text_of(key)) for key in segments),
        *(
            [F.col(f"{MAPPED}currency").cast("string").alias("currency")]
            if currency_mapped(config)
            else []
        ),
        F.col(_REASON).alias("reason"),
        line.alias("line"),
    )


def _with_cents(mapped: DataFrame, config: TransactionsSource) -> DataFrame:
    """Money as whole cents in columns of its own, so that each line is rounded once."""
    columns = {_AMOUNT: _cents(mapped, "amount")}
    if "margin" in config.columns:
        columns[_MARGIN] = _cents(mapped, "margin")
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
    reason = F.when(_customer_id(mapped).isNull(), MISSING_CUSTOMER_ID)
    reason = reason.when(amount.isNull(), INVALID_AMOUNT)
    if "margin" in config.columns:
        reason = reason.when(margin.isNull(), INVALID_MARGIN)
    reason = reason.when(date.isNull(), INVALID_DATE)
    if config.first_date:
        reason = reason.when(date < F.lit(config.first_date), DATE_OUT_OF_RANGE)
    if config.last_date:
        reason = reason.when(date > F.lit(config.last_date), DATE_OUT_OF_RANGE)
    if currency_mapped(config):
        same = F.col(f"{MAPPED}currency").cast("string").eqNullSafe(F.lit(currency))
        reason = reason.when(~same, FOREIGN_CURRENCY)
    reason = reason.when(F.col(COPY) > 1, DUPLICATE)
    for number, name in enumerate(config.reject):
        reason = reason.when(F.col(f"{_RULE}{number}"), F.lit(name))
    return reason


def _customer_id(mapped: DataFrame) -> Column:
    field = mapped.schema[f"{MAPPED}customer_id"]
    column = F.col(field.name)
    if isinstance(field.dataType, st.IntegralType):
        return column.cast("bigint")
    whole = isinstance(field.dataType, st.DecimalType) and field.dataType.scale == 0
    if not whole:
        _require(field, (st.StringType,))
    text = column.cast("string")
    return F.when(F.trim(text, F.lit(BLANKS)) != "", text)


def _cents(mapped: DataFrame, name: str) -> Column:
    field = mapped.schema[MAPPED + name]
    _require(field, (st.NumericType, st.StringType))
    column = F.col(field.name)
    if isinstance(field.dataType, st.DecimalType):
        return cents_of_decimal(column)
    if isinstance(field.dataType, st.LongType):
        return cents_of_decimal(column.cast("decimal(20,0)"))
    if isinstance(field.dataType, st.FloatType):
        # As a FLOAT is written: 1.005 is 1.01 in money, its nearest DOUBLE would be 1.00.
        column = column.cast("string")
    # try_cast: under ANSI a plain cast of unreadable text would end the job.
    return cents_of_double(column.try_cast("double"))


def text_of(key: str) -> str:
    """The column of a segment key as the source has it, which costs less than to clean each."""
    return f"{_OURS}text_{key}"


def _segment_text(key: str) -> Column:
    return F.col(MAPPED + key).cast("string")


def _segment_value(key: str) -> Column:
    text = F.trim(_segment_text(key), F.lit(BLANKS))
    return F.when(text != "", text).otherwise(UNKNOWN)


def _source_columns(mapped: DataFrame) -> list[str]:
    return [quoted(name) for name in mapped.columns if not name.startswith(_OURS)]


def quoted(name: str) -> str:
    """A column's name as Spark reads it, whatever it holds.

    Example:
        >>> quoted("Customer ID")
        '`Customer ID`'
    """
    return "`" + name.replace("`", "``") + "`"


def _expression(source: DataFrame, key: str, sql: str) -> Column:
    """A configured expression, analysed alone first, so that a mistake is named.

    Raises:
        InputError: it is not SQL, or names what the source does not have.
    """
    try:
        column = F.expr(sql)
        source.select(column)
    except AnalysisException as error:
        names = [name for name in source.columns if not name.startswith(_OURS)]
        raise InputError(
            f"source.transactions.{key}: {sql!r} does not fit the source "
            f"({error.getCondition()}). The source has the columns {', '.join(names[:40])}. Use "
            "these names, in backticks where they hold spaces or dots"
        ) from error
    return column


def _require(field: st.StructField, kinds: tuple[type[st.DataType], ...]) -> None:
    if isinstance(field.dataType, kinds):
        return
    name = field.name.removeprefix(MAPPED)
    wanted = ", ".join(kind.__name__.removesuffix("Type").upper() for kind in kinds)
    advice = {
        "customer_id": "map it as CAST(... AS BIGINT) or CAST(... AS STRING)",
        "event_time": "map it with to_date, to_timestamp or timestamp_seconds",
    }.get(name, "map it with CAST(... AS DOUBLE)")
    raise InputError(
        f"source.transactions.columns.{name} gives {field.dataType.simpleString()}, expected "
        f"{wanted}: {advice}"
    )


@contextmanager
def _analysed_with(spark: SparkSession, **settings: str) -> Iterator[None]:
    """Settings that Spark reads while it analyses an expression, put back at the end."""
    before = {key: str(spark.conf.get(key)) for key in settings}
    for key, value in settings.items():
        spark.conf.set(key, value)
    try:
        yield
    finally:
        for key, value in before.items():
            spark.conf.set(key, value)
