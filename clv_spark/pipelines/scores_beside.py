"""Part of job score-customers: the scores and all tables beside them, written in one stage."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pyspark.sql import DataFrame

from clv_spark.lake import Commit
from clv_spark.pipelines.cohort_history import cohorts_are_due
from clv_spark.pipelines.histories import gone_on_from
from clv_spark.pipelines.judge_customers import compared, write_migration
from clv_spark.pipelines.run_context import Run, reached, shape_of
from clv_spark.pipelines.scored import Scored
from clv_spark.pipelines.summarise_revenue import forecasts
from clv_spark.schemas import (
    CLV_SCORES,
    COHORT_SUMMARY,
    CONTRACT_SCORES,
    REVENUE_FORECAST,
    SEGMENT_PRODUCTS,
    SEGMENT_SUMMARY,
    TIER_MIGRATION,
    WHAT_IF,
    TableSpec,
)

Rows = tuple[TableSpec, DataFrame]


@dataclass(frozen=True)
class Made:
    """What the stage writes, made but not written.

    Attributes:
        scores: Rows of clv_scores.
        message: How many customers and contracts have which status.
        details: What is written before the scores.
        moved: Customers by the tiers they were in and are in.
        reports: What is written after the scores, in order.
    """

    scores: DataFrame
    message: str
    details: Sequence[Rows]
    moved: DataFrame
    reports: Sequence[Rows]


def tables_beside(run: Run) -> tuple[TableSpec, ...]:
    """The tables that are written with the scores, in the same stage."""
    return tuple(spec for spec, is_wanted in _beside(run) if is_wanted)


def _beside(run: Run) -> tuple[tuple[TableSpec, bool], ...]:
    """Each table that may stand beside the scores, and whether it does for this date."""
    config = run.config
    return (
        (TIER_MIGRATION, True),
        (SEGMENT_SUMMARY, True),
        (WHAT_IF, bool(config.what_if)),
        (REVENUE_FORECAST, forecasts(config)),
        (COHORT_SUMMARY, cohorts_are_due(run)),
        (CONTRACT_SCORES, config.has_contracts),
        (SEGMENT_PRODUCTS, config.products.enabled),
    )


def left_over(run: Run) -> tuple[TableSpec, ...]:
    """The tables that hold a slice of the date, and by the settings in force have none."""
    return tuple(
        spec
        for spec, is_wanted in (*_beside(run), *gone_on_from(run))
        if not is_wanted and run.lake.exists(spec) and run.lake.holds(spec, run.date)
    )


def details_of(parts: Mapping[str, Scored], products: DataFrame | None) -> list[Rows]:
    """What a row of clv_scores sums up, which is there before it."""
    found = [(CONTRACT_SCORES, part.detail) for part in parts.values() if part.detail is not None]
    return found if products is None else [*found, (SEGMENT_PRODUCTS, products)]


def reports_of(run: Run, parts: Mapping[str, Scored], scenarios: DataFrame) -> list[Rows]:
    """What is told of the customers beside their summary, of each table that is wanted."""
    makers = parts["purchases"].reports if "purchases" in parts else {}
    found: list[Rows] = []
    for spec in tables_beside(run):
        if spec is WHAT_IF:
            found.append((spec, scenarios))
        elif spec.name in makers:
            with run.part(spec.name):
                found.append((spec, makers[spec.name]()))
    return found


def write_made(run: Run, made: Made, before: dt.date | None, commit: Commit) -> Commit:
    """Replace the slice of each table, the scores' in the middle; each is whole in itself.

    Args:
        run: The run.
        made: What to write.
        before: The date that the scores are compared with, if any.
        commit: Of the stage.

    Returns:
        The commit of the scores.
    """
    shape = replace(shape_of(made.scores, ()), definition=run.config.value.definition)
    # Whatever a table refuses shows before the first is replaced.
    for spec in tables_beside(run):
        run.lake.ensure(spec.of(shape))
    # Before the scores: what a run that is cut off leaves undone is done by the next only while
    # these are not there.
    for spec in left_over(run):
        run.lake.replace(spec.of(shape), run.lake.read(spec).limit(0), commit, run.date)

    def write(spec: TableSpec, rows: DataFrame, commit: Commit = commit) -> Commit:
        done = run.lake.replace(spec.of(shape), rows, commit, run.date)
        reached(f"clv_scores:{spec.name}_written")
        return done

    for spec, rows in made.details:
        write(spec, rows)
    figures = {"message": made.message, **compared(run, before)}
    scored = write(CLV_SCORES, made.scores, replace(commit, figures=figures))
    with run.part(TIER_MIGRATION.name):
        write_migration(run, made.moved, before, commit)
        reached(f"clv_scores:{TIER_MIGRATION.name}_written")
    for spec, rows in made.reports:
        with run.part(spec.name):
            write(spec, rows)
    return scored
