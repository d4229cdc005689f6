"""Part of job score-customers: scored customers and costs -> value by its definition."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from clv_spark.config import ServiceConfig
from clv_spark.kernels.event_rates import (
    EventMix,
    ServiceCosts,
    event_mixes,
    event_rates,
    service_costs,
)
from clv_spark.lake import Source
from clv_spark.pipelines.acquisition import HOLDS, shared_acquisition, with_acquisition_cost
from clv_spark.pipelines.build_costs import has_costs
from clv_spark.pipelines.local_rows import local_rows
from clv_spark.pipelines.run_context import Run, cached
from clv_spark.schemas import CONTRACT_FEATURES, CUSTOMER_COSTS
from clv_spark.transforms.service import (
    EVENT_COSTS,
    EVENT_RATES,
    RATE_TYPES,
    event_sums,
    with_exposure,
    with_service_costs,
)
from clv_spark.transforms.value import with_value

Place = tuple[str, str]


@dataclass(frozen=True)
class Valued:
    """Customers of both relationships with their value.

    Attributes:
        rows: Columns of clv_scores, and the service costs ahead.
        service: The configured rates.
        events: What service events cost, by relationship and segment.
        mixes: The kinds of these events, likewise.
        depths: Number of segment keys by relationship.
    """

    rows: DataFrame
    service: ServiceConfig
    events: Mapping[Place, Mapping[str, float]]
    mixes: Mapping[Place, EventMix]
    depths: Mapping[str, int]

    def costs(self, relationship: str, segment: str) -> ServiceCosts:
        """What serving costs in a leaf segment."""
        place = (relationship, segment)
        mix = self.mixes.get(place, EventMix())
        depth = self.depths[relationship]
        return service_costs(self.service, segment, self.events.get(place), depth, mix)


def value_customers(
    run: Run,
    scored: DataFrame,
    spend: Source | None,
    report: Mapping[str, list[str]],
    kept: ExitStack,
) -> Valued:
    """Take what serving costs into account, and say what winning cost.

    Args:
        run: The run; its date's slice of customer_costs is read where costs are configured.
        scored: What the kernels say of the customers of both relationships.
        spend: The source of acquisition spend, where there is one.
        report: The values of each further key of the summary, by report_code.
        kept: Holds what is kept on disks until everything is written.
    """
    config, service = run.config, run.config.costs.service
    beside = [_costs(run)] if has_costs(config) else []
    if shared_acquisition(config):
        beside.append(_holders(run))
    if beside:
        for table in beside:
            scored = scored.join(table, ["customer_id", "relationship"], "left")
        # For rates, ranks, scores and sums the join is done once.
        scored = kept.enter_context(cached(scored))
    discount, seen_days = config.value.annual_discount_rate, _seen_days(run)
    exposed = with_exposure(scored, service.early_days, discount, seen_days)
    sums = _event_sums(run, exposed)
    found = event_rates(sums, config.fit.min_customers)
    rates = local_rows(run.spark, found, RATE_TYPES) if found else None
    costed = with_service_costs(exposed, service, rates, config.segment_depths)
    rows = with_acquisition_cost(run, with_value(costed, config.value), spend, report)
    events = {row[:2]: dict(zip(EVENT_RATES, row[2:], strict=True)) for row in found}
    mixes = event_mixes(sums, service, config.fit.min_customers)
    return Valued(rows, service, events, mixes, config.segment_depths)


def _costs(run: Run) -> DataFrame:
    costs = run.lake.read(CUSTOMER_COSTS, run.date)
    wanted = [*map(F.col, ("customer_id", "relationship", "cost_by_kind", *EVENT_COSTS))]
    if run.config.costs.acquisition.customers is not None:
        wanted.append(F.col("acquisition_cost").cast("double").alias("acquisition_cost"))
    return costs.select(*wanted)


def _holders(run: Run) -> DataFrame:
    """Who has or had a contract and may buy besides: what winning them cost counts for that."""
    contracts = run.lake.read(CONTRACT_FEATURES, run.date)
    ids = contracts.select("customer_id").distinct()
    return ids.withColumns({"relationship": F.lit("purchases"), HOLDS: F.lit(True)})


def _seen_days(run: Run) -> int | None:
    """How far back service events go; None where none is read, or none counts."""
    events = run.config.costs.service.events
    if events is None:
        return None
    begins = events.since
    if begins is None:
        costs = run.lake.read(CUSTOMER_COSTS, run.date)
        ((begins,),) = costs.agg(F.min("first_event_date")).collect()
    return None if begins is None else max((run.date - begins).days, 0)


def _event_sums(run: Run, exposed: DataFrame) -> list[dict[str, Any]]:
    """What service events cost by segment; nothing where no events are read."""
    service = run.config.costs.service
    if service.events is None:
        return []
    return [row.asDict() for row in event_sums(exposed, sorted(service.kinds)).collect()]
