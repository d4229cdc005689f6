"""Parameters of a segment from its own customers and, as far as these are few, from its parent.

A segment's parameters are the most likely ones under a normal prior around a middle near the
parent, in the coordinates of ``transform``. How wide the prior is, the segments next to each other
tell: where they differ much, each is left to itself; where they do not, all are drawn together.
Large segments hardly feel a prior, small ones hardly leave it, and a segment whose own likelihood
has no maximum gets one.

Two rounds over the segments: ``posterior_summary`` of each, with ``wide_prior``; then
``prior.estimate_spread`` of all summaries; then ``fit_pooled`` of each.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from clv_spark.models import fitting
from clv_spark.models.arrays import Floats, merge_equal_rows, read_weights
from clv_spark.models.fitting import ACCEPTED_GRADIENT, condition_of, log_scale
from clv_spark.models.model import Model
from clv_spark.models.prior import Prior, SegmentFit
from clv_spark.models.search import Function, Optimum, length, search
from clv_spark.models.transform import Coordinates, coordinates_of
from clv_spark.models.uncertainty import Matrix, as_matrix, natural_covariance, standard_errors

# How far from the prior's centre a search may go, in logarithms: a factor of 160,000.
REACH = 12.0


@dataclass(frozen=True)
class PooledFit:
    """A segment's parameters, drawn towards its parent's.

    Attributes:
        parameters: Values by name; always finite.
        log_likelihood: Of all customers of the segment under these parameters.
        own_weight: How much of what is known comes from the segment's own customers: 0 when they
            tell nothing beyond the prior, 1 when the prior tells nothing beyond them.
        iterations: Steps of the search.
        gradient_norm: Length of the gradient of likelihood and prior per customer; zero at the
            maximum.
        condition_number: Largest over smallest eigenvalue of minus their Hessian.
        status: "ok", or "failed" when the search did not end in a maximum.
        message: What was found, in words.
        covariance: Of the parameters, in their order, given the data and the prior; empty unless
            status is "ok", as are the next three.
        log_covariance: The same of the logarithms of the parameters.
        log_loadings: The part of it that siblings share: how far one standard deviation of each
            direction of the error of the prior's centre moves the logarithms of the parameters;
            one row per parameter. Empty where the centre is taken for known.
        standard_errors: Roots of the diagonal of ``covariance``, by name.
    """

    parameters: dict[str, float]
    log_likelihood: float
    own_weight: float
    iterations: int
    gradient_norm: float
    condition_number: float
    status: Literal["ok", "failed"]
    message: str
    covariance: Matrix
    log_covariance: Matrix
    log_loadings: Matrix
    standard_errors: dict[str, float]


def posterior_summary(
    model: Model, data: Mapping[str, ArrayLike], weights: ArrayLike | None, prior: Prior
) -> SegmentFit:
    """What a segment's customers say of its parameters, as a parabola: a few numbers to send.

    Args:
        model: The model.
        data: Columns as for ``clv_spark.models.fit``.
        weights: Customers behind each row; one each when left out.
        prior: A wide one; it keeps the parabola near the parent where the data are silent.

    Raises:
        InputError: The data are of the wrong shape.

    Example:
        >>> from clv_spark.models.gamma_gamma import MODEL
        >>> from clv_spark.models.prior import wide_prior
        >>> prior = wide_prior({"p": 6.0, "q": 4.0, "gamma": 15.0})
        >>> summary = posterior_summary(MODEL, {"x": [1], "m_x": [30.0]}, None, prior)
        >>> len(summary.point), len(summary.hessian)
        (3, 3)
    """
    best, customers = _most_likely(model, data, weights, prior)
    precision = np.array(prior.spread) ** -2.0
    distance = best.point - np.array(prior.centre)
    gradient = customers * best.gradient + precision * distance
    return SegmentFit(
        point=tuple(best.point.tolist()),
        gradient=tuple(gradient.tolist()),
        hessian=as_matrix(customers * best.hessian - np.diag(precision)),
        log_likelihood=customers * best.value + _penalty(distance, precision),
    )


def fit_pooled(
    model: Model, data: Mapping[str, ArrayLike], weights: ArrayLike | None, prior: Prior
) -> PooledFit:
    """Fits a segment under a prior near its parent; the result is finite whatever the data.

    Args:
        model: The model.
        data: Columns as for ``clv_spark.models.fit``.
        weights: Customers behind each row; one each when left out.
        prior: Centre and spread, from ``estimate_spread``.

    Raises:
        InputError: The data are of the wrong shape.

    Example:
        >>> from clv_spark.models.gamma_gamma import MODEL
        >>> prior = Prior(centre=(3.4, 1.8, 1.1), spread=(0.3, 0.3, 0.3))
        >>> result = fit_pooled(MODEL, {"x": [1], "m_x": [300.0]}, None, prior)
        >>> result.status, round(result.own_weight, 2)
        ('ok', 0.04)
    """
    best, customers = _most_likely(model, data, weights, prior)
    coordinates = coordinates_of(model.parameters)
    values = np.exp(coordinates.backward(best.point))
    parameters = dict(zip(model.parameters, values.tolist(), strict=True))
    condition, gradient_norm = condition_of(best.hessian), length(best.gradient)
    precision = np.array(prior.spread) ** -2.0
    penalty = _penalty(best.point - np.array(prior.centre), precision)
    log_covariance: Matrix = ()
    log_loadings: Matrix = ()
    own_weight = 0.0
    is_ok = math.isfinite(condition) and gradient_norm <= ACCEPTED_GRADIENT
    if is_ok:
        covariance = np.linalg.inv(customers * best.hessian)
        own_weight = float(np.mean(np.clip(1 - np.diag(covariance) * precision, 0.0, 1.0)))
        jacobian = coordinates.jacobian(best.point)
        if prior.centre_covariance:
            # Where the centre moves, the maximum moves by this much of it.
            loadings = covariance * precision @ np.linalg.cholesky(prior.centre_covariance)
            covariance = covariance + loadings @ loadings.T
            log_loadings = tuple(map(tuple, (jacobian @ loadings).tolist()))
        log_covariance = as_matrix((jacobian @ covariance @ jacobian.T).astype(np.float64))
    verdict = "Pooled with the parent" if is_ok else "No maximum found"
    return PooledFit(
        parameters=parameters,
        log_likelihood=customers * best.value + penalty,
        own_weight=own_weight,
        iterations=best.iterations,
        gradient_norm=gradient_norm,
        condition_number=condition,
        status="ok" if is_ok else "failed",
        message=f"{verdict}: own weight {own_weight:.2f}, gradient {gradient_norm:.1e}.",
        covariance=natural_covariance(parameters, log_covariance),
        log_covariance=log_covariance,
        log_loadings=log_loadings,
        standard_errors=standard_errors(parameters, log_covariance),
    )


def _most_likely(
    model: Model, data: Mapping[str, ArrayLike], weights: ArrayLike | None, prior: Prior
) -> tuple[Optimum, float]:
    """The maximum of likelihood and prior per customer, in coordinates; and the customers."""
    columns = model.read(data)
    rows = next(iter(columns.values())).size
    columns, counts = merge_equal_rows(columns, read_weights(weights, rows))
    customers = float(np.sum(counts))
    coordinates = coordinates_of(model.parameters)
    centre = np.array(prior.centre)
    low, high = centre - REACH, centre + REACH
    # A second maximum may be higher: the last of the model's starts stands for its basin.
    starts = [centre, coordinates.forward(model.starts(columns, counts)[-1])]
    # Per customer a likelihood bends by about a tenth: enough for a first step.
    hessian = 0.1 * np.eye(centre.size) + np.diag(np.array(prior.spread) ** -2.0 / customers)
    if model.coarsen is not None and counts.size > fitting.COARSEN_ABOVE:
        coarse, coarse_counts = merge_equal_rows(model.coarsen(columns), counts)
        mean = log_scale(model, coarse, coarse_counts)
        rough = search(_with_prior(mean, coordinates, prior, customers), starts, low, high, hessian)
        starts, hessian = [rough.point], rough.hessian
    mean = log_scale(model, columns, counts)
    best = search(_with_prior(mean, coordinates, prior, customers), starts, low, high, hessian)
    return best, customers


def _with_prior(
    mean: Function, coordinates: Coordinates, prior: Prior, customers: float
) -> Function:
    centre = np.array(prior.centre)
    precision = np.array(prior.spread) ** -2.0

    def function(point: Floats) -> tuple[float, Floats]:
        value, by_logs = mean(coordinates.backward(point))
        by_coordinate = (coordinates.jacobian(point) * by_logs[:, np.newaxis]).sum(axis=0)
        distance = point - centre
        value -= _penalty(distance, precision) / customers
        return value, by_coordinate - precision * distance / customers

    return function


def _penalty(distance: Floats, precision: Floats) -> float:
    """How much the prior takes from the logarithm of the likelihood."""
    return float((precision * distance**2).sum() / 2)
