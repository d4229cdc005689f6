"""docs/definitions.md: every worked example gives what the page says."""

from __future__ import annotations

import doctest
import re
import textwrap
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "definitions.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^ *```python\n(.*?)^ *```$", TEXT, re.MULTILINE | re.DOTALL)


def failures(blocks):
    """Examples that don't give what they say."""
    names: dict[str, object] = {}
    count = 0
    for number, block in enumerate(blocks):
        source = textwrap.dedent(block)
        test = doctest.DocTestParser().get_doctest(source, names, f"block {number}", str(PAGE), 0)
        runner = doctest.DocTestRunner(verbose=False)
        count += runner.run(test, out=lambda text: None, clear_globs=False).failed
        names = test.globs
    return count


def test_the_examples_of_the_page_hold():
    assert len(BLOCKS) >= 10
    assert all(">>>" in block for block in BLOCKS)
    assert failures(BLOCKS) == 0


def test_a_wrong_result_would_be_seen():
    wrong = [block.replace("1000.0", "1001.0") for block in BLOCKS]
    assert failures(wrong) >= 1


@pytest.mark.parametrize(
    ("says", "shows"),
    [
        ("200 a year for five years is a historical CLV of 1000", "[200.0] * 5)\n1000.0"),
        ("CLV 3000 at a CAC of 300 is a ratio of 10", "(3000.0, 300.0)\n10.0"),
        ("50 x 4.2 - 2 x 4.2 x c - 40", "20.24"),
        ("a call of more than 20.24 turns a customer", "20.24"),
    ],
)
def test_the_examples_that_were_asked_for_are_there(says, shows):
    assert says in " ".join(TEXT.split())
    assert any(shows in textwrap.dedent(block) for block in BLOCKS)


@pytest.mark.parametrize(
    "word",
    [
        "revenue",
        "margin",
        "net",
        "historical",
        "residual",
        "total",
        "new-customer",
        "CAC",
        "payback",
        "maximal",
        "loss-making",
        "sunk",
        "ARPU",
        "churn",
    ],
)
def test_every_meaning_is_explained(word):
    assert word.lower() in TEXT.lower()
