"""Part of job score-customers: valued customers -> segment_summary."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import Row as SparkRow

from clv_spark.config import ACQUISITION_MONTH, Config
from clv_spark.kernels.likeness import Likeness, likeness_of
from clv_spark.kernels.segment_parameters import nearest
from clv_spark.kernels.segment_value import (
    LeafOutlook,
    SummarySettings,
    added,
    scenario_values,
    summary_values,
)
from clv_spark.pipelines.local_rows import local_rows, table_rows
from clv_spark.pipelines.outlooks import has_groups, recent_days
from clv_spark.pipelines.run_context import Run, cached
from clv_spark.schemas import SEGMENT_SUMMARY, WHAT_IF
from clv_spark.transforms.likeness import group_sums
from clv_spark.transforms.migration import MOVED_TYPES, moves
from clv_spark.transforms.segment_sums import (
    COUNTS,
    MONEY,
    distributions,
    kind_sums,
    kind_totals,
    leaf_sums,
    step_sums,
    tier_sums,
    with_levels,
    without_cost,
)
from clv_spark.transforms.segments import GLOBAL

log = logging.getLogger(__name__)

# Relationship, level and name of a segment or group.
Place = tuple[str, str, str]
_BY_TIER = {
    "customers_by_tier": "customers",
    "clv_by_tier": "clv",
    "clv_revenue_by_tier": "clv_revenue",
    "service_cost_by_tier": "clv_service_cost",
    "loss_making_by_tier": "loss_making",
    "loss_by_tier": "loss",
}
NO_TIER = "(none)"


@dataclass(frozen=True)
class Told:
    """What one pass over the customers tells.

    Attributes:
        summary: Rows of segment_summary.
        scenarios: Rows of what_if.
        moved: Customers by the tiers they were in and are in, see ``transforms.migration.moves``.
    """

    summary: DataFrame
    scenarios: DataFrame
    moved: DataFrame


def summarise_segments(
    run: Run,
    valued: DataFrame,
    outlooks: Mapping[str, Mapping[str, LeafOutlook]],
    report: Mapping[str, list[str]],
) -> Told:
    """Sum the customers up by segment, group and tier, beside what their parameters say.

    Args:
        run: The run.
        valued: Rows of clv_scores, with report_code, the service costs ahead and ``EARLIER``.
        outlooks: What is known of each leaf segment, by relationship.
        report: The values of each further key of the summary, by report_code.
    """
    config, costs = run.config, run.config.costs.acquisition
    keys = {"purchases": config.segments, "contract": config.contract_segments}
    by_month = ACQUISITION_MONTH in config.report_by
    recent = recent_days(config)
    contracts = config.source.contracts
    ends_known = contracts is None or contracts.shape != "snapshot"
    summed = leaf_sums(
        valued,
        recent_days=recent,
        by_month=by_month,
        ends_known=ends_known,
        nothing=without_cost(config.costs),
    )
    # Read twice, and as few rows as there are segments, groups and tiers.
    with cached(summed) as kept:
        by_tier = tier_sums(with_levels(kept, keys, report)).collect()
        moved = moves(kept).collect()
    steps = with_levels(step_sums(valued, by_month=by_month), keys, report)
    shapes = {_place(row): row.asDict() for row in distributions(steps).collect()}
    kinds = _kinds(run, valued, keys, report)
    likeness = _likeness(run, valued, report)
    usual = SummarySettings(
        config.value.definition,
        recent,
        costs.target_clv_to_cac,
        costs.target_payback_days,
    )
    places = _by_place(by_tier)
    _warn_of_strays(config, places, keys, report)
    oldest = _oldest(by_tier)
    rows, scenarios = [], []
    for place, parts in places.items():
        leaves, known = _by_leaf(parts), outlooks.get(place[0], {})
        # Without so much history new customers came in all there is, as in the forecast.
        days = min(recent, 1 + oldest[place[0]])
        settings = replace(
            usual,
            recent_days=days,
            cohort=place[1] == ACQUISITION_MONTH,
            like=likeness.get(place, usual.like),
        )
        found = {
            **summary_values(leaves, known, settings),
            **_of_tiers(parts),
            **_shape(shapes.get(place), parts),
            "service_cost_by_kind": kinds.get(place),
        }
        rows.append(_row(run, place, found))
        if config.what_if:
            for values in scenario_values(place[2], leaves, known, config.what_if, settings):
                scenarios.append(_row(run, place, values))
    return Told(
        table_rows(run.spark, SEGMENT_SUMMARY, rows),
        table_rows(run.spark, WHAT_IF, scenarios),
        local_rows(run.spark, moved, MOVED_TYPES),
    )


def _warn_of_strays(
    config: Config,
    places: Iterable[Place],
    keys: Mapping[str, tuple[str, ...]],
    report: Collection[str],
) -> None:
    """Rates are looked up by name, so one whose name is misspelt would stand without effect."""
    segments, groups = set(), set()
    for relationship, level, name in places:
        # Where there are segment keys nobody is looked up as global.
        if level in (keys[relationship] or (GLOBAL,)):
            segments.add(name)
        elif level in report:
            groups.add(name)
    strays = config.strays(segments, groups)
    if strays:
        log.warning(
            "value.margin_rate or costs give a rate for %s, which has no effect: no customer is in "
            "a segment of that name; of keys under report_by only costs.acquisition.per_customer "
            "knows the values",
            strays,
        )


def _oldest(rows: Iterable[SparkRow]) -> dict[str, int]:
    """Days since the first customer of each relationship came."""
    found: dict[str, int] = {}
    for row in rows:
        kind = row["relationship"]
        found[kind] = max(row["oldest"], found.get(kind, 0))
    return found


def _row(run: Run, place: Place, found: Mapping[str, Any]) -> dict[str, Any]:
    relationship, level, name = place
    return {
        **found,
        "as_of_date": run.date,
        "relationship": relationship,
        "segment_level": level,
        "segment": name,
        "horizon_days": run.config.value.horizon_days,
        "value_definition": run.config.value.definition,
        "currency": run.config.currency,
    }


def _place(row: SparkRow) -> Place:
    return (row["relationship"], row["segment_level"], row["name"])


def _by_place(rows: Iterable[SparkRow]) -> dict[Place, list[SparkRow]]:
    """The rows of each segment, in an order that does not depend on Spark's."""
    places: dict[Place, list[SparkRow]] = {}
    for row in sorted(rows, key=lambda row: (*_place(row), row["segment"], row["clv_tier"] or "")):
        places.setdefault(_place(row), []).append(row)
    return places


def _by_leaf(parts: Iterable[SparkRow]) -> dict[str, dict[str, float]]:
    leaves: dict[str, list[dict[str, float]]] = {}
    for row in parts:
        sums = {name: row[name] for name in (*COUNTS, *MONEY)}
        leaves.setdefault(row["segment"], []).append(sums)
    return {leaf: added(sums) for leaf, sums in leaves.items()}


def _of_tiers(parts: Iterable[SparkRow]) -> dict[str, dict[str, float]]:
    tiers: dict[str, list[dict[str, float]]] = {}
    for row in parts:
        sums = {name: row[name] for name in _BY_TIER.values()}
        tiers.setdefault(row["clv_tier"] or NO_TIER, []).append(sums)
    totals = {tier: added(sums) for tier, sums in tiers.items()}
    return {
        name: {tier: total[measure] for tier, total in totals.items()}
        for name, measure in _BY_TIER.items()
    }


def _shape(found: Mapping[str, Any] | None, parts: Iterable[SparkRow]) -> dict[str, float | None]:
    if found is None:
        return {}
    total = float(sum(row["clv"] or 0 for row in parts))
    share = found["top_tenth"] / total if total > 0 else None
    return {"clv_median": found["clv_median"], "top_tenth_share": share}


def _kinds(
    run: Run,
    valued: DataFrame,
    keys: Mapping[str, tuple[str, ...]],
    report: Mapping[str, list[str]],
) -> dict[Place, dict[str, float]]:
    """Cost of events by kind, of the segments and groups of each level."""
    found: dict[Place, dict[str, float]] = {}
    if run.config.costs.service.events is not None:
        summed = kind_sums(valued, by_month=ACQUISITION_MONTH in run.config.report_by)
        for row in sorted(kind_totals(with_levels(summed, keys, report)).collect()):
            found.setdefault(_place(row), {})[row["kind"]] = float(row["cost"])
    return found


def _likeness(
    run: Run, valued: DataFrame, report: Mapping[str, list[str]]
) -> dict[Place, Likeness]:
    """How the buyers of each group differ from others of their leaf segments."""
    if not has_groups(run.config):
        return {}
    least = run.config.fit.min_customers
    return {
        ("purchases", row["segment_level"], row["name"]): likeness_of(row.asDict(), least)
        for row in group_sums(valued, report).collect()
    }


def places_of(fitted: list[SparkRow]) -> dict[str, tuple[str, str | None]]:
    """Level and parent of each segment, from rows of model_parameters."""
    return {row["segment"]: (row["segment_level"], row["parent_segment"]) for row in fitted}


def members_of(
    counts: Iterable[str], above: Mapping[str, tuple[str, str | None]], nested: bool
) -> dict[str, list[str]]:
    """Every segment with the leaves below it, also those that appeared after the fit."""
    members: dict[str, list[str]] = {}
    for leaf in sorted(counts):
        segment: str | None = leaf
        while segment is not None:
            members.setdefault(segment, []).append(leaf)
            segment = above[segment][1] if segment in above else nearest(segment, above, nested)
    return members
