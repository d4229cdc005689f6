"""Section export: which columns and rows of clv_scores_latest go to files, and where."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator

from clv_spark.config.section import Section

_ORDER = re.compile(r"(\S+)(?:\s+(asc|desc))?", re.IGNORECASE)


class ExportConfig(Section):
    """What the job export writes for a CRM."""

    path: str | None = None
    format: Literal["csv", "parquet", "jsonl"] = "csv"
    columns: tuple[str, ...] | None = None
    where: str | None = None
    order_by: tuple[str, ...] | None = None
    files: int = Field(default=1, ge=1, le=10_000)
    allow_empty: bool = False

    @field_validator("columns")
    @classmethod
    def _some_and_distinct(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if names is not None and (not names or len(set(names)) < len(names)):
            raise ValueError(
                f"export.columns holds {list(names)}; name each column once, or null for all"
            )
        return names

    @field_validator("order_by")
    @classmethod
    def _columns_with_direction(cls, parts: tuple[str, ...] | None) -> tuple[str, ...] | None:
        wrong = [part for part in parts or () if not _ORDER.fullmatch(part.strip())]
        if wrong:
            raise ValueError(f"export.order_by holds {wrong}; write a column such as 'clv desc'")
        return parts

    @property
    def order(self) -> list[tuple[str, bool]]:
        """The columns to order by, each with whether the largest comes first.

        Example:
            >>> ExportConfig(order_by=("clv desc", "customer_id")).order
            [('clv', True), ('customer_id', False)]
        """
        found = [_ORDER.fullmatch(part.strip()) for part in self.order_by or ()]
        return [(one[1], (one[2] or "").lower() == "desc") for one in found if one]
