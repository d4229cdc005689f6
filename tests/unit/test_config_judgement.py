"""Ranks, stages and actions in the configuration: mistakes named, defaults that cover all."""

from __future__ import annotations

import json
from collections import Counter
from itertools import product
from pathlib import Path

import duckdb
import pytest

from clv_spark.config import RanksConfig, load_config
from clv_spark.errors import ConfigError

CONF = Path(__file__).parents[2] / "conf"
LAST = "{action: watch, when: 'true', reason: x}"
ELEVEN = {
    "Champions",
    "Loyal",
    "Potential loyalist",
    "New",
    "Promising",
    "Need attention",
    "About to sleep",
    "At risk",
    "Cannot lose them",
    "Hibernating",
    "Lost",
}


def named(ranks: RanksConfig) -> dict[tuple[int, int, int], str | None]:
    """The segment of every combination of scores, by plain SQL in another engine."""
    cases = " ".join(f"WHEN {segment.when} THEN '{segment.name}'" for segment in ranks.rfm_segments)
    scores = ", ".join(str(triple) for triple in product(range(1, 6), repeat=3))
    rows = duckdb.sql(
        f"SELECT recency, frequency, monetary, CASE {cases} END "
        f"FROM (VALUES {scores}) AS s(recency, frequency, monetary)"
    ).fetchall()
    return {(r, f, m): name for r, f, m, name in rows}


def test_the_default_segments_name_all_combinations_and_all_eleven_occur() -> None:
    names = named(RanksConfig())
    assert len(names) == 125
    assert set(names.values()) == ELEVEN


def test_the_default_segments_mean_what_their_names_say() -> None:
    names = named(RanksConfig())
    assert names[5, 5, 5] == "Champions"
    assert names[1, 1, 1] == "Lost"
    assert names[1, 5, 5] == "Cannot lose them"
    assert names[5, 1, 1] == "New"
    assert names[2, 1, 1] == "Hibernating"
    # Who bought lately is neither lost nor at risk, who did not is neither loyal nor new.
    gone = {"Lost", "Hibernating", "At risk", "Cannot lose them"}
    for (recency, _, _), name in names.items():
        assert (name in gone) == (recency <= 2)
    assert max(Counter(names.values()).values()) < 25


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("ranks.tiers=[{name: A, top: 0.5}]", "the last be 1"),
        ("ranks.tiers=[{name: A, top: 0.5}, {name: B, top: 0.2}, {name: C, top: 1}]", "rise"),
        ("ranks.tiers=[{name: A, top: 0.5}, {name: A, top: 1}]", "each name once"),
        ("ranks.tiers=[]", "the last be 1"),
        ("ranks.tiers=[{name: A, top: 0}, {name: B, top: 1}]", "greater than 0"),
        ("ranks.rfm_segments=[]", "is empty"),
        ("ranks.rfm_segments=[{name: A, when: 'true'}, {name: A, when: 'true'}]", "name once"),
        ("lifecycle.lost_ratio=1", "the ratios"),
        ("lifecycle.fresh_ratio=5", "the ratios"),
        ("lifecycle.lost_below=0.5", "lost_below"),
        ("lifecycle.compare_days=0", "greater than or equal to 1"),
        ("actions=[]", "the last rule must hold"),
        ("actions=[{action: watch, when: clv > 1, reason: x}]", "the last rule must hold"),
        ("actions=[{action: phone, when: 'true', reason: x}]", "'retain', 'grow'"),
        ("actions=[{action: watch, when: 'true', reason: '{clv:.2f}'}]", "more in braces"),
        ("actions=[{action: watch, when: 'true', reason: '{}'}]", "more in braces"),
        ("actions=[{action: watch, when: 'true', reason: '{clv'}]", "expected '}'"),
        ("actions=[{action: watch, if: 'true', reason: x}]", "known are .*when"),
        ("ranks.rfm_segments=[{name: A, if: 'true'}]", "unknown key"),
        (
            "ranks.tiers=[{name: A, top: 0.1}, {name: B, top: 1}]",
            r"actions 2 \(retain\).*'Platinum', 'Gold', 'Silver', 'Bronze'.*\['A', 'B'\].*actions",
        ),
    ],
)
def test_a_mistake_is_named(override: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        load_config(overrides=[override], environ={})


def rules(when: str) -> str:
    return f"actions=[{{action: grow, when: {json.dumps(when)}, reason: x}}, {LAST}]"


@pytest.mark.parametrize(
    "when",
    [
        "clv_tier = 'gold'",
        'clv > 1 AND `clv_tier` <> "gold"',
        "lower(clv_tier) = 'low' OR 'gold' == clv_tier",
        "CLV_TIER\n NOT IN ( 'Gold' ,'gold')",
        "(clv_tier<=>'gold')",
    ],
)
def test_a_tier_that_there_is_not_is_refused_in_a_rule(when: str) -> None:
    with pytest.raises(
        ConfigError, match=r"actions 1 \(grow\).*\['gold'\].*'Medium', 'Low'"
    ) as error:
        load_config(overrides=[rules(when)], environ={})
    assert error.value.exit_code == 2


@pytest.mark.parametrize(
    "when",
    [
        "clv_tier IN ('Gold', 'Silver') AND lifecycle_status = 'gold'",
        "previous_clv_tier = 'gold' AND clv_tier = 'Low'",  # before they were renamed
        "segment = 'gold' OR clv_tier IS NULL",
        "clv_tier LIKE 'gold%' OR lower(clv_tier) IN ('gold')",
    ],
)
def test_other_texts_of_a_rule_are_no_tiers(when: str) -> None:
    assert load_config(overrides=[rules(when)], environ={}).actions[0].when == when


def test_other_tiers_come_with_other_rules() -> None:
    tiers = "ranks.tiers=[{name: A's, top: 0.1}, {name: B, top: 1}]"
    config = load_config(
        overrides=[tiers, rules("clv_tier = 'A''s' OR clv_tier = 'B'")], environ={}
    )
    assert config.actions[0].tiers == ["B"]
