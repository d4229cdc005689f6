"""The first and last day of customer_days after a read, told without asking the table."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clv_spark.lake.commit import DAYS_HELD, Commit, days_held
from clv_spark.pipelines.known_files import Days
from clv_spark.pipelines.reading import Reading

DAYS = [dt.date(2024, 1, 1) + dt.timedelta(days=number) for number in range(9)]
subsets = st.frozensets(st.sampled_from(DAYS))


def ends(days: frozenset[dt.date]) -> tuple[dt.date, dt.date] | None:
    return (min(days), max(days)) if days else None


def reading(days: frozenset[dt.date] | None) -> Reading:
    rows: Any = None
    return Reading(rows, 2, 1, None if days is None else Days(days))


@given(held=subsets, again=subsets, data=st.data())
def test_what_is_told_is_what_the_table_then_holds(
    held: frozenset[dt.date], again: frozenset[dt.date], data: st.DataObject
) -> None:
    """Days that are derived again hold what is found now, all others what they held."""
    found = data.draw(st.frozensets(st.sampled_from(sorted(again)))) if again else again
    told = reading(again).range_after(ends(held), ends(found))
    if told is not None:
        assert told == ends((held - again) | found)


@given(held=subsets, found=subsets)
def test_after_a_read_of_everything_only_that_counts(
    held: frozenset[dt.date], found: frozenset[dt.date]
) -> None:
    assert reading(None).range_after(ends(held), ends(found)) == ends(found)


@pytest.mark.parametrize(
    ("again", "found", "told"),
    [
        # A night: a new last day, or the last one once more.
        ({DAYS[6]}, {DAYS[6]}, (DAYS[1], DAYS[6])),
        ({DAYS[5]}, {DAYS[5]}, (DAYS[1], DAYS[5])),
        (set(), set(), (DAYS[1], DAYS[5])),
        # A day in between may go; the table alone knows what is next to the first or last.
        ({DAYS[3]}, set(), (DAYS[1], DAYS[5])),
        ({DAYS[5]}, set(), None),
        ({DAYS[1], DAYS[2]}, {DAYS[2]}, None),
    ],
)
def test_most_nights_are_told(
    again: set[dt.date], found: set[dt.date], told: tuple[dt.date, dt.date] | None
) -> None:
    held = (DAYS[1], DAYS[5])
    assert reading(frozenset(again)).range_after(held, ends(frozenset(found))) == told


def row(operation: str, held: list[str] | None = None) -> dict[str, Any]:
    """A commit in the log, ours where it says which days the table holds."""
    ours = Commit("run", None, "f", "s", "c", "v", figures={DAYS_HELD: held})
    metadata = None if held is None else ours.to_json()
    return {
        "version": 1,
        "operation": operation,
        "operationMetrics": {},
        "userMetadata": metadata,
    }


NIGHT = row("WRITE", ["2024-01-02", "2024-01-06"])


@pytest.mark.parametrize(
    ("log", "told"),
    [
        ([NIGHT, row("CREATE TABLE")], (DAYS[1], DAYS[5])),
        ([row("OPTIMIZE"), NIGHT], (DAYS[1], DAYS[5])),
        ([row("SET TBLPROPERTIES", ["2024-01-02", "2024-01-03"]), NIGHT], (DAYS[1], DAYS[2])),
        # Somebody else wrote or removed rows, or our own commit could not tell.
        ([row("WRITE"), NIGHT], None),
        ([row("DELETE"), NIGHT], None),
        ([row("WRITE", []), NIGHT], None),
        ([], None),
    ],
)
def test_the_newest_commit_tells_the_days(
    log: list[dict[str, Any]], told: tuple[dt.date, dt.date] | None
) -> None:
    assert days_held(log) == told
