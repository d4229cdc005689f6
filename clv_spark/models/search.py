"""Finds a maximum of a smooth function of a few variables, and how sharp it is.

A quasi-Newton method comes near, Newton steps finish. Written out, since scipy's calls a threaded
BLAS for matrices of four by four: on a busy machine that made a fit twenty times slower, and its
last digits would be the library's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from clv_spark.models.arrays import Floats

# A point -> value and gradient there. ``search`` takes one to climb, the helpers one to descend.
Function: TypeAlias = Callable[[Floats], tuple[float, Floats]]

# Newton steps go on until the gradient is this short.
TARGET_GRADIENT = 1e-12
QUASI_NEWTON_STEPS, NEWTON_STEPS = 200, 30
# Where quasi-Newton steps hand over, and how far a step may go in one variable.
NEAR_GRADIENT, LARGEST_STEP = 1e-4, 2.0
# Enough to come back from a step too far; who still wants out has no maximum inside.
STEPS_AT_LIMIT = 5
# A Newton step that leaves more of the gradient than this was made with too old a Hessian.
ENOUGH_PROGRESS = 0.1
# Half the distance of two gradients for a Hessian; its error is about the square of this.
WIDTH = 1e-4


@dataclass(frozen=True)
class Optimum:
    """Where a search ended.

    Attributes:
        point: The best point found.
        value: The function there.
        gradient: Its gradient there.
        hessian: Minus its second derivatives there; positive definite at a maximum.
        iterations: Steps of both methods, from all starts.
    """

    point: Floats
    value: float
    gradient: Floats
    hessian: Floats
    iterations: int


class _Run(NamedTuple):
    """Where steps downwards led to, and how many."""

    point: Floats
    value: float
    gradient: Floats
    steps: int


def search(
    function: Function,
    starts: Sequence[Floats],
    low: Floats,
    high: Floats,
    hessian: Floats | None = None,
) -> Optimum:
    """Searches for the highest point between the limits.

    Args:
        function: A point to the value and gradient of what is maximised.
        starts: Points to start from; those outside the limits are moved onto them.
        low: Lowest value of each variable.
        high: Highest value of each variable.
        hessian: Minus the second derivatives near the maximum, if known; saves steps.

    Example:
        >>> bowl = lambda v: (-float(np.sum((v - 3) ** 2)), -2 * (v - 3))
        >>> search(bowl, [np.zeros(2)], np.full(2, -9.0), np.full(2, 9.0)).point.round(6).tolist()
        [3.0, 3.0]
    """

    def negative(point: Floats) -> tuple[float, Floats]:
        value, gradient = function(point)
        return -value, -gradient

    inverse = None if hessian is None else _inverse(hessian)
    runs = [_approach(negative, np.clip(s, low, high), low, high, inverse) for s in starts]
    # The first of equals, so that the choice does not hang on the last digit.
    best = min(runs, key=lambda run: round(run.value, 10))
    end = _polish(negative, best, low, high, hessian)
    iterations = sum(run.steps for run in (*runs, end))
    return Optimum(end.point, -end.value, -end.gradient, _hessian(negative, end.point), iterations)


def length(vector: Floats) -> float:
    """Euclidean length.

    Example:
        >>> length(np.array([3.0, 4.0]))
        5.0
    """
    return float(np.sqrt((vector * vector).sum()))


def at_limit(point: Floats, low: Floats, high: Floats) -> NDArray[np.bool_]:
    """Which variables stand at a limit of the search.

    Example:
        >>> at_limit(np.array([0.0, 1.0]), np.zeros(2), np.full(2, 5.0))
        array([ True, False])
    """
    return (point <= low + 1e-3) | (point >= high - 1e-3)


def _inverse(hessian: Floats) -> Floats | None:
    values, vectors = np.linalg.eigh(hessian)
    if values[0] <= 1e-9 * values[-1]:
        return None
    inverse: Floats = (vectors / values) @ vectors.T
    return inverse


def _approach(
    negative: Function, start: Floats, low: Floats, high: Floats, inverse: Floats | None
) -> _Run:
    """Comes near the minimum by the method of Broyden, Fletcher, Goldfarb and Shanno."""
    point = start
    value, gradient = negative(point)
    inverse = np.eye(point.size) if inverse is None else inverse
    steps_at_limit = 0
    for iteration in range(QUASI_NEWTON_STEPS):
        # At a limit with the way up leading out, that parameter stays where it is.
        held = ((point <= low) & (gradient > 0)) | ((point >= high) & (gradient < 0))
        free = np.where(held, 0.0, gradient)
        steps_at_limit += int(np.any(held))
        if length(free) <= NEAR_GRADIENT or steps_at_limit > STEPS_AT_LIMIT:
            return _Run(point, value, gradient, iteration)
        step = np.where(held, 0.0, -(inverse * free).sum(axis=1))
        if (step * free).sum() >= 0:
            inverse, step = np.eye(point.size), -free
        step *= min(1.0, LARGEST_STEP / np.max(np.abs(step)))
        for _ in range(30):
            trial = np.clip(point + step, low, high)
            trial_value, trial_gradient = negative(trial)
            if trial_value < value + 1e-4 * ((trial - point) * free).sum():
                break
            step = step / 3
        else:
            return _Run(point, value, gradient, iteration)
        inverse = _updated(inverse, trial - point, trial_gradient - gradient)
        point, value, gradient = trial, trial_value, trial_gradient
    return _Run(point, value, gradient, QUASI_NEWTON_STEPS)


def _updated(inverse: Floats, step: Floats, change: Floats) -> Floats:
    """The inverse Hessian after a step that changed the gradient so and so."""
    curvature = float((step * change).sum())
    if curvature <= 1e-14:
        return inverse
    moved = (inverse * change).sum(axis=1)
    cross = np.multiply.outer(step, moved)
    spread = (1 + float((change * moved).sum()) / curvature) * np.multiply.outer(step, step)
    updated: Floats = inverse + (spread - cross - cross.T) / curvature
    return updated


def _polish(
    negative: Function, start: _Run, low: Floats, high: Floats, hessian: Floats | None
) -> _Run:
    """Newton steps until the gradient is as good as zero or a step no longer helps."""
    point, value, gradient = start.point, start.value, start.gradient
    for step_number in range(NEWTON_STEPS):
        if length(gradient) <= TARGET_GRADIENT or at_limit(point, low, high).any():
            return _Run(point, value, gradient, step_number)
        fresh = hessian is None
        hessian = _hessian(negative, point) if hessian is None else hessian
        trial, trial_value, trial_gradient, helps = _newton_step(
            negative, point, value, gradient, hessian, low, high
        )
        # Hessians cost most of the time: one serves as long as its steps go well.
        if not helps or length(trial_gradient) > ENOUGH_PROGRESS * length(gradient):
            hessian = None
        if helps:
            point, value, gradient = trial, trial_value, trial_gradient
        elif fresh:
            return _Run(point, value, gradient, step_number)
    return _Run(point, value, gradient, NEWTON_STEPS)


def _newton_step(
    negative: Function,
    point: Floats,
    value: float,
    gradient: Floats,
    hessian: Floats,
    low: Floats,
    high: Floats,
) -> tuple[Floats, float, Floats, bool]:
    """Point, value and gradient after one step, and whether they are better."""
    eigenvalues, vectors = np.linalg.eigh(hessian)
    # Off the maximum the Hessian may have the wrong sign; its size still sets the step's.
    sizes = np.maximum(np.abs(eigenvalues), 1e-12)
    along = (vectors * gradient[:, np.newaxis]).sum(axis=0) / sizes
    step = -(vectors * along).sum(axis=1)
    step *= min(1.0, LARGEST_STEP / max(np.max(np.abs(step)), 1e-300))
    for _ in range(12):
        trial = np.clip(point + step, low, high)
        trial_value, trial_gradient = negative(trial)
        if trial_value < value or length(trial_gradient) < length(gradient):
            return trial, trial_value, trial_gradient, True
        step = step / 4
    return point, value, gradient, False


def _hessian(negative: Function, point: Floats) -> Floats:
    rows = []
    for index in range(point.size):
        shift = np.zeros(point.size)
        shift[index] = WIDTH
        rows.append((negative(point + shift)[1] - negative(point - shift)[1]) / (2 * WIDTH))
    hessian = np.array(rows)
    return (hessian + hessian.T) / 2
