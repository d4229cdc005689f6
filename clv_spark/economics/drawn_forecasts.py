"""Forecasts of living customers under draws of the parameters, at a tenth of the cost of each.

All of a forecast is worked out for the parameters as fitted. A draw differs from them by little,
and by what factor changes slowly with purchases and age: it is worked out at few of both and
interpolated between them, which moves bounds of a sum by less than a thousandth of their distance.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from clv_spark.models.arrays import Floats, Integers
from clv_spark.models.model import PurchaseModel

# From one node to the next by half, but at least by one purchase or time unit.
GROWTH = 0.5
# Nodes under draws of parameters that are forecast in one call.
BLOCK = 8192


class DrawnForecast(NamedTuple):
    """A forecast under one draw, as in ``Forecast``; shape (times, customers)."""

    expected: Floats
    discounted: Floats
    discounted_square: Floats


class _Between(NamedTuple):
    """Where values lie between nodes: the node below and how far it is to the one above."""

    below: Integers
    share: Floats


def drawn_forecasts(
    model: PurchaseModel,
    params: Mapping[str, Floats],
    times: Sequence[float],
    discount_rate: float,
    x: Floats,
    T: Floats,
    age_step: float = 1.0,
) -> Iterator[DrawnForecast]:
    """The forecast under each set of parameters, one after the other; that of the first is exact.

    Args:
        model: The module of a purchase model.
        params: By name, the fit itself first, then draws around it.
        times: As for ``forecast_if_alive``, like the rest.
        discount_rate: Continuous rate per time unit.
        x: Repeat purchases, one-dimensional and not empty.
        T: Age, one-dimensional.
        age_step: The least distance between ages that are worked out, a week or less in the unit.

    Example:
        >>> from clv_spark.models import bg_nbd
        >>> params = {"r": [0.243, 0.25], "alpha": [4.414] * 2, "a": [0.793] * 2, "b": [2.426] * 2}
        >>> params = {name: np.array(values) for name, values in params.items()}
        >>> x, T = np.arange(9.0), np.full(9, 38.86)
        >>> fit, draw = drawn_forecasts(bg_nbd, params, [52.0], 0.0, x, T)
        >>> draw.expected[0, [0, 7]].round(4).tolist()  # exactly [0.2591, 6.5487]
        [0.2591, 6.548]
    """
    first = {name: values[:1] for name, values in params.items()}
    exact = _forecast(model, first, times, discount_rate, x, T)[:, :, 0]
    yield DrawnForecast(*exact)
    by_x, by_age = _ladder(x), _ladder(T / age_step) * age_step
    nodes, ages = (column.ravel() for column in np.meshgrid(by_x, by_age, indexing="ij"))
    if model.MODEL.counts_opportunities:
        # Nobody buys more often than there are.
        ages = np.maximum(ages, nodes)
    usual = _forecast(model, first, times, discount_rate, nodes, ages)
    between_x, between_ages = _between(x, by_x), _between(T, by_age)
    count = next(iter(params.values())).size
    at_once = max(1, BLOCK // nodes.size)
    for start in range(1, count, at_once):
        some = {name: values[start : start + at_once] for name, values in params.items()}
        drawn = _forecast(model, some, times, discount_rate, nodes, ages)
        known = (drawn > 0) & (usual > 0)
        factors = np.log(np.where(known, drawn, 1.0) / np.where(known, usual, 1.0))
        for one in np.moveaxis(factors.reshape(*drawn.shape[:3], by_x.size, by_age.size), 2, 0):
            yield DrawnForecast(*(exact * np.exp(_interpolated(one, between_x, between_ages))))


def _forecast(
    model: PurchaseModel,
    params: Mapping[str, Floats],
    times: Sequence[float],
    discount_rate: float,
    x: Floats,
    T: Floats,
) -> Floats:
    """The columns of ``DrawnForecast`` by times, sets of parameters and customers."""
    sets = next(iter(params.values())).size
    each = {name: np.repeat(values, x.size) for name, values in params.items()}
    customers = (np.tile(x, sets), np.tile(T, sets))
    ahead = model.forecast_if_alive(each, times, discount_rate, *customers, endless=False)
    columns = np.stack([ahead.expected, ahead.discounted, ahead.discounted_square])
    return columns.reshape(3, len(times), sets, x.size)


def _ladder(values: Floats) -> Floats:
    """Ascending nodes that enclose the values, at least two; the same ones for all values."""
    lowest, highest = np.min(values), np.max(values)
    nodes = [0.0, 1.0]
    while nodes[-1] < highest:
        nodes.append(nodes[-1] + max(1.0, np.floor(GROWTH * nodes[-1])))
    ladder = np.array(nodes)
    first = min(int(np.searchsorted(ladder, lowest, side="right")) - 1, ladder.size - 2)
    return ladder[first:]


def _between(values: Floats, nodes: Floats) -> _Between:
    below = np.minimum(np.searchsorted(nodes, values, side="right"), nodes.size - 1) - 1
    return _Between(below, (values - nodes[below]) / np.diff(nodes)[below])


def _interpolated(table: Floats, by_x: _Between, by_age: _Between) -> Floats:
    """Linear between the nodes of the last two axes."""
    total: Floats = np.zeros(())
    for x_up, x_share in ((0, 1 - by_x.share), (1, by_x.share)):
        for age_up, age_share in ((0, 1 - by_age.share), (1, by_age.share)):
            corner = table[..., by_x.below + x_up, by_age.below + age_up]
            total = total + corner * (x_share * age_share)
    return total
