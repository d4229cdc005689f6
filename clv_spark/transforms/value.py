"""Scored customers and what they cost -> value by the configured definition."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from clv_spark.config import ValueConfig
from clv_spark.transforms.service import AHEAD


def with_value(costed: DataFrame, value: ValueConfig) -> DataFrame:
    """Turns what the kernel counted, revenue or margin, into value: net takes service costs off.

    The part of the costs that grows with purchases moves the bounds as the purchases do, the part
    that grows with time moves both by its expectation. Without horizon costs grow as the margin.

    Args:
        costed: what ``transforms.service`` gives.
        value: the definition.
    """
    margin = F.col("clv_margin")
    # Costs of customers without a value are in no sum of values.
    ahead = {name: F.when(margin.isNotNull(), F.col(name)) for name in AHEAD}
    of_purchases, of_time, *_ = ahead.values()
    costs = of_purchases + of_time
    so_far = F.col("historical_service_cost")
    history = F.col("historical_" + ("revenue" if value.definition == "revenue" else "margin"))
    columns = {
        **ahead,
        "clv_service_cost": costs,
        "historical_clv": history,
        "value_definition": F.lit(value.definition),
        # Above zero by as little as a cent's hundredth is rounding, not a loss.
        "loss_making": F.coalesce(margin - costs < -1e-4, F.lit(False)),
    }
    if value.definition == "net":
        scale = F.when(margin > 0, 1 - of_purchases / margin).otherwise(1.0)
        low, high = (F.col(name) * scale - of_time for name in ("clv_low", "clv_high"))
        grown = F.when(margin > 0, F.col("residual_clv") / margin).otherwise(1.0)
        columns |= {
            "clv": margin - costs,
            "clv_low": F.least(low, high),
            "clv_high": F.greatest(low, high),
            "residual_clv": F.col("residual_clv") - costs * grown,
            "historical_clv": history - so_far,
        }
    valued = costed.withColumns(columns)
    return valued.withColumn("total_clv", F.col("historical_clv") + F.col("clv"))
