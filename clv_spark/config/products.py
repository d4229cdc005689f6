"""Section products: what customers buy by category, and what to offer them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from clv_spark.config.section import Section


class ProductsConfig(Section):
    """How the purchases of a category are understood."""

    enabled: bool = False
    min_purchase_days: int = Field(default=2, ge=1)
    mean_weight: float = Field(default=2.0, ge=0)
    best_tiers: tuple[str, ...] = ("Platinum", "Gold", "Silver")
    replenish_days: int = Field(default=14, ge=0)
    min_lift: float = Field(default=1.2, ge=1)
    min_share: Annotated[float, Field(ge=0, le=1)] = 0.05
    min_buyers: int = Field(default=20, ge=1)
