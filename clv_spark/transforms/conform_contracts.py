"""Rows of contracts in any shape -> rows with one meaning each, or a reason why they are refused.

A contract is a customer_id and a contract_id. Its rows are stretches of it: each begins on
start_date, and end_date is the first day on which it no longer holds.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as st
from pyspark.sql.window import Window

from clv_spark.config import PERIOD_MONTHS, ContractsSource
from clv_spark.transforms.local_days import with_local_day
from clv_spark.transforms.mapping import (
    FLAGS,
    MAPPED,
    OURS,
    analysed_with,
    cents_of,
    expression,
    first_rule,
    id_of,
    map_expressions,
    require_type,
    row_as_json,
    segment_text,
    segment_value,
    source_columns,
    text_of,
    widen_integers,
)
from clv_spark.transforms.segments import BLANKS

CONTRACT = ("customer_id", "contract_id")
_DATES = (st.DateType, st.TimestampType, st.TimestampNTZType, st.StringType, st.NullType)
_ORDER = f"{OURS}order"
# NULL for a row that was fit to be used by itself; else what tells refused rows apart.
APART = f"{OURS}apart"
_ROW = f"{OURS}row"
# Later than any end; a row without end is compared with it.
_NEVER = "9999-12-31"
# Beyond a thousand years a tenure is a mistake, and no date.
_LONGEST_TENURE = 12_000


def conform_contracts(
    source: DataFrame,
    config: ContractsSource,
    *,
    currency: str | None,
    segments: tuple[str, ...],
) -> DataFrame:
    """Give every row of the source its meaning, and a reason if it can't be used.

    Of rows of one contract that overlap, the one that starts first is used; all that overlap it or
    one another are refused, since they do not tell which amount holds. Equal rows count once.

    Args:
        source: rows as the source has them.
        config: mapping of columns, shape, reject rules.
        currency: the one currency to accept; only used when a currency column is mapped.
        segments: names of the segment keys of contracts.

    Returns:
        One row per source row: customer_id (BIGINT or STRING), contract_id (STRING), start_date and
        end_date (NULL in a snapshot; an end of NULL means running), tenure and is_lost (NULL
        outside a snapshot), period, amount_cents, margin_cents (NULL without a margin column), the
        segment keys, reason (NULL = used), ``line``, the row as JSON, event_date (the start), and
        what :func:`with_lives` needs.

    Raises:
        InputError: a mapped expression has a type that can't carry its meaning.
    """
    return (
        source.transform(map_contracts, config)
        .transform(_give_meaning, config, currency, segments)
        .transform(_refuse_overlaps, segments)
        # After the windows: before, every row would be written as JSON, not only the refused.
        .withColumn("line", row_as_json(F.col(_ROW)))
        .drop(_ORDER, _ROW)
    )


def map_contracts(source: DataFrame, config: ContractsSource) -> DataFrame:
    """Adds one column per mapped name and per reject rule.

    Raises:
        InputError: an expression does not fit the source, or a date is of another type.
    """
    dates = config.local_days if config.shape == "rows" else ()
    others = [name for name in config.columns if name not in dates]
    mapped = source.transform(widen_integers).transform(map_expressions, config, others)
    for name in dates:
        mapped = _with_date(mapped, config, name)
    return mapped


def _with_date(mapped: DataFrame, config: ContractsSource, name: str) -> DataFrame:
    """Adds a mapped date, and whether there was something else."""
    mapped = with_local_day(mapped, config, name, _DATES, MAPPED + name)
    with analysed_with(mapped.sparkSession, **{"spark.sql.ansi.enabled": "false"}):
        value = expression(mapped, f"{config.key}.columns.{name}", config.columns[name])
        given = F.trim(value.cast("string"), F.lit(BLANKS)) != ""
        # Text that is there but no date must not pass for "still running".
        unreadable = F.coalesce(given, F.lit(False)) & F.col(MAPPED + name).isNull()
        return mapped.select("*", unreadable.alias(_unreadable(name)))


def _unreadable(name: str) -> str:
    return f"{OURS}unreadable_{name}"


def _give_meaning(
    mapped: DataFrame, config: ContractsSource, currency: str | None, segments: tuple[str, ...]
) -> DataFrame:
    customer, contract = id_of(mapped, config, "customer_id"), id_of(mapped, config, "contract_id")
    none = F.lit(None)
    period = F.lower(F.trim(F.col(f"{MAPPED}period").cast("string"), F.lit(BLANKS)))
    amount = cents_of(mapped, config, "periodic_amount")
    margin = none.cast("bigint")
    if "periodic_margin" in config.columns:
        margin = cents_of(mapped, config, "periodic_margin")
    rows = config.shape == "rows"
    start = F.col(f"{MAPPED}start_date") if rows else none.cast("date")
    end = F.col(f"{MAPPED}end_date") if rows else none.cast("date")
    tenure, is_lost = _snapshot(mapped, config)
    columns = {
        "customer_id": customer,
        "contract_id": contract.cast("string"),
        "start_date": start,
        "end_date": end,
        "tenure": tenure,
        "is_lost": is_lost,
        "period": period,
        "amount_cents": amount,
        "margin_cents": margin,
        **{key: segment_value(key) for key in segments},
        **{text_of(key): segment_text(key) for key in segments},
    }
    values = mapped.select("*", *(value.alias(OURS + name) for name, value in columns.items()))
    reason = _first_reason(values, config, currency)
    # What no key can tell apart: which of equal rows counts as the copy must not depend on where
    # it was read.
    content = F.xxhash64(*(F.col(name).cast("string") for name in source_columns(values)))
    return values.select(
        *(F.col(OURS + name).alias(name) for name in columns),
        F.col(f"{OURS}start_date").alias("event_date"),
        reason.alias("reason"),
        F.struct(*source_columns(values)).alias(_ROW),
        content.alias(_ORDER),
    )


def _snapshot(mapped: DataFrame, config: ContractsSource) -> tuple[Column, Column]:
    if config.shape == "rows":
        return F.lit(None).cast("int"), F.lit(None).cast("boolean")
    field = mapped.schema[f"{MAPPED}tenure"]
    require_type(field, (st.NumericType, st.StringType), config)
    tenure = F.col(field.name).try_cast("double")
    whole = (tenure == F.floor(tenure)) & tenure.between(0, _LONGEST_TENURE)
    flag = mapped.schema[f"{MAPPED}is_lost"]
    require_type(flag, FLAGS, config)
    return F.when(whole, tenure.cast("int")), F.col(flag.name).try_cast("boolean")


def _first_reason(values: DataFrame, config: ContractsSource, currency: str | None) -> Column:
    def has(name: str) -> Column:
        return F.col(OURS + name)

    reason = F.when(has("customer_id").isNull(), "missing_customer_id")
    reason = reason.when(has("contract_id").isNull(), "missing_contract_id")
    amount = has("amount_cents")
    reason = reason.when(amount.isNull() | (amount < 0), "invalid_amount")
    if "periodic_margin" in config.columns:
        reason = reason.when(has("margin_cents").isNull(), "invalid_margin")
    known = F.coalesce(has("period").isin(list(PERIOD_MONTHS)), F.lit(False))
    reason = reason.when(~known, "unknown_period")
    if config.shape == "rows":
        reason = reason.when(has("start_date").isNull(), "invalid_start")
        reason = reason.when(F.col(_unreadable("end_date")), "invalid_end")
        reason = reason.when(has("end_date") < has("start_date"), "end_before_start")
    else:
        too_short = has("tenure").isNull() | has("is_lost").isNull()
        reason = reason.when(too_short | (has("is_lost") & (has("tenure") < 1)), "invalid_tenure")
    if "currency" in config.columns:
        same = F.col(f"{MAPPED}currency").cast("string").eqNullSafe(F.lit(currency))
        reason = reason.when(~same, "foreign_currency")
    return first_rule(reason, config)


def _refuse_overlaps(rows: DataFrame, segments: tuple[str, ...]) -> DataFrame:
    """Adds the reasons that only show among the rows of one contract."""
    # Refused rows must neither refuse others nor, without ids, all be one group.
    rows = rows.withColumn(APART, F.when(F.col("reason").isNotNull(), F.col(_ORDER)))
    start = F.coalesce("start_date", F.lit("0001-01-01").cast("date"))
    end = F.coalesce("end_date", F.lit(_NEVER).cast("date"))
    facts = ("tenure", "is_lost", "period", "amount_cents", "margin_cents", *segments)
    order = (start, end, *(F.col(name) for name in facts), F.col(_ORDER))
    beside = Window.partitionBy(*CONTRACT, APART).orderBy(*order)
    before = F.max(end).over(beside.rowsBetween(Window.unboundedPreceding, -1))
    content = F.struct(start, end, *facts)
    is_copy = F.lag(content).over(beside).eqNullSafe(content)
    # Of rows that hold on no day, as they end where they begin, there can be but one as well.
    same_span = (F.lag(start).over(beside) == start) & (F.lag(end).over(beside) == end)
    found = F.when(is_copy, "duplicate").when((start < before) | same_span, "overlap")
    return rows.withColumn("reason", F.coalesce("reason", found))
