"""The section ``reports``: tables that cost a scan of all days and can be left out."""

from __future__ import annotations

from clv_spark.config.section import Section


class ReportsConfig(Section):
    """Which of these tables are written."""

    cohorts: bool = True
    forecast: bool = True
