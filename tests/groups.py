"""Which tests run in one process, one after the other, because they share what is costly.

xdist's own ``loadgroup`` hands the groups on inside the names of the tests, and since pytest 9.2
these stay as they are: every test went to any process without a word (pytest-xdist issue 1386).
Here the group follows from the name alone.
"""

from __future__ import annotations

import zlib
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

# Folders and files that share a costly set-up: the finished run of the shop, the demo's lake.
SHARED = {
    "tests/spark/ops/": "shop",
    "tests/faults/": "shop",
    "tests/cluster/": "shop",
    "tests/spark/test_online_retail.py": "demo",
    "tests/spark/test_notebook.py": "demo",
    "tests/spark/test_readme.py": "demo",
}
# The longest first, so that no process is left alone with a long one.
FIRST = (
    "shop",
    "tests/spark/nights/test_nights.py",
    "demo",
    "tests/cli/test_jobs.py",
    "tests/spark/test_model_choice.py",
    "tests/spark/test_odd_segments.py",
    "tests/spark/test_segment_fits.py",
)


def group_of(name: str) -> str:
    """The group of a test; a file that shares nothing with others is its own.

    >>> group_of("tests/spark/ops/test_trust.py::test_what[Corrupt]")
    'shop'
    >>> group_of("tests/unit/test_config.py::test_name")
    'tests/unit/test_config.py'
    """
    path, _, test = name.partition("::")
    if path.startswith("tests/faults/") and test.endswith("]"):
        # The cases of the long tests are many, and worth the set-up in both processes.
        return f"kills {zlib.crc32(test.encode()) % 2}"
    return next((group for start, group in SHARED.items() if path.startswith(start)), path)


def place_of(name: str) -> int:
    """Where the group of a test stands in a run; all others come after those that are named."""
    group = group_of(name)
    return FIRST.index(group) if group in FIRST else len(FIRST)


class GroupScheduling(LoadScopeScheduling):
    """Sends every group to one process, in the order of their tests."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


@pytest.hookimpl(optionalhook=True)  # there is no such hook without xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> GroupScheduling | None:
    """Take the place of xdist's scheduler of groups."""
    if config.getvalue("dist") != "loadgroup":
        return None
    # By the number of tests says nothing about how long they take.
    config.option.loadscopereorder = False
    return GroupScheduling(config, log)
