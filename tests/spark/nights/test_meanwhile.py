"""Files that grow, come or go while a run looks at them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from clv_spark.errors import InputError
from clv_spark.lake import source_state
from tests.nights import FIRST, Files, Line
from tests.spark.nights.conftest import Follower

pytestmark = pytest.mark.slow

read_source = source_state.read_source


def _two_days(shop: Follower) -> tuple[Files, dt.date]:
    files = shop.files
    day = FIRST + dt.timedelta(days=1)
    for at in (FIRST, day):
        files.put(f"day {at}", files.lines.of(at, 20))
    return files, day


def _append(files: Files, lines: list[Line]) -> None:
    """To the last file, as a writer that has it open."""
    with (files.folder / f"day {FIRST + dt.timedelta(days=1)}.csv").open("a") as file:
        file.writelines(",".join(map(str, line.values())) + "\n" for line in lines)


@pytest.mark.parametrize("moment", [pytest.param("before", marks=pytest.mark.long), "after"])
def test_a_file_that_grows_while_types_are_inferred(
    follow: Callable[..., Follower], monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """What was not read of it is read by the next run."""
    shop = follow("csv", seed=6, deduplicate="none")
    files, day = _two_days(shop)

    def while_it_grows(*given: Any) -> Any:
        if moment == "before":
            _append(files, files.lines.of(day, 9))
        rows = read_source(*given)
        if moment == "after":
            _append(files, files.lines.of(day, 9))
        return rows

    with monkeypatch.context() as patch:
        patch.setattr(source_state, "read_source", while_it_grows)
        shop.days()
    shop.days()
    shop.check_days()


def test_a_file_that_comes_or_goes_while_types_are_inferred(
    follow: Callable[..., Follower], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = follow("csv", seed=6, deduplicate="none")
    files, day = _two_days(shop)

    def while_they_change(*given: Any) -> Any:
        files.put("before", files.lines.of(FIRST, 9))
        rows = read_source(*given)
        files.put("after", files.lines.of(day, 9))
        files.remove(f"day {day}")
        return rows

    with monkeypatch.context() as patch:
        patch.setattr(source_state, "read_source", while_they_change)
        with pytest.raises(InputError, match=r"source\.transactions: reading the .* failed"):
            shop.days()
    shop.days()
    shop.check_days()
