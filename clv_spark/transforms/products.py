"""Conformed lines -> product_days; days, or a snapshot and the days after -> customer_products."""

from __future__ import annotations

import datetime as dt

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from clv_spark.config import ProductsConfig
from clv_spark.schemas import CUSTOMER_PRODUCTS
from clv_spark.transforms.money import cents, money


def sum_products(lines: DataFrame) -> DataFrame:
    """Sum the sale lines of each customer, local day and category, exactly.

    Args:
        lines: conformed lines with a category.

    Returns:
        customer_id, event_date, category and ``gross`` in cents.
    """
    sold = lines.where(F.col("reason").isNull() & ~F.col("is_refund"))
    keys = ("customer_id", "event_date", "category")
    return sold.groupBy(*keys).agg(F.sum("amount_cents").alias("gross"))


def product_days(summed: DataFrame) -> DataFrame:
    """Summed sale lines as rows of ``product_days``."""
    return summed.select(
        F.trunc("event_date", "MM").alias("event_month"),
        "event_date",
        "customer_id",
        "category",
        money(F.col("gross"), 18).alias("gross_amount"),
    )


def pieces_of_product_days(
    days: DataFrame, as_of: dt.date, after: dt.date | None = None
) -> DataFrame:
    """Each row of ``product_days`` as what that day alone says, ready to be folded.

    Args:
        days: rows of ``product_days``.
        as_of: last day that counts.
        after: only later days; all by default.
    """
    wanted = days.where(F.col("event_date") <= F.lit(as_of))
    if after is not None:
        wanted = wanted.where(F.col("event_date") > F.lit(after))
    return wanted.select(
        "customer_id",
        "category",
        F.lit(1).cast("bigint").alias("purchase_days"),
        F.col("event_date").alias("first_day"),
        F.col("event_date").alias("last_day"),
        cents(F.col("gross_amount")).alias("gross"),
    )


def pieces_of_customer_products(products: DataFrame) -> DataFrame:
    """What earlier days come to, from one slice of ``customer_products``."""
    names = ("customer_id", "category", "purchase_days", "first_day", "last_day")
    return products.select(*names, cents(F.col("gross_amount")).alias("gross"))


def fold_products(pieces: DataFrame) -> DataFrame:
    """Put the pieces of each customer and category together, in any order."""
    return pieces.groupBy("customer_id", "category").agg(
        F.sum("purchase_days").alias("purchase_days"),
        F.min("first_day").alias("first_day"),
        F.max("last_day").alias("last_day"),
        F.sum("gross").alias("gross"),
    )


def customer_products(
    folded: DataFrame, customers: DataFrame, as_of: dt.date, config: ProductsConfig
) -> DataFrame:
    """Folded purchases as rows of ``customer_products``.

    The interval between two purchases of a category is the customer's own, (last - first) /
    (purchase days - 1), put together with ``mean_weight`` intervals of the mean of all customers of
    the segment who bought the category twice.

    Args:
        folded: of each customer and category; it is read twice.
        customers: customer_id and segment.
        as_of: last day that counts.
        config: when a customer has bought a category often enough.
    """
    own_days = F.datediff("last_day", "first_day").cast("bigint")
    located = folded.join(customers.select("customer_id", "segment"), on="customer_id", how="left")
    located = located.withColumns({"own": F.col("purchase_days") - 1, "own_days": own_days})
    sums = located.groupBy("segment", "category").agg(
        F.sum("own").alias("all"), F.sum("own_days").alias("all_days")
    )
    mean = (F.col("all_days").cast("double") / F.col("all")).alias("mean")
    means = sums.where(F.col("all") > 0).select("segment", "category", mean)
    weight = F.lit(config.mean_weight)
    # With weight 0 only own intervals count, and one purchase has none.
    interval = F.try_divide(
        F.col("own_days") + weight * F.col("mean"), F.col("own").cast("double") + weight
    )
    known = F.col("purchase_days") >= config.min_purchase_days
    joined = located.join(means, on=["segment", "category"], how="left")
    return (
        joined.withColumn("interval_days", F.when(known, interval))
        .select(
            F.lit(as_of).alias("as_of_date"),
            "customer_id",
            "category",
            "purchase_days",
            "first_day",
            "last_day",
            money(F.col("gross"), 28).alias("gross_amount"),
            "interval_days",
            F.date_add("last_day", F.round("interval_days").cast("int")).alias("next_date"),
        )
        .select(*CUSTOMER_PRODUCTS.column_names)
    )
