"""Segments that appeared after the fit: rows as model_parameters would have them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from clv_spark.kernels.choose import Row
from clv_spark.kernels.letters import in_order
from clv_spark.kernels.segment_parameters import nearest
from clv_spark.kernels.segments import take_parents
from clv_spark.kernels.shared_errors import log_errors
from clv_spark.models import MODELS
from clv_spark.models.prior import USUAL_SPREAD, USUAL_WEIGHT
from clv_spark.models.uncertainty import frame_of


def newcomer_rows(
    names: Iterable[str], fitted: Sequence[Mapping[str, Any]], *, nested: bool
) -> list[Row]:
    """Each of them takes the parameters of the nearest segment above, at a distance.

    How far it is from there nobody knows; its siblings say how far segments are.

    Args:
        names: Of the segments; those that were fitted are left out.
        fitted: The chosen rows of one fit date, of one period where they are of contracts.
        nested: Whether names are paths.

    Example:
        >>> root = {"model": "bg_nbd", "segment": "global", "parent_segment": None, "status": "ok",
        ...     "parameters": {"r": 0.2, "alpha": 4.0, "a": 0.8, "b": 2.4}, "covariance": None,
        ...     "parameters_segment": "global", "message": ""}
        >>> (row,) = newcomer_rows(["uk", "global"], [root], nested=False)
        >>> row["segment"], row["parent_segment"], row["parameters_segment"], row["status"]
        ('uk', 'global', 'global', 'too_small')
    """
    by_segment: dict[str, list[Mapping[str, Any]]] = {}
    below: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in fitted:
        by_segment.setdefault(row["segment"], []).append(row)
        below.setdefault((row["model"], row["parent_segment"]), []).append(row)
    found: list[Row] = []
    for name in names:
        if name not in by_segment:
            for above in by_segment[nearest(name, by_segment, nested)]:
                siblings = below.get((above["model"], above["segment"]), ())
                found.append(_newcomer(name, above, siblings))
    return found


def _newcomer(name: str, above: Mapping[str, Any], siblings: Iterable[Mapping[str, Any]]) -> Row:
    row: Row = {**above, "segment": name, "parent_segment": above["segment"]}
    if above["model"] not in MODELS:
        # Rates of refunds and margin, which are not fitted.
        return row
    row |= {
        "status": "too_small",
        "parameters": None,
        "message": "not there when parameters were fitted",
        "from_parent": _distance(above, siblings) if log_errors(above) else None,
    }
    # The row above is taken as it stands, with parameters that may be taken themselves.
    taken = take_parents([above, row])[1]
    return taken | {"parameters_segment": above["parameters_segment"]}


def _distance(above: Mapping[str, Any], siblings: Iterable[Mapping[str, Any]]) -> tuple[float, ...]:
    """The root of the mean square of how far segments are from the one above, by coordinate.

    Of each sibling as it is known, its own error included; and the usual distance, with its weight.
    """
    _, centre, _ = frame_of(in_order(above["model"], above["parameters"]))
    own = [row for row in siblings if row["parameters_segment"] == row["segment"]]
    total = np.full(centre.size, USUAL_WEIGHT * USUAL_SPREAD**2)
    weight = USUAL_WEIGHT
    for row in own:
        errors = log_errors(row)
        if errors:
            _, point, inward = frame_of(in_order(row["model"], row["parameters"]))
            total += (point - centre) ** 2 + np.diag(inward @ np.array(errors) @ inward.T)
            weight += 1
    return tuple(np.sqrt(total / weight).tolist())
