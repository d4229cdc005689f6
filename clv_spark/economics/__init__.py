"""Money and time as plain functions of numbers and arrays: discounting, margin, value."""

from clv_spark.economics.discounting import rate_per_unit
from clv_spark.economics.interval import (
    ValueDistribution,
    predictive_cdf,
    predictive_interval,
    value_distribution,
)
from clv_spark.economics.staying import living_share
from clv_spark.economics.total import (
    TotalDraws,
    TotalInterval,
    total_draws,
    total_interval,
    value_patterns,
)
from clv_spark.economics.value import CustomerValue, customer_value, past_margin, shrunk_rate

__all__ = [
    "CustomerValue",
    "TotalDraws",
    "TotalInterval",
    "ValueDistribution",
    "customer_value",
    "living_share",
    "past_margin",
    "predictive_cdf",
    "predictive_interval",
    "rate_per_unit",
    "shrunk_rate",
    "total_draws",
    "total_interval",
    "value_distribution",
    "value_patterns",
]
