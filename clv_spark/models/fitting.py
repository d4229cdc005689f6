"""Maximum likelihood for any model of the registry, and an honest word on how well it went.

The search runs over the logarithms of the parameters in the units of the data, and the gradient
alone decides whether it ended in a maximum: optimisers also stop where the ground is merely flat.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from clv_spark.errors import InputError
from clv_spark.models.arrays import Columns, Floats, merge_equal_rows, read_weights
from clv_spark.models.model import Model
from clv_spark.models.purchase_patterns import mean_age
from clv_spark.models.search import Function, Optimum, at_limit, length, search
from clv_spark.models.transform import coordinates_of
from clv_spark.models.uncertainty import Matrix, as_matrix, natural_covariance, standard_errors

Status = Literal["ok", "degenerate", "not_identified", "failed"]

# What is above this is not a maximum. Per customer, by the logarithms of parameters.
ACCEPTED_GRADIENT = 1e-6
# Above this the data leave some combination of parameters open: it may be moved by a large factor
# and explains them equally well.
LARGEST_CONDITION = 1e8
# A coordinate this uncertain, in logarithms, that has run far out is as good as infinite.
FLAT_ERROR = 2.0
# Larger data are first fitted on coarse patterns, which brings the start within a few percent.
COARSEN_ABOVE = 50_000


@dataclass(frozen=True)
class FitResult:
    """The outcome of a fit.

    Attributes:
        parameters: Values by name, where the search ended; usable only when status is "ok".
        log_likelihood: Of all customers together.
        iterations: Of both methods together.
        gradient_norm: Length of the gradient of the mean log-likelihood per customer by the
            logarithms of the parameters; zero at a maximum.
        condition_number: Largest over smallest eigenvalue of minus the Hessian of the same;
            infinite where the likelihood does not fall off in every direction.
        status: "ok"; "degenerate": the likelihood grows towards a limit in which customers do not
            differ, or nobody leaves; "not_identified": the data do not determine the parameters
            for another reason; "failed": the search did not end in a maximum.
        message: What was found and what it means, in words.
        bounds_touched: Parameters that ran to a limit of the search.
        covariance: Of the parameters, in their order, from the observed information; empty unless
            status is "ok", as are the next two.
        log_covariance: The same of the logarithms of the parameters.
        standard_errors: Roots of the diagonal of ``covariance``, by name.
    """

    parameters: dict[str, float]
    log_likelihood: float
    iterations: int
    gradient_norm: float
    condition_number: float
    status: Status
    message: str
    bounds_touched: tuple[str, ...]
    covariance: Matrix
    log_covariance: Matrix
    standard_errors: dict[str, float]


def fit_model(
    model: Model,
    data: Mapping[str, ArrayLike],
    weights: ArrayLike | None = None,
    *,
    start: Mapping[str, float] | None = None,
) -> FitResult:
    """Fits one model; see ``clv_spark.models.fit``, which takes the model by name.

    Example:
        >>> from clv_spark.models.gamma_gamma import MODEL
        >>> fit_model(MODEL, {"x": [1, 2, 3, 2], "m_x": [5.0, 5.0, 5.0, 5.0]}).status
        'degenerate'
    """
    columns = model.read(data)
    columns, counts = merge_equal_rows(
        columns, read_weights(weights, next(iter(columns.values())).size)
    )
    starts = model.starts(columns, counts)
    if start is not None:
        # The last one stands for another basin of the surface.
        starts = [_read_start(model, start), starts[0], starts[-1]]
    starts = [np.log(point) for point in starts]
    low, high = (np.log(bound) for bound in model.box(columns, counts))
    iterations, hessian = 0, None
    if model.coarsen is not None and counts.size > COARSEN_ABOVE and start is None:
        coarse, coarse_counts = merge_equal_rows(model.coarsen(columns), counts)
        rough = search(log_scale(model, coarse, coarse_counts), starts, low, high)
        starts, iterations, hessian = [rough.point], rough.iterations, rough.hessian
    best = search(log_scale(model, columns, counts), starts, low, high, hessian)
    return _result(model, columns, counts, best, (low, high), iterations)


def log_scale(model: Model, columns: Columns, counts: Floats) -> Function:
    """The mean log-likelihood per customer as a function of the logarithms of parameters.

    Example:
        >>> from clv_spark.models.gamma_gamma import MODEL
        >>> columns = MODEL.read({"x": [1], "m_x": [30.0]})
        >>> value, gradient = log_scale(MODEL, columns, np.ones(1))(np.log([6.25, 3.74, 15.44]))
        >>> round(value, 4), gradient.shape
        (-3.9485, (3,))
    """
    evaluate = model.likelihood(columns, counts)

    def function(point: Floats) -> tuple[float, Floats]:
        return evaluate(np.exp(point))

    return function


def condition_of(hessian: Floats) -> float:
    """Largest over smallest eigenvalue; infinite unless all are positive.

    Example:
        >>> condition_of(np.diag([1.0, 4.0])), condition_of(np.diag([-1.0, 4.0]))
        (4.0, inf)
    """
    eigenvalues = np.linalg.eigvalsh(hessian)
    return float(eigenvalues[-1] / eigenvalues[0]) if eigenvalues[0] > 0 else math.inf


def _read_start(model: Model, start: Mapping[str, float]) -> Floats:
    values = np.array([start.get(name, math.nan) for name in model.parameters], dtype=np.float64)
    if not np.all(np.isfinite(values) & (values > 0)):
        raise InputError(f"start needs positive values for {list(model.parameters)}: {start}.")
    return values


def _result(
    model: Model,
    columns: Columns,
    counts: Floats,
    best: Optimum,
    box: tuple[Floats, Floats],
    earlier_iterations: int,
) -> FitResult:
    values, customers = np.exp(best.point), float(np.sum(counts))
    parameters = dict(zip(model.parameters, values.tolist(), strict=True))
    touched = tuple(
        name
        for name, is_at in zip(model.parameters, at_limit(best.point, *box), strict=True)
        if is_at
    )
    condition = condition_of(best.hessian)
    covariance: Floats | None = None
    if math.isfinite(condition):
        covariance = np.linalg.inv(customers * best.hessian).astype(np.float64)
    caveat = model.caveat(columns, parameters)
    age = mean_age(columns, counts) if "T" in columns else 1.0
    ridges = []
    if not caveat:
        ridges = _ridges(model, best.point, covariance, age, touched=bool(touched))
    status, message = _judge(best, ridges, touched, condition, caveat, model.parameters)
    log_covariance = as_matrix(covariance) if covariance is not None and status == "ok" else ()
    return FitResult(
        parameters=parameters,
        log_likelihood=best.value * customers,
        iterations=earlier_iterations + best.iterations,
        gradient_norm=length(best.gradient),
        condition_number=condition,
        status=status,
        message=message,
        bounds_touched=touched,
        covariance=natural_covariance(parameters, log_covariance),
        log_covariance=log_covariance,
        standard_errors=standard_errors(parameters, log_covariance),
    )


def _judge(
    best: Optimum,
    ridges: list[str],
    touched: tuple[str, ...],
    condition: float,
    caveat: str,
    names: tuple[str, ...],
) -> tuple[Status, str]:
    if caveat:
        return "not_identified", f"Not identified: {caveat}."
    if ridges:
        return "degenerate", f"Degenerate: {', and '.join(ridges)}."
    if touched:
        values = dict(zip(names, np.exp(best.point), strict=True))
        return "not_identified", (
            f"Not identified: {', '.join(f'{name} = {values[name]:.3g}' for name in touched)} ran "
            "to the limit of the search, which means that customers in these data do not differ "
            "enough, or buy too rarely, to tell."
        )
    gradient_norm = length(best.gradient)
    if not math.isfinite(best.value) or gradient_norm > ACCEPTED_GRADIENT:
        return "failed", (
            f"No maximum found: the gradient is {gradient_norm:.1e} after {best.iterations} "
            f"iterations, at most {ACCEPTED_GRADIENT:.0e} is accepted."
        )
    if condition > LARGEST_CONDITION:
        return "not_identified", (
            f"Not identified: the condition number is {condition:.1e}, above "
            f"{LARGEST_CONDITION:.0e}; very different parameters explain the data equally well."
        )
    return "ok", f"Converged: gradient {gradient_norm:.1e}, condition number {condition:.1e}."


def _ridges(
    model: Model, point: Floats, covariance: Floats | None, age: float, *, touched: bool
) -> list[str]:
    """In words, the ways to infinity on which a search got far without finding solid ground."""
    coordinates = coordinates_of(model.parameters)
    here = coordinates.forward(np.exp(point))
    flat = np.ones(here.size, dtype=bool)
    if covariance is not None and not touched:
        to_coordinates = np.linalg.inv(coordinates.jacobian(here))
        variances = np.diag(to_coordinates @ covariance @ to_coordinates.T)
        flat = variances > FLAT_ERROR**2
    found = [
        ridge
        for ridge in coordinates.ridges
        if flat[ridge.coordinate] and ridge.is_passed(here[ridge.coordinate], age)
    ]
    # Where nobody leaves, how customers differ in leaving is an idle question.
    moot = {ridge.moot for ridge in found}
    return [ridge.words for ridge in found if ridge.coordinate not in moot]
