"""Part of job build-customer-days: the sale lines by category -> product_days."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from clv_spark.errors import InputError
from clv_spark.lake import Commit
from clv_spark.pipelines.line_totals import reconcile
from clv_spark.pipelines.reading import Reading
from clv_spark.pipelines.run_context import Run, cached, shape_of
from clv_spark.schemas import PRODUCT_DAYS
from clv_spark.transforms.products import product_days, sum_products

# Beyond this a category is a mistake, such as an article number.
MOST_CATEGORIES = 10_000


@contextmanager
def summed_products(run: Run, lines: DataFrame) -> Iterator[DataFrame | None]:
    """The sums of the sale lines by category, kept while in use; None when they are not wanted."""
    if not run.config.products.enabled:
        yield None
        return
    with cached(sum_products(lines)) as kept:
        yield kept


def check_products(run: Run, products: DataFrame, summed: DataFrame) -> None:
    """Hold the categories against the lines of the same days, before anything is written.

    Args:
        run: the run.
        products: the sums by category.
        summed: the same lines by customer and day.

    Raises:
        GateError: the sales of the categories do not add up to those of the days.
        InputError: there are too many categories.
    """
    sales = summed.where(F.col("reason").isNull()).agg(F.sum("gross")).first()
    found = products.agg(F.sum("gross")).first()
    counted, held = (int(row[0] or 0) if row else 0 for row in (sales, found))
    reconcile({"cents": counted}, {"cents": held}, PRODUCT_DAYS.name)
    check_categories(products)
    run.lake.ensure(PRODUCT_DAYS.of(shape_of(products, ())))


def check_categories(rows: DataFrame) -> None:
    """Stop when a category is not what a category is.

    Raises:
        InputError: there are more than ``MOST_CATEGORIES``.
    """
    found = rows.select("category").distinct().limit(MOST_CATEGORIES + 1).count()
    if found > MOST_CATEGORIES:
        raise InputError(
            f"source.transactions.columns.category gives more than {MOST_CATEGORIES} distinct "
            "values; map it to something coarser, such as a department or a product group, not to "
            "an article number"
        )


def write_products(run: Run, products: DataFrame, reading: Reading, commit: Commit) -> Commit:
    """Replace the days of the reading in ``product_days``."""
    rows = product_days(products)
    order = ("event_month", "event_date", "customer_id", "category")
    by_date = rows.repartitionByRange(*order[:3]).sortWithinPartitions(*order)
    spec = PRODUCT_DAYS.of(shape_of(products, ()))
    return run.lake.replace(spec, by_date, commit, where=reading.condition(months=True))
