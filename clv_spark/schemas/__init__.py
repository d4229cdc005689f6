"""One TableSpec per table of the lake; docs/tables.md is generated from them."""

from clv_spark.schemas.cohorts import COHORT_HISTORY, COHORT_SUMMARY
from clv_spark.schemas.contract_scores import CONTRACT_SCORES
from clv_spark.schemas.contracts import CONTRACT_FEATURES, CONTRACTS, REJECTED_CONTRACTS
from clv_spark.schemas.costs import CUSTOMER_COSTS, REJECTED_COSTS
from clv_spark.schemas.forecast import REVENUE_FORECAST, REVENUE_HISTORY
from clv_spark.schemas.judgement import ACTION_COLUMNS
from clv_spark.schemas.migration import TIER_MIGRATION
from clv_spark.schemas.parameters import MODEL_PARAMETERS
from clv_spark.schemas.products import CUSTOMER_PRODUCTS, PRODUCT_DAYS, SEGMENT_PRODUCTS
from clv_spark.schemas.runs import PIPELINE_RUNS
from clv_spark.schemas.scores import CLV_SCORES, CLV_SCORES_LATEST
from clv_spark.schemas.silver import (
    CUSTOMER_DAYS,
    CUSTOMER_FEATURES,
    REFUND_ONLY_CUSTOMERS,
    REJECTED_TRANSACTIONS,
)
from clv_spark.schemas.sources import LATE_CHANGES, SOURCE_FILES
from clv_spark.schemas.spec import Column, Shape, TableSpec
from clv_spark.schemas.subscriptions import SUBSCRIPTION_FORECAST, SUBSCRIPTION_METRICS
from clv_spark.schemas.summary import SEGMENT_SUMMARY
from clv_spark.schemas.what_if import WHAT_IF

TABLES: tuple[TableSpec, ...] = (
    SOURCE_FILES,
    LATE_CHANGES,
    CUSTOMER_DAYS,
    REJECTED_TRANSACTIONS,
    PRODUCT_DAYS,
    CUSTOMER_FEATURES,
    REFUND_ONLY_CUSTOMERS,
    CUSTOMER_PRODUCTS,
    CONTRACTS,
    REJECTED_CONTRACTS,
    CONTRACT_FEATURES,
    CUSTOMER_COSTS,
    REJECTED_COSTS,
    MODEL_PARAMETERS,
    CLV_SCORES,
    CONTRACT_SCORES,
    TIER_MIGRATION,
    SEGMENT_SUMMARY,
    SEGMENT_PRODUCTS,
    REVENUE_HISTORY,
    REVENUE_FORECAST,
    COHORT_HISTORY,
    COHORT_SUMMARY,
    SUBSCRIPTION_METRICS,
    SUBSCRIPTION_FORECAST,
    WHAT_IF,
    CLV_SCORES_LATEST,
    PIPELINE_RUNS,
)

__all__ = [
    "ACTION_COLUMNS",
    "CLV_SCORES",
    "CLV_SCORES_LATEST",
    "COHORT_HISTORY",
    "COHORT_SUMMARY",
    "CONTRACTS",
    "CONTRACT_FEATURES",
    "CONTRACT_SCORES",
    "CUSTOMER_COSTS",
    "CUSTOMER_DAYS",
    "CUSTOMER_FEATURES",
    "CUSTOMER_PRODUCTS",
    "LATE_CHANGES",
    "MODEL_PARAMETERS",
    "PIPELINE_RUNS",
    "PRODUCT_DAYS",
    "REFUND_ONLY_CUSTOMERS",
    "REJECTED_CONTRACTS",
    "REJECTED_COSTS",
    "REJECTED_TRANSACTIONS",
    "REVENUE_FORECAST",
    "REVENUE_HISTORY",
    "SEGMENT_PRODUCTS",
    "SEGMENT_SUMMARY",
    "SOURCE_FILES",
    "SUBSCRIPTION_FORECAST",
    "SUBSCRIPTION_METRICS",
    "TABLES",
    "TIER_MIGRATION",
    "WHAT_IF",
    "Column",
    "Shape",
    "TableSpec",
]
