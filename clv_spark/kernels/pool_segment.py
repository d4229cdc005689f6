"""Draws the parameters of segments towards their parents': two looks at the patterns of each."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from clv_spark.kernels.choose import USABLE, Row
from clv_spark.kernels.fit_segment import ESTIMATES, flat, in_words, letters
from clv_spark.models import MODELS
from clv_spark.models.arrays import merge_equal_rows
from clv_spark.models.pooling import fit_pooled, posterior_summary
from clv_spark.models.prior import Prior, SegmentFit, estimate_spread, wide_prior
from clv_spark.models.uncertainty import Matrix, natural_loadings

SUMMARY_COLUMNS = ("point", "slope", "hessian", "height")
POOLED_COLUMNS = (
    "segment",
    "model",
    "parameters",
    "standard_errors",
    "covariance",
    "sibling_loadings",
    "own_weight",
    "message",
)
# What pooling puts in place of the segment's own.
_REPLACED = (*ESTIMATES, "sibling_loadings", "own_weight")
# A model and a segment.
Key = tuple[str, str]


def summarise_segment(
    row: Row, patterns: pd.DataFrame, *, unit_days: int, parent: Mapping[str, float] | None
) -> Row:
    """Adds what a segment says of its parameters: a parabola, a few numbers for the driver.

    Args:
        row: What ``fit_segment`` found.
        patterns: As for ``fit_segment``.
        unit_days: Days per time unit of the parameters.
        parent: The parent's parameters, None when there is nothing to be drawn to.

    Returns:
        The row with ``SUMMARY_COLUMNS``: where the parabola is developed, its slope, the rows of
        its Hessian, its height there; all None when there is no parabola, and why in the message.
    """
    nothing: Row = dict.fromkeys(SUMMARY_COLUMNS)
    if parent is None or row["status"] == "failed":
        return row | nothing
    model = row["model"]
    try:
        weights = patterns["customers"].to_numpy(np.float64)
        data = letters(patterns, model, unit_days)
        found = posterior_summary(MODELS[model], data, weights, wide_prior(parent))
    except Exception as error:
        # A MemoryError is the executor's trouble, not the segment's: Spark has to see it.
        if isinstance(error, MemoryError):
            raise
        return row | nothing | {"message": _and(row, f"Not pooled: {in_words(error)}")}
    values = (list(found.point), list(found.gradient), flat(found.hessian), found.log_likelihood)
    return row | dict(zip(SUMMARY_COLUMNS, values, strict=True))


def pool_segment(patterns: pd.DataFrame, *, model: str, unit_days: int, prior: Prior) -> Row:
    """Fits a segment under the prior that its siblings gave.

    Args:
        patterns: As for ``fit_segment``.
        model: A name in ``clv_spark.models.MODELS``.
        unit_days: Days per time unit of the parameters.
        prior: Of the model, around the parent.

    Returns:
        One row with ``POOLED_COLUMNS``; parameters are None when the search found no maximum.
    """
    row: Row = {**dict.fromkeys(POOLED_COLUMNS), "model": model}
    row["segment"] = str(patterns["segment"].iloc[0])
    try:
        weights = patterns["customers"].to_numpy(np.float64)
        found = fit_pooled(MODELS[model], letters(patterns, model, unit_days), weights, prior)
    except Exception as error:
        if isinstance(error, MemoryError):
            raise
        return row | {"message": in_words(error)}
    row["message"] = found.message
    if found.status == "ok":
        row |= {
            "parameters": found.parameters,
            "standard_errors": found.standard_errors,
            "covariance": flat(found.covariance),
            "sibling_loadings": flat(natural_loadings(found.parameters, found.log_loadings)),
            "own_weight": found.own_weight,
        }
    return row


def hold_root(row: Row, patterns: pd.DataFrame, *, unit_days: int) -> Row:
    """Gives the root of contracts parameters where its fit found a ridge, as nobody is above it.

    Contracts that are all lost at one rate leave open how alike they are, not how many are lost: a
    wide prior around the observed share of losses holds the fit. Of contracts without any loss
    nothing is held: the ends of contracts may be missing in the source.

    Args:
        row: What ``fit_segment`` found.
        patterns: As for ``fit_segment``.
        unit_days: Days per time unit of the parameters.

    Returns:
        The row; with parameters and their errors where they could be held, its status as it was.
    """
    if row["status"] not in ("degenerate", "not_identified") or not row["n_repeaters"]:
        return row
    model = MODELS[row["model"]]
    weights = patterns["customers"].to_numpy(np.float64)
    data = letters(patterns, row["model"], unit_days)
    start = model.starts(*merge_equal_rows(model.read(data), weights))[0]
    around = dict(zip(model.parameters, start.tolist(), strict=True))
    prior = wide_prior(around)
    found = pool_segment(patterns, model=row["model"], unit_days=unit_days, prior=prior)
    if found["parameters"] is None:
        return row | {"message": _and(row, found["message"])}
    held = {name: found[name] for name in ESTIMATES}
    return row | held | {"message": _and(row, "Held by a wide prior around the observed losses")}


def priors_of(
    rows: Sequence[Mapping[str, Any]],
    parents: Mapping[Key, Mapping[str, float]],
    errors: Mapping[Key, Matrix],
    only: Container[str] = (),
) -> dict[Key, Prior]:
    """The prior of each model below each parent, learned from all segments there.

    Args:
        rows: Fitted rows with their ``SUMMARY_COLUMNS``, model and parent_segment.
        parents: Parameters of the parents, by model and segment.
        errors: Covariance of their logarithms, of those of whom it is known.
        only: Segments without siblings, which say nothing that their parents have not said.
    """
    siblings: dict[Key, list[SegmentFit]] = {}
    for row in rows:
        if row["point"] is not None and row["segment"] not in only:
            key = (row["model"], row["parent_segment"])
            siblings.setdefault(key, []).append(_summary(row))
    return {
        key: estimate_spread(found, parents[key], errors.get(key, ()))
        for key, found in sorted(siblings.items())
    }


def pooled_keys(rows: Sequence[Mapping[str, Any]], *, ridges: bool = False) -> frozenset[Key]:
    """The models and segments that get pooled parameters, where there is a prior.

    All with a fit of their own, and those too small for one.

    Args:
        rows: Fitted rows with their ``SUMMARY_COLUMNS``.
        ridges: Those whose fit found a ridge, too: they may know much, as a plan does that few
            leave, or that all leave at one rate.
    """
    return frozenset((row["model"], row["segment"]) for row in rows if _is_pooled(row, ridges))


def with_pooled(
    rows: Sequence[Row], pooled: Mapping[Key, Mapping[str, Any]], *, ridges: bool = False
) -> list[Row]:
    """The fitted rows, with the pooled parameters in place of the segment's own.

    Args:
        rows: Fitted rows with their ``SUMMARY_COLUMNS``.
        pooled: What ``pool_segment`` found, by model and segment.
        ridges: As for :func:`pooled_keys`.
    """
    out = []
    for row in rows:
        found = pooled.get((row["model"], row["segment"]))
        merged = {name: value for name, value in row.items() if name not in SUMMARY_COLUMNS}
        if found is not None and _is_pooled(row, ridges):
            merged |= {name: found[name] for name in _REPLACED}
            merged["message"] = _and(row, found["message"])
            if found["parameters"] is None and row["status"] in USABLE:
                # Data that even a prior can't hold: the parent's parameters are the safe ones.
                merged["status"] = "not_identified"
        out.append(merged)
    return out


def with_distances(
    rows: Sequence[Row],
    priors: Mapping[Key, Prior],
    parents: Mapping[Key, Mapping[str, float]],
    only: Container[str] = (),
) -> list[Row]:
    """Adds ``from_parent``: how far from its parent a segment may be that takes its parameters.

    Args:
        rows: Of ``with_pooled``.
        priors: What the siblings gave; where there are none, segments are thought to differ as
            usual.
        parents: Parameters of the parents, by model and segment.
        only: Segments without siblings, who are no way from their parents.

    Returns:
        The same rows; None where a segment has its own parameters, or nobody has any.
    """
    out = []
    for row in rows:
        key, distance = (row["model"], row["parent_segment"]), None
        if row["parameters"] is None and key in parents:
            prior = priors.get(key) or estimate_spread([], parents[key])
            distance = prior.from_parent(parents[key])
            if row["segment"] in only:
                distance = (0.0,) * len(distance)
        out.append(row | {"from_parent": distance})
    return out


def _is_pooled(row: Mapping[str, Any], ridges: bool) -> bool:
    if row["status"] == "too_small" or ridges:
        return row["point"] is not None
    return row["status"] in USABLE


def _and(row: Mapping[str, Any], more: str) -> str:
    """The message of a row with another sentence."""
    return f"{row['message'].rstrip('.')}. {more}"


def _summary(row: Mapping[str, Any]) -> SegmentFit:
    size = len(row["point"])
    hessian = np.array(row["hessian"], dtype=np.float64).reshape(size, size).tolist()
    return SegmentFit(
        point=tuple(row["point"]),
        gradient=tuple(row["slope"]),
        hessian=tuple(tuple(line) for line in hessian),
        log_likelihood=row["height"],
    )
