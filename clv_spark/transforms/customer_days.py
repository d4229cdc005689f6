"""Conformed lines -> one row per customer and day; the only shuffle of raw lines is here."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from clv_spark.transforms.mapping import text_of
from clv_spark.transforms.money import money
from clv_spark.transforms.segments import Codes, code_of, decode, encode


def sum_lines(
    lines: DataFrame, codes: Mapping[str, Codes], *, by_transaction: bool, with_margin: bool
) -> DataFrame:
    """Sum the lines of each customer and local day, exactly, and the refused ones by reason.

    Args:
        lines: conformed lines.
        codes: of each segment key. A customer with several values on one day gets the smallest.
        by_transaction: count distinct transaction_id; otherwise each sale line is a transaction.
        with_margin: whether the source maps a margin.

    Returns:
        One row per customer_id and event_date with sums in cents, and one per reason without them,
        whose ``gross`` is what the refused lines come to.
    """
    used, sale = F.col("reason").isNull(), ~F.col("is_refund")
    amount = F.col("amount_cents")
    keys = ["reason", "customer_id", "event_date", *(["transaction_id"] if by_transaction else [])]
    numbers = {
        "sales": (used & sale).cast("bigint"),
        "line_count": F.lit(1).cast("bigint"),
        "gross": F.when(~used | sale, amount).otherwise(0),
        "refund": F.when(~used | sale, 0).otherwise(-amount),
    }
    if with_margin:
        numbers["margin"] = F.when(used, F.col("margin_cents"))
    texts = {key: text_of(key) for key in codes}
    rows = lines.select(
        "reason",
        *(F.when(used, F.col(key)).alias(key) for key in keys[1:]),
        *(column.alias(name) for name, column in numbers.items()),
        *(F.when(used, F.col(text)).alias(text) for text in texts.values()),
    )
    for key, text in texts.items():
        rows = encode(rows, text, codes[key], code_of(key))
    sums = [F.sum(name).alias(name) for name in numbers if name != "sales"]
    sums += [F.min(code_of(key)).alias(code_of(key)) for key in codes]
    if by_transaction:
        rows = rows.groupBy(*keys).agg(F.max("sales").alias("sales"), *sums)
    return rows.groupBy(*keys[:3]).agg(F.sum("sales").alias("sales"), *sums)


def customer_days(summed: DataFrame, codes: Mapping[str, Codes]) -> DataFrame:
    """Summed lines as rows of ``customer_days``."""
    has_margin = "margin" in summed.columns
    margin = money(F.col("margin"), 18) if has_margin else F.lit(None).cast("decimal(18,2)")
    return summed.where(F.col("reason").isNull()).select(
        F.trunc("event_date", "MM").alias("event_month"),
        "event_date",
        "customer_id",
        *(decode(code_of(key), one).alias(key) for key, one in codes.items()),
        F.col("sales").alias("transactions"),
        "line_count",
        money(F.col("gross"), 18).alias("gross_amount"),
        money(F.col("refund"), 18).alias("refund_amount"),
        margin.alias("margin_amount"),
    )


def rejected_transactions(lines: DataFrame) -> DataFrame:
    """The refused lines, each with its reason and its content as JSON."""
    return lines.where(F.col("reason").isNotNull()).select(
        "reason", "event_date", money(F.col("amount_cents"), 18).alias("amount"), "line"
    )


def totals_by_text(lines: DataFrame, segments: tuple[str, ...]) -> DataFrame:
    """Lines and cents by the texts of the segment keys: a narrow scan, and a handful of rows."""
    return lines.groupBy(*(text_of(key) for key in segments)).agg(
        F.count(F.lit(1)).alias("line_count"), F.sum("amount_cents").alias("cents")
    )


def totals_by_reason(lines: DataFrame) -> DataFrame:
    """Lines, cents and dates by reason (NULL = used): a handful of rows."""
    return lines.groupBy("reason").agg(
        F.count(F.lit(1)).alias("line_count"),
        F.sum("amount_cents").alias("cents"),
        F.min("event_date").alias("first_date"),
        F.max("event_date").alias("last_date"),
    )


def totals_of_sums(summed: DataFrame) -> DataFrame:
    """The same from summed lines, with the first purchase; refused ones have no dates."""
    sold = F.when(F.col("sales") > 0, F.col("event_date"))
    return summed.groupBy("reason").agg(
        F.sum("line_count").alias("line_count"),
        F.sum(F.col("gross") - F.col("refund")).alias("cents"),
        F.min("event_date").alias("first_date"),
        F.max("event_date").alias("last_date"),
        F.min(sold).alias("first_purchase_date"),
    )
