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
from clv_spark.pipelines.line_totals import (
    Totals,
    check_rejected,
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
    TableSpec,
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
    sources = {one.key: open_source(run.spark, one) for one in _sections(run.config)}
    versions = [source.version for source in sources.values()]
    features = [run.upstream(spec, "build-features", run.date) for spec in _features(run.config)]
    return run.stage(
        CUSTOMER_COSTS,
        [*(commit.fingerprint for commit in features), *versions],
        lambda commit: _write(run, sources, commit),
        source_version="; ".join(versions),
        slice_date=run.date,
    )


def _sections(config: Config) -> list[SourceSection]:
    costs = config.costs
    sections = (costs.service.events, costs.acquisition.customers)
    return [section for section in sections if section is not None]


def _features(config: Config) -> list[TableSpec]:
    both = {
        CUSTOMER_FEATURES.name: config.has_purchases,
        CONTRACT_FEATURES.name: config.has_contracts,
    }
    return [spec for spec in (CUSTOMER_FEATURES, CONTRACT_FEATURES) if both[spec.name]]


def _write(run: Run, sources: Mapping[str, Source], commit: Commit) -> Commit:
    lines = _conformed(run.config, sources)
    read = {key: _read(run, section, lines[key]) for key, section in _by_key(run.config).items()}
    run.input_accepted = True
    reached("customer_costs:read")
    commit = replace(commit, figures=figures_of(_together(read.values())))
    starts = customer_starts(
        *(
            run.lake.read(spec, run.date) if spec in _features(run.config) else None
            for spec in (CUSTOMER_FEATURES, CONTRACT_FEATURES)
        )
    )
    _require_same_ids(starts, lines)
    service = run.config.costs.service
    rows = customer_costs(lines.get(EVENTS), lines.get(WON), starts, service, run.date)
    with cached(rows) as costs:
        spec = CUSTOMER_COSTS.of(shape_of(costs, ()))
        _check_sums(run, lines, costs)
        # Whatever the table refuses shows before the first of the two is replaced.
        run.lake.ensure(spec)
        sections = _by_key(run.config)
        refused = [rejected_costs(lines[key], section) for key, section in sections.items()]
        found = run.lake.replace(REJECTED_COSTS, reduce(DataFrame.unionByName, refused), commit)
        check_rejected(commit.figures["rows_rejected"], found)
        reached("customer_costs:rejected_written")
        return run.lake.replace(spec, costs, commit, run.date)


def _by_key(config: Config) -> dict[str, SourceSection]:
    return {section.key: section for section in _sections(config)}


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
