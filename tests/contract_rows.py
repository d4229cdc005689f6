"""A few rows of contracts in a test, and what they are conformed to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyspark.sql import DataFrame

from clv_spark.config import ContractsSource
from clv_spark.lake import trusted_session
from clv_spark.schemas import Shape
from clv_spark.transforms.conform_contracts import conform_contracts

Values = Callable[..., DataFrame]
COLUMNS = {
    "customer_id": "customer",
    "contract_id": "contract",
    "start_date": "begin",
    "end_date": "finish",
    "period": "unit",
    "periodic_amount": "price",
}
NAMES = ("name", "customer", "contract", "begin", "finish", "unit", "price", "plan")
SHAPE = Shape("STRING", ("plan",))


def source(values: Values, rows: dict[str, tuple[str | None, ...]]) -> DataFrame:
    """Rows of text by name, missing ones as NULL."""
    texts = [
        ", ".join("CAST(NULL AS STRING)" if v is None else f"'{v}'" for v in (name, *parts))
        for name, parts in rows.items()
    ]
    return values(", ".join(NAMES), *(f"({text})" for text in texts))


def conformed(lines: DataFrame, **more: Any) -> DataFrame:
    columns = {**COLUMNS, "plan": "plan", **more.pop("columns", {})}
    config = ContractsSource.model_validate({"path": "-", "columns": columns, **more})
    with trusted_session(lines.sparkSession):
        return conform_contracts(lines, config, currency="EUR", segments=("plan",))
