"""Parameters, segments and customers that the tests of the kernels share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from clv_spark.kernels.contract_parameters import ContractParameters
from clv_spark.kernels.segment_table import Matrix, SegmentParameters
from clv_spark.models import PURCHASE_MODELS

Floats = NDArray[np.float64]

# As fitted to CDNOW in weeks; BG/BB: a shop like it by opportunities of a day.
PURCHASES = {
    "bg_nbd": (0.243, 4.414, 0.793, 2.426),
    "mbg_nbd": (0.525, 6.183, 0.891, 1.614),
    "pareto_nbd": (0.553, 10.578, 0.606, 11.669),
    "bg_bb": (0.5, 40.0, 0.6, 90.0),
}
SPEND = {"p": 6.25, "q": 3.74, "gamma": 15.44}
MODELS = tuple(PURCHASES)
UNIT_DAYS = {"bg_nbd": 7, "mbg_nbd": 7, "pareto_nbd": 7, "bg_bb": 1}

SCHEMA = pa.schema(
    [
        ("customer_id", pa.string()),
        ("segment", pa.string()),
        ("frequency", pa.int32()),
        ("recency", pa.int32()),
        ("T", pa.int32()),
        ("monetary_value", pa.float64()),
        ("gross_amount", pa.float64()),
        ("refund_amount", pa.float64()),
        ("margin_amount", pa.float64()),
    ]
)


@dataclass(frozen=True)
class Estimate:
    """Parameters with the covariance of their logarithms, as ``models.uncertainty`` takes them."""

    parameters: dict[str, float]
    log_covariance: Matrix


def named(model: str) -> dict[str, float]:
    """The parameters of a model by letter."""
    return dict(zip(PURCHASE_MODELS[model].MODEL.parameters, PURCHASES[model], strict=True))


def covariance(size: int, variance: float, seed: int = 3) -> Matrix:
    """A covariance with every variance as given, and parameters that vary together."""
    root = np.random.default_rng(seed).standard_normal((size, 2 * size))
    matrix = root @ root.T
    sd = np.sqrt(np.diag(matrix))
    return tuple(tuple(row) for row in (variance * matrix / np.outer(sd, sd)).tolist())


def segment(name: str = "uk", model: str = "bg_nbd", **changes: Any) -> SegmentParameters:
    """A segment with parameters of its own that are known for certain."""
    fields = {
        "segment": name,
        "model": model,
        "unit_days": UNIT_DAYS[model],
        "purchases": PURCHASES[model],
        "purchases_covariance": (),
        "purchases_segment": name,
        "spend": SPEND,
        "spend_covariance": (),
        "spend_segment": name,
        "return_rate": 0.1,
        "return_prior_amount": 50.0,
        "margin_rate": 0.3,
    }
    return SegmentParameters(**(fields | changes))


# sBG of Fader and Hardie (2007), and a BdW near it.
CONTRACT_VALUES = {"sbg": (0.7, 3.8), "bdw": (0.26, 1.72, 1.58)}


def contracts(model: str = "sbg", period: str = "month", **changes: Any) -> ContractParameters:
    """Parameters of contracts of the segment basic."""
    fields: dict[str, Any] = {
        "segment": "basic",
        "period": period,
        "model": model,
        "values": CONTRACT_VALUES[model],
        "covariance": (),
        "parameters_segment": "basic",
    }
    return ContractParameters(**(fields | changes))


def patterns_at_random(size: int, seed: int) -> tuple[NDArray[np.int64], ...]:
    """frequency, recency and T in days, as real customers may have them."""
    random = np.random.default_rng(seed)
    T = random.integers(1, 900, size)
    x = np.where(random.random(size) < 0.4, 0, np.minimum(random.geometric(0.3, size), T))
    recency = np.where(x > 0, random.integers(np.minimum(x, T), T + 1), 0)
    return x, recency, T


def random_batch(size: int, segments: tuple[str, ...], seed: int = 11) -> pa.RecordBatch:
    """A batch for ``score_batch``."""
    random = np.random.default_rng(seed)
    x, recency, T = patterns_at_random(size, seed + 1)
    columns = {
        "customer_id": [f"c{row}" for row in range(size)],
        "segment": random.choice(segments, size),
        "frequency": x,
        "recency": recency,
        "T": T,
        "monetary_value": pa.array(random.gamma(2, 20, size), mask=x == 0),
        "gross_amount": random.gamma(2, 60, size),
        "refund_amount": random.gamma(1, 10, size),
        "margin_amount": pa.array(random.gamma(2, 9, size), mask=random.random(size) < 0.5),
    }
    return pa.RecordBatch.from_pydict(columns, schema=SCHEMA)


def bg_nbd_patterns(
    name: str, values: tuple[float, ...], customers: int, seed: int
) -> pd.DataFrame:
    """Customers of a BG/NBD world, purchase by purchase, as the patterns of ``fit_segment``."""
    r, alpha, a, b = values
    random = np.random.default_rng(seed)
    rate = random.gamma(r, 1 / alpha, customers)
    leaves = random.beta(a, b, customers)
    T = 7.0 * random.integers(40, 60, customers)
    x, last, now = np.zeros(customers, dtype=np.int64), np.zeros(customers), np.zeros(customers)
    here = np.arange(customers)
    while here.size:
        now[here] += 7 * random.exponential(1, here.size) / np.maximum(rate[here], 1e-12)
        here = here[now[here] < T[here]]
        x[here], last[here] = x[here] + 1, now[here]
        here = here[random.random(here.size) >= leaves[here]]
    recency = np.maximum(np.ceil(last), x)
    rows = pd.DataFrame({"segment": name, "frequency": x, "recency": recency, "T": T})
    rows = rows[rows["recency"] <= rows["T"]]
    return rows.groupby([*rows.columns]).size().rename("customers").reset_index()
