"""Rows of model_parameters -> what scoring needs to know of each segment."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any

from clv_spark.config import DAYS_PER_UNIT, Config, of_segment
from clv_spark.kernels.letters import in_order
from clv_spark.kernels.segment_table import SPEND_STREAM, SegmentParameters
from clv_spark.kernels.segment_tree import middles
from clv_spark.kernels.shared_errors import log_errors, shared_errors
from clv_spark.models import PURCHASE_MODELS

PURCHASES = "purchases"
RETURN_RATE = "return_rate"
MARGIN_RATE = "margin_rate"
ROOT = "global"
_NOTHING: Mapping[str, Any] = {
    "model": "",
    "parameters": None,
    "covariance": None,
    "parameters_segment": None,
    "time_unit": "day",
}


def parameters_by_segment(
    fitted: Sequence[Mapping[str, Any]],
    config: Config,
    newcomers: Sequence[Mapping[str, Any]] = (),
) -> dict[str, SegmentParameters]:
    """The chosen rows of one fit date as one small object per segment, ready to be broadcast.

    Args:
        fitted: The rows of model_parameters in which ``chosen`` is true.
        config: Says which margin rate holds where none was seen.
        newcomers: What ``newcomers.newcomer_rows`` makes of segments that came after the fit.
    """
    by_segment: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in (*fitted, *newcomers):
        kind = PURCHASES if row["model"] in PURCHASE_MODELS else row["model"]
        by_segment.setdefault(row["segment"], {})[kind] = row
    kinds = {
        kind: {name: parts[kind] for name, parts in by_segment.items() if kind in parts}
        for kind in (PURCHASES, config.models.spend)
    }
    # A newcomer makes no siblings of segments that had none.
    drawn_to = middles({row["segment"]: row["parent_segment"] for row in fitted})
    return {
        name: _segment(name, parts, kinds, drawn_to, config) for name, parts in by_segment.items()
    }


def _segment(
    name: str,
    parts: Mapping[str, Mapping[str, Any]],
    kinds: Mapping[str, Mapping[str, Mapping[str, Any]]],
    drawn_to: Mapping[str, str | None],
    config: Config,
) -> SegmentParameters:
    purchases = parts.get(PURCHASES, _NOTHING)
    spend = parts.get(config.models.spend, _NOTHING)
    returns = parts.get(RETURN_RATE, _NOTHING)["parameters"] or {}
    margin = parts.get(MARGIN_RATE, _NOTHING)["parameters"] or {}
    values = _ordered(purchases)
    return SegmentParameters(
        segment=name,
        model=purchases["model"],
        unit_days=DAYS_PER_UNIT[purchases["time_unit"]],
        purchases=values or None,
        purchases_covariance=log_errors(purchases),
        purchases_shared=shared_errors(purchases, kinds[PURCHASES], purchases["model"], drawn_to),
        purchases_segment=purchases["parameters_segment"],
        spend=spend["parameters"],
        spend_covariance=log_errors(spend),
        spend_shared=shared_errors(spend, kinds[config.models.spend], SPEND_STREAM, drawn_to),
        spend_segment=spend["parameters_segment"],
        return_rate=returns.get("rate", 0.0),
        return_prior_amount=returns.get("prior_amount", 0.0),
        margin_rate=margin.get(
            "rate", of_segment(config.value.margin_rate, name, len(config.segments))
        ),
    )


def nearest(segment: str, known: Container[str], nested: bool) -> str:
    """The segment itself where it is known, else the nearest known one above: at last the root.

    Args:
        segment: A name, or with several keys a path such as ``Europe/Malta``.
        known: Names that are known.
        nested: Whether names are paths; a slash in a plain name means nothing.

    Example:
        >>> nearest("Europe/Malta", {"global", "Europe"}, nested=True)
        'Europe'
        >>> nearest("Europe/Malta", {"global", "Europe"}, nested=False)
        'global'
    """
    while segment not in known:
        if not nested or "/" not in segment:
            return ROOT
        segment = segment.rsplit("/", 1)[0]
    return segment


def spend_basis_of(rows: Sequence[Mapping[str, Any]]) -> str | None:
    """The purchase days behind the spend that was fitted; None where no spend was."""
    return next((row["spend_basis"] for row in rows if row["spend_basis"] is not None), None)


def _ordered(row: Mapping[str, Any]) -> tuple[float, ...]:
    if row["parameters"] is None:
        return ()
    return tuple(in_order(row["model"], row["parameters"]).values())
