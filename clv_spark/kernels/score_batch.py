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

from clv_spark.economics import (
    customer_value,
    past_margin,
    predictive_interval,
    shrunk_rate,
    value_distribution,
)
from clv_spark.errors import InputError
from clv_spark.kernels.living_forecasts import NAMES, PERIODS, LivingForecasts, parameters_of
from clv_spark.kernels.parameter_risk import SLOPE_NAMES, add_alive_slopes, relative_variance
from clv_spark.kernels.segment_table import SegmentParameters, SegmentTable
from clv_spark.models import PURCHASE_MODELS, gamma_gamma

__all__ = [
    "OUTPUT_COLUMNS",
    "STATUSES",
    "LivingForecasts",
    "ScoreSettings",
    "SegmentParameters",
    "score_batch",
]

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
    # Positions stand for texts, which cost more to hand over: in ``parameters``, and in STATUSES.
    "parameters_place",
    "status_place",
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
    "clv_revenue",
    "clv_margin",
    "clv",
    "clv_low",
    "clv_high",
    "residual_clv",
    "historical_revenue",
    "historical_margin",
    # Not in the table by these names: what service costs grow with, the own rhythm, and what the
    # sums of a segment are made of.
    "purchases_ahead",
    "days_ahead",
    "rhythm_days",
    "spend_x",
    "spent",
)
# In order of precedence; what none of them describes is "ok".
STATUSES = ("insufficient_data", "spend_undefined", "parent_model", "new", "one_purchase", "ok")


@dataclass(frozen=True)
class ScoreSettings:
    """What scoring needs to know beside the parameters.

    Attributes:
        refunds: "rate" lowers expected money by the customer's return rate, "ignore" does not.
        spend_basis: Purchase days behind a customer's mean spend: "repeat" leaves the first out.
        new_customer_days: Customers younger than this get the status "new".
        value: What clv, its bounds and residual_clv count: revenue or margin.
    """

    refunds: Literal["rate", "ignore"]
    spend_basis: Literal["repeat", "all"]
    new_customer_days: int
    value: Literal["revenue", "margin"] = "margin"


def score_batch(
    batch: pa.RecordBatch,
    settings: ScoreSettings,
    parameters: Mapping[str, SegmentParameters],
    forecasts: LivingForecasts,
) -> pa.RecordBatch:
    """Scores every customer of a batch; what can't be known is null and has a status that says so.

    Args:
        batch: customer_id (any type), segment (string), frequency, recency, T (days),
            monetary_value (null when frequency is 0), gross_amount, refund_amount (not negative),
            margin_amount (null when the source has no margin); other columns are handed through.
        settings: Refunds, spend basis, who is new.
        parameters: Parameters by segment; customers of another segment have "insufficient_data".
        forecasts: The worker's memory of forecasts, of the same horizon and discount rate; the
            result does not depend on what it holds.

    Returns:
        A batch of the same rows with ``OUTPUT_COLUMNS``, then those handed through; no value is
        ever NaN. parameters_place is
        the position of the customer's segment in ``parameters``, null where it is not among them;
        status_place that of the status in ``STATUSES``.

    Raises:
        InputError: The batch lacks a column.

    Example:
        >>> batch = pa.RecordBatch.from_pydict({"customer_id": [7], "segment": ["uk"],
        ...     "frequency": [2], "recency": [213], "T": [272], "monetary_value": [22.35],
        ...     "gross_amount": [74.0], "refund_amount": [0.0],
        ...     "margin_amount": pa.array([None], pa.float64())})
        >>> uk = SegmentParameters(segment="uk", purchases_segment="uk", spend_segment="uk",
        ...     model="bg_nbd", unit_days=7, purchases=(0.243, 4.414, 0.793, 2.426),
        ...     spend={"p": 6.25, "q": 3.74, "gamma": 15.44},
        ...     purchases_covariance=(), spend_covariance=(),
        ...     return_rate=0.0, return_prior_amount=100.0, margin_rate=0.3)
        >>> settings = ScoreSettings(refunds="rate", spend_basis="repeat", new_customer_days=30)
        >>> forecasts = LivingForecasts(horizon_days=365, annual_discount_rate=0.1)
        >>> row = score_batch(batch, settings, {"uk": uk}, forecasts).to_pylist()[0]
        >>> round(row["p_alive"], 4), round(row["clv"], 2), STATUSES[row["status_place"]]
        (0.7266, 11.06, 'ok')
        >>> row["clv_low"], round(row["clv_high"], 1)
        (0.0, 30.7)
    """
    missing = [
        name
        for name in ("customer_id", "segment", *INPUT_NUMBERS)
        if name not in batch.schema.names
    ]
    if missing:
        raise InputError(f"The batch lacks {missing}; it has {batch.schema.names}.")
    segments = SegmentTable.of(batch.column("segment"), parameters)
    numbers = {name: _doubles(batch.column(name)) for name in INPUT_NUMBERS}
    purchases, living = _purchases(numbers, segments, forecasts)
    spend = _spend(numbers, segments, settings)
    order_value = gamma_gamma.expected_spend(spend.params, spend.x, spend.m_x)
    order_value = np.where(np.isnan(purchases["p_alive"]), np.nan, order_value)
    scores = purchases | _money(numbers, segments, settings, purchases, order_value)
    # What stays of a unit of gross spend.
    kept = 1 - scores["return_rate"]
    counted = kept if settings.value == "revenue" else scores["margin_rate"] * kept
    # With q <= 1 there is no expected value; then a range of values would not help anybody either.
    known = np.where(np.isnan(scores["clv"]), np.nan, counted)
    scores |= _interval(segments, purchases, living, spend, known)
    scores |= {"purchases_ahead": purchases["discounted"], "days_ahead": purchases["living_days"]}
    scores |= {"spend_x": spend.x, "spent": spend.x * spend.m_x}
    columns = {name: batch.column(name) for name in OUTPUT_COLUMNS if name in batch.schema.names}
    columns |= {name: _nullable(values) for name, values in scores.items()}
    columns |= {
        "parameters_place": segments.places(),
        "status_place": _status(numbers, segments, settings, scores),
    }
    ours = {*OUTPUT_COLUMNS, *INPUT_NUMBERS}
    others = [name for name in batch.schema.names if name not in ours]
    columns |= {name: batch.column(name) for name in others}
    names = [*OUTPUT_COLUMNS, *others]
    return pa.RecordBatch.from_arrays([columns[name] for name in names], names=names)


def _purchases(
    numbers: Numbers, segments: SegmentTable, forecasts: LivingForecasts
) -> tuple[Numbers, Numbers]:
    """What the table says of purchases, and what the interval needs to know of them.

    NaN where the segment has no parameters.
    """
    size = numbers["frequency"].size
    alive, rhythm = np.full(size, np.nan), np.full(size, np.nan)
    living = {name: np.full(size, np.nan) for name in (*NAMES, *SLOPE_NAMES)}
    for part in segments.by_model():
        rows, unit = part.rows, part.unit_days
        model = PURCHASE_MODELS[part.model]
        x, t_x, T = (numbers[name][rows] for name in ("frequency", "recency", "T"))
        params = parameters_of(part.sets, part.codes, model)
        alive[rows] = model.probability_alive(params, x, t_x / unit, T / unit)
        rhythm[rows] = unit * model.purchase_interval(params, x, t_x / unit)
        frequency, recency, age = (values.astype(np.int64) for values in (x, t_x, T))
        found = forecasts.of(part.sets, part.codes, frequency, age)
        for name, values in found.items():
            living[name][rows] = values
        add_alive_slopes(living, part, (frequency, recency, age), forecasts)
    scores = {
        "p_alive": alive,
        "p_active_365d": alive * (1 - living["none_365"]),
        "discounted": alive * living["discounted"],
        "residual": alive * living["residual"],
        "living_days": alive * living["living_days"],
        "rhythm_days": rhythm,
    }
    for day in PERIODS:
        scores[f"expected_purchases_{day}d"] = alive * living[f"expected_{day}"]
    return scores, living


@dataclass(frozen=True)
class _Spend:
    """What is known of a customer's spend: purchases behind the mean, the mean, the parameters."""

    x: Floats
    m_x: Floats
    params: dict[str, Floats]


def _spend(numbers: Numbers, segments: SegmentTable, settings: ScoreSettings) -> _Spend:
    x, mean = numbers["frequency"], numbers["monetary_value"]
    if settings.spend_basis == "all":
        x = x + 1
        mean = numbers["gross_amount"] / x
    usable = mean > 0
    # A mean that is missing or not positive says nothing: such a customer is like everybody.
    return _Spend(np.where(usable, x, 0.0), np.where(usable, mean, 0.0), segments.spend())


def _money(
    numbers: Numbers,
    segments: SegmentTable,
    settings: ScoreSettings,
    purchases: Numbers,
    order_value: Floats,
) -> Numbers:
    refund, gross = numbers["refund_amount"], numbers["gross_amount"]
    margin_rate = _margin_rate(numbers, segments)
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
    by_revenue = settings.value == "revenue"
    return {
        "return_rate": return_rate,
        "margin_rate": margin_rate,
        "expected_order_value": order_value,
        "expected_revenue_365d": value.revenue,
        "clv_revenue": value.clv_revenue,
        "clv_margin": value.clv_margin,
        "clv": value.clv_revenue if by_revenue else value.clv_margin,
        "residual_clv": value.residual_revenue if by_revenue else value.residual_margin,
        "historical_revenue": np.maximum(gross - refund, 0.0),
        "historical_margin": past,
    }


def _margin_rate(numbers: Numbers, segments: SegmentTable) -> Floats:
    """The customer's own rate where margin is recorded, drawn to that of the segment by money.

    Who has bought for as much as the segment's mean customer counts half.
    """
    usual, recorded = segments.margin_rate(), numbers["margin_amount"]
    # Recorded margins are net of refunds, whatever refunds are taken for ahead.
    net = np.maximum(numbers["gross_amount"] - numbers["refund_amount"], 0.0)
    prior = segments.return_prior_amount() * (1 - segments.return_rate())
    own = shrunk_rate(np.where(net > 0, recorded, 0.0), net, usual, prior)
    return np.where(np.isnan(recorded), usual, own)


def _interval(
    segments: SegmentTable, purchases: Numbers, living: Numbers, spend: _Spend, margin: Floats
) -> Numbers:
    distribution = value_distribution(
        alive=purchases["p_alive"],
        stays=living["stays"],
        stays_half=living["stays_half"],
        none=living["none"],
        purchases=living["purchases"],
        discounted=living["discounted"],
        discounted_square=living["discounted_square"],
        **spend.params,
        x=spend.x,
        m_x=spend.m_x,
        margin=margin,
        relative_variance=relative_variance(segments, living, spend.params, spend.x, spend.m_x),
    )
    low, high = predictive_interval(distribution)
    return {"clv_low": low, "clv_high": high}


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
    places = np.select(conditions, range(len(conditions)), len(conditions))
    return pa.array(places.astype(np.int32))


def _doubles(column: pa.Array) -> Floats:
    values: Floats = pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False)
    return values


def _nullable(values: Floats) -> pa.Array:
    return pa.array(values, mask=~np.isfinite(values))
