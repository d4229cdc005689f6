"""Part of job build-features: contracts -> contract_features of one as-of date."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from pyspark.sql import DataFrame

from clv_spark.errors import InputError
from clv_spark.lake import Commit
from clv_spark.pipelines.build_contracts import contracts_of
from clv_spark.pipelines.features_of_date import check_drop
from clv_spark.pipelines.run_context import Run, cached, reached, shape_of
from clv_spark.schemas import CONTRACT_FEATURES, CONTRACTS
from clv_spark.transforms.contract_features import contract_features, counts_of_lives


def contract_features_stage(run: Run) -> Commit:
    """Read the rows of contracts -> fold each life up to the date -> check -> publish the slice."""
    rows = run.lake.read(CONTRACTS)
    upstream = run.upstream(CONTRACTS, "build-contracts")
    return run.stage(
        CONTRACT_FEATURES,
        [upstream.fingerprint],
        lambda commit: _write(run, rows, commit),
        source_version=upstream.source_version,
        slice_date=run.date,
    )


def _write(run: Run, rows: DataFrame, commit: Commit) -> Commit:
    shape = shape_of(rows, run.config.contract_segments)
    window = contracts_of(run.config).snapshot_window
    with cached(contract_features(rows, shape, run.date, window)) as lives:
        (counts,) = counts_of_lives(lives).collect()
        begun = int(counts["contracts"])
        if begun == 0:
            raise InputError(
                f"contracts holds no contract that had begun by {run.date}; give an --as-of date "
                "within the data"
            )
        run.input_accepted = True
        check_drop(run, "contracts", begun, _contracts_before(run))
        reached("contract_features:read")
        later = rows.where("begins = 'new'").count() - begun
        figures = {
            "message": f"{begun} contracts, {counts['active']} run, {counts['lost']} lives were "
            f"lost; {later} contracts begin later and are left out"
        }
        spec = CONTRACT_FEATURES.of(shape)
        return run.lake.replace(spec, lives, replace(commit, figures=figures), run.date)


def _contracts_before(run: Run) -> tuple[dt.date, int] | None:
    before = run.lake.newest_slice(CONTRACT_FEATURES, run.date - dt.timedelta(days=1))
    if before is None:
        return None
    (counts,) = counts_of_lives(run.lake.read(CONTRACT_FEATURES, before)).collect()
    return before, int(counts["contracts"])
