"""How uncertain parameters make a customer's expected value: the delta method on whole columns."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from clv_spark.kernels.living_forecasts import SLOPE_WIDTH, SLOPES, log_slope
from clv_spark.kernels.segment_table import SPEND_LETTERS, ModelRows, SegmentTable
from clv_spark.models import PURCHASE_MODELS, gamma_gamma

Floats = NDArray[np.float64]

SLOPE_NAMES = tuple(f"slope_{number}" for number in range(SLOPES))


def add_alive_slopes(
    living: Mapping[str, Floats],
    part: ModelRows,
    params: Mapping[str, Floats],
    pattern: tuple[Floats, Floats, Floats],
) -> None:
    """Adds to the slopes of the living what P(alive) brings, where the parameters are uncertain.

    Args:
        living: Whole columns with slope_0 to slope_3: derivatives of the logarithm of the expected
            value by the logarithms of the parameters; changed in place.
        part: The rows of one model.
        params: Their parameters.
        pattern: Their x, t_x and T in time units.
    """
    uncertain = np.array([one.uncertain for one in part.sets])[part.codes]
    rows = np.flatnonzero(uncertain)
    if not rows.size:
        return
    model = PURCHASE_MODELS[part.model]
    few = {name: values[rows] for name, values in params.items()}
    x, t_x, T = (column[rows] for column in pattern)
    for number, name in enumerate(model.MODEL.parameters):
        up, down = (
            model.probability_alive({**few, name: few[name] * np.exp(step)}, x, t_x, T)
            for step in (SLOPE_WIDTH, -SLOPE_WIDTH)
        )
        living[f"slope_{number}"][part.rows[rows]] += log_slope(up, down, SLOPE_WIDTH)


def relative_variance(
    segments: SegmentTable,
    living: Mapping[str, Floats],
    spend: Mapping[str, Floats],
    x: Floats,
    m_x: Floats,
) -> Floats:
    """Variance of the logarithm of each customer's expected value that the parameters bring.

    Purchases and spend are fitted apart, so their parts add up.

    Args:
        segments: The segments of the batch.
        living: Columns with slope_0 to slope_3.
        spend: p, q, gamma per customer.
        x: Purchases behind the mean spend.
        m_x: Mean spend.
    """
    variance = np.zeros(x.size)
    rows, covariance = segments.purchases_covariance()
    if rows.any():
        slopes = np.stack([living[name][rows] for name in SLOPE_NAMES], axis=1)
        variance[rows] += _quadratic(slopes, covariance)
    rows, covariance = segments.spend_covariance()
    if rows.any():
        few = {name: values[rows] for name, values in spend.items()}
        columns = []
        for name in SPEND_LETTERS:
            up, down = (
                gamma_gamma.expected_spend(
                    {**few, name: few[name] * np.exp(step)}, x[rows], m_x[rows]
                )
                for step in (SLOPE_WIDTH, -SLOPE_WIDTH)
            )
            columns.append(log_slope(up, down, SLOPE_WIDTH))
        variance[rows] += _quadratic(np.stack(columns, axis=1), covariance)
    return variance


def _quadratic(slopes: Floats, covariance: Floats) -> Floats:
    # Written out in a fixed order: a sum by a matrix product may depend on the rows beside.
    size = slopes.shape[1]
    total = np.zeros(slopes.shape[0])
    for i in range(size):
        for j in range(size):
            total += slopes[:, i] * covariance[:, i, j] * slopes[:, j]
    return np.maximum(total, 0.0)
