"""Part of job score-customers: customer_products and tiers -> segment_products and offers."""

from __future__ import annotations

from contextlib import ExitStack

from pyspark.sql import DataFrame

from clv_spark.pipelines.run_context import Run, cached
from clv_spark.schemas import CUSTOMER_PRODUCTS
from clv_spark.transforms.offers import offers, segment_products


def offer_products(
    run: Run, ranked: DataFrame, kept: ExitStack
) -> tuple[DataFrame | None, DataFrame | None]:
    """Find what the best tiers buy that others don't, and the category to offer each customer.

    Args:
        run: The run; its date's slice of customer_products is read.
        ranked: Customers with their tiers.
        kept: Holds what is kept on disks until everything is written.

    Returns:
        Rows of segment_products, and the offers by customer; None without products.
    """
    config = run.config.products
    if not config.enabled:
        return None, None
    products = run.lake.read(CUSTOMER_PRODUCTS, run.date)
    buyers = ranked.where("relationship = 'purchases'")
    buyers = buyers.select("customer_id", "segment", "clv_tier")
    found = kept.enter_context(cached(segment_products(products, buyers, run.date, config)))
    return found, offers(products, found, buyers, run.date, config)
