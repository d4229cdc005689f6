"""One TableSpec per table of the lake; docs/tables.md is generated from them."""

from clv_spark.schemas.contract_scores import CONTRACT_SCORES
from clv_spark.schemas.contracts import CONTRACT_FEATURES, CONTRACTS, REJECTED_CONTRACTS
from clv_spark.schemas.forecast import REVENUE_FORECAST
from clv_spark.schemas.parameters import MODEL_PARAMETERS
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

TABLES: tuple[TableSpec, ...] = (
    SOURCE_FILES,
    LATE_CHANGES,
    CUSTOMER_DAYS,
    REJECTED_TRANSACTIONS,
    CUSTOMER_FEATURES,
    REFUND_ONLY_CUSTOMERS,
    CONTRACTS,
    REJECTED_CONTRACTS,
    CONTRACT_FEATURES,
    MODEL_PARAMETERS,
    CLV_SCORES,
    CONTRACT_SCORES,
    SEGMENT_SUMMARY,
    REVENUE_FORECAST,
    SUBSCRIPTION_METRICS,
    SUBSCRIPTION_FORECAST,
    CLV_SCORES_LATEST,
    PIPELINE_RUNS,
)

__all__ = [
    "CLV_SCORES",
    "CLV_SCORES_LATEST",
    "CONTRACTS",
    "CONTRACT_FEATURES",
    "CONTRACT_SCORES",
    "CUSTOMER_DAYS",
    "CUSTOMER_FEATURES",
    "LATE_CHANGES",
    "MODEL_PARAMETERS",
    "PIPELINE_RUNS",
    "REFUND_ONLY_CUSTOMERS",
    "REJECTED_CONTRACTS",
    "REJECTED_TRANSACTIONS",
    "REVENUE_FORECAST",
    "SEGMENT_SUMMARY",
    "SOURCE_FILES",
    "SUBSCRIPTION_FORECAST",
    "SUBSCRIPTION_METRICS",
    "TABLES",
    "Column",
    "Shape",
    "TableSpec",
]
