"""Lines without a date: each night that brings one reads those of all the past again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from deltalake import DeltaTable

from clv_spark.errors import GateError
from tests.nights import FIRST, Delta, Files, Line
from tests.spark.nights.conftest import Follower

pytestmark = pytest.mark.slow


def _of_day(source: Files | Delta, day: dt.date, *, undated: int, dated: int) -> list[Line]:
    lines = [{**line, "who": "c1"} for line in source.lines.of(day, undated + dated)]
    return [
        {**line, "day": "some day" if number < undated else str(day)}
        for number, line in enumerate(lines)
    ]


def test_the_gate_looks_at_the_lines_without_a_date_that_are_new(
    follow: Callable[..., Follower],
) -> None:
    """A fifth is refused every night, and half of the lines may be."""
    shop = follow("parquet", seed=1, deduplicate="none")
    files = shop.files
    for number in range(8):
        day = FIRST + dt.timedelta(days=number)
        files.put(f"day {day}", _of_day(files, day, undated=2, dated=8))
        if number in (6, 7):
            shop.days()
    # A file whose lines are corrected has its own still, and one that vanishes leaves all others.
    files.put("day 2024-01-30", _of_day(files, FIRST, undated=2, dated=1))
    files.remove("day 2024-01-31")
    shop.days()
    shop.check_days()

    day += dt.timedelta(days=1)
    files.put("broken", _of_day(files, day, undated=20, dated=8))
    said = r"71\.4% of the lines, without 14 that were there at the last read and have no date, are"
    with pytest.raises(GateError, match=said):
        shop.days()


@pytest.mark.long
def test_the_gate_where_change_data_tells_of_files_that_were_written_anew(
    follow: Callable[..., Follower],
) -> None:
    shop = follow("change data feed", seed=1, deduplicate="none")
    source = shop.table
    for number in range(12):
        day = FIRST + dt.timedelta(days=number)
        source.append(_of_day(source, day, undated=2, dated=8))
    DeltaTable(str(source.folder)).optimize.compact()
    shop.days()
    source.append(_of_day(source, day, undated=1, dated=1))
    DeltaTable(str(source.folder)).update(
        updates={"amount": "7.77"}, predicate=f"day = '{FIRST}' AND line < 9"
    )
    shop.days()
    shop.check_days()
