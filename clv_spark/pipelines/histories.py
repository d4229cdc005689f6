"""Tables that reports go on from, which have stages of their own before the scores."""

from __future__ import annotations

from clv_spark.lake import Commit
from clv_spark.pipelines.cohort_history import cohorts_are_due
from clv_spark.pipelines.run_context import Run
from clv_spark.pipelines.summarise_revenue import forecasts
from clv_spark.schemas import COHORT_HISTORY, REVENUE_HISTORY, TableSpec


def gone_on_from(run: Run) -> tuple[tuple[TableSpec, bool], ...]:
    """Each such table, and whether it is wanted for this date."""
    return ((REVENUE_HISTORY, forecasts(run.config)), (COHORT_HISTORY, cohorts_are_due(run)))


def histories(run: Run) -> list[Commit]:
    """The slices of the date that are wanted."""
    wanted = (spec for spec, is_wanted in gone_on_from(run) if is_wanted)
    found = (run.lake.last_commit(spec, run.date) for spec in wanted)
    return [commit for commit in found if commit is not None]
