"""The section ``reports``: tables that cost a pass over the days and can be left out."""

from __future__ import annotations

from typing import Literal

from clv_spark.config.section import Section


class ReportsConfig(Section):
    """Which of these tables are written, and when."""

    cohorts: Literal["daily", "monthly", "never"] = "monthly"
    forecast: bool = True
