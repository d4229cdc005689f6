"""Money and time as plain functions of numbers and arrays: discounting, margin, value."""

from clv_spark.economics.discounting import rate_per_unit
from clv_spark.economics.value import CustomerValue, customer_value, past_margin, shrunk_rate

__all__ = [
    "CustomerValue",
    "customer_value",
    "past_margin",
    "rate_per_unit",
    "shrunk_rate",
]
