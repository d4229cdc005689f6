"""The slice of parameters of a date: fits and scores choose it here, so that they agree on it."""

from __future__ import annotations

import datetime as dt

from clv_spark import __version__
from clv_spark.errors import InputError
from clv_spark.lake import Commit
from clv_spark.pipelines.run_context import SECTIONS, Run
from clv_spark.schemas import MODEL_PARAMETERS


def fit_in_force(run: Run) -> tuple[dt.date, Commit] | None:
    """The newest fit up to the date with the settings and package in force, and its date."""
    # Most nights the date has its own: the log need not be read any further.
    own = run.lake.last_commit(MODEL_PARAMETERS, run.date)
    if own is not None and _is_in_force(run, run.date, own):
        return run.date, own
    for fit_date, commit in sorted(run.lake.slices(MODEL_PARAMETERS).items(), reverse=True):
        if fit_date < run.date and _is_in_force(run, fit_date, commit):
            return fit_date, commit
    return None


def _is_in_force(run: Run, fit_date: dt.date, fit: Commit) -> bool:
    settings = run.config_hash(SECTIONS[MODEL_PARAMETERS.name])
    same = (fit.config_hash, fit.package_version) == (settings, __version__)
    if same and fit.run_id == run.run_id and fit.rows_written:
        # This run has just written it.
        return True
    # The log also tells of slices that retention has removed since.
    return same and not run.lake.is_empty(MODEL_PARAMETERS, fit_date)


def fit_date_of(run: Run) -> dt.date:
    """When the parameters that scores of the date use were fitted.

    That is the fit that the stage of fits names. Without one of these settings on record, as
    after an update of the package or beyond the table's history, it is the newest there is.

    Raises:
        InputError: there is no fit up to the date.
    """
    found = fit_in_force(run)
    if found is not None:
        return found[0]
    newest = run.lake.newest_slice(MODEL_PARAMETERS, up_to=run.date)
    if newest is None:
        raise InputError(
            f"model_parameters holds no fit up to {run.date}; run fit-models for that date first"
        )
    return newest
