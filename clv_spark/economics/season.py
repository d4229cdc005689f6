"""The season of a segment: how much of a year's revenue falls into which calendar month.

The logarithm of a month's revenue per day is a smooth trend, an effect of its calendar month and
noise: the basic structural model of Harvey (1989), Forecasting, Structural Time Series Models and
the Kalman Filter, section 2.3, with a smooth trend (Wahba 1978, JRSS B 40, the cubic smoothing
spline). Month effects are draws from a normal distribution around the season of the segment above
(around none for the root), so what two Decembers say is shrunk as far as months differ by chance
anyway. How strong trend, season and noise are is not known from so few months: their likelihood,
free of the trend (REML; Harville 1977, JASA 72), is summed over a grid of them instead of taking
the best, since the best is zero or too sharp too often.

The chance of customers, sum(a^2) / (sum a)^2 for the amounts a of a month (a compound Poisson sum),
is known and not counted as noise a second time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clv_spark.errors import InputError
from clv_spark.models.arrays import Floats
from clv_spark.models.draws import shuffled, standard_normal

# Draws of a season; a multiple of the draws of the parameters it is combined with.
SEASON_DRAWS = 64
MONTHS = 12
# Older months say little of the season of today.
MOST_MONTHS = 60
# Standard deviations, of logarithms: of month effects, of noise, of the trend's bend per year^1.5;
# a trend that bends more follows the season itself.
SEASONS = (0.0, 0.03, 0.06, 0.1, 0.15, 0.22, 0.33, 0.5, 0.8)
NOISES = (0.005, 0.02, 0.035, 0.06, 0.1, 0.16, 0.25, 0.4, 0.7)
USUAL_NOISE = 0.1
BENDS = (0.0, 0.15, 0.4)
# Beyond this a month says next to nothing, and the logarithm of a sum is no longer near normal.
MOST_CHANCE = 1.0
# Days of the calendar months of a year.
DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@dataclass(frozen=True)
class Season:
    """What is known of the season of a segment.

    Attributes:
        segment: Whose revenue tells it: the segment itself, or one above.
        draws: Draws of the index, ``SEASON_DRAWS`` rows of January to December; the mean of each
            over the days of a year is 1, so that a season moves revenue but neither adds nor
            removes any.
        noise: For each draw the standard deviation of what a month's logarithm differs by for no
            reason that is known.
    """

    segment: str
    draws: Floats
    noise: Floats

    @property
    def index(self) -> Floats:
        """The mean index of January to December."""
        mean: Floats = np.mean(self.draws, axis=0)
        return mean


def flat_season(segment: str) -> Season:
    """No season and no noise: what is known without history.

    Example:
        >>> flat_season("global").index.tolist() == [1.0] * 12
        True
    """
    return Season(segment, np.ones((SEASON_DRAWS, MONTHS)), np.zeros(SEASON_DRAWS))


def estimate_season(
    segment: str,
    months: Sequence[int],
    revenue: ArrayLike,
    chance: ArrayLike,
    above: Season,
    growth: ArrayLike | None = None,
) -> Season:
    """Estimates the season from the revenue of full calendar months.

    Args:
        segment: Name of the segment: its draws are those of this name.
        months: Numbers of the months, 12 * year + month with January 0; ascending, gaps allowed.
        revenue: Revenue of each month, above zero.
        chance: Its relative variance from the chance of customers, see the module.
        above: The season of the segment above, around which this one's is looked for.
        growth: How the logarithm would grow from the first month on in a shop that opened then, to
            any multiple: the data say how much of it is there.

    Raises:
        InputError: Months without revenue, or fewer than four.

    Example:
        >>> months = range(12 * 2020, 12 * 2023)
        >>> revenue = [3.0 if month % 12 == 11 else 1.0 for month in months]
        >>> season = estimate_season("uk", months, revenue, [1e-4] * 36, flat_season("global"))
        >>> float(season.index[11].round(1))
        2.5
    """
    number = np.asarray(months, dtype=np.int64)[-MOST_MONTHS:]
    amount = np.asarray(revenue, dtype=np.float64)[-MOST_MONTHS:]
    variance = np.minimum(np.asarray(chance, dtype=np.float64), MOST_CHANCE)[-MOST_MONTHS:]
    if number.size < 4 or not np.all(amount > 0):
        raise InputError(f"{number.size} months with revenue above zero; at least 4 are needed.")
    place = number % MONTHS
    per_day = amount / _days_of(number)
    # The logarithm of a sum lies below that of its expectation, by half its variance.
    log = np.log(per_day) + variance / 2 - np.log(above.index[place])
    years = (number - number[0]) / MONTHS
    trend = [np.ones(years.size), years]
    if growth is not None:
        trend.append(np.asarray(growth, dtype=np.float64)[-MOST_MONTHS:])
    fits = _Fits(place, years, np.stack(trend, axis=1), log, variance)
    order = _order(f"strengths {segment}", fits.weight)
    normal = standard_normal(f"season {segment}", (SEASON_DRAWS, MONTHS))
    roots = {at: fits.root(at) for at in np.unique(order).tolist()}
    effects = np.stack([fits.mean[at] + roots[at] @ normal[row] for row, at in enumerate(order)])
    return Season(segment, _even(above.draws * np.exp(effects)), fits.noise[order])


def season_days(index: ArrayLike, first: np.datetime64, days: int) -> Floats:
    """How many days of an even year each day is worth.

    Args:
        index: The index of January to December.
        first: The first day.
        days: How many days.

    Example:
        >>> index = [0.5] + [1.0] * 11
        >>> season_days(index, np.datetime64("2024-01-30"), 4).tolist()
        [0.5, 0.5, 1.0, 1.0]
    """
    dates = first.astype("datetime64[D]") + np.arange(days)
    month = dates.astype("datetime64[M]").astype(np.int64) % MONTHS
    worth: Floats = np.asarray(index, dtype=np.float64)[month]
    return worth


class _Fits:
    """The posterior of the month effects for every strength of trend, season and noise.

    With V the covariance of the months around their line, P = V^-1 - V^-1 X (X'V^-1 X)^-1 X'V^-1
    and Z the months' places, the effects given the data have mean s^2 Z'P y and covariance
    s^2 I - s^4 Z'P Z (Harville 1977); given the strengths y has the density of REML.
    """

    def __init__(
        self,
        place: NDArray[np.int64],
        years: Floats,
        trend: Floats,
        log: Floats,
        variance: Floats,
    ) -> None:
        # An orthonormal basis of the same lines: nothing depends on how they are written.
        line = np.linalg.qr(trend)[0]
        bend, season, noise = (
            axis.ravel() for axis in np.meshgrid(BENDS, SEASONS, NOISES, indexing="ij")
        )
        places = (place[:, None] == np.arange(MONTHS)).astype(np.float64)
        shared = places @ places.T
        covariance = (
            bend[:, None, None] ** 2 * _spline(years)
            + season[:, None, None] ** 2 * shared
            + np.eye(years.size) * (variance + noise[:, None, None] ** 2)
        )
        inverse = np.linalg.inv(covariance)
        by_line = inverse @ line
        precision = line.T @ by_line
        free = inverse - by_line @ np.linalg.inv(precision) @ by_line.transpose(0, 2, 1)
        logs = np.linalg.slogdet(covariance)[1] + np.linalg.slogdet(precision)[1]
        fit = -0.5 * (logs + (free @ log) @ log)
        # The prior of the noise is half a Cauchy distribution (Gelman 2006, Bayesian Analysis 1),
        # over a grid of equal steps of its logarithm.
        prior = noise / (1 + (noise / USUAL_NOISE) ** 2)
        weight = prior * np.exp(fit - np.max(fit))
        self.weight: Floats = weight / np.sum(weight)
        self.noise = noise
        self._season = season
        self.mean: Floats = season[:, None] ** 2 * ((free @ log) @ places)
        self._known = places.T @ free @ places

    def root(self, at: int) -> Floats:
        """A root of the covariance of month effects under the strengths at a place of the grid."""
        variance = self._season[at] ** 2
        covariance = variance * np.eye(MONTHS) - variance**2 * self._known[at]
        values, vectors = np.linalg.eigh(covariance)
        root: Floats = vectors * np.sqrt(np.maximum(values, 0.0))
        return root


def _spline(years: Floats) -> Floats:
    """Covariance of a smooth trend around its line: of Brownian motion, integrated once."""
    low = np.minimum.outer(years, years)
    high = np.maximum.outer(years, years)
    covariance: Floats = low**2 * (3 * high - low) / 6
    return covariance


def _order(stream: str, weight: Floats) -> NDArray[np.int64]:
    """Places of the grid as often as they are likely, in an order that means nothing."""
    levels = (np.arange(SEASON_DRAWS) + 0.5) / SEASON_DRAWS
    chosen = np.minimum(np.searchsorted(np.cumsum(weight), levels), weight.size - 1)
    return chosen[shuffled(stream, SEASON_DRAWS)]


def _even(index: Floats) -> Floats:
    """Indices whose mean over the days of a year is 1."""
    days = np.array(DAYS, dtype=np.float64)
    even: Floats = index * (np.sum(days) / (index @ days))[:, None]
    return even


def _days_of(number: NDArray[np.int64]) -> Floats:
    """Days of each month."""
    month = (number - 12 * 1970).astype("datetime64[M]")
    days = (month + 1).astype("datetime64[D]") - month.astype("datetime64[D]")
    lengths: Floats = days.astype(np.float64)
    return lengths
