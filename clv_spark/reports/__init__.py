"""What a person sees on the terminal: results of the demo, and how check-source read the source."""

from clv_spark.reports.demo import contracts_report, demo_report, source_report

__all__ = ["contracts_report", "demo_report", "source_report"]
