"""Rows of pipeline_runs: what the stages of a run did, and where it failed."""

from __future__ import annotations

import datetime as dt
import decimal
import time
from typing import TYPE_CHECKING, Any

from clv_spark import __version__
from clv_spark.errors import ClvError

if TYPE_CHECKING:
    from clv_spark.pipelines.run_context import Run, StageResult

_MONEY = ("amount_read", "amount_used", "amount_rejected")


def row_of(run: Run, result: StageResult) -> dict[str, Any]:
    """What a stage did."""
    commit = result.commit
    figures = dict(commit.figures)
    for name in _MONEY:
        if figures.get(name) is not None:
            figures[name] = decimal.Decimal(figures[name])
    return {
        **figures,
        "run_id": run.run_id,
        "stage": result.stage,
        "job": run.job,
        "as_of_date": run.as_of,
        "status": result.status,
        "finished_at": dt.datetime.now(dt.UTC),
        "seconds": round(result.seconds, 3),
        "rows_written": commit.rows_written,
        "source_version": commit.source_version,
        "table_version": commit.table_version,
        "config_hash": commit.config_hash,
        "message": result.message or figures.get("message"),
        "package_version": commit.package_version,
    }


def failed_row(run: Run, error: Exception) -> dict[str, Any]:
    """The stage that failed."""
    # Only our own messages are known to hold no customer id.
    message = str(error) if isinstance(error, ClvError) else type(error).__name__
    is_done = run.current_stage in {result.stage for result in run.results}
    return {
        "run_id": run.run_id,
        "stage": f"after {run.current_stage}" if is_done else run.current_stage,
        "job": run.job,
        "as_of_date": run.as_of,
        "status": "failed",
        "finished_at": dt.datetime.now(dt.UTC),
        "seconds": round(time.monotonic() - run.started, 3),
        "message": message,
        "package_version": __version__,
    }
