"""Job build-costs: service events and acquisition costs -> customer_costs, rejected_costs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import reduce
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from clv_spark.config import AcquisitionCosts, Config, ServiceEvents, SourceSection
from clv_spark.errors import ConfigError, InputError
from clv_spark.lake import Commit, Source, open_source
from clv_spark.pipelines.features_of_date import features_commits
from clv_spark.pipelines.line_totals import (
    Totals,
    check_refused,
    check_usable,
    figures_of,
    gate_rejected,
    read_totals,
    reconcile,
)
from clv_spark.pipelines.run_context import Run, cached, open_run, reached, shape_of
from clv_spark.schemas import (
    CONTRACT_FEATURES,
    CUSTOMER_COSTS,
    CUSTOMER_FEATURES,
    REJECTED_COSTS,
)
from clv_spark.transforms.conform_costs import conform_acquisition, conform_events, rejected_costs
from clv_spark.transforms.customer_costs import (
    customer_costs,
    customer_starts,
    totals_of_costs,
    used_cents,
)
from clv_spark.transforms.customer_days import totals_by_reason

EVENTS, WON = ServiceEvents.key, AcquisitionCosts.key


def build_costs(spark: SparkSession, config: Config, as_of: dt.date) -> dict[str, Any]:
    """Read the sources of costs up to ``as_of``; replace that slice of ``customer_costs``.

    Returns:
        The outcome of the run.

    Raises:
        ConfigError: no source of costs is configured.
        InputError: a source is missing, empty, unreadable, or has no usable row.
        GateError: rows or money do not reconcile, or too many rows are refused.
    """
    with open_run(spark, config, "build-costs", as_of) as run:
        if not has_costs(config):
            raise ConfigError(
                "neither costs.service.events nor costs.acquisition.customers is configured; "
                "conf/base.yml shows how"
            )
        costs_stage(run)
        return run.outcome()


def has_costs(config: Config) -> bool:
    """Whether costs of single customers are read."""
    return bool(_sections(config))


def costs_stage(run: Run) -> Commit:
    """Read all rows -> conform -> sum per customer -> check -> publish the slice."""
    sections = _sections(run.config)
    sources = {key: open_source(run.spark, section) for key, section in sections.items()}
    versions = [source.version for source in sources.values()]
    features = features_commits(run)
    return run.stage(
        CUSTOMER_COSTS,
        [*(commit.fingerprint for commit in features.values()), *versions],
        lambda commit: _write(run, sources, commit),
        source_version="; ".join(versions),
        slice_date=run.date,
    )


def _sections(config: Config) -> dict[str, SourceSection]:
    """The configured sources of costs by key."""
    costs = config.costs
    sections = (costs.service.events, costs.acquisition.customers)
    return {section.key: section for section in sections if section is not None}


def _write(run: Run, sources: Mapping[str, Source], commit: Commit) -> Commit:
    config, sections = run.config, _sections(run.config)
    lines = _conformed(config, sources)
    read = [_read(run, section, lines[key]) for key, section in sections.items()]
    run.input_accepted = True
    reached("customer_costs:read")
    commit = replace(commit, figures=figures_of(_together(read)))
    starts = customer_starts(
        run.lake.read(CUSTOMER_FEATURES, run.date) if config.has_purchases else None,
        run.lake.read(CONTRACT_FEATURES, run.date) if config.has_contracts else None,
    )
    _require_same_ids(starts, lines)
    service = config.costs.service
    rows = customer_costs(lines.get(EVENTS), lines.get(WON), starts, service, run.date)
    with cached(rows) as costs:
        spec = CUSTOMER_COSTS.of(shape_of(costs, ()))
        _check_sums(run, lines, costs)
        refused = {key: rejected_costs(lines[key], one) for key, one in sections.items()}
        for (key, section), totals in zip(sections.items(), read, strict=True):
            check_refused(refused[key], figures_of(totals), section)
        # Whatever the table refuses shows before the first of the two is replaced.
        run.lake.ensure(spec)
        run.lake.replace(REJECTED_COSTS, reduce(DataFrame.unionByName, refused.values()), commit)
        reached("customer_costs:rejected_written")
        return run.lake.replace(spec, costs, commit, run.date)


def _conformed(config: Config, sources: Mapping[str, Source]) -> dict[str, DataFrame]:
    service, won = config.costs.service, config.costs.acquisition.customers
    lines = {}
    if service.events is not None:
        lines[EVENTS] = conform_events(sources[EVENTS].rows, service.events, service)
    if won is not None:
        lines[WON] = conform_acquisition(sources[WON].rows, won)
    return lines


def _read(run: Run, section: SourceSection, lines: DataFrame) -> Totals:
    read = read_totals(totals_by_reason(lines), section)
    check_usable(read, section)
    gate_rejected(figures_of(read), run.config.gates.max_rejected_share, section)
    return read


def _together(parts: Iterable[Totals]) -> Totals:
    """Lines and cents by reason, of all sources."""
    found: Totals = {}
    for totals in parts:
        for reason, one in totals.items():
            before = found.get(reason, {"line_count": 0, "cents": 0})
            found[reason] = {
                name: before[name] + int(one[name] or 0) for name in ("line_count", "cents")
            }
    return found


def _require_same_ids(starts: DataFrame, lines: Mapping[str, DataFrame]) -> None:
    """Costs find their customer by an id of the same type.

    Raises:
        InputError: a source of costs has another type of customer_id.
    """
    wanted = starts.schema["customer_id"].dataType.simpleString()
    for key, rows in lines.items():
        found = rows.schema["customer_id"].dataType.simpleString()
        if found != wanted:
            raise InputError(
                f"{key}.columns.customer_id is {found}, the customers have {wanted}; map it with "
                f"CAST(... AS {wanted.upper()})"
            )


def _check_sums(run: Run, lines: Mapping[str, DataFrame], costs: DataFrame) -> None:
    """Hold the customers' costs against the rows they come from, those after the date left out."""
    (found,) = totals_of_costs(costs).collect()
    for key, what in ((EVENTS, "service"), (WON, "acquisition")):
        if key in lines:
            (counted,) = used_cents(lines[key], run.date).collect()
            reconcile({"cents": int(counted[0])}, {"cents": int(found[what])}, CUSTOMER_COSTS.name)
