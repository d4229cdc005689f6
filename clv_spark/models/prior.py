"""How much segments differ from their parent: the prior under which each of them is fitted.

Empirical Bayes: the segments are taken as draws from a normal distribution around a centre near
the parent, and its centre and spread are chosen so that what all segments say becomes most likely.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from clv_spark.models.arrays import Floats
from clv_spark.models.transform import coordinates_of
from clv_spark.models.uncertainty import Matrix, as_matrix, frame_of

# Spread of the prior before anything is known of the siblings, in logarithms: a factor of e.
WIDE_SPREAD = 1.0
# Before their siblings speak, segments are thought to differ by about a third, with the weight of
# this many siblings; so a spread is never zero, and one sibling alone does not make it huge. With
# more siblings than FEW that weight fades, and segments that are all alike are lumped together.
# A sibling counts here by what its customers would tell if segments differed by a third.
USUAL_SPREAD, USUAL_WEIGHT, FEW = 0.3, 2.0, 10.0
# The parent counts as this many siblings when the centre is looked for.
PARENT_WEIGHT = 1.0
# Degrees of freedom of a t distribution: far-out siblings count less, ordinary ones do not.
FREEDOM = 4.0
# The squared scale of that t distribution when what it is fitted to is normal with variance one.
NORMAL_SCALE = 0.6906
# A parabola that opens too little for its slope is bent until its own maximum is at most this far
# from where it was developed, in logarithms: nothing is known about farther away.
FARTHEST = 2.0
ROUNDS, SMALL_CHANGE = 300, 1e-6


@dataclass(frozen=True)
class Prior:
    """A normal distribution of each coordinate, independent of the others.

    Attributes:
        centre: Its middle, in the coordinates of ``transform``.
        spread: Its standard deviations, above zero.
        centre_covariance: How unsure the middle itself is, with all the siblings that there are;
            empty where it is taken for known.
    """

    centre: tuple[float, ...]
    spread: tuple[float, ...]
    centre_covariance: Matrix = ()

    def from_parent(self, parent: Mapping[str, float]) -> tuple[float, ...]:
        """How far segments are from their parent: the root of the mean square, by coordinate.

        Example:
            >>> wide_prior({"r": 1.0, "alpha": 1.0, "s": 1.0, "beta": 1.0}).from_parent(
            ...     {"r": 1.0, "alpha": 1.0, "s": 1.0, "beta": 1.0})
            (1.0, 1.0, 1.0, 1.0)
        """
        pairs = zip(self.centre, wide_prior(parent).centre, self.spread, strict=True)
        return tuple(math.hypot(one - other, spread) for one, other, spread in pairs)


@dataclass(frozen=True)
class SegmentFit:
    """The logarithm of a segment's likelihood as a parabola in the coordinates.

    Attributes:
        point: Where it is developed.
        gradient: Its gradient there, of all customers together.
        hessian: Minus its second derivatives there; about zero where the data are silent.
        log_likelihood: Its value there.
    """

    point: tuple[float, ...]
    gradient: tuple[float, ...]
    hessian: Matrix
    log_likelihood: float


def wide_prior(parent: Mapping[str, float]) -> Prior:
    """The prior of the first round: around the parent, so wide that the data decide.

    Example:
        >>> wide_prior({"r": 1.0, "alpha": 1.0, "s": 1.0, "beta": 1.0}).spread
        (1.0, 1.0, 1.0, 1.0)
    """
    names = tuple(parent)
    centre = coordinates_of(names).forward(np.array([parent[name] for name in names]))
    return Prior(tuple(centre.tolist()), (WIDE_SPREAD,) * centre.size)


def estimate_spread(
    summaries: Sequence[SegmentFit], parent: Mapping[str, float], parent_errors: Matrix = ()
) -> Prior:
    """Learns from all siblings how far segments are from their parent.

    The centre and the spread under which what all siblings say, each a parabola, is most likely
    (MacKay's fixed point of the marginal likelihood, 1992). A segment has a say as far as its
    customers tell something: with a flat parabola none, however many there are. The order of the
    siblings does not matter, to the last bit.

    Args:
        summaries: One per sibling; none gives the usual spread around the parent.
        parent: The parent's parameters.
        parent_errors: Covariance of their logarithms; empty where they are taken for known.

    Example:
        >>> flat = ((0.0,) * 3,) * 3
        >>> silent = SegmentFit((0.0,) * 3, (0.0,) * 3, flat, 0.0)
        >>> prior = estimate_spread([silent] * 5, {"p": 1.0, "q": 2.0, "gamma": 1.0})
        >>> [round(value, 3) for value in prior.spread]
        [0.3, 0.3, 0.3]
    """
    _, parent_point, inward = frame_of(parent)
    if not summaries:
        return Prior(tuple(parent_point.tolist()), (USUAL_SPREAD,) * parent_point.size)
    ordered = sorted(summaries, key=lambda one: (one.point, one.gradient, one.hessian))
    point = np.array([one.point for one in ordered])
    slope = np.array([one.gradient for one in ordered])
    hessian = _bent(np.array([one.hessian for one in ordered]), slope)
    centre, variance = parent_point, np.full(parent_point.size, USUAL_SPREAD**2 * NORMAL_SCALE)
    trust = np.ones(point.shape)
    precision = np.full(point.shape, USUAL_SPREAD**-2.0)
    told = _told(precision, _given(hessian, precision))
    usual = USUAL_WEIGHT / (1 + (np.sum(told, axis=0) / FEW) ** 2)
    for _ in range(ROUNDS):
        precision = trust / variance
        covariance = _given(hessian, precision)
        pull = slope - precision * (point - centre)
        mean = point + np.sum(covariance * pull[:, np.newaxis, :], axis=2)
        told = _told(precision, covariance)
        # From the centre before, on which the silent stand.
        square = (mean - centre) ** 2
        before, centre = (variance, centre), _moved(centre, trust, mean, told, parent_point)
        total = np.sum(trust * square, axis=0) + usual * USUAL_SPREAD**2 * NORMAL_SCALE
        variance = total / (np.sum(told, axis=0) + usual)
        own_variance = np.diagonal(covariance, axis1=1, axis2=2)
        trust = (FREEDOM + 1) / (FREEDOM + (square + own_variance) / variance)
        if _is_still(before, (variance, centre)):
            break
    spread = np.sqrt(variance / NORMAL_SCALE)
    errors = _error_of_centre(hessian, trust / spread**2, spread)
    if parent_errors:
        # As far as the centre stands on the parent, it is as unsure as the parent.
        moved = errors * (PARENT_WEIGHT / spread**2) @ inward
        errors = errors + moved @ np.array(parent_errors) @ moved.T
    return Prior(tuple(centre.tolist()), tuple(spread.tolist()), as_matrix(errors))


def _bent(hessian: Floats, slope: Floats) -> Floats:
    """Hessians under which every parabola has a maximum, and no farther away than ``FARTHEST``."""
    values, vectors = np.linalg.eigh(hessian)
    along = np.sum(vectors * slope[:, :, np.newaxis], axis=1)
    values = np.maximum(values, np.abs(along) / FARTHEST)
    bent: Floats = (vectors * values[:, np.newaxis, :]) @ np.swapaxes(vectors, 1, 2)
    return bent


def _given(hessian: Floats, precision: Floats) -> Floats:
    """Covariance of each segment's coordinates, given its customers and the prior."""
    prior = precision[:, :, np.newaxis] * np.eye(precision.shape[1])
    return np.linalg.inv(hessian + prior).astype(np.float64)


def _told(precision: Floats, covariance: Floats) -> Floats:
    """Which part of what is known of each coordinate comes from the segment's customers."""
    told: Floats = 1 - precision * np.diagonal(covariance, axis1=1, axis2=2)
    return told


def _moved(
    centre: Floats, trust: Floats, mean: Floats, told: Floats, parent_point: Floats
) -> Floats:
    """The centre nearer to the mean of siblings and parent; siblings follow it as far as silent."""
    pull = np.sum(trust * (mean - centre), axis=0) + PARENT_WEIGHT * (parent_point - centre)
    moved: Floats = centre + pull / (np.sum(trust * told, axis=0) + PARENT_WEIGHT)
    return moved


def _is_still(before: tuple[Floats, Floats], now: tuple[Floats, Floats]) -> bool:
    """Whether variance and centre have stopped, the centre by the spread."""
    (variance, centre), (variance_now, centre_now) = before, now
    return bool(
        np.all(np.abs(variance_now - variance) <= SMALL_CHANGE * variance)
        and np.all((centre_now - centre) ** 2 <= SMALL_CHANGE**2 * variance)
    )


def _error_of_centre(hessian: Floats, precision: Floats, spread: Floats) -> Floats:
    """What each sibling says of the middle is blurred by its distance from it and its own error."""
    said = np.diag(PARENT_WEIGHT / spread**2)
    for each, error in zip(precision, _given(hessian, precision), strict=True):
        said += np.diag(each) - each[:, np.newaxis] * error * each
    found: Floats = np.linalg.inv(said).astype(np.float64)
    return found
