"""Section products: what customers buy by category, and what to offer them."""

from __future__ import annotations

from pydantic import Field

from clv_spark.config.section import Section


class ProductsConfig(Section):
    """How the purchases of a category are understood."""

    enabled: bool = False
    min_purchase_days: int = Field(default=2, ge=1)
    mean_weight: float = Field(default=2.0, ge=0)
