"""What both sources share: mapped expressions, ids, money and segment keys of their rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as st

from clv_spark.config import SourceSection
from clv_spark.errors import InputError
from clv_spark.transforms.money import cents_of_decimal, cents_of_double
from clv_spark.transforms.segments import BLANKS, UNKNOWN

# No source has columns of these names; its own may well begin with underscores.
OURS = "__clv_spark_"
MAPPED = f"{OURS}m_"
_RULE = f"{OURS}r_"
#: Types that a condition may have.
FLAGS = (st.BooleanType, st.StringType, st.NumericType)
_AS_ID = "map it as CAST(... AS BIGINT) or CAST(... AS STRING)"
_AS_DATE = "map it with to_date"
_ADVICE = {
    "customer_id": _AS_ID,
    "contract_id": _AS_ID,
    "event_time": "map it with to_date, to_timestamp or timestamp_seconds",
    "start_date": _AS_DATE,
    "end_date": _AS_DATE,
    "period": "map it as month, quarter or year; a constant is \"'month'\"",
    "is_lost": "map it as a condition",
}


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


def id_of(mapped: DataFrame, source: SourceSection, name: str) -> Column:
    """An identifier as BIGINT or STRING; NULL where it is missing or blank.

    Raises:
        InputError: it is neither an integer nor text.
    """
    field = mapped.schema[MAPPED + name]
    column = F.col(field.name)
    if isinstance(field.dataType, st.IntegralType):
        return column.cast("bigint")
    whole = isinstance(field.dataType, st.DecimalType) and field.dataType.scale == 0
    if not whole:
        require_type(field, (st.StringType,), source)
    text = column.cast("string")
    return F.when(F.trim(text, F.lit(BLANKS)) != "", text)


def cents_of(mapped: DataFrame, source: SourceSection, name: str) -> Column:
    """Mapped money as whole cents; NULL where it is no number.

    Raises:
        InputError: it is neither a number nor text.
    """
    field = mapped.schema[MAPPED + name]
    require_type(field, (st.NumericType, st.StringType), source)
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
    return f"{OURS}text_{key}"


def segment_text(key: str) -> Column:
    """A mapped segment key as text, as the source has it."""
    return F.col(MAPPED + key).cast("string")


def segment_value(key: str) -> Column:
    """A mapped segment key as clean text, '(unknown)' where it is missing or blank."""
    text = F.trim(segment_text(key), F.lit(BLANKS))
    return F.when(text != "", text).otherwise(UNKNOWN)


def source_columns(mapped: DataFrame) -> list[str]:
    """The columns the source itself has, quoted."""
    return [quoted(name) for name in mapped.columns if not name.startswith(OURS)]


def quoted(name: str) -> str:
    """A column's name as Spark reads it, whatever it holds.

    Example:
        >>> quoted("Customer ID")
        '`Customer ID`'
    """
    return "`" + name.replace("`", "``") + "`"


def expression(source: DataFrame, key: str, sql: str) -> Column:
    """A configured expression, analysed alone first, so that a mistake is named.

    Raises:
        InputError: it is not SQL, or names what the source does not have.
    """
    try:
        column = F.expr(sql)
        # Beside the source's own columns, as it will stand: alone a sum over all lines would pass.
        # Within another function, where what makes several rows of one is no value.
        source.select("*", column.isNull().alias(f"{OURS}probe"))
    except AnalysisException as error:
        names = [name for name in source.columns if not name.startswith(OURS)]
        said = str(error.getCondition())
        use = "Use these names, in backticks where they hold spaces or dots"
        if not said.startswith("UNRESOLVED_COLUMN"):
            use = "Write an expression of Spark SQL that gives one value for each line"
        raise InputError(
            f"{key}: {sql!r} does not fit the source ({said}). The source has the columns "
            f"{', '.join(names[:40])}. {use}"
        ) from error
    return column


def require_type(
    field: st.StructField, kinds: tuple[type[st.DataType], ...], source: SourceSection
) -> None:
    """Refuse a mapped column whose type can't carry its meaning, and say what to write instead.

    Raises:
        InputError: the type is none of these.
    """
    if isinstance(field.dataType, kinds):
        return
    name = field.name.removeprefix(MAPPED)
    wanted = ", ".join(kind.__name__.removesuffix("Type").upper() for kind in kinds)
    advice = _ADVICE.get(name, "map it with CAST(... AS DOUBLE)")
    if isinstance(field.dataType, st.DoubleType | st.FloatType) and advice == _AS_ID:
        # NaN, as pandas writes a missing number, would be 0.
        advice = "map it as CAST(nanvl(..., NULL) AS BIGINT), so that NaN stays a missing id"
    raise InputError(
        f"{source.key}.columns.{name} gives {field.dataType.simpleString()}, expected "
        f"{wanted}: {advice}"
    )


def map_expressions(source: DataFrame, config: SourceSection, names: Iterable[str]) -> DataFrame:
    """Adds one column per mapped name and per reject rule, evaluated without ANSI errors.

    A date or number that can't be read must send its row to quarantine, not end the job, so the
    operator's expressions are analysed with ANSI off: they give NULL instead.

    Raises:
        InputError: an expression does not fit the source, or a rule is no condition.
    """
    with analysed_with(source.sparkSession, **{"spark.sql.ansi.enabled": "false"}):
        rules = {
            f"{_RULE}{number}": expression(source, f"{config.key}.reject.{reason}", sql)
            for number, (reason, sql) in enumerate(config.reject.items())
        }
        _require_conditions(source, config, rules)
        return source.select(
            "*",
            *(
                expression(source, f"{config.key}.columns.{name}", config.columns[name]).alias(
                    MAPPED + name
                )
                for name in names
            ),
            *(
                F.coalesce(rule.cast("boolean"), F.lit(False)).alias(name)
                for name, rule in rules.items()
            ),
        )


def _require_conditions(
    source: DataFrame, config: SourceSection, rules: Mapping[str, Column]
) -> None:
    """Refuse a rule that is neither true nor false: of a date Spark makes a NULL without a word."""
    typed = source.select(*(rule.alias(name) for name, rule in rules.items())).schema
    for field, (reason, sql) in zip(typed, config.reject.items(), strict=True):
        if not isinstance(field.dataType, FLAGS):
            raise InputError(
                f"{config.key}.reject.{reason}: {sql!r} gives {field.dataType.simpleString()}, "
                "expected a condition: write one such as status = 'test'"
            )


def first_rule(reason: Column, config: SourceSection) -> Column:
    """The built-in reason, else the first configured rule that a row meets."""
    for number, name in enumerate(config.reject):
        reason = reason.when(F.col(f"{_RULE}{number}"), F.lit(name))
    return reason


def line_as_json(mapped: DataFrame) -> Column:
    """The row as the source has it, as JSON; it costs nothing unless it is selected."""
    return row_as_json(F.struct(*source_columns(mapped)))


def row_as_json(row: Column) -> Column:
    """A struct of the source's columns as JSON, missing values included."""
    return F.to_json(row, {"ignoreNullFields": "false"})


@contextmanager
def analysed_with(spark: SparkSession, **settings: str) -> Iterator[None]:
    """Settings that Spark reads while it analyses an expression, put back at the end."""
    before = {key: str(spark.conf.get(key)) for key in settings}
    for key, value in settings.items():
        spark.conf.set(key, value)
    try:
        yield
    finally:
        for key, value in before.items():
            spark.conf.set(key, value)
