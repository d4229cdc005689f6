"""Maximum likelihood for any model of the registry, and an honest word on how well it went.

The search runs over the logarithms of the parameters in the units of the data. A quasi-Newton
method comes near, Newton steps finish, and the gradient alone decides whether it is a maximum:
optimisers also stop where the ground is merely flat.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clv_spark.errors import InputError
from clv_spark.models.arrays import Columns, Floats, merge_equal_rows, read_weights
from clv_spark.models.model import Evaluate, Model

Status = Literal["ok", "not_identified", "failed"]

# Newton steps go on down to the first; what is above the second is not a maximum. Per customer,
# by the logarithms of parameters.
TARGET_GRADIENT = 1e-10
ACCEPTED_GRADIENT = 1e-6
# Above this the data leave some combination of parameters open: it may be moved by a large factor
# and explains them equally well.
LARGEST_CONDITION = 1e8
# Larger data are first fitted on coarse patterns, which brings the start within a few percent.
COARSEN_ABOVE = 50_000
QUASI_NEWTON_STEPS, NEWTON_STEPS = 200, 60
# Where quasi-Newton steps hand over, and how far a step may go in the logarithm of a parameter.
NEAR_GRADIENT, LARGEST_STEP = 1e-4, 2.0
# Enough to come back from a step too far; who still wants out has no maximum inside.
STEPS_AT_LIMIT = 5


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
        status: "ok"; "not_identified": the data do not determine the parameters; "failed": the
            search did not end in a maximum.
        message: What was found and what it means, in words.
    """

    parameters: dict[str, float]
    log_likelihood: float
    iterations: int
    gradient_norm: float
    condition_number: float
    status: Status
    message: str


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
        'not_identified'
    """
    columns = model.read(data)
    columns, counts = merge_equal_rows(columns, read_weights(weights, columns["x"].size))
    starts = model.starts(columns, counts)
    if start is not None:
        starts = [_read_start(model, start), *starts[:1]]
    low, high = (np.log(bound) for bound in model.box(columns, counts))
    iterations = 0
    if model.coarsen is not None and counts.size > COARSEN_ABOVE and start is None:
        coarse, coarse_counts = merge_equal_rows(model.coarsen(columns), counts)
        rough = _search(model.likelihood(coarse, coarse_counts), starts, low, high)
        starts, iterations = [np.exp(rough.point)], rough.iterations
    best = _search(model.likelihood(columns, counts), starts, low, high)
    return _judge(model, columns, best, low, high, float(np.sum(counts)), iterations)


@dataclass(frozen=True)
class _Optimum:
    point: Floats
    value: float
    gradient: Floats
    eigenvalues: Floats
    iterations: int


def _read_start(model: Model, start: Mapping[str, float]) -> Floats:
    values = np.array([start.get(name, math.nan) for name in model.parameters], dtype=np.float64)
    if not np.all(np.isfinite(values) & (values > 0)):
        raise InputError(f"start needs positive values for {list(model.parameters)}: {start}.")
    return values


def _search(evaluate: Evaluate, starts: list[Floats], low: Floats, high: Floats) -> _Optimum:
    def negative(point: Floats) -> tuple[float, Floats]:
        value, gradient = evaluate(np.exp(point))
        return -value, -gradient

    runs = [_approach(negative, np.clip(np.log(s), low, high), low, high) for s in starts]
    # The first of equals, so that the choice does not hang on the last digit.
    best = min(runs, key=lambda run: round(run[1], 10))
    point, steps = _polish(negative, best[0], low, high)
    value, gradient = negative(point)
    eigenvalues = np.asarray(np.linalg.eigvalsh(_hessian(negative, point)), dtype=np.float64)
    return _Optimum(point, -value, gradient, eigenvalues, sum(run[2] for run in runs) + steps)


def _approach(
    negative: Evaluate, start: Floats, low: Floats, high: Floats
) -> tuple[Floats, float, int]:
    """Comes near the maximum by the method of Broyden, Fletcher, Goldfarb and Shanno.

    Written out, since scipy's calls a threaded BLAS for matrices of four by four: on a busy machine
    that made a fit twenty times slower, and its last digits would be the library's.
    """
    point = start
    value, gradient = negative(point)
    inverse = np.eye(point.size)
    steps_at_limit = 0
    for iteration in range(QUASI_NEWTON_STEPS):
        # At a limit with the way up leading out, that parameter stays where it is.
        held = ((point <= low) & (gradient > 0)) | ((point >= high) & (gradient < 0))
        free = np.where(held, 0.0, gradient)
        steps_at_limit += int(np.any(held))
        if _length(free) <= NEAR_GRADIENT or steps_at_limit > STEPS_AT_LIMIT:
            return point, value, iteration
        step = np.where(held, 0.0, -np.sum(inverse * free, axis=1))
        if np.sum(step * free) >= 0:
            inverse, step = np.eye(point.size), -free
        step *= min(1.0, LARGEST_STEP / np.max(np.abs(step)))
        for _ in range(30):
            trial = np.clip(point + step, low, high)
            trial_value, trial_gradient = negative(trial)
            if trial_value < value + 1e-4 * np.sum((trial - point) * free):
                break
            step = step / 3
        else:
            return point, value, iteration
        inverse = _updated(inverse, trial - point, trial_gradient - gradient)
        point, value, gradient = trial, trial_value, trial_gradient
    return point, value, QUASI_NEWTON_STEPS


def _updated(inverse: Floats, step: Floats, change: Floats) -> Floats:
    """The inverse Hessian after a step that changed the gradient so and so."""
    curvature = float(np.sum(step * change))
    if curvature <= 1e-14:
        return inverse
    moved = np.sum(inverse * change, axis=1)
    cross = np.multiply.outer(step, moved)
    spread = (1 + float(np.sum(change * moved)) / curvature) * np.multiply.outer(step, step)
    updated: Floats = inverse + (spread - cross - cross.T) / curvature
    return updated


def _polish(negative: Evaluate, start: Floats, low: Floats, high: Floats) -> tuple[Floats, int]:
    """Newton steps until the gradient is as good as zero or a step no longer helps."""
    point = start
    value, gradient = negative(point)
    for step_number in range(NEWTON_STEPS):
        if _length(gradient) <= TARGET_GRADIENT or _at_limit(point, low, high).any():
            return point, step_number
        eigenvalues, vectors = np.linalg.eigh(_hessian(negative, point))
        # Off the maximum the Hessian may have the wrong sign; its size still sets the step's.
        sizes = np.maximum(np.abs(eigenvalues), 1e-12)
        along = np.sum(vectors * gradient[:, np.newaxis], axis=0) / sizes
        step = -np.sum(vectors * along, axis=1)
        step *= min(1.0, LARGEST_STEP / max(np.max(np.abs(step)), 1e-300))
        for _ in range(12):
            trial = np.clip(point + step, low, high)
            trial_value, trial_gradient = negative(trial)
            if trial_value < value or _length(trial_gradient) < _length(gradient):
                break
            step = step / 4
        else:
            return point, step_number
        point, value, gradient = trial, trial_value, trial_gradient
    return point, NEWTON_STEPS


def _hessian(negative: Evaluate, point: Floats, width: float = 1e-4) -> Floats:
    rows = []
    for index in range(point.size):
        shift = np.zeros(point.size)
        shift[index] = width
        rows.append((negative(point + shift)[1] - negative(point - shift)[1]) / (2 * width))
    hessian = np.array(rows)
    return (hessian + hessian.T) / 2


def _length(vector: Floats) -> float:
    return float(np.sqrt(np.sum(vector * vector)))


def _at_limit(point: Floats, low: Floats, high: Floats) -> NDArray[np.bool_]:
    return (point <= low + 1e-3) | (point >= high - 1e-3)


def _judge(
    model: Model,
    columns: Columns,
    best: _Optimum,
    low: Floats,
    high: Floats,
    customers: float,
    earlier_iterations: int,
) -> FitResult:
    values = np.exp(best.point)
    parameters = dict(zip(model.parameters, values.tolist(), strict=True))
    smallest, largest = float(best.eigenvalues[0]), float(best.eigenvalues[-1])
    condition = largest / smallest if smallest > 0 else math.inf
    gradient_norm = _length(best.gradient)
    at_limit = _at_limit(best.point, low, high)
    stuck = [
        f"{name} = {value:.3g}"
        for name, value, is_at in zip(model.parameters, values, at_limit, strict=True)
        if is_at
    ]
    caveat = model.caveat(columns, parameters)
    status: Status
    if caveat:
        status, message = "not_identified", f"Not identified: {caveat}."
    elif stuck:
        status = "not_identified"
        message = (
            f"Not identified: {', '.join(stuck)} ran to the limit of the search, which means that "
            "customers in these data do not differ enough, or buy too rarely, to tell."
        )
    elif gradient_norm > ACCEPTED_GRADIENT or not math.isfinite(best.value):
        status = "failed"
        message = (
            f"No maximum found: the gradient is {gradient_norm:.1e} after {best.iterations} "
            f"iterations, at most {ACCEPTED_GRADIENT:.0e} is accepted."
        )
    elif condition > LARGEST_CONDITION:
        status = "not_identified"
        message = (
            f"Not identified: the condition number is {condition:.1e}, above "
            f"{LARGEST_CONDITION:.0e}; very different parameters explain the data equally well."
        )
    else:
        status = "ok"
        message = f"Converged: gradient {gradient_norm:.1e}, condition number {condition:.1e}."
    return FitResult(
        parameters=parameters,
        log_likelihood=best.value * customers,
        iterations=earlier_iterations + best.iterations,
        gradient_norm=gradient_norm,
        condition_number=condition,
        status=status,
        message=message,
    )
