"""Values of segment keys as commits tell them."""

from __future__ import annotations

from clv_spark.pipelines.segment_values import SEGMENT_VALUES, figures_of_values, together


def test_a_commit_lists_values_unless_they_are_unknown_or_very_many() -> None:
    few = {"country": ["Chile", "Peru"], "channel": ["web"]}
    assert figures_of_values(few) == {SEGMENT_VALUES: few}
    many = {"country": [str(number) for number in range(999)], "channel": ["web", "shop"]}
    assert figures_of_values(many) == figures_of_values(None) == {}


def test_what_one_part_does_not_tell_nobody_knows() -> None:
    known = {"country": ["Peru"], "channel": ["web"]}
    assert together([known, known], ["country"]) == {"country": ["Peru"]}
    assert together([known, None], ["country"]) is None
    assert together([], []) == {}
