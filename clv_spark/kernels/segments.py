"""Segments without parameters of their own take the parameters of the nearest ancestor."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from clv_spark.kernels.choose import Row
from clv_spark.kernels.fit_segment import ESTIMATES, flat
from clv_spark.kernels.letters import in_order
from clv_spark.models.uncertainty import (
    log_covariance,
    natural_covariance,
    standard_errors,
    widened,
)


def take_parents(rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Gives every segment usable parameters where an ancestor has them.

    Args:
        rows: One per model and segment with model, segment, parent_segment (None for the root),
            status, parameters, message and whatever else; rows are not changed.

    Returns:
        New rows in the same order. Added: parameters_segment, whose parameters these are (None if
        not even the root has any), and own_weight, 0.0 for taken parameters, else the pooled fit's,
        1.0 without one. Status stays as the fit left it; the message says from whom. Taken
        parameters are as unsure as they are there, and by the distances (``from_parent``, see
        ``pool_segment.with_distances``) of all segments on the way.

    Example:
        >>> rows = [
        ...     {"model": "bg_nbd", "segment": "global", "parent_segment": None, "status": "ok",
        ...      "parameters": {"r": 0.2}, "message": ""},
        ...     {"model": "bg_nbd", "segment": "uk", "parent_segment": "global",
        ...      "status": "too_small", "parameters": None, "message": "23 customers, 200 needed"},
        ... ]
        >>> uk = take_parents(rows)[1]
        >>> uk["parameters"], uk["parameters_segment"], uk["own_weight"]
        ({'r': 0.2}, 'global', 0.0)
        >>> uk["message"]
        "23 customers, 200 needed: takes the parameters of 'global'"
    """
    by_key = {(row["model"], row["segment"]): row for row in rows}
    return [_with_parameters(row, by_key) for row in rows]


def failed_share(rows: Sequence[Mapping[str, Any]]) -> float:
    """Share of the root's customers who live in a leaf segment that failed or has no parameters.

    Args:
        rows: Of the result of ``take_parents`` those that scores use: one per segment.

    Returns:
        0.0 to 1.0; 1.0 when there is no row at all, or no customer, as nothing can be scored.

    Example:
        >>> rows = [
        ...     {"model": "bg_nbd", "segment": "global", "parent_segment": None, "status": "ok",
        ...      "n_customers": 100, "parameters": {}},
        ...     {"model": "bg_nbd", "segment": "uk", "parent_segment": "global", "status": "failed",
        ...      "n_customers": 5, "parameters": {}},
        ... ]
        >>> failed_share(rows)
        0.05
    """
    parents = {row["parent_segment"] for row in rows}
    leaves = [row for row in rows if row["segment"] not in parents]
    total = sum(row["n_customers"] or 0 for row in rows if row["parent_segment"] is None)
    failed = sum(
        row["n_customers"] or 0
        for row in leaves
        if row["status"] == "failed" or row["parameters"] is None
    )
    return min(failed / total, 1.0) if total else 1.0


def _with_parameters(
    row: Mapping[str, Any], by_key: Mapping[tuple[str, str], Mapping[str, Any]]
) -> Row:
    if row["parameters"] is not None:
        own_weight = 1.0 if row.get("own_weight") is None else row["own_weight"]
        return {**row, "parameters_segment": row["segment"], "own_weight": own_weight}
    seen = {row["segment"]}
    ancestor: Mapping[str, Any] | None = row
    distances = []
    while ancestor is not None and ancestor["parameters"] is None:
        distances.append(ancestor.get("from_parent"))
        parent = ancestor["parent_segment"]
        # A hierarchy that bites its own tail has no ancestor to give.
        ancestor = None if parent in seen else by_key.get((row["model"], parent))
        seen.add(parent)
    reason = (row.get("message") or row["status"]).rstrip(".")
    if ancestor is None:
        message = f"{reason}: no segment above has parameters either"
        return {
            **row,
            **dict.fromkeys(ESTIMATES),
            "parameters_segment": None,
            "sibling_loadings": None,
            "own_weight": 0.0,
            "message": message,
        }
    taken = {name: copy.copy(ancestor.get(name)) for name in ESTIMATES}
    for distance in distances:
        if distance is not None and taken["covariance"] is not None:
            taken |= _farther(row["model"], taken, distance)
    return {
        **row,
        **taken,
        "sibling_loadings": None,
        "parameters_segment": ancestor["segment"],
        "own_weight": 0.0,
        "message": f"{reason}: takes the parameters of '{ancestor['segment']}'",
    }


def _farther(model: str, taken: Mapping[str, Any], distance: Sequence[float]) -> Row:
    """How unsure taken parameters are in a segment that is some way from where they come from."""
    parameters = in_order(model, taken["parameters"])
    logs = log_covariance([*parameters.values()], taken["covariance"])
    logs = widened(parameters, logs, distance)
    return {
        "covariance": flat(natural_covariance(parameters, logs)),
        "standard_errors": standard_errors(parameters, logs),
    }
