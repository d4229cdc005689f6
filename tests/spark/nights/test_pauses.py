"""A lake that nobody has run for a while, and what Delta then no longer tells."""

from __future__ import annotations

import datetime as dt
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.nights import FIRST
from tests.spark.nights.conftest import Follower

pytestmark = pytest.mark.slow


def _is_long_ago(table: Path, days: int = 8) -> None:
    """The commits of a table were made so many days ago, by the time of their files."""
    before = time.time() - days * 24 * 60 * 60
    for commit in (table / "_delta_log").glob("*.json"):
        os.utime(commit, (before, before))


def test_a_late_line_after_a_pause_beyond_the_deleted_files(
    follow: Callable[..., Follower],
) -> None:
    """Delta lets nobody read a version that was superseded so long ago, files or no files."""
    shop = follow("parquet", seed=2)
    files = shop.files
    for number in range(3):
        day = FIRST + dt.timedelta(days=number)
        files.put(f"day {day}", files.lines.of(day, 20))
    shop.build(shop.config(), day)
    files.put("late", files.lines.of(FIRST, 3))
    shop.days()
    _is_long_ago(shop.folder / "lake" / "customer_days")

    assert shop.how(day) == "all days folded"
    shop.check(day)
