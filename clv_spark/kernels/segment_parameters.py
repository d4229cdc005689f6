"""Rows of model_parameters -> what scoring needs to know of each segment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clv_spark.config import DAYS_PER_UNIT, Config
from clv_spark.kernels.segment_table import Matrix, SegmentParameters
from clv_spark.models import MODELS, PURCHASE_MODELS

RETURN_RATE = "return_rate"
MARGIN_RATE = "margin_rate"
_NOTHING: Mapping[str, Any] = {
    "model": "",
    "parameters": None,
    "covariance": None,
    "parameters_segment": None,
    "time_unit": "day",
}


def parameters_by_segment(
    rows: Sequence[Mapping[str, Any]], config: Config
) -> dict[str, SegmentParameters]:
    """The chosen rows of one fit date as one small object per segment, ready to be broadcast.

    Args:
        rows: The rows of model_parameters in which ``chosen`` is true.
        config: Says which margin rate holds where none was seen.
    """
    by_segment: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        kind = "purchases" if row["model"] in PURCHASE_MODELS else row["model"]
        by_segment.setdefault(row["segment"], {})[kind] = row
    return {name: _segment(name, parts, config) for name, parts in by_segment.items()}


def _segment(
    name: str, parts: Mapping[str, Mapping[str, Any]], config: Config
) -> SegmentParameters:
    purchases = parts.get("purchases", _NOTHING)
    spend = parts.get(config.models.spend, _NOTHING)
    returns = parts.get(RETURN_RATE, _NOTHING)["parameters"] or {}
    margin = parts.get(MARGIN_RATE, _NOTHING)["parameters"] or {}
    values = _ordered(purchases)
    return SegmentParameters(
        segment=name,
        model=purchases["model"],
        unit_days=DAYS_PER_UNIT[purchases["time_unit"]],
        purchases=values or None,
        purchases_covariance=log_covariance(values, purchases["covariance"]),
        purchases_segment=purchases["parameters_segment"],
        spend=spend["parameters"],
        spend_covariance=log_covariance(_ordered(spend), spend["covariance"]),
        spend_segment=spend["parameters_segment"],
        return_rate=returns.get("rate", 0.0),
        return_prior_amount=returns.get("prior_amount", 0.0),
        margin_rate=margin.get("rate", config.value.margin_rate),
    )


def log_covariance(values: Sequence[float], covariance: Sequence[float] | None) -> Matrix:
    """Covariance of the logarithms of parameters from that of the parameters.

    Args:
        values: The parameters.
        covariance: Row by row, as in model_parameters; None where there is none.

    Example:
        >>> log_covariance([2.0, 5.0], [4.0, 1.0, 1.0, 25.0])
        ((1.0, 0.1), (0.1, 1.0))
    """
    if covariance is None or not values:
        return ()
    size = len(values)
    return tuple(
        tuple(covariance[size * i + j] / (values[i] * values[j]) for j in range(size))
        for i in range(size)
    )


def _ordered(row: Mapping[str, Any]) -> tuple[float, ...]:
    if row["parameters"] is None:
        return ()
    return tuple(row["parameters"][letter] for letter in MODELS[row["model"]].parameters)
