"""Tables of products: what customers buy on which day, in which category, and how often."""

from __future__ import annotations

from clv_spark.schemas.checks import all_of
from clv_spark.schemas.spec import ID, Column, TableSpec

_CATEGORY = Column("category", "STRING", "category, '(unknown)' where the source has none; text")

PRODUCT_DAYS = TableSpec(
    name="product_days",
    comment=(
        "One row per customer, local calendar day and category with a sale. A read replaces the "
        "same days as in customer_days, and the amounts of a day add up to its gross_amount."
    ),
    columns=(
        Column("event_month", "DATE", "first day of the month of event_date; date, the partition"),
        Column("event_date", "DATE", "local calendar day in the configured time zone; date"),
        Column("customer_id", ID, "customer as named by the source; identifier"),
        _CATEGORY,
        Column("gross_amount", "DECIMAL(18,2)", "sum of the sale lines; money in the currency"),
    ),
    key=("customer_id", "event_date", "category"),
    partition_by=("event_month",),
    checks={"month": "event_month = trunc(event_date, 'MM')"},
    version=1,
)

CUSTOMER_PRODUCTS = TableSpec(
    name="customer_products",
    comment=(
        "One row per as_of_date, customer and category with at least one purchase day up to that "
        "date: how much, how often, and when the next one is expected."
    ),
    columns=(
        Column("as_of_date", "DATE", "last day that counts; date, the partition"),
        Column("customer_id", ID, "customer as named by the source; identifier"),
        _CATEGORY,
        Column("purchase_days", "BIGINT", "days with a sale in the category; count"),
        Column("first_day", "DATE", "first of them; date"),
        Column("last_day", "DATE", "last of them; date"),
        Column("gross_amount", "DECIMAL(28,2)", "all sales in the category; money"),
        Column(
            "interval_days",
            "DOUBLE",
            "expected time from one purchase of the category to the next: the customer's own mean, "
            "drawn to that of the segment by products.mean_weight intervals, NULL below "
            "products.min_purchase_days or when nobody in the segment bought it twice; days",
            nullable=True,
        ),
        Column(
            "next_date",
            "DATE",
            "last_day plus interval_days, rounded; one that is long past means that the customer "
            "stopped buying the category; NULL with interval_days; date",
            nullable=True,
        ),
    ),
    key=("as_of_date", "customer_id", "category"),
    partition_by=("as_of_date",),
    slice_column="as_of_date",
    checks={
        "days": (
            "purchase_days >= 1 AND first_day <= last_day AND last_day <= as_of_date "
            "AND purchase_days <= datediff(last_day, first_day) + 1"
        ),
        "next": (
            "(interval_days IS NULL) = (next_date IS NULL) "
            "AND coalesce(interval_days, 1) >= 0 AND coalesce(next_date, last_day) >= last_day"
        ),
    },
    version=1,
)

_COUNTS = ("best_customers", "best_buyers", "other_customers", "other_buyers")

SEGMENT_PRODUCTS = TableSpec(
    name="segment_products",
    comment=(
        "One row per as_of_date, segment and category that somebody in it bought: what the "
        "customers of products.best_tiers buy that others don't."
    ),
    columns=(
        Column("as_of_date", "DATE", "last day that counts; date, the partition"),
        Column("segment", "STRING", "'global', or a segment as in clv_scores; text"),
        _CATEGORY,
        Column("best_customers", "BIGINT", "customers of the best tiers in the segment; count"),
        Column("best_buyers", "BIGINT", "those of them who bought the category; count"),
        Column("other_customers", "BIGINT", "all other customers of the segment; count"),
        Column("other_buyers", "BIGINT", "those of them who bought the category; count"),
        Column(
            "best_share",
            "DOUBLE",
            "best_buyers / best_customers, NULL without a customer of the best tiers; 0 to 1",
            nullable=True,
        ),
        Column(
            "other_share",
            "DOUBLE",
            "other_buyers / other_customers, NULL without another customer; 0 to 1",
            nullable=True,
        ),
        Column(
            "lift",
            "DOUBLE",
            "best_share / other_share, NULL when nobody among the others bought the category; "
            "ratio without unit",
            nullable=True,
        ),
        Column("gross_amount", "DECIMAL(28,2)", "all sales in the category; money"),
        Column("best_gross_amount", "DECIMAL(28,2)", "those to the best tiers; money"),
    ),
    key=("as_of_date", "segment", "category"),
    partition_by=("as_of_date",),
    slice_column="as_of_date",
    checks={
        "counts": all_of(
            *(f"{name} >= 0" for name in _COUNTS),
            "best_buyers <= best_customers",
            "other_buyers <= other_customers",
            "best_buyers + other_buyers >= 1",
        ),
        "shares": all_of(
            "(best_share IS NULL) = (best_customers = 0)",
            "(other_share IS NULL) = (other_customers = 0)",
            "(lift IS NULL) = (best_customers = 0 OR other_buyers = 0)",
        ),
    },
    version=1,
)
