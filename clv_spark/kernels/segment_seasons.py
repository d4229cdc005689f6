"""The season of every segment of every level, each looked for around that of the segment above."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from clv_spark.economics.season import MONTHS, Season, estimate_season, flat_season
from clv_spark.kernels.forecast_revenue import growth
from clv_spark.kernels.segment_parameters import ROOT, nearest
from clv_spark.kernels.segment_table import SegmentParameters

_MONTH_DAYS = 365 / 12


def seasons_by_segment(
    rows: Sequence[Mapping[str, Any]],
    levels: Sequence[str],
    parameters: Mapping[str, SegmentParameters],
    as_of: dt.date,
    least_months: int,
) -> dict[str, Season]:
    """Seasons of all segments that have one of their own, the root's in any case.

    Only full months with revenue count: not the month of as_of unless it ends with it, nor the
    month in which the data or the segment begin.

    Args:
        rows: Rows of ``transforms.forecast.monthly_revenue``, in any order.
        levels: The columns with the names of segments, the root's first.
        parameters: By segment: how revenue grows after an opening.
        as_of: Last day that counts.
        least_months: Full months that a segment needs for a season of its own.
    """
    seasons = {ROOT: flat_season(ROOT)}
    end = _number(as_of + dt.timedelta(days=1))
    nested = len(levels) > 2
    for level, column in enumerate(levels):
        members: dict[str, list[Mapping[str, Any]]] = {}
        for row in rows:
            members.setdefault(row[column], []).append(row)
        for name in sorted(members):
            sums = _by_month(members[name])
            start = _first_full(min(row["first_date"] for row in members[name]))
            full = {month: sums[month] for month in sorted(sums) if start <= month < end}
            months = [month for month, (revenue, _) in full.items() if revenue > 0]
            if len(months) < least_months:
                continue
            revenue = np.array([full[month][0] for month in months]) / 100
            chance = np.array([full[month][1] for month in months]) / revenue**2
            above = seasons[ROOT]
            if level:
                parent = members[name][0][levels[level - 1]]
                above = seasons[nearest(parent, seasons, nested)]
            used = parameters[nearest(name, parameters, nested)]
            # Halfway through each month since the first.
            age = (np.array(months) - start + 0.5) * _MONTH_DAYS
            grows = None if used.purchases is None else growth(used, age)
            seasons[name] = estimate_season(name, months, revenue, chance, above, grows)
    return seasons


def _by_month(rows: Sequence[Mapping[str, Any]]) -> dict[int, tuple[int, float]]:
    """Cents and the sum of squares of each month, added up in the order of the rows' keys."""
    sums: dict[int, tuple[int, float]] = {}
    for row in sorted(rows, key=lambda row: (row["event_month"], row["cents"], row["square"])):
        month = _number(row["event_month"])
        cents, square = sums.get(month, (0, 0.0))
        sums[month] = (cents + int(row["cents"]), square + float(row["square"]))
    return sums


def _first_full(first: dt.date) -> int:
    """The first month of which nothing is missing: that of the first day only if it begins it."""
    if first.day == 1:
        return _number(first)
    return _number(first) + 1


def _number(day: dt.date) -> int:
    return MONTHS * day.year + day.month - 1
