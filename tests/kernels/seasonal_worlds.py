"""Shops with a known season, event by event and without any formula of the package."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv_spark.economics.season import Season, estimate_season, flat_season
from clv_spark.kernels.forecast_revenue import Arrivals, forecast_rows, forecast_segment, growth
from clv_spark.kernels.segment_table import SegmentParameters
from clv_spark.models import MODELS, fit

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

DAY = dt.timedelta(days=1)
# By days; customers like those of CDNOW, in a shop where they come somewhat more often.
PURCHASES = {
    "bg_nbd": {"r": 0.6, "alpha": 45.0, "a": 0.6, "b": 3.0},
    "pareto_nbd": {"r": 0.6, "alpha": 45.0, "s": 0.6, "beta": 120.0},
}
SPEND = {"p": 6.0, "q": 4.0, "gamma": 15.0}


@dataclass(frozen=True)
class Shop:
    """Purchase days up to the end of a world; days are counted from the opening.

    Attributes:
        opened: The first day.
        as_of: The last day that is known.
        customer: Of each purchase day.
        day: When.
        amount: How much.
    """

    opened: dt.date
    as_of: dt.date
    customer: Integers
    day: Integers
    amount: Floats


def shop(
    seed: int,
    model: str,
    season: Floats,
    *,
    months: int = 30,
    a_day: float = 4.0,
    noise: float = 0.05,
    first_month: int = 0,
) -> Shop:
    """A shop that opens with the first day of a month and is seen for so many months, and 12 more.

    Args:
        seed: Of all chance.
        model: bg_nbd: customers leave after a purchase. pareto_nbd: at any time.
        season: What buying and arriving is multiplied with, January to December.
        months: How many are known.
        a_day: New customers.
        noise: Standard deviation of the logarithm of what else every month is multiplied with.
        first_month: The month of opening, 0 for January.
    """
    random = np.random.default_rng(seed)
    starts = [
        dt.date(2018 + (first_month + m) // 12, (first_month + m) % 12 + 1, 1)
        for m in range(months + 13)
    ]
    lengths = np.array([(b - a).days for a, b in pairwise(starts)])
    shocks = np.exp(noise * random.standard_normal(lengths.size) - noise**2 / 2)
    pace = season[[start.month - 1 for start in starts[:-1]]] * shocks
    clock = np.concatenate([[0.0], np.cumsum(np.repeat(pace, lengths))])
    days = np.arange(clock.size, dtype=np.float64)

    count = random.poisson(a_day * clock[-1])
    now = random.uniform(0, clock[-1], count)
    params = PURCHASES[model]
    rate = random.gamma(params["r"], 1 / params["alpha"], count)
    leaves, gone = np.zeros(count), np.full(count, clock[-1])
    if model == "bg_nbd":
        leaves = random.beta(params["a"], params["b"], count)
    else:
        risk = random.gamma(params["s"], 1 / params["beta"], count)
        end = np.interp(now, clock, days) + random.exponential(1, count) / risk
        gone = np.interp(end, days, clock)
    scale = 1 / random.gamma(SPEND["q"], 1 / SPEND["gamma"], count)
    found = []
    here, first = np.arange(count), True
    while here.size:
        amount = random.gamma(SPEND["p"], scale[here])
        found.append((here, np.interp(now[here], clock, days), amount))
        if not first:
            here = here[random.random(here.size) >= leaves[here]]
        first = False
        now[here] += random.exponential(1, here.size) / np.maximum(rate[here], 1e-12)
        here = here[now[here] < gone[here]]
    customer, when, amount = (np.concatenate(column) for column in zip(*found, strict=True))
    # Two orders on a day are one purchase of their summed amount.
    rows = pd.DataFrame({"customer": customer, "day": when.astype(np.int64), "amount": amount})
    rows = rows.groupby(["customer", "day"], as_index=False)["amount"].sum()
    as_of = starts[months] - DAY
    columns = (rows[name].to_numpy() for name in ("customer", "day", "amount"))
    return Shop(starts[0], as_of, *columns)


def monthly(world: Shop) -> pd.DataFrame:
    """Revenue of each month, and the sum of its squares: number of the month as index."""
    dates = np.datetime64(world.opened) + world.day
    number = dates.astype("datetime64[M]").astype(np.int64) + 12 * 1970
    rows = pd.DataFrame({"month": number, "revenue": world.amount, "square": world.amount**2})
    return rows.groupby("month").sum()


def customers_of(world: Shop) -> pd.DataFrame:
    """frequency, recency and T in days and the spend of those who bought up to as_of."""
    today = (world.as_of - world.opened).days
    known = pd.DataFrame({"c": world.customer, "day": world.day, "amount": world.amount})
    known = known[known["day"] <= today]
    found = known.groupby("c").agg(
        first=("day", "min"), last=("day", "max"), n=("day", "size"), spent=("amount", "sum")
    )
    return pd.DataFrame(
        {
            "frequency": found["n"] - 1,
            "recency": found["last"] - found["first"],
            "T": today - found["first"],
            "spend_x": found["n"].astype(float),
            "spent": found["spent"],
        }
    )


def sums_of(customers: pd.DataFrame) -> pd.DataFrame:
    """What ``transforms.summary.value_sums`` makes of customers who return nothing."""
    keys = ["frequency", "recency", "T", "spend_x"]
    parts = customers[keys].assign(
        segment="shop",
        customers=1.0,
        kept=1.0,
        kept_spent=customers["spent"],
        kept_2=1.0,
        kept_2_spent=customers["spent"],
        kept_2_spent_2=customers["spent"] ** 2,
    )
    return parts.groupby(["segment", *keys], as_index=False).sum()


def parameters_of(customers: pd.DataFrame, model: str) -> SegmentParameters:
    """The fits that the pipeline would make, by days."""
    columns = {"x": "frequency", "t_x": "recency", "T": "T"}
    counts = customers.groupby(list(columns.values())).size().reset_index(name="n")
    data = {letter: counts[name].to_numpy(float) for letter, name in columns.items()}
    # By weeks, the unit of the pipeline.
    data = {k: v if k == "x" else v / 7 for k, v in data.items()}
    fitted = fit(model, data, counts["n"].to_numpy(float))
    m_x = (customers["spent"] / customers["spend_x"]).to_numpy()
    spend = fit("gamma_gamma", {"x": customers["spend_x"].to_numpy(), "m_x": m_x})
    return SegmentParameters(
        segment="shop",
        model=model,
        unit_days=7,
        purchases=tuple(fitted.parameters[letter] for letter in MODELS[model].parameters),
        purchases_covariance=fitted.log_covariance,
        purchases_segment="shop",
        spend=spend.parameters,
        spend_covariance=spend.log_covariance,
        spend_segment="shop",
        return_rate=0.0,
        return_prior_amount=0.0,
        margin_rate=0.5,
    )


def season_of(world: Shop, parameters: SegmentParameters) -> Season:
    """The season as the pipeline estimates it from the months that are known."""
    months = monthly(world)
    end = 12 * world.as_of.year + world.as_of.month - 1
    known = months[months.index <= end]
    age = (np.arange(known.shape[0]) + 0.5) * 365 / 12
    return estimate_season(
        "shop",
        known.index.to_list(),
        known["revenue"],
        known["square"] / known["revenue"] ** 2,
        flat_season("shop"),
        growth(parameters, age),
    )


def forecast_of(world: Shop, model: str, months: int = 12) -> pd.DataFrame:
    """The forecast and what came."""
    customers = customers_of(world)
    parameters = parameters_of(customers, model)
    season = season_of(world, parameters)
    arrivals = Arrivals(365, int((customers["T"] < 365).sum()))
    part = forecast_segment(
        sums_of(customers),
        parameters,
        arrivals,
        season.index.tolist(),
        as_of=world.as_of,
        months=months,
        keeps_refunds=False,
    )
    rows = pd.DataFrame(forecast_rows([part], season, world.as_of))
    numbers = [12 * day.year + day.month - 1 for day in rows["month"]]
    return rows.assign(actual=monthly(world)["revenue"].reindex(numbers).to_numpy())
