"""How uncertain parameters make a customer's expected value: the delta method on whole columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from clv_spark.kernels.living_forecasts import SLOPES, LivingForecasts, log_slopes
from clv_spark.kernels.segment_table import SPEND_LETTERS, Covariances, ModelRows, SegmentTable
from clv_spark.models import gamma_gamma

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# A slope tells nothing of values a factor of e and more away. With more than this an interval would
# even become narrower at its upper end, and at last have none.
LARGEST_VARIANCE = 1.0

SLOPE_NAMES = tuple(f"slope_{number}" for number in range(SLOPES))


def add_alive_slopes(
    living: Mapping[str, Floats],
    part: ModelRows,
    pattern: tuple[Integers, Integers, Integers],
    forecasts: LivingForecasts,
) -> None:
    """Adds to the slopes of the living what P(alive) brings, where the parameters are uncertain.

    Args:
        living: Whole columns with slope_0 to slope_3: derivatives of the logarithm of the expected
            value by the logarithms of the parameters; changed in place.
        part: The rows of one model.
        pattern: Their frequency, recency and T in days.
        forecasts: The worker's memory.
    """
    uncertain = np.array([one.uncertain for one in part.sets])[part.codes]
    rows = np.flatnonzero(uncertain)
    if not rows.size:
        return
    x, recency, T = (column[rows] for column in pattern)
    slopes = forecasts.alive_slopes(part.sets, part.codes[rows], x, T, T - recency)
    for name, slope in zip(SLOPE_NAMES, slopes, strict=True):
        living[name][part.rows[rows]] += slope


def relative_variance(
    segments: SegmentTable,
    living: Mapping[str, Floats],
    spend: Mapping[str, Floats],
    x: Floats,
    m_x: Floats,
) -> Floats:
    """Variance of the logarithm of each customer's expected value that the parameters bring.

    Purchases and spend are fitted apart, so their parts add up; to ``LARGEST_VARIANCE`` at most,
    since where q is near 1 the slope of the mean spend has no bound.

    Args:
        segments: The segments of the batch.
        living: Columns with slope_0 to slope_3.
        spend: p, q, gamma per customer.
        x: Purchases behind the mean spend.
        m_x: Mean spend.
    """
    variance = np.zeros(x.size)
    purchases = segments.purchases_covariance()
    if purchases.rows.size:
        slopes = [living[name][purchases.rows] for name in SLOPE_NAMES]
        variance[purchases.rows] += _quadratic(slopes, purchases)
    money = segments.spend_covariance()
    rows = money.rows
    if rows.size:
        few = {name: spend[name][rows] for name in SPEND_LETTERS}
        slopes = log_slopes(lambda p: gamma_gamma.expected_spend(p, x[rows], m_x[rows]), few)
        variance[rows] += _quadratic(slopes, money)
    return np.minimum(variance, LARGEST_VARIANCE)


def _quadratic(slopes: Sequence[Floats], covariances: Covariances) -> Floats:
    # Written out in a fixed order: a sum by a matrix product may depend on the rows beside.
    total = np.zeros(covariances.rows.size)
    for i in range(covariances.table.shape[1]):
        for j in range(i + 1):
            once = covariances.table[:, i, j] * (1 if i == j else 2)
            total += slopes[i] * slopes[j] * once[covariances.codes]
    return np.maximum(total, 0.0)
