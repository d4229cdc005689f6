"""The tree of segments from the rows of its leaves."""

from __future__ import annotations

import random

from clv_spark.kernels.segment_tree import SUMS, segment_tree

LEVELS = ["root", "region", "country"]


def leaf(region, country, **sums):
    names = {"root": "global", "region": region, "country": f"{region}/{country}"}
    return names | dict.fromkeys(SUMS, 0) | sums


LEAVES = [
    leaf("Europe", "France", customers=3, gross=100, margin=7),
    leaf("Asia", "Japan", customers=5, gross=50, margin=None),
    leaf("Europe", "Spain", customers=2, gross=10, margin=None),
]


def test_every_level_has_its_segments_below_the_right_parent():
    tree = segment_tree(LEAVES, LEVELS)
    assert [(s.name, s.level, s.parent) for s in tree.values()] == [
        ("global", 0, None),
        ("Asia", 1, "global"),
        ("Europe", 1, "global"),
        ("Asia/Japan", 2, "Asia"),
        ("Europe/France", 2, "Europe"),
        ("Europe/Spain", 2, "Europe"),
    ]


def test_sums_are_those_of_the_leaves_below():
    tree = segment_tree(LEAVES, LEVELS)
    assert {name: segment.totals["customers"] for name, segment in tree.items()} == {
        "global": 10,
        "Asia": 5,
        "Europe": 5,
        "Asia/Japan": 5,
        "Europe/France": 3,
        "Europe/Spain": 2,
    }
    assert tree["Europe"].totals["gross"] == 110


def test_what_no_leaf_knows_is_unknown_and_what_some_know_is_their_sum():
    tree = segment_tree(LEAVES, LEVELS)
    assert tree["Asia"].totals["margin"] is None
    assert tree["Europe"].totals["margin"] == 7
    assert tree["global"].totals["margin"] == 7
    nothing = segment_tree([leaf("Asia", "Japan", margin=0)], LEVELS)
    assert nothing["Asia"].totals["margin"] == 0


def test_one_level_is_the_root_alone():
    tree = segment_tree(LEAVES, ["root"])
    assert list(tree) == ["global"]
    assert tree["global"].totals["gross"] == 160


def test_the_order_of_the_leaves_does_not_matter():
    shuffled = LEAVES * 1
    random.Random(1).shuffle(shuffled)
    assert shuffled != LEAVES
    assert list(segment_tree(shuffled, LEVELS).items()) == list(
        segment_tree(LEAVES, LEVELS).items()
    )
