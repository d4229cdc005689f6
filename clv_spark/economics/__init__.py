"""Money and time as plain functions of numbers and arrays: discounting, margin, value."""

from clv_spark.economics.definition import DEFINITIONS, Definition, value_by_definition
from clv_spark.economics.discounting import rate_per_unit
from clv_spark.economics.interval import (
    ValueDistribution,
    predictive_cdf,
    predictive_interval,
    value_distribution,
)
from clv_spark.economics.service import ServiceRates, service_cost
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
    "DEFINITIONS",
    "CustomerValue",
    "Definition",
    "ServiceRates",
    "TotalDraws",
    "TotalInterval",
    "ValueDistribution",
    "customer_value",
    "living_share",
    "past_margin",
    "predictive_cdf",
    "predictive_interval",
    "rate_per_unit",
    "service_cost",
    "shrunk_rate",
    "total_draws",
    "total_interval",
    "value_by_definition",
    "value_distribution",
    "value_patterns",
]
