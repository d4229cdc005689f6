"""The value of a segment's customers together, under draws of the parameters they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv_spark.economics import rate_per_unit
from clv_spark.economics.total import total_draws
from clv_spark.kernels.segment_table import SegmentParameters
from clv_spark.models import PURCHASE_MODELS

Floats = NDArray[np.float64]

# An even number: draws come in pairs. Twice as many move a bound by a few percent of its distance.
DRAWS = 64
PATTERN = ("frequency", "recency", "T", "spend_x")
# Sums with the share of spend that is kept after returns, and the power of that share.
SUMS = {"kept": 1, "kept_spent": 1, "kept_2": 2, "kept_2_spent": 2, "kept_2_spent_2": 2}


@dataclass(frozen=True)
class SegmentSum:
    """What a segment's customers are worth together.

    Attributes:
        segment: Its name.
        customers: Number of customers with a value.
        active: Expected number with a purchase in the next 365 days.
        clv: Sum of their clv.
        mean: Their total under each draw of the parameters.
        variance: Its variance from the customers' own chance, under each draw.
    """

    segment: str
    customers: float
    active: float
    clv: float
    mean: Sequence[float]
    variance: Sequence[float]


def sum_segment(
    rows: pd.DataFrame,
    parameters: SegmentParameters,
    *,
    horizon_days: int,
    annual_discount_rate: float,
) -> SegmentSum:
    """Adds up the customers of a segment, under the parameters as fitted and under draws of them.

    Args:
        rows: The segment's rows of ``transforms.summary.value_sums``, in any order.
        parameters: Of the segment, purchases and spend both known.
        horizon_days: How far clv looks ahead.
        annual_discount_rate: As for clv.
    """
    rows = rows.sort_values(list(PATTERN))
    # The scale of all draws is put right below: one margin stands for those of all customers, and
    # without a margin revenue has bounds all the same.
    unit, rate = parameters.unit_days, parameters.margin_rate or 1.0
    columns = {name: rows[name].to_numpy(np.float64) for name in (*PATTERN, *SUMS)}
    patterns = {
        "x": columns["frequency"],
        "t_x": columns["recency"] / unit,
        "T": columns["T"] / unit,
        "spend_x": columns["spend_x"],
        **{
            name.replace("kept", "margin"): columns[name] * rate**power
            for name, power in SUMS.items()
        },
    }
    draws = total_draws(
        PURCHASE_MODELS[parameters.model],
        patterns,
        parameters.purchase_draws(DRAWS),
        parameters.spend_draws(DRAWS),
        horizon=horizon_days / unit,
        discount_rate=rate_per_unit(annual_discount_rate, unit),
        age_step=parameters.age_step,
    )
    clv = float(rows["clv"].sum())
    # The first draw is the fit itself, whose exact total is known from the customers.
    scale = clv / draws.mean[0] if draws.mean[0] > 0 else 1.0
    return SegmentSum(
        segment=str(rows["segment"].iloc[0]),
        customers=float(rows["customers"].sum()),
        active=float(rows["active"].sum()),
        clv=clv,
        mean=(draws.mean[1:] * scale).tolist(),
        variance=(draws.variance[1:] * scale**2).tolist(),
    )
