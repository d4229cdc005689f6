"""Scores one Arrow batch of customers: what they will buy, and what that is worth.

Every step works on whole columns. A customer's values are the same, to the last bit, whatever
batch the customer comes in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from clv_spark.economics import customer_value, past_margin, rate_per_unit, shrunk_rate
from clv_spark.errors import InputError
from clv_spark.kernels.segment_table import SegmentParameters, SegmentTable
from clv_spark.models import bg_nbd, gamma_gamma
from clv_spark.models.arrays import distinct

__all__ = ["OUTPUT_COLUMNS", "ScoreSettings", "SegmentParameters", "score_batch"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Numbers = dict[str, Floats]

INPUT_NUMBERS = (
    "frequency",
    "recency",
    "T",
    "monetary_value",
    "gross_amount",
    "refund_amount",
    "margin_amount",
)
OUTPUT_COLUMNS = (
    "customer_id",
    "segment",
    "parameters_segment",
    "spend_parameters_segment",
    "frequency",
    "recency",
    "T",
    "monetary_value",
    "return_rate",
    "margin_rate",
    "p_alive",
    "p_active_365d",
    "expected_purchases_30d",
    "expected_purchases_90d",
    "expected_purchases_365d",
    "expected_order_value",
    "expected_revenue_365d",
    "clv",
    "residual_clv",
    "historical_clv",
    "total_clv",
    "score_status",
)
PERIODS = (30, 90, 365)
# In order of precedence; what none of them describes is "ok".
STATUSES = ("insufficient_data", "spend_undefined", "parent_model", "new", "one_purchase", "ok")


@dataclass(frozen=True)
class ScoreSettings:
    """What scoring needs to know beside the parameters.

    Attributes:
        unit_days: Days per time unit of the parameters.
        horizon_days: How far clv looks ahead.
        annual_discount_rate: 0.10 for ten percent a year; with 0 there is no residual_clv.
        refunds: "rate" lowers expected money by the customer's return rate, "ignore" does not.
        new_customer_days: Customers younger than this get the status "new".
    """

    unit_days: int
    horizon_days: int
    annual_discount_rate: float
    refunds: Literal["rate", "ignore"]
    new_customer_days: int


def score_batch(
    batch: pa.RecordBatch,
    settings: ScoreSettings,
    parameters: Mapping[str, SegmentParameters],
    default: SegmentParameters | None = None,
) -> pa.RecordBatch:
    """Scores every customer of a batch; what can't be known is null and has a status that says so.

    Args:
        batch: customer_id (any type), segment (string), frequency, recency, T (days),
            monetary_value (null when frequency is 0), gross_amount, refund_amount (not negative),
            margin_amount (null when the source has no margin).
        settings: Time unit, horizon, discounting, refunds.
        parameters: Parameters by segment.
        default: For segments that are not in ``parameters``, say those that appeared after the
            fit; without it such customers have "insufficient_data".

    Returns:
        A batch of the same rows with ``OUTPUT_COLUMNS``; no value is ever NaN.

    Raises:
        InputError: The batch lacks a column.

    Example:
        >>> batch = pa.RecordBatch.from_pydict({"customer_id": [7], "segment": ["uk"],
        ...     "frequency": [2], "recency": [213], "T": [272], "monetary_value": [22.35],
        ...     "gross_amount": [74.0], "refund_amount": [0.0],
        ...     "margin_amount": pa.array([None], pa.float64())})
        >>> uk = SegmentParameters(segment="uk", purchases_segment="uk", spend_segment="uk",
        ...     purchases={"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426},
        ...     spend={"p": 6.25, "q": 3.74, "gamma": 15.44},
        ...     return_rate=0.0, return_prior_amount=100.0, margin_rate=0.3)
        >>> settings = ScoreSettings(unit_days=7, horizon_days=365, annual_discount_rate=0.1,
        ...     refunds="rate", new_customer_days=30)
        >>> row = score_batch(batch, settings, {"uk": uk}).to_pylist()[0]
        >>> round(row["p_alive"], 4), round(row["clv"], 2), row["score_status"]
        (0.7266, 11.06, 'ok')
    """
    missing = [
        name
        for name in ("customer_id", "segment", *INPUT_NUMBERS)
        if name not in batch.schema.names
    ]
    if missing:
        raise InputError(f"The batch lacks {missing}; it has {batch.schema.names}.")
    segments = SegmentTable.of(batch.column("segment"), parameters, default)
    numbers = {name: _doubles(batch.column(name)) for name in INPUT_NUMBERS}
    purchases = _purchases(numbers, segments, settings)
    spend = np.where(np.isnan(purchases["p_alive"]), np.nan, _order_value(numbers, segments))
    scores = purchases | _money(numbers, segments, settings, purchases, spend)
    columns = {name: batch.column(name) for name in OUTPUT_COLUMNS if name in batch.schema.names}
    columns |= {name: _nullable(values) for name, values in scores.items()}
    columns |= {
        "parameters_segment": segments.purchases_segment(),
        "spend_parameters_segment": segments.spend_segment(),
        "score_status": _status(numbers, segments, settings, scores),
    }
    ordered = [columns[name] for name in OUTPUT_COLUMNS]
    return pa.RecordBatch.from_arrays(ordered, names=list(OUTPUT_COLUMNS))


def _purchases(numbers: Numbers, segments: SegmentTable, settings: ScoreSettings) -> Numbers:
    """Probabilities and expected purchases; NaN where the segment has no parameters."""
    unit = settings.unit_days
    x, t_x, T = numbers["frequency"], numbers["recency"] / unit, numbers["T"] / unit
    params = segments.purchases()
    unknown = np.isnan(params["r"])
    # Without repeat purchase the formula says 1 whatever the parameters, even if there are none.
    alive = np.where(unknown, np.nan, bg_nbd.probability_alive(params, x, t_x, T))
    days = sorted({*PERIODS, settings.horizon_days})
    rate = rate_per_unit(settings.annual_discount_rate, unit)
    # Given alive only parameters, x and T matter, and few pairs of x and T differ.
    known = np.flatnonzero(~unknown)
    chosen, inverse = distinct([segments.purchases_code()[known], x[known], T[known]])
    rows = known[chosen]
    few = {name: values[rows] for name, values in params.items()}
    forecast = bg_nbd.forecast_if_alive(few, [day / unit for day in days], rate, x[rows], T[rows])

    def for_all(given_alive: Floats | None) -> Floats:
        values = np.full(x.size, np.nan)
        if given_alive is not None:
            values[known] = given_alive[inverse]
        expected: Floats = alive * values
        return expected

    result = {
        "p_alive": alive,
        "p_active_365d": bg_nbd.probability_active(params, 365 / unit, x, t_x, T),
        "discounted": for_all(forecast.discounted[days.index(settings.horizon_days)]),
        "residual": for_all(forecast.residual),
    }
    for day in PERIODS:
        result[f"expected_purchases_{day}d"] = for_all(forecast.expected[days.index(day)])
    return result


def _order_value(numbers: Numbers, segments: SegmentTable) -> Floats:
    """Expected gross amount of a purchase; NaN where it is not defined."""
    mean = numbers["monetary_value"]
    usable = mean > 0
    # A mean that is missing or not positive says nothing: such a customer is like everybody.
    x = np.where(usable, numbers["frequency"], 0.0)
    return gamma_gamma.expected_spend(segments.spend(), x, np.where(usable, mean, 0.0))


def _money(
    numbers: Numbers,
    segments: SegmentTable,
    settings: ScoreSettings,
    purchases: Numbers,
    order_value: Floats,
) -> Numbers:
    refund, gross = numbers["refund_amount"], numbers["gross_amount"]
    margin_rate = segments.margin_rate()
    if settings.refunds == "rate":
        prior_rate, prior_amount = segments.return_rate(), segments.return_prior_amount()
        return_rate = shrunk_rate(refund, gross, prior_rate, prior_amount)
    else:
        refund = return_rate = np.zeros(gross.size)
    value = customer_value(
        purchases=purchases["expected_purchases_365d"],
        discounted_purchases=purchases["discounted"],
        residual_purchases=purchases["residual"],
        order_value=order_value,
        return_rate=return_rate,
        margin_rate=margin_rate,
    )
    past = past_margin(
        margin_amount=numbers["margin_amount"],
        gross_amount=gross,
        refund_amount=refund,
        margin_rate=margin_rate,
    )
    return {
        "return_rate": return_rate,
        "margin_rate": margin_rate,
        "expected_order_value": order_value,
        "expected_revenue_365d": value.revenue,
        "clv": value.clv,
        "residual_clv": value.residual_clv,
        "historical_clv": past,
        "total_clv": past + value.clv,
    }


def _status(
    numbers: Numbers, segments: SegmentTable, settings: ScoreSettings, scores: Numbers
) -> pa.Array:
    conditions: list[Flags] = [
        np.isnan(scores["expected_purchases_365d"]),
        np.isnan(scores["expected_order_value"]),
        segments.is_taken(),
        numbers["T"] < settings.new_customer_days,
        numbers["frequency"] == 0,
    ]
    codes = np.select(conditions, range(len(conditions)), len(conditions)).astype(np.int32)
    return pa.array(STATUSES, pa.string()).take(pa.array(codes))


def _doubles(column: pa.Array) -> Floats:
    values: Floats = pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False)
    return values


def _nullable(values: Floats) -> pa.Array:
    return pa.array(values, mask=~np.isfinite(values))
