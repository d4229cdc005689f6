"""Job export: clv_scores_latest -> files for a CRM, with a manifest."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import Any

from pyspark.sql import SparkSession

from clv_spark import __version__
from clv_spark.config import Config
from clv_spark.errors import ConfigError, GateError, InputError
from clv_spark.lake import SPARK_ERRORS, Commit, condition, write_export
from clv_spark.pipelines.run_context import Run, StageResult, cached, open_run, reached
from clv_spark.schemas import CLV_SCORES_LATEST
from clv_spark.transforms.export import export_rows

log = logging.getLogger(__name__)

STAGE = "export"


def export(spark: SparkSession, config: Config) -> dict[str, Any]:
    """Write the published scores, or the chosen columns and rows of them, to files.

    The manifest beside the files has rows, columns with types, sha256 and bytes of each file,
    as_of_date and version of the table, run_id, package version and the condition.

    Args:
        spark: a session with Delta.
        config: ``export`` says what is written and where.

    Returns:
        The outcome, with ``rows``, ``path``, ``manifest`` and ``files``.

    Raises:
        ConfigError: no path, an unknown column, or a condition that does not fit the table.
        InputError: nothing is published yet, or Spark failed while it wrote.
        GateError: no row is chosen, and ``export.allow_empty`` is off; the old export stays.
    """
    if config.export.path is None:
        raise ConfigError(
            "export.path is not set; name a file such as exports/scores.csv, or a folder with "
            "export.files above 1"
        )
    with open_run(spark, config, "export") as run:
        run.current_stage = STAGE
        return _export(run)


def _export(run: Run) -> dict[str, Any]:
    begin, settings = time.monotonic(), run.config.export
    latest = run.lake.read(CLV_SCORES_LATEST)
    published = run.lake.last_commit(CLV_SCORES_LATEST)
    day = latest.select("as_of_date").first()
    if published is None or day is None:
        raise InputError(
            "clv_scores_latest is empty, or was changed by another program since it was published; "
            "run score-customers again"
        )
    run.as_of = day["as_of_date"]
    chosen = export_rows(latest, settings, CLV_SCORES_LATEST.key)
    run.input_accepted = True
    manifest = {
        "table": CLV_SCORES_LATEST.name,
        "table_version": published.table_version,
        "as_of_date": run.date.isoformat(),
        "run_id": run.run_id,
        "package_version": __version__,
        "format": settings.format,
        "where": settings.where,
        "order_by": settings.order_by,
        "columns": [
            {"name": column.name, "type": column.dataType.simpleString()}
            for column in chosen.schema.fields
        ],
    }
    with cached(chosen) as kept:
        try:
            rows = kept.count()
        except SPARK_ERRORS as error:
            raise InputError(
                f"export: reading the chosen rows failed ({condition(error)}); the export is as it "
                "was. Check export.where and export.columns"
            ) from error
        _check_rows(run, rows)
        reached("export:read")
        written = write_export(kept, settings, run.run_id, {**manifest, "rows": rows})
    commit = replace(
        _commit(run, published),
        rows_written=rows,
        figures={"message": f"{rows} rows in {len(written['files'])} files of {settings.format}"},
    )
    run.results.append(StageResult(STAGE, "done", time.monotonic() - begin, commit))
    log.info("%d rows were exported to %s", rows, settings.path)
    return {**run.outcome(), "path": settings.path, **written}


def _commit(run: Run, published: Commit) -> Commit:
    """What is recorded of an export: it writes no table, so it has no version of its own."""
    source = f"{CLV_SCORES_LATEST.name}:{published.table_version}"
    config_hash = run.config_hash((STAGE,))
    return Commit(run.run_id, None, run.run_id, source, config_hash, __version__)


def _check_rows(run: Run, rows: int) -> None:
    settings = run.config.export
    if rows == 0 and not settings.allow_empty:
        raise GateError(
            f"no row of clv_scores_latest ({run.date}) meets export.where: {settings.where!r}. "
            "Nothing was written, the export before stays. Check the condition, or set "
            "export.allow_empty: true to publish an empty export"
        )
    if rows == 0:
        log.warning("the export has no row, as export.allow_empty lets it")
