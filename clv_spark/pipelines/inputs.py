"""The sources beside the transactions, looked at before job run writes anything."""

from __future__ import annotations

from clv_spark.config import Config, SourceSection
from clv_spark.errors import InputError
from clv_spark.lake import open_source
from clv_spark.pipelines.line_totals import no_line, reading
from clv_spark.pipelines.run_context import Run


def require_inputs(run: Run) -> None:
    """Open the sources that later stages read, and a row of each.

    What the first stages write would be there already when a later one finds its source missing.

    Raises:
        InputError: a source is missing, unreadable or empty.
    """
    for section in _later_sources(run.config):
        rows = open_source(run.spark, section).rows
        with reading(section, "first row"):
            is_empty = rows.isEmpty()
        if is_empty:
            raise InputError(no_line(section))


def _later_sources(config: Config) -> list[SourceSection]:
    """Those of contracts and costs; the transactions are read first, with their margins."""
    costs = config.costs
    found = (
        config.source.contracts,
        costs.service.events,
        costs.acquisition.customers,
        costs.acquisition.spend,
    )
    return [section for section in found if section is not None]
