"""Part of job build-features: product_days -> customer_products."""

from __future__ import annotations

from dataclasses import replace

from pyspark.sql import DataFrame

from clv_spark.lake import Commit
from clv_spark.pipelines.product_days import check_categories
from clv_spark.pipelines.run_context import Run, cached, reached, shape_of
from clv_spark.pipelines.snapshot import unchanged_snapshot
from clv_spark.schemas import CUSTOMER_DAYS, CUSTOMER_FEATURES, CUSTOMER_PRODUCTS, PRODUCT_DAYS
from clv_spark.transforms.products import (
    customer_products,
    fold_products,
    pieces_of_customer_products,
    pieces_of_product_days,
)
from clv_spark.transforms.segments import segment_name


def products_stage(run: Run) -> Commit:
    """Read a snapshot and the days after it, or all days -> fold -> publish the slice."""
    features = run.upstream(CUSTOMER_FEATURES, "build-features", run.date)
    days = run.lake.read(PRODUCT_DAYS)
    read = run.upstream(CUSTOMER_DAYS, "build-customer-days")
    return run.stage(
        CUSTOMER_PRODUCTS,
        [features.fingerprint],
        lambda commit: _write(run, days, read, commit),
        source_version=features.source_version,
        slice_date=run.date,
    )


def _write(run: Run, days: DataFrame, read: Commit, commit: Commit) -> Commit:
    features = run.lake.read(CUSTOMER_FEATURES, run.date)
    segment = segment_name(run.config.segments).alias("segment")
    customers = features.select("customer_id", segment)
    snapshot = unchanged_snapshot(run, commit, CUSTOMER_PRODUCTS)
    pieces = pieces_of_product_days(days, run.date, after=snapshot)
    if snapshot is not None:
        earlier = run.lake.read(CUSTOMER_PRODUCTS, snapshot)
        pieces = pieces_of_customer_products(earlier).unionByName(pieces)
    # The means of the segments need all of it before the first row can be written.
    with cached(fold_products(pieces)) as folded:
        check_categories(folded)
        reached("customer_products:read")
        how = "all days folded" if snapshot is None else f"days after {snapshot} folded"
        figures = {"message": how, "days_version": read.table_version}
        rows = customer_products(folded, customers, run.date, run.config.products)
        spec = CUSTOMER_PRODUCTS.of(shape_of(folded, ()))
        return run.lake.replace(spec, rows, replace(commit, figures=figures), run.date)
