"""Which part of the error of a segment's parameters other segments have, too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from clv_spark.kernels.letters import in_order
from clv_spark.models.draws import Shared, own_root
from clv_spark.models.uncertainty import Matrix, log_covariance


def shared_errors(
    row: Mapping[str, Any],
    others: Mapping[str, Mapping[str, Any]],
    kind: str,
    drawn_to: Mapping[str, str | None],
) -> tuple[Shared, ...]:
    """What a segment's parameters have in common with those of other segments.

    Segments that are drawn to one middle share its error. A segment that takes its parent's
    parameters has all of their error, and its distance from the parent as its own.

    Args:
        row: Of model_parameters.
        others: The chosen rows of the same kind by segment, those of the segments above among them.
        kind: Begins the names of streams: what is fitted apart has another one.
        drawn_to: By segment below whom its siblings are, see ``segment_tree.middles``.
    """
    if not log_errors(row):
        return ()
    if row["parameters_segment"] == row["segment"]:
        # A table of an earlier version has no such column.
        loadings = row.get("sibling_loadings")
        if not loadings:
            return ()
        values = _values(row)
        table = np.array(loadings).reshape(len(values), -1) / np.array(values)[:, np.newaxis]
        middle = drawn_to[row["segment"]] or row["parent_segment"]
        return (Shared(f"{kind} below {middle}", _rows(table)),)
    parent = others.get(row["parent_segment"])
    if parent is None or parent["model"] != row["model"] or not log_errors(parent):
        return ()
    above = shared_errors(parent, others, kind, drawn_to)
    root = own_root(log_errors(parent), above)
    return (*above, Shared(f"{kind} {parent['segment']}", _rows(root)))


def log_errors(row: Mapping[str, Any]) -> Matrix:
    """Covariance of the logarithms of a row's parameters; empty where it is not known."""
    if row["parameters"] is None:
        return ()
    return log_covariance(_values(row), row["covariance"])


def _values(row: Mapping[str, Any]) -> Sequence[float]:
    return [*in_order(row["model"], row["parameters"]).values()]


def _rows(table: np.ndarray[Any, Any]) -> Matrix:
    return tuple(tuple(line) for line in table.tolist())
