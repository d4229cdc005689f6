"""The sources beside the transactions, looked at before job run writes anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from pyspark.sql import DataFrame

from clv_spark.config import Config, SourceSection
from clv_spark.errors import InputError
from clv_spark.lake import open_source
from clv_spark.pipelines.line_totals import no_line, reading
from clv_spark.pipelines.run_context import Run
from clv_spark.transforms.acquisition import conform_spend
from clv_spark.transforms.conform_contracts import conform_contracts
from clv_spark.transforms.conform_costs import conform_acquisition, conform_events

Conform = Callable[[DataFrame], DataFrame]


def require_inputs(run: Run) -> None:
    """Open the sources that later stages read, try their columns, and read a row of each.

    What the first stages write would be there already when a later one finds its source missing.

    Raises:
        InputError: a source is missing, unreadable or empty, or lacks a column.
    """
    for section, conform in _later_sources(run.config):
        rows = open_source(run.spark, section).rows
        # Spark looks at the columns now, and at no row.
        conform(rows)
        with reading(section, "first row"):
            is_empty = rows.isEmpty()
        if is_empty:
            raise InputError(no_line(section))


def _later_sources(config: Config) -> Iterator[tuple[SourceSection, Conform]]:
    """Those of contracts and costs; the transactions are read first, with their margins."""
    contracts, service, won = (
        config.source.contracts,
        config.costs.service,
        config.costs.acquisition,
    )
    if contracts is not None:
        yield (
            contracts,
            partial(
                conform_contracts,
                config=contracts,
                currency=config.currency,
                segments=config.contract_segments,
            ),
        )
    if service.events is not None:
        yield service.events, partial(conform_events, config=service.events, service=service)
    if won.customers is not None:
        yield won.customers, partial(conform_acquisition, config=won.customers)
    if won.spend is not None:
        yield won.spend, partial(conform_spend, config=won.spend)
