"""The values of the segment keys that a table holds, as its commits say: nobody need look for them.

To find them in the rows is a pass over the days of all customers, for a handful of words.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping

from clv_spark.lake import Commit
from clv_spark.pipelines.run_context import Run
from clv_spark.schemas import CUSTOMER_DAYS, CUSTOMER_FEATURES, TableSpec

# Among the figures of a commit: values by key. There may be some that no row has any more.
SEGMENT_VALUES = "segment_values"
# What a commit says is read at every run, so it does not list more than these.
_MOST = 1000

Values = Mapping[str, Collection[str]]


def values_of_days(run: Run) -> Values | None:
    """What customer_days holds now; None where its commits do not tell."""
    return _held(run, CUSTOMER_DAYS, run.lake.last_commit(CUSTOMER_DAYS))


def values_of_slice(run: Run, date: dt.date) -> Values | None:
    """What a slice of customer_features holds; None where its commit does not tell."""
    return _held(run, CUSTOMER_FEATURES, run.lake.last_commit(CUSTOMER_FEATURES, date))


def _held(run: Run, spec: TableSpec, commit: Commit | None) -> Values | None:
    if commit is None or commit.table_version is None:
        return None
    # What others have written since may hold more.
    if run.lake.commits_after(spec, commit.table_version) is None:
        return None
    found = commit.figures.get(SEGMENT_VALUES)
    # Of another key nothing is on record.
    keys = run.config.customer_keys
    return found if found is not None and all(key in found for key in keys) else None


def together(parts: Iterable[Values | None], keys: Iterable[str]) -> dict[str, list[str]] | None:
    """All values of some parts; None where one of them is unknown.

    Example:
        >>> together([{"country": ["Peru"]}, {"country": ["Chile", "Peru"]}], ["country"])
        {'country': ['Chile', 'Peru']}
        >>> together([{"country": ["Peru"]}, None], ["country"])
    """
    found: dict[str, set[str]] = {key: set() for key in keys}
    for part in parts:
        if part is None:
            return None
        for key, values in found.items():
            values.update(part[key])
    return {key: sorted(values) for key, values in found.items()}


def figures_of_values(values: Values | None) -> dict[str, Values]:
    """Values as they go to a commit; nothing where they are unknown or too many."""
    if values is None or sum(map(len, values.values())) > _MOST:
        return {}
    return {SEGMENT_VALUES: values}
