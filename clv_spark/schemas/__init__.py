"""One TableSpec per table of the lake; docs/tables.md is generated from them."""

from clv_spark.schemas.gold import CLV_SCORES, CLV_SCORES_LATEST, SEGMENT_SUMMARY
from clv_spark.schemas.parameters import MODEL_PARAMETERS
from clv_spark.schemas.runs import PIPELINE_RUNS
from clv_spark.schemas.silver import CUSTOMER_DAYS, CUSTOMER_FEATURES, REJECTED_TRANSACTIONS
from clv_spark.schemas.spec import Column, Shape, TableSpec

TABLES: tuple[TableSpec, ...] = (
    CUSTOMER_DAYS,
    REJECTED_TRANSACTIONS,
    CUSTOMER_FEATURES,
    MODEL_PARAMETERS,
    CLV_SCORES,
    SEGMENT_SUMMARY,
    CLV_SCORES_LATEST,
    PIPELINE_RUNS,
)

__all__ = [
    "CLV_SCORES",
    "CLV_SCORES_LATEST",
    "CUSTOMER_DAYS",
    "CUSTOMER_FEATURES",
    "MODEL_PARAMETERS",
    "PIPELINE_RUNS",
    "REJECTED_TRANSACTIONS",
    "SEGMENT_SUMMARY",
    "TABLES",
    "Column",
    "Shape",
    "TableSpec",
]
