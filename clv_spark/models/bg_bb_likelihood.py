"""How the BG/BB is fitted: its likelihood with gradient, starting points and limits.

The likelihood adds up over the opportunities after which the customer may have left. With A(x, j)
the probability of the history if the customer was alive up to opportunity j, and g(x, j) that of
the same history if opportunity j was the last one alive,

    L(x, t_x, n) = A(x, n) + sum over j = t_x .. n - 1 of g(x, j),
    A(x, j) = B(alpha + x, beta + j - x) / B(alpha, beta) B(gamma, delta + j) / B(gamma, delta),
    g(x, j) = A(x, j) gamma / (gamma + delta + j),

which is Fader, Hardie and Shang (2010), Marketing Science 29(6), eq. 5. All terms are positive,
and t_x and n are only the limits of the sum: one sum per distinct x from the far end serves every
pattern with that x. What the parameters mean is in ``bg_bb``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import digamma, expit, gammaln

from clv_spark.models.arrays import (
    Columns,
    Floats,
    Integers,
    Parameters,
    distinct,
    read_columns,
    require,
)
from clv_spark.models.model import Evaluate, Model

PARAMETERS = ("alpha", "beta", "gamma", "delta")
# Beyond these a distribution over customers is a single point, or not there at all.
SHAPE_LIMITS = (1e-5, 1e5)
# Of so many rounded opportunities a first fit of large data is made; it ends near the final one.
COARSE_STEPS = 156
# Doubles in one table of sums: 32 MB.
BLOCK = 4_194_304
# Terms of sums over opportunities that are worked out at once.
TERMS = 8_192


def log_likelihood(params: Parameters, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Floats:
    """How well the parameters explain each customer's purchases; higher is better.

    Fader, Hardie and Shang (2010), eq. 5. It is the probability of the very sequence of purchases,
    not of its summary, as in the paper.

    Returns:
        One natural logarithm per customer.

    Example:
        >>> params = {"alpha": 1.204, "beta": 0.750, "gamma": 0.657, "delta": 2.783}
        >>> log_likelihood(params, [6, 0], [6, 0], [6, 6]).round(4).tolist()
        [-2.1822, -1.1673]
    """
    alpha, beta, gamma, delta = letters(params)
    x, _, n = (np.floor(np.asarray(column, dtype=np.float64)) for column in (x, t_x, T))
    buys = _log_rising(alpha, x) + _log_rising(beta, n - x) - _log_rising(alpha + beta, n)
    stays = _log_rising(delta, n) - _log_rising(gamma + delta, n)
    lost = np.logaddexp(0.0, log_odds_of_loss(params, x, t_x, n))
    return buys + stays + lost


def log_odds_of_loss(params: Parameters, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Floats:
    """Logarithm of P(lost) / P(alive) at opportunity T; minus infinity where t_x = T.

    Times that are not whole are rounded down to the last opportunity.

    Example:
        >>> params = {"alpha": 1.0, "beta": 1.0, "gamma": 1.0, "delta": 1.0}
        >>> log_odds_of_loss(params, [0, 1], [0, 1], [1, 1]).round(4).tolist()
        [0.6931, -inf]
    """
    columns = np.broadcast_arrays(
        *letters(params), *(np.floor(np.asarray(v, dtype=np.float64)) for v in (x, t_x, T))
    )
    flat = [np.ravel(column) for column in columns]
    chosen, inverse = distinct(flat)
    alpha, beta, gamma, delta, x_, t, n = (column[chosen] for column in flat)
    steps = n - t
    # A(x, t) / A(x, n), by which the sum relative to its first term becomes one relative to A.
    odds = _log_rising(beta + t - x_, steps) - _log_rising(alpha + beta + t, steps)
    odds += _log_rising(delta + t, steps) - _log_rising(gamma + delta + t, steps)
    odds = np.log(gamma) - np.log(gamma + delta + t) - odds
    sums = _relative_sums(beta + t - x_, alpha + beta + t, delta + t, gamma + delta + 1 + t, steps)
    silent = steps > 0
    odds = np.where(silent, odds + np.log(np.where(silent, sums, 1.0)), -np.inf)
    return cast(Floats, odds[inverse].reshape(columns[0].shape))


def letters(params: Parameters) -> tuple[Floats, Floats, Floats, Floats]:
    """Takes alpha, beta, gamma, delta out of named parameters as arrays.

    Example:
        >>> letters({"gamma": 3.0, "delta": 4.0, "alpha": 1.0, "beta": 2.0})
        (array(1.), array(2.), array(3.), array(4.))
    """
    alpha, beta, gamma, delta = (np.asarray(params[name], dtype=np.float64) for name in PARAMETERS)
    return alpha, beta, gamma, delta


def _log_rising(shape: Floats, steps: Floats) -> Floats:
    """Logarithm of shape (shape + 1) ... (shape + steps - 1)."""
    rising: Floats = gammaln(shape + steps) - gammaln(shape)
    return rising


def _relative_sums(
    above: Floats, below: Floats, stay: Floats, leave: Floats, steps: Floats
) -> Floats:
    """Sum of so many g(x, j) from j = t_x on, divided by the first of them; 0 for no step."""
    order = np.argsort(-steps, kind="stable")
    above, below, stay, leave = (v[order] for v in (above, below, stay, leave))
    sums = np.zeros(steps.size)
    term = np.ones(steps.size)
    # Ordered by length, those that go on stand in front.
    longest = int(steps[order[0]]) if steps.size else 0
    going_on = steps.size - np.searchsorted(steps[order][::-1], np.arange(longest), side="right")
    steps_at_once = max(1, TERMS // max(steps.size, 1))
    for first in range(0, longest, steps_at_once):
        counts = going_on[first : first + steps_at_once].tolist()
        some = slice(counts[0])
        step = np.arange(first, first + len(counts))[:, np.newaxis]
        buys, stays = above[some] + step, stay[some] + step
        buys /= below[some] + step
        stays /= leave[some] + step
        for count, buy, alive in zip(counts, buys, stays, strict=True):
            term = term[:count]
            sums[:count] += term
            term *= buy[:count]
            term *= alive[:count]
    result = np.empty(steps.size)
    result[order] = sums
    return result


def _read(data: Mapping[str, ArrayLike]) -> Columns:
    columns = read_columns(data, ("x", "t_x", "T"))
    x, t_x, n = columns["x"], columns["t_x"], columns["T"]
    require((x >= 0) & (x == np.floor(x)), "x must be a whole number of purchases, not negative")
    require(t_x == np.floor(t_x), "t_x must be a whole number, the last opportunity bought at")
    require(n == np.floor(n), "T must be a whole number of opportunities")
    require(t_x <= n, "t_x must not be larger than T")
    require((x > 0) | (t_x == 0), "t_x must be 0 where x is 0")
    require(x <= t_x, "x must not be larger than t_x: one purchase per opportunity")
    return columns


class _Patterns:
    """Patterns as whole numbers, and the distinct x with the patterns that have it."""

    def __init__(self, columns: Columns, weights: Floats) -> None:
        self.x, self.t, self.n = (columns[name].astype(np.int64) for name in ("x", "t_x", "T"))
        self.shares = weights / np.sum(weights)
        self.counts, self.column = np.unique(self.x, return_inverse=True)
        self.last = int(np.max(self.n))

    def blocks(self) -> Iterator[tuple[Integers, Integers]]:
        """Some distinct x at a time, and the patterns with them that have been silent."""
        width = max(1, BLOCK // (5 * (self.last + 1)))
        silent = self.n > self.t
        for first in range(0, self.counts.size, width):
            inside = (self.column >= first) & (self.column < first + width)
            yield self.counts[first : first + width], np.flatnonzero(inside & silent)


def _likelihood(columns: Columns, weights: Floats) -> Evaluate:
    patterns = _Patterns(columns, weights)
    x, n, shares = patterns.x, patterns.n, patterns.shares
    k = np.arange(patterns.last + 1, dtype=np.float64)

    def evaluate(point: Floats) -> tuple[float, Floats]:
        alpha, beta, gamma, delta = point
        shapes = (alpha, beta, alpha + beta, delta, gamma + delta)
        logs = np.array([gammaln(shape + k) - gammaln(shape) for shape in shapes])
        slopes = np.array([digamma(shape + k) - digamma(shape) for shape in shapes])
        alive = logs[0][x] + logs[1][n - x] - logs[2][n] + logs[3][n] - logs[4][n]
        odds, means = _losses(patterns, point, logs, slopes)
        lost = shares * expit(odds)
        kept = shares - lost
        value = (shares * (alive + np.logaddexp(0.0, odds))).sum()
        joint = (kept * slopes[2][n]).sum() + (lost * means[0]).sum()
        by_alpha = (shares * slopes[0][x]).sum() - joint
        by_beta = (kept * slopes[1][n - x]).sum() + (lost * means[1]).sum() - joint
        leave = (kept * slopes[4][n]).sum() + (lost * means[2]).sum()
        by_gamma = lost.sum() / gamma - leave
        by_delta = (kept * slopes[3][n]).sum() + (lost * means[3]).sum() - leave
        return float(value), np.array([by_alpha, by_beta, by_gamma, by_delta]) * point

    return evaluate


def _losses(
    patterns: _Patterns, point: Floats, logs: Floats, slopes: Floats
) -> tuple[Floats, Floats]:
    """Log-odds of loss per pattern, and the means of four slopes over when the loss was.

    The slopes are the derivatives of log g by alpha + beta, beta, gamma + delta and delta.
    """
    _, _, gamma, delta = point
    j = np.arange(patterns.last + 1)
    leave = gamma + delta + j
    late = np.array([slopes[2], slopes[4] + 1 / leave, slopes[3]])
    odds, means = np.full(patterns.x.size, -np.inf), np.zeros((4, patterns.x.size))
    for counts, rows in patterns.blocks():
        sums = _tails(point, counts, slopes[1], late)
        x, t, n = patterns.x[rows], patterns.t[rows], patterns.n[rows]
        column = np.searchsorted(counts, x)
        # A(x, n) / A(x, t), and g(x, n) / g(x, t).
        on = logs[1][n - x] - logs[1][t - x] - logs[2][n] + logs[2][t]
        on += logs[3][n] - logs[3][t] - logs[4][n] + logs[4][t]
        ratio = np.exp(on) * leave[t] / leave[n]
        # The terms fall with j, so this difference keeps all but three of sixteen digits.
        lost = sums[t, :, column].T - ratio * sums[n, :, column].T
        odds[rows] = np.log(lost[0]) + np.log(gamma / leave[t]) - on
        means[:, rows] = lost[1:] / lost[0]
    return odds, means


def _tails(point: Floats, counts: Integers, slopes_beta: Floats, late: Floats) -> Floats:
    """Sums from j to the last of g(x, j) and of its slopes times it, divided by g(x, j).

    Relative to their first term the sums neither over- nor underflow.

    Returns:
        Shape (opportunities + 1, 5, distinct x); what stands at j < x is of no use.
    """
    alpha, beta, gamma, delta = point
    last = late.shape[1] - 1
    j = np.arange(last)[:, np.newaxis]
    since = np.maximum(j - counts, 0)
    ratios = (beta + since) * ((delta + j) / ((alpha + beta + j) * (gamma + delta + j + 1)))
    # First the own terms of each j, then from the last one back what follows them.
    sums = np.zeros((last + 1, 5, counts.size))
    sums[:-1, 0] = 1
    sums[:-1, 2] = slopes_beta[since]
    sums[:-1, [1, 3, 4]] = late.T[:-1, :, np.newaxis]
    following = np.empty((5, counts.size))
    for row, after, ratio in zip(sums[-2::-1], sums[:0:-1], ratios[::-1], strict=True):
        row += np.multiply(after, ratio, out=following)
    return sums


def _starts(columns: Columns, weights: Floats) -> list[Floats]:
    # While somebody comes back it is known that they are alive, so x / t_x shows their p.
    bought = np.sum(weights * columns["x"])
    alive, seen = np.sum(weights * columns["t_x"]), np.sum(weights * columns["T"])
    often = np.clip(bought / alive if alive > 0 else 0.5, 1e-4, 0.9)
    seldom = np.clip(bought / seen if seen > 0 else 0.5, 1e-4, 0.9)
    age = max(seen / np.sum(weights), 1.0)
    return [
        np.array([often, 1 - often, 0.5, 0.5 * age]),
        np.array([0.5, 0.5 / seldom - 0.5, 0.5, 2 * age]),
        np.array([3 * seldom, 3 * (1 - seldom), 2.0, 8 * age]),
    ]


def _box(columns: Columns, weights: Floats) -> tuple[Floats, Floats]:
    low, high = SHAPE_LIMITS
    return np.full(4, low), np.full(4, high)


def _caveat(columns: Columns, params: Mapping[str, float]) -> str:
    if not np.any(columns["x"] > 0):
        return "no customer bought a second time, so neither rate nor dropout can be told"
    return ""


def _coarsen(columns: Columns) -> Columns:
    # Opportunities stay whole numbers, and there still is one for every purchase.
    width = np.ceil(np.max(columns["T"]) / COARSE_STEPS)
    if width <= 1:
        return columns
    t_x = np.maximum(np.round(columns["t_x"] / width) * width, columns["x"])
    return {
        "x": columns["x"],
        "t_x": t_x,
        "T": np.maximum(np.round(columns["T"] / width) * width, t_x),
    }


MODEL = Model(
    name="bg_bb",
    parameters=PARAMETERS,
    read=_read,
    likelihood=_likelihood,
    starts=_starts,
    box=_box,
    caveat=_caveat,
    coarsen=_coarsen,
    counts_opportunities=True,
)
