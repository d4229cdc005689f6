"""The section ``forecast``: how far revenue is forecast, and how many new customers come."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from clv_spark.config.section import Section

Rate = Annotated[float, Field(ge=0)]


class ForecastConfig(Section):
    """What revenue_forecast looks ahead and back."""

    months: int = Field(default=12, ge=1, le=120)
    recent_months: int = Field(default=12, ge=1, le=120)
    new_customers_per_month: Rate | dict[str, Rate] | None = None
    min_season_months: int = Field(default=24, ge=13)
