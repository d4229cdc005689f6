"""customer_products and tiers -> segment_products, and what to offer each customer."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from clv_spark.config import ProductsConfig
from clv_spark.schemas import SEGMENT_PRODUCTS
from clv_spark.transforms.money import cents, money
from clv_spark.transforms.segments import GLOBAL, UNKNOWN

_MEMBERS = ("best_customers", "other_customers")
_BUYERS = ("best_buyers", "other_buyers", "gross", "best_gross")


def segment_products(
    products: DataFrame, ranked: DataFrame, as_of: dt.date, config: ProductsConfig
) -> DataFrame:
    """What the best tiers of each segment, and of all, buy that others don't.

    Args:
        products: a slice of ``customer_products``.
        ranked: customer_id, segment and clv_tier, one row per customer who buys; those without
            a tier count among the others.
        as_of: the date of both.
        config: which tiers are the best.

    Returns:
        Rows of ``segment_products``: for each segment and for 'global' every category that
        somebody in it bought.
    """
    is_best = F.coalesce(F.col("clv_tier").isin(list(config.best_tiers)), F.lit(False))
    members = ranked.select("customer_id", "segment", is_best.cast("bigint").alias("best"))
    best, gross = F.col("best"), cents(F.col("gross_amount"))
    bought = products.select("customer_id", "category", gross.alias("gross")).join(
        members, on="customer_id"
    )
    counted = members.select("segment", best.alias(_MEMBERS[0]), (1 - best).alias(_MEMBERS[1]))
    buyers = bought.select(
        "segment",
        "category",
        best.alias("best_buyers"),
        (1 - best).alias("other_buyers"),
        "gross",
        (best * F.col("gross")).alias("best_gross"),
    )
    rows = _sums(buyers, ("segment", "category"), _BUYERS).join(
        _sums(counted, ("segment",), _MEMBERS), on="segment"
    )
    # Counts are whole numbers below 2^53: shares and lift are rounded once each.
    shares = {
        f"{who}_share": F.try_divide(
            F.col(f"{who}_buyers").cast("double"), F.col(f"{who}_customers").cast("double")
        )
        for who in ("best", "other")
    }
    rows = rows.withColumns(shares).withColumns(
        {
            "as_of_date": F.lit(as_of),
            "lift": F.try_divide(F.col("best_share"), F.col("other_share")),
            "gross_amount": money(F.col("gross"), 28),
            "best_gross_amount": money(F.col("best_gross"), 28),
        }
    )
    return rows.select(*SEGMENT_PRODUCTS.column_names)


def _sums(rows: DataFrame, keys: tuple[str, ...], names: Iterable[str]) -> DataFrame:
    """Sums by segment, and of the segments for 'global'."""
    sums = [F.sum(name).alias(name) for name in names]
    both = F.explode(F.array_distinct(F.array(F.col("segment"), F.lit(GLOBAL)))).alias("segment")
    by_segment = rows.groupBy(*keys).agg(*sums)
    return (
        by_segment.select(both, *(n for n in by_segment.columns if n != "segment"))
        .groupBy(*keys)
        .agg(*sums)
    )


def offers(
    products: DataFrame,
    segments: DataFrame,
    ranked: DataFrame,
    as_of: dt.date,
    config: ProductsConfig,
) -> DataFrame:
    """The category to remind each customer of, and the one to offer for the first time.

    Args:
        products: a slice of ``customer_products``.
        segments: the same slice of ``segment_products``.
        ranked: customer_id and segment, one row per customer.
        as_of: the date of all of them.
        config: what is worth an offer.

    Returns:
        One row per ranked customer. ``replenish_category``: of the categories whose next purchase
        is expected at most ``replenish_days`` before or after ``as_of``, the one that is nearest to
        it, ties by the largest gross_amount, then by name; ``replenish_date``: that next purchase.
        ``cross_sell_category``: of the categories that the best tiers of the segment buy more
        often than others, the first the customer has not bought: by lift, ties by name; where the
        segment has too few buyers for any such category, those of all customers. NULL where there
        is nothing to offer. '(unknown)' is never offered.
    """
    named = products.where(F.col("category") != UNKNOWN)
    days = F.datediff("next_date", F.lit(as_of))
    due = named.where(days.between(-config.replenish_days, config.replenish_days))
    # By money alone a category due in a month would hide one that is due tomorrow.
    first = F.struct(F.abs(days), -cents(F.col("gross_amount")), "category", "next_date")
    reminded = due.groupBy("customer_id").agg(F.min(first).alias("first"))
    bought = named.groupBy("customer_id").agg(F.collect_set("category").alias("bought"))
    wanted = _wanted(segments, config)
    of_all = wanted.where(F.col("segment") == GLOBAL).select(F.col("wanted").alias("of_all"))
    nothing = F.array().cast("array<string>")
    new = F.array_except(
        F.coalesce("wanted", "of_all", nothing), F.coalesce(F.col("bought"), nothing)
    )
    return (
        ranked.select("customer_id", "segment")
        .join(F.broadcast(wanted), on="segment", how="left")
        .join(F.broadcast(of_all), on=F.lit(True), how="left")
        .join(bought, on="customer_id", how="left")
        .join(reminded, on="customer_id", how="left")
        .select(
            "customer_id",
            F.col("first.category").alias("replenish_category"),
            F.col("first.next_date").alias("replenish_date"),
            F.get(new, F.lit(0)).alias("cross_sell_category"),
        )
    )


def _wanted(segments: DataFrame, config: ProductsConfig) -> DataFrame:
    """By segment the categories that are worth an offer, the one with the highest lift first."""
    # Without a buyer among the others there is no lift, and nothing sets the best more apart.
    lift = F.when(F.col("other_buyers") == 0, F.lit(float("inf"))).otherwise(F.col("lift"))
    worth = segments.where(
        (F.col("category") != UNKNOWN)
        & (F.col("other_customers") > 0)
        & (F.col("best_buyers") >= config.min_buyers)
        & (F.col("best_share") >= config.min_share)
        & (lift >= config.min_lift)
    )
    ordered = F.sort_array(F.collect_list(F.struct((-lift).alias("order"), "category")))
    # A field of an array of structs is the array of that field.
    return worth.groupBy("segment").agg(ordered["category"].alias("wanted"))
