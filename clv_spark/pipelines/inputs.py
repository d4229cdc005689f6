"""The sources beside the transactions, looked at before job run writes anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from pyspark.sql import DataFrame

from clv_spark.config import Config, SourceSection
from clv_spark.errors import InputError
from clv_spark.lake import open_source
from clv_spark.pipelines.line_totals import no_line, reading
from clv_spark.pipelines.run_context import Run
from clv_spark.schemas import CUSTOMER_DAYS
from clv_spark.transforms.acquisition import conform_spend
from clv_spark.transforms.conform_contracts import conform_contracts
from clv_spark.transforms.conform_costs import conform_acquisition, conform_events
from clv_spark.transforms.mapping import id_of, map_expressions, widen_integers

Conform = Callable[[DataFrame], DataFrame]


def require_inputs(run: Run) -> None:
    """Open the sources that later stages read, try their columns, and read a row of each.

    What the first stages write would be there already when a later one finds its source missing.

    Raises:
        InputError: a source is missing, unreadable or empty, lacks a column, or has ids of another
            type than the others.
    """
    ids: dict[str, str] = {}
    for section, conform in _later_sources(run.config):
        rows = open_source(run.spark, section).rows
        # Spark looks at the columns now, and at no row.
        conformed = conform(rows)
        if "customer_id" in conformed.columns:
            ids[section.key] = _id_type(conformed)
        with reading(section, "first row"):
            is_empty = rows.isEmpty()
        if is_empty:
            raise InputError(no_line(section))
    if ids:
        _require_one_type(_of_transactions(run) | ids)


def _of_transactions(run: Run) -> dict[str, str]:
    """The type of their ids by the key of their section; nothing without transactions."""
    config = run.config.source.transactions
    if config is None:
        return {}
    if run.lake.exists(CUSTOMER_DAYS):
        # A source of another type is refused by the table, before a row is written.
        return {config.key: _id_type(run.lake.read(CUSTOMER_DAYS))}
    rows = open_source(run.spark, config).rows
    mapped = map_expressions(widen_integers(rows), config, ("customer_id",))
    ids = mapped.select(id_of(mapped, config, "customer_id").alias("customer_id"))
    return {config.key: _id_type(ids)}


def _id_type(rows: DataFrame) -> str:
    return rows.schema["customer_id"].dataType.simpleString().upper()


def _require_one_type(ids: Mapping[str, str]) -> None:
    """One customer is one in all sources.

    Raises:
        InputError: their ids have different types.
    """
    first, wanted = next(iter(ids.items()))
    for key, found in ids.items():
        if found != wanted:
            raise InputError(
                f"{key}.columns.customer_id is {found}, in {first} it is {wanted}; map it to the "
                "same type in both with CAST(... AS STRING), so that one customer is one"
            )


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
