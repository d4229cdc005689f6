"""Part of job build-customer-days: the table of margin rates by product or category."""

from __future__ import annotations

import json
from dataclasses import dataclass

from pyspark.sql import functions as F

from clv_spark.errors import InputError
from clv_spark.lake import UNVERSIONED, open_source
from clv_spark.pipelines.line_totals import reading
from clv_spark.pipelines.run_context import Run
from clv_spark.transforms.conform import MarginTable, margin_rates


@dataclass(frozen=True)
class Margins:
    """The configured table of margin rates, if there is one.

    Attributes:
        table: The rates; None without a table.
        version: Changes when the table does, and at every run where nobody can tell; all lines are
            read again then.
    """

    table: MarginTable | None = None
    version: str = "none"


def open_margins(run: Run) -> Margins:
    """The table of margin rates at this moment.

    Raises:
        InputError: it is missing, unreadable or empty, a row has no rate from 0 to 1, or a name
            has two rates.
    """
    config, value = run.config.value.margins, run.config.value
    if config is None:
        return Margins()
    source = open_source(run.spark, config)
    rows = margin_rates(source.rows, config).distinct()
    counts = rows.agg(
        F.count(F.lit(1)), F.count(F.when(F.col("rate").isNull(), 1)), F.countDistinct("name")
    )
    with reading(config, "rows"):
        ((found, unusable, names),) = counts.collect()
    if not found or unusable or names < found:
        raise InputError(
            f"{config.key}: of {found} rows {unusable} have no rate from 0 to 1, and "
            f"{found - names} give a second rate to the same {config.by}; every {config.by} needs "
            "one. Every table is as it was"
        )
    usual, keys = value.margin_rate, run.config.segments
    version = source.version.replace(UNVERSIONED, run.run_id)
    told = json.dumps(usual, sort_keys=True)
    return Margins(MarginTable(rows, config.by, usual, keys), f"{version} {told}")
