"""Job fit-models: features -> patterns -> model_parameters of one fit date."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pyspark.sql import SparkSession

from clv_spark import __version__
from clv_spark.config import Config
from clv_spark.errors import FitError
from clv_spark.kernels.choose import Row
from clv_spark.kernels.drift import stability_index
from clv_spark.kernels.segments import failed_share
from clv_spark.lake import Commit
from clv_spark.models import CONTRACT_MODELS, PURCHASE_MODELS
from clv_spark.pipelines.features_of_date import features_commits, joint_version
from clv_spark.pipelines.fit_contracts import contracts_in_words, failures_of, fit_contracts
from clv_spark.pipelines.fit_of_date import fit_in_force
from clv_spark.pipelines.fit_purchases import fit_purchases, used_rows
from clv_spark.pipelines.local_rows import table_rows
from clv_spark.pipelines.run_context import Run, open_run, reached
from clv_spark.schemas import CUSTOMER_FEATURES, MODEL_PARAMETERS
from clv_spark.transforms.patterns import customers_by_class
from clv_spark.transforms.segments import GLOBAL

# The model of each segment; by "purchases", or by the period of contracts.
Choices = Mapping[str, Mapping[str, str]]
PURCHASES = "purchases"

log = logging.getLogger(__name__)

# Among the figures of a fit's commit.
_CLASSES = "customers_by_class"


def fit_models(spark: SparkSession, config: Config, as_of: dt.date) -> dict[str, Any]:
    """Fit every segment on the features of ``as_of`` and replace that slice of the parameters.

    Returns:
        The outcome of the run.

    Raises:
        InputError: the features of that date do not exist.
        FitError: more than ``fit.max_failed_share`` of the customers have no usable fit.
    """
    with open_run(spark, config, "fit-models", as_of) as run:
        fit_stage(run)
        return run.outcome()


def fit_stage(run: Run) -> Commit:
    """Read features -> count patterns -> fit per segment -> take parents -> check -> publish."""
    upstream = features_commits(run)
    young = _young_fit(run)
    if young is not None:
        why = f"parameters of {young.slice} are used again: fit.refit_every"
        return run.reuse(MODEL_PARAMETERS, young, f"{why} is {run.config.fit.refit_every}")
    last = _last_choice(run)
    return run.stage(
        MODEL_PARAMETERS,
        [*(commit.fingerprint for commit in upstream.values()), *_as_inputs(last)],
        lambda commit: _write(run, last, commit),
        source_version=joint_version(upstream),
        slice_date=run.date,
    )


def _young_fit(run: Run) -> Commit | None:
    """An earlier fit with the same settings that is not due yet; None when a new one is."""
    limit = run.config.fit.refit_every
    found = fit_in_force(run) if limit > 1 else None
    if found is None:
        return None
    fit_date, fit = found
    age = (run.date - fit_date).days
    return fit if 0 < age < limit and not _has_drifted(run, fit) else None


def _has_drifted(run: Run, fit: Commit) -> bool:
    """Whether the customers have moved too far since a fit for its parameters to be used again."""
    limit = run.config.fit.refit_at_drift
    if limit is None or not run.config.has_purchases:
        return False
    drift = stability_index(fit.figures[_CLASSES], _customers_by_class(run))
    log.info("customers have drifted by %.3f since the fit of %s", drift, fit.slice)
    return drift > limit


def _customers_by_class(run: Run) -> dict[str, int]:
    rows = customers_by_class(run.lake.read(CUSTOMER_FEATURES, run.date)).collect()
    return {row["class"]: row["customers"] for row in sorted(rows)}


def _write(run: Run, last: Choices, commit: Commit) -> Commit:
    run.input_accepted = True
    models = run.config.models
    rows: list[Row] = []
    words = []
    if run.config.has_purchases:
        bought, said = fit_purchases(run, last.get(PURCHASES, {}))
        spend = [row for row in bought if row["model"] == models.spend]
        for kind, ours in ((models.transactions, used_rows(bought)), (models.spend, spend)):
            (root,) = (row for row in ours if row["segment"] == GLOBAL)
            _check_failures(run, kind, ours, f"{root['status']}, {root['message'].rstrip('.')}")
        rows += bought
        words.append(said)
    if run.config.has_contracts:
        held = fit_contracts(run, last)
        _check_failures(run, models.contracts, *failures_of(held))
        rows += held
        words.append(contracts_in_words(held))
    reached("model_parameters:fitted")
    same = {"fit_date": run.date, "package_version": __version__}
    frame = table_rows(run.spark, MODEL_PARAMETERS, (row | same for row in rows))
    figures: dict[str, Any] = {"message": "; ".join(words)}
    if run.config.fit.refit_at_drift is not None and run.config.has_purchases:
        figures[_CLASSES] = _customers_by_class(run)
    return run.lake.replace(MODEL_PARAMETERS, frame, replace(commit, figures=figures), run.date)


def _last_choice(run: Run) -> Choices:
    """The model of each segment in the newest fit of an earlier date, for ``auto``."""
    models = run.config.models
    if "auto" not in (models.transactions, models.contracts):
        return {}
    before = run.lake.newest_slice(MODEL_PARAMETERS, run.date - dt.timedelta(days=1))
    keep = run.config.retention.slice_days
    # A slice that this run will remove must not decide: a second run would not find it.
    if before is None or (keep is not None and (run.date - before).days > keep):
        return {}
    # A table of another schema version is refused with a word, before a column is missed.
    run.lake.ensure(MODEL_PARAMETERS)
    rows = run.lake.read(MODEL_PARAMETERS, before).where("chosen")
    last: dict[str, dict[str, str]] = {}
    for row in rows.select("segment", "model", "time_unit").collect():
        if row["model"] in PURCHASE_MODELS and models.transactions == "auto":
            last.setdefault(PURCHASES, {})[row["segment"]] = row["model"]
        if row["model"] in CONTRACT_MODELS and models.contracts == "auto":
            last.setdefault(row["time_unit"], {})[row["segment"]] = row["model"]
    return last


def _as_inputs(last: Choices) -> list[str]:
    texts = []
    for kind in sorted(last):
        prefix = "" if kind == PURCHASES else f"{kind}: "
        texts += [f"{prefix}{segment}={model}" for segment, model in sorted(last[kind].items())]
    return texts


def _check_failures(run: Run, kind: str, rows: list[Row], said: str) -> None:
    limit, share = run.config.fit.max_failed_share, failed_share(rows)
    if share > limit:
        raise FitError(
            f"{kind}: {share:.1%} of the customers are without a usable fit, "
            f"fit.max_failed_share allows {limit:.1%}. The global fit says: {said}. Nothing was "
            "published; fit on more history, lower fit.min_customers, fit.min_repeaters or "
            "fit.min_losses, or name another model"
        )
