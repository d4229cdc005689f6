"""The slices of features that fits and scores of a date start from, one per relationship."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from clv_spark.errors import GateError
from clv_spark.lake import Commit
from clv_spark.pipelines.run_context import Run
from clv_spark.schemas import CONTRACT_FEATURES, CUSTOMER_FEATURES


def features_commits(run: Run) -> dict[str, Commit]:
    """The commits of the slices by table, purchases first.

    Raises:
        InputError: a slice is missing, or was built with other settings.
    """
    purchases = [CUSTOMER_FEATURES] if run.config.has_purchases else []
    specs = [*purchases, *([CONTRACT_FEATURES] if run.config.has_contracts else [])]
    return {spec.name: run.upstream(spec, "build-features", run.date) for spec in specs}


def joint_version(commits: Mapping[str, Commit]) -> str:
    """The source versions behind some commits as one."""
    return ", ".join(commit.source_version for commit in commits.values())


def check_drop(run: Run, what: str, found: int, previous: tuple[dt.date, int] | None) -> None:
    """Stop when there is much less than in the slice before.

    Args:
        run: The run.
        what: What is counted, in words.
        found: How many now.
        previous: Date of the slice before and its number; None when there is none.

    Raises:
        GateError: the drop is larger than ``gates.max_customer_drop``.
    """
    limit = run.config.gates.max_customer_drop
    if previous is not None and found < previous[1] * (1 - limit):
        raise GateError(
            f"{found} {what} up to {run.date}, but {previous[1]} up to {previous[0]}: a drop of "
            f"more than gates.max_customer_drop ({limit:.0%}). Nothing was published; was the "
            "source loaded in full?"
        )
