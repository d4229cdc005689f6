"""Part of job score-customers: scored customers and costs -> value by its definition."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from clv_spark.kernels.event_rates import event_rates
from clv_spark.lake import Source
from clv_spark.pipelines.acquisition import with_acquisition_cost
from clv_spark.pipelines.build_costs import has_costs
from clv_spark.pipelines.run_context import Run
from clv_spark.schemas import CUSTOMER_COSTS
from clv_spark.transforms.service import (
    EVENT_COSTS,
    RATE_TYPES,
    event_sums,
    with_exposure,
    with_service_costs,
)
from clv_spark.transforms.value import with_value


def value_customers(run: Run, scored: DataFrame, spend: Source | None) -> DataFrame:
    """Take what serving costs into account, and say what winning cost.

    Args:
        run: The run; its date's slice of customer_costs is read where costs are configured.
        scored: What the kernels say of the customers of both relationships.
        spend: The source of acquisition spend, where there is one.
    """
    config, service = run.config, run.config.costs.service
    keys = max(len(config.segments), len(config.contract_segments))
    if has_costs(config):
        costs = run.lake.read(CUSTOMER_COSTS, run.date)
        wanted = [F.col("customer_id"), F.col("relationship"), *map(F.col, EVENT_COSTS)]
        if config.costs.acquisition.customers is not None:
            wanted.append(F.col("acquisition_cost").cast("double").alias("acquisition_cost"))
        costs = costs.select(*wanted)
        scored = scored.join(costs, ["customer_id", "relationship"], "left")
    exposed = with_exposure(scored, service.early_days)
    costed = with_service_costs(exposed, service, _rates(run, exposed), keys)
    return with_acquisition_cost(run, with_value(costed, config.value), spend)


def _rates(run: Run, exposed: DataFrame) -> DataFrame | None:
    """What service events cost by segment; None where no events are read."""
    if run.config.costs.service.events is None:
        return None
    sums = [row.asDict() for row in event_sums(exposed).collect()]
    return run.spark.createDataFrame(event_rates(sums, run.config.fit.min_customers), RATE_TYPES)
