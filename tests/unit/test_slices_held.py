"""Which slices a table holds, told by its commits alone, and when they do not tell."""

from __future__ import annotations

from typing import Any

import pytest

from clv_spark.lake.commit import Commit, Held, slices_held

CREATED = {"version": 0, "operation": "CREATE TABLE", "userMetadata": None, "operationMetrics": {}}
JANUARY, MARCH = "2024-01-31", "2024-03-31"


def wrote(
    date: str | None, before: tuple[str, ...] | None, version: int = 1, **more: Any
) -> dict[str, Any]:
    """A commit that replaced one slice, as the log of its table has it."""
    held = None if before is None else Held(more.pop("after", version - 1), before)
    commit = Commit("run", date, "f", "s", "c", "v", held=held)
    metrics = {"numOutputRows": str(more.pop("rows", 5))}
    row = {"version": version, "operation": "WRITE", "operationMetrics": metrics}
    return {**row, "userMetadata": commit.to_json(), **more}


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ([CREATED], ()),
        ([wrote(JANUARY, ()), CREATED], (JANUARY, JANUARY)),
        ([wrote(JANUARY, (MARCH, MARCH))], (JANUARY, MARCH)),
        ([wrote("2024-02-29", (JANUARY, MARCH))], (JANUARY, MARCH)),
        # An empty slice in between is none; of the first or last one the neighbour is not known.
        ([wrote("2024-02-29", (JANUARY, MARCH), rows=0)], (JANUARY, MARCH)),
        ([wrote(MARCH, (JANUARY, MARCH), rows=0)], None),
        # The log may have been told to keep no metrics.
        ([wrote(JANUARY, (), operationMetrics={})], None),
        # Delta does not count the rows of a write without files.
        ([wrote(JANUARY, (), operationMetrics={"numFiles": "0"})], ()),
        ([wrote(JANUARY, (), operationMetrics={"numFiles": "1"})], None),
        # A commit without rows, which was made where there was nothing to replace.
        ([wrote(MARCH, (JANUARY, JANUARY), operation="SET TBLPROPERTIES")], (JANUARY, JANUARY)),
        # What touches no row is passed over; what may have touched some is not.
        ([{**CREATED, "operation": "OPTIMIZE"}, wrote(JANUARY, ())], (JANUARY, JANUARY)),
        ([{**CREATED, "operation": "DELETE"}, wrote(JANUARY, ())], None),
        # Somebody wrote between the look at the table and the commit.
        ([wrote(JANUARY, (), version=7, after=5)], None),
        ([wrote(None, ())], None),
        ([wrote(JANUARY, None)], None),
        ([], None),
    ],
)
def test_the_newest_commit_tells_or_nobody_knows(
    log: list[dict[str, Any]], expected: tuple[str, ...] | None
) -> None:
    assert slices_held(log) == expected
