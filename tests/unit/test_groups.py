"""Tests that share a set-up are run by one process, in whatever way xdist and pytest deal them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.groups import FIRST, SHARED

ROOT = Path(__file__).parents[2]
NOTE = """
import os, pytest

@pytest.mark.parametrize("number", range(6))
def test_note(number):
    with open("noted", "a") as file:
        print(os.environ["PYTEST_XDIST_WORKER"], "{group}", file=file)
"""


def test_a_group_is_run_by_one_process(tmp_path: Path) -> None:
    files = {
        "tests/spark/ops/test_a.py": "shop",
        "tests/unit/test_b.py": "file",
        "tests/spark/ops/test_c.py": "shop",
    }
    for name, group in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(NOTE.format(group=group))
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadgroup"]
    result = subprocess.run(
        [*command, "-p", "tests.groups", "-p", "no:hypothesispytest", *files],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    noted = [line.split() for line in (tmp_path / "noted").read_text().splitlines()]
    assert len(noted) == 18
    for group in files.values():
        assert len({worker for worker, of in noted if of == group}) == 1
    assert len({worker for worker, _ in noted}) == 2


def test_every_place_that_is_named_exists() -> None:
    places = {*SHARED, *(group for group in FIRST if "/" in group)}
    assert [place for place in places if not (ROOT / place).exists()] == []
    assert {group for group in FIRST if "/" not in group} == set(SHARED.values())
