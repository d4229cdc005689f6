"""One page per job, read -> transform -> write: the place where the story is told.

Each job is a function: ``pipelines.run(spark, config, as_of)`` and so on.
"""

from clv_spark.pipelines.build_contracts import build_contracts
from clv_spark.pipelines.build_costs import build_costs
from clv_spark.pipelines.build_customer_days import build_customer_days
from clv_spark.pipelines.build_features import build_features
from clv_spark.pipelines.check_source import check_source
from clv_spark.pipelines.export_scores import export
from clv_spark.pipelines.fit_models import fit_models
from clv_spark.pipelines.generate import generate, generate_contracts
from clv_spark.pipelines.maintain import maintain
from clv_spark.pipelines.run import backfill, run
from clv_spark.pipelines.score_customers import score_customers

__all__ = [
    "backfill",
    "build_contracts",
    "build_costs",
    "build_customer_days",
    "build_features",
    "check_source",
    "export",
    "fit_models",
    "generate",
    "generate_contracts",
    "maintain",
    "run",
    "score_customers",
]
