"""What a segment will buy in each of the next months, from customers it has and those to come.

Time runs on the clock of the season: a day of a month with the index 1.2 is 1.2 days long. On that
clock customers buy evenly, so neither the past of a customer who was last seen in a quiet month nor
the months ahead need a further correction; over whole years it agrees with the calendar.
"""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaincinv

from clv_spark.economics.months import existing_months, newcomer_months
from clv_spark.economics.season import SEASON_DRAWS, Season, season_days
from clv_spark.economics.total import TotalDraws, total_interval
from clv_spark.kernels.segment_table import SegmentParameters
from clv_spark.kernels.sum_segment import PATTERN, SUMS
from clv_spark.models import PURCHASE_MODELS
from clv_spark.models.draws import own_root, shuffled

Floats = NDArray[np.float64]

# As few as four parameters need: they come in pairs and have exactly the mean and covariance.
DRAWS = 16
# No parameter moves by more than this, of its logarithm, since the season is not the calendar.
LARGEST_STEP = 0.5
_MONTH_DAYS = 365 / 12
_SUMMED = (
    "existing_purchases",
    "existing_revenue",
    "new_customers",
    "new_purchases",
    "new_revenue",
)


@dataclass(frozen=True)
class Arrivals:
    """How many new customers a segment gets.

    Attributes:
        days: Calendar days up to as_of in which first purchases were counted.
        counted: How many there were.
        per_month: A configured number per month of 365 / 12 days instead; None for the counted.
    """

    days: int
    counted: int
    per_month: float | None = None


@dataclass(frozen=True)
class SegmentForecast:
    """The months ahead of one segment; one value per month unless said otherwise.

    Attributes:
        segment: Its name.
        margin_rate: Its margin per unit of revenue, one number.
        existing_purchases: Expected purchases of today's customers.
        existing_revenue: Expected revenue of them.
        new_customers: Expected first purchases.
        new_purchases: Expected purchases of new customers, first and later ones.
        new_revenue: Expected revenue of them.
        mean: Revenue under ``DRAWS`` draws of the parameters, row by row.
        variance: Its variance from the customers' own chance, likewise.
        variance_to_date: The same of the revenue of all months up to this one.
    """

    segment: str
    margin_rate: float
    existing_purchases: Sequence[float]
    existing_revenue: Sequence[float]
    new_customers: Sequence[float]
    new_purchases: Sequence[float]
    new_revenue: Sequence[float]
    mean: Sequence[float]
    variance: Sequence[float]
    variance_to_date: Sequence[float]


def forecast_segment(
    rows: pd.DataFrame,
    parameters: SegmentParameters,
    arrivals: Arrivals,
    index: Sequence[float],
    *,
    as_of: dt.date,
    months: int,
    keeps_refunds: bool,
) -> SegmentForecast:
    """Adds up the customers of a segment, month by month, and those who will join them.

    Args:
        rows: The segment's rows of ``transforms.summary.value_sums``, in any order.
        parameters: Of the segment, purchases and spend both known.
        arrivals: Of new customers.
        index: The segment's season, January to December.
        as_of: Last day that counts.
        months: How many calendar months, see ``month_days``.
        keeps_refunds: Whether refunds are left out, so that new customers keep all they spend.
    """
    rows = rows.sort_values(list(PATTERN))
    unit = parameters.unit_days
    model = PURCHASE_MODELS[parameters.model]
    # Opportunities are whole days, so their time cannot run on another clock.
    in_days = model.MODEL.counts_opportunities
    clock = _Clock(np.ones(12) if in_days else np.array(index), as_of)
    columns = {name: rows[name].to_numpy(np.float64) for name in (*SUMS, "customers", "spend_x")}
    patterns = {name.replace("kept", "margin"): values for name, values in columns.items()}
    patterns |= _on_clock(rows, clock, unit)
    parameters = _moved(parameters, rows, patterns)
    ahead = month_days(as_of, months)
    times = clock.until(np.cumsum([days for _, days in ahead])) / unit
    kept = 1.0 if keeps_refunds else 1 - parameters.return_rate
    purchase_sets, spend_sets = parameters.purchase_draws(DRAWS), parameters.spend_draws(DRAWS)
    # What came in season is taken for what comes in a year, whatever clock purchases run on.
    arrival_clock = _Clock(np.array(index), as_of)
    rates = _rates(arrivals, arrival_clock, parameters.segment)[:, None] * unit
    # Where the clock could not run by the season, months are what the season makes of them.
    season = _month_index(np.array(index), as_of, months) if in_days else np.ones(months)
    ours = existing_months(model, patterns, purchase_sets, spend_sets, times, parameters.age_step)
    theirs = newcomer_months(model, purchase_sets, spend_sets, kept, times)
    existing, existing_revenue = ours.purchases * season, ours.revenue * season
    new, new_revenue = (rates * season * values for values in (theirs.purchases, theirs.revenue))
    chance, chance_to_date = (
        getattr(ours, name) + rates * getattr(theirs, name)
        for name in ("variance", "variance_to_date")
    )
    revenue = existing_revenue + new_revenue
    plain = np.cumsum(ours.revenue + rates * theirs.revenue, axis=1)
    lifted = np.cumsum(revenue, axis=1) / np.where(plain > 0, plain, 1.0)
    new_customers = rates[0] * season * np.diff(times, prepend=0.0)
    return SegmentForecast(
        segment=parameters.segment,
        margin_rate=parameters.margin_rate,
        existing_purchases=existing[0].tolist(),
        existing_revenue=existing_revenue[0].tolist(),
        new_customers=new_customers.tolist(),
        new_purchases=new[0].tolist(),
        new_revenue=new_revenue[0].tolist(),
        mean=_by_month(revenue),
        variance=_by_month(chance * season**2),
        variance_to_date=_by_month(chance_to_date * lifted**2),
    )


def _by_month(table: Floats) -> list[float]:
    """Months row by row, without the fit itself."""
    rows: list[float] = table[1:].T.ravel().tolist()
    return rows


def forecast_rows(
    parts: Sequence[SegmentForecast], season: Season, as_of: dt.date
) -> list[dict[str, Any]]:
    """The months ahead of a segment that is made of these parts, with 80% intervals.

    Customers whose segments share parameters share their draws; other draws are independent. How
    far the season and the noise of months are off is asked of the segment's own revenue, since what
    its parts have in common shows there alone.

    Args:
        parts: The forecasts of its leaf segments, at least one.
        season: Of the segment itself.
        as_of: Last day that counts.
    """
    months = len(parts[0].existing_purchases)
    mean, variance, variance_to_date = (
        _drawn(parts, name) for name in ("mean", "variance", "variance_to_date")
    )
    noise = np.expm1(season.noise**2)
    rows = []
    to_date, even_to_date, noise_to_date = np.zeros((3, mean.shape[1]))
    expected_to_date = 0.0
    for at, (start, days) in enumerate(month_days(as_of, months)):
        place = start.month - 1
        off = season.draws[:, place] / season.index[place]
        middle = mean[at] * off
        interval = total_interval([TotalDraws(middle, variance[at] * off**2 + middle**2 * noise)])
        to_date, even_to_date = to_date + middle, even_to_date + mean[at]
        noise_to_date = noise_to_date + middle**2 * noise
        lifted = to_date / np.where(even_to_date > 0, even_to_date, 1.0)
        chance = variance_to_date[at] * lifted**2
        interval_to_date = total_interval([TotalDraws(to_date, chance + noise_to_date)])
        sums = {name: float(sum(getattr(part, name)[at] for part in parts)) for name in _SUMMED}
        margins = (
            (part.existing_revenue[at] + part.new_revenue[at]) * part.margin_rate for part in parts
        )
        expected_to_date += sums["existing_revenue"] + sums["new_revenue"]
        rows.append(
            {
                "month": start,
                "days": days,
                "expected_purchases": sums["existing_purchases"] + sums["new_purchases"],
                "expected_revenue": sums["existing_revenue"] + sums["new_revenue"],
                "revenue_low": interval.low,
                "revenue_high": interval.high,
                "cumulative_revenue": expected_to_date,
                "cumulative_revenue_low": interval_to_date.low,
                "cumulative_revenue_high": interval_to_date.high,
                "expected_margin": float(sum(margins)),
                **sums,
                "seasonal_index": float(season.index[place]),
            }
        )
    return rows


def growth(parameters: SegmentParameters, days: ArrayLike) -> Floats:
    """How the logarithm of revenue grows after a shop opened, as customers come back.

    Args:
        parameters: Of the segment; its purchases are known.
        days: Days since it opened.
    """
    model = PURCHASE_MODELS[parameters.model]
    purchases = dict(zip(model.MODEL.parameters, parameters.purchases or (), strict=True))
    age = np.asarray(days, dtype=np.float64) / parameters.unit_days
    grown: Floats = np.log1p(model.expected_purchases_new(purchases, age))
    return grown


def month_days(as_of: dt.date, months: int) -> list[tuple[dt.date, int]]:
    """The calendar months ahead by their first days, and how many days of them are ahead.

    The first is the month of the day after as_of.

    Example:
        >>> [(str(month), days) for month, days in month_days(dt.date(2024, 11, 10), 2)]
        [('2024-11-01', 20), ('2024-12-01', 31)]
    """
    first = as_of + dt.timedelta(days=1)
    numbers = [12 * first.year + first.month - 1 + ahead for ahead in range(months)]
    starts = [dt.date(number // 12, number % 12 + 1, 1) for number in numbers]
    lengths = [calendar.monthrange(start.year, start.month)[1] for start in starts]
    lengths[0] -= first.day - 1
    return list(zip(starts, lengths, strict=True))


class _Clock:
    """The clock of the season around a date."""

    def __init__(self, index: Floats, as_of: dt.date) -> None:
        self._index = index
        self._today = np.datetime64(as_of)

    def since(self, days: NDArray[np.int64]) -> Floats:
        """How long ago it was so many days ago."""
        most = int(np.max(days, initial=0))
        worth = season_days(self._index, self._today - most + 1, most)
        ago: Floats = np.concatenate([[0.0], np.cumsum(worth[::-1])])[days]
        return ago

    def until(self, days: NDArray[np.int64]) -> Floats:
        """How long it is until so many days ahead."""
        worth = season_days(self._index, self._today + 1, int(days[-1]))
        ahead: Floats = np.cumsum(worth)[days - 1]
        return ahead


def _on_clock(rows: pd.DataFrame, clock: _Clock, unit_days: int) -> dict[str, Floats]:
    """x, t_x and T as the clock has them."""
    x = rows["frequency"].to_numpy(np.float64)
    age, recency = (rows[name].to_numpy(np.int64) for name in ("T", "recency"))
    T = clock.since(age) / unit_days
    away = clock.since(age - recency) / unit_days
    return {"x": x, "t_x": np.where(x > 0, np.maximum(T - away, 0.0), 0.0), "T": T}


def _moved(
    parameters: SegmentParameters, rows: pd.DataFrame, patterns: Mapping[str, Floats]
) -> SegmentParameters:
    """The parameters as a fit on the clock of the season would have them, nearly.

    They were fitted by the calendar. One step of Newton's method from there is as good as a fit to
    first order (Le Cam 1956), and costs two looks at the patterns. Parameters of a segment above
    are those of its customers too, so they stay.
    """
    own = parameters.purchases_segment == parameters.segment
    if not own or not parameters.purchases_covariance:
        return parameters
    likelihood = PURCHASE_MODELS[parameters.model].MODEL.likelihood
    weights = patterns["customers"]
    point = np.array(parameters.purchases)
    calendar = _on_clock(rows, _Clock(np.ones(12), dt.date(1970, 1, 1)), parameters.unit_days)
    slopes = []
    for columns in (calendar, {name: patterns[name] for name in calendar}):
        slopes.append(likelihood(columns, weights)(point)[1] * np.sum(weights))
    # The middle that siblings are drawn to stays where it is.
    root = own_root(parameters.purchases_covariance, parameters.purchases_shared)
    step = root @ root.T @ (slopes[1] - slopes[0])
    moved = point * np.exp(np.clip(step, -LARGEST_STEP, LARGEST_STEP))
    return replace(parameters, purchases=tuple(moved.tolist()))


def _rates(arrivals: Arrivals, clock: _Clock, segment: str) -> Floats:
    """New customers per day of the clock: as expected, then draws of what it may really be."""
    if arrivals.per_month is not None:
        return np.full(DRAWS + 1, arrivals.per_month / _MONTH_DAYS)
    # Given the count of a Poisson process, Jeffreys' prior makes its rate gamma distributed.
    levels = (shuffled(f"arrivals {segment}", DRAWS) + 0.5) / DRAWS
    drawn = gammaincinv(arrivals.counted + 0.5, levels)
    rates: Floats = np.concatenate([[arrivals.counted], drawn])
    per_day: Floats = rates / clock.since(np.array([arrivals.days]))[0]
    return per_day


def _month_index(index: Floats, as_of: dt.date, months: int) -> Floats:
    found: Floats = index[[start.month - 1 for start, _ in month_days(as_of, months)]]
    return found


def _drawn(parts: Sequence[SegmentForecast], name: str) -> Floats:
    """The sum of the parts by month and draw, as many draws as a season has."""
    total = np.sum([getattr(part, name) for part in parts], axis=0).reshape(-1, DRAWS)
    return np.tile(total, (1, SEASON_DRAWS // DRAWS))
