"""Job build-contracts: rows of contracts -> contracts and rejected_contracts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from clv_spark.config import Config, ContractsSource
from clv_spark.errors import ConfigError
from clv_spark.lake import Commit, Source, open_source
from clv_spark.pipelines.line_totals import (
    check_refused,
    check_usable,
    figures_of,
    first_look,
    gate_rejected,
    read_totals,
    reconcile,
    totals_together,
)
from clv_spark.pipelines.run_context import Run, cached, open_run, reached, shape_of
from clv_spark.schemas import CONTRACTS, REJECTED_CONTRACTS
from clv_spark.transforms.conform_contracts import conform_contracts
from clv_spark.transforms.contracts import (
    contract_rows,
    rejected_contracts,
    totals_of_contracts,
    with_lives,
)
from clv_spark.transforms.customer_days import totals_by_reason


def build_contracts(spark: SparkSession, config: Config) -> dict[str, Any]:
    """Read the contracts of the source, and replace tables contracts and rejected_contracts.

    Returns:
        The outcome of the run.

    Raises:
        InputError: the source is missing, empty, unreadable, or has no usable row.
        GateError: rows or money do not reconcile, or too many rows are refused.
    """
    with open_run(spark, config, "build-contracts") as run:
        contracts_stage(run)
        return run.outcome()


def contracts_stage(run: Run) -> Commit:
    """Read all rows -> conform -> number the lives -> check -> publish."""
    config = contracts_of(run.config)
    source = open_source(run.spark, config)
    return run.stage(
        CONTRACTS,
        [source.version],
        lambda commit: _write(run, config, source, commit),
        source_version=source.version,
        beside=(REJECTED_CONTRACTS,),
    )


def contracts_of(config: Config) -> ContractsSource:
    """The configured source of contracts.

    Raises:
        ConfigError: none is configured.
    """
    if config.source.contracts is None:
        raise ConfigError("source.contracts is not configured; conf/base.yml shows how")
    return config.source.contracts


def _write(run: Run, config: ContractsSource, source: Source, commit: Commit) -> Commit:
    keys = run.config.contract_segments
    lines = conform_contracts(source.rows, config, currency=run.config.currency, segments=keys)
    # Only a refused row is needed as it came.
    slim = lines.withColumn("line", F.when(F.col("reason").isNotNull(), F.col("line")))
    # Overlaps and lives take a shuffle of the rows; doing that once is worth the disk.
    with cached(with_lives(slim)) as kept:
        # Refuses a key with too many values; the totals are those of the reasons.
        first_look(kept, keys, config)
        read = read_totals(totals_by_reason(kept), config)
        check_usable(read, config)
        run.input_accepted = True
        figures = figures_of(read)
        gate_rejected(figures, run.config.gates.max_rejected_share, config)
        reached("contracts:read")
        return _publish(run, kept, read, replace(commit, figures=figures))


def _publish(run: Run, lines: DataFrame, read: dict[Any, Any], commit: Commit) -> Commit:
    shape = shape_of(lines, run.config.contract_segments)
    spec = CONTRACTS.of(shape)
    rows = contract_rows(lines, shape)
    (written,) = totals_of_contracts(rows).collect()
    reconcile(totals_together({None: read[None]}), written.asDict(), CONTRACTS.name)
    refused = rejected_contracts(lines)
    check_refused(refused, commit.figures, contracts_of(run.config))
    # Whatever the table refuses shows before the first of the two is replaced.
    run.lake.ensure(spec)
    run.lake.replace(REJECTED_CONTRACTS, refused, commit)
    reached("contracts:rejected_written")
    return run.lake.replace(spec, rows, commit)
