"""Chooses the purchase model of each segment among the candidates that fitted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

Row = dict[str, Any]
USABLE = ("ok", "spend_depends_on_frequency")


def choose_models(
    rows: Sequence[Mapping[str, Any]],
    candidates: Sequence[str],
    last: Mapping[str, str],
    margin: float,
) -> dict[str, str]:
    """Says for every segment which purchase model its scores are made with.

    The best Bayesian information criterion among the candidates that are identified wins; the
    choice of the fit before stays unless another is better by more than a margin, so that scores
    do not flicker. A segment without a candidate of its own goes with the segment above.

    Args:
        rows: One per model and segment with model, segment, parent_segment, status and
            comparable_bic, parents before children.
        candidates: The models of purchases, the first of equals wins.
        last: The choice of the fit before, by segment.
        margin: How much lower another model's criterion must be for a switch.

    Example:
        >>> rows = [
        ...     {"model": "bg_nbd", "segment": "global", "parent_segment": None, "status": "ok",
        ...      "comparable_bic": 1000.0},
        ...     {"model": "mbg_nbd", "segment": "global", "parent_segment": None, "status": "ok",
        ...      "comparable_bic": 995.0},
        ... ]
        >>> choose_models(rows, ["bg_nbd", "mbg_nbd"], {}, margin=10)
        {'global': 'mbg_nbd'}
        >>> choose_models(rows, ["bg_nbd", "mbg_nbd"], {"global": "bg_nbd"}, margin=10)
        {'global': 'bg_nbd'}
    """
    by_segment: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        if row["model"] in candidates:
            by_segment.setdefault(row["segment"], {})[row["model"]] = row
    chosen: dict[str, str] = {}
    for segment, ours in by_segment.items():
        scores = {
            model: ours[model]["comparable_bic"]
            for model in candidates
            if model in ours and ours[model]["status"] in USABLE
        }
        parent = next(iter(ours.values()))["parent_segment"]
        chosen[segment] = _best(scores, last.get(segment), margin) or chosen.get(
            parent, candidates[0]
        )
    return chosen


def comparable_bic(bic: float, purchases: float, unit_days: int) -> float:
    """The criterion as if time had been counted in days, so that models of any unit compare.

    A density per week is seven times one per day, once for every repeat purchase; the daily
    opportunities of the BG/BB have probabilities per day as they are.

    Example:
        >>> round(comparable_bic(100.0, purchases=10, unit_days=7), 3)
        138.918
    """
    return bic + 2 * purchases * math.log(unit_days)


def _best(scores: Mapping[str, float], last: str | None, margin: float) -> str | None:
    if not scores:
        return None
    best = min(scores, key=lambda model: scores[model])
    if last is not None and last in scores and scores[last] - scores[best] <= margin:
        return last
    return best
