"""Sections ranks, lifecycle and actions: how scored customers are judged."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from clv_spark.config.section import Days, Section

Share = Annotated[float, Field(ge=0, le=1)]
Above = Annotated[float, Field(gt=0, le=1)]
# Texts without escapes, which hardly a tier's name needs, and what compares clv_tier with some.
_TEXT = r"""(?:'[^'\\]*'(?!')|"[^"\\]*"(?!"))"""
_EQUALS = r"(?:<=>|<>|!=|==?)"
_COMPARED = re.compile(
    rf"\bclv_tier\b`?\s*(?:{_EQUALS}|(?:\bnot\s+)?\bin\s*\()\s*({_TEXT}(?:\s*,\s*{_TEXT})*)"
    rf"|({_TEXT})\s*{_EQUALS}\s*`?clv_tier\b",
    re.IGNORECASE,
)


class Tier(Section):
    """A tier of value and the share of customers, from the top, that it ends at."""

    name: str = Field(min_length=1)
    top: Above


class RfmSegment(Section):
    """A named segment and the scores it takes; of several that hold the first counts.

    ``when`` is trusted SQL over recency, frequency and monetary, each a score from 1 to 5.
    """

    name: str = Field(min_length=1)
    when: str


class RanksConfig(Section):
    """Tiers of clv from the top, and the named segments of RFM scores."""

    tiers: tuple[Tier, ...] = (
        Tier(name="Platinum", top=0.01),
        Tier(name="Gold", top=0.05),
        Tier(name="Silver", top=0.10),
        Tier(name="Bronze", top=0.25),
        Tier(name="Medium", top=0.50),
        Tier(name="Low", top=1.0),
    )
    rfm_segments: tuple[RfmSegment, ...] = (
        RfmSegment(name="Champions", when="recency >= 4 AND frequency >= 4 AND monetary >= 4"),
        RfmSegment(name="Loyal", when="recency >= 3 AND frequency >= 4"),
        RfmSegment(
            name="Cannot lose them", when="recency <= 2 AND frequency >= 4 AND monetary >= 4"
        ),
        RfmSegment(name="At risk", when="recency <= 2 AND frequency >= 3"),
        RfmSegment(
            name="Potential loyalist",
            when="recency >= 4 AND (frequency = 3 OR (frequency = 2 AND monetary >= 3))",
        ),
        RfmSegment(name="New", when="recency = 5"),
        RfmSegment(name="Promising", when="recency = 4"),
        RfmSegment(name="Need attention", when="recency = 3 AND (frequency = 3 OR monetary >= 3)"),
        RfmSegment(name="About to sleep", when="recency = 3"),
        RfmSegment(name="Hibernating", when="recency = 2"),
        RfmSegment(name="Lost", when="true"),
    )

    @field_validator("tiers")
    @classmethod
    def _rising_to_all(cls, tiers: tuple[Tier, ...]) -> tuple[Tier, ...]:
        shares = [tier.top for tier in tiers]
        if not shares or shares[-1] != 1 or shares != sorted(set(shares)):
            raise ValueError(f"tiers end at {shares}; let the shares rise, and the last be 1")
        _distinct("tiers", [tier.name for tier in tiers])
        return tiers

    @field_validator("rfm_segments")
    @classmethod
    def _some_and_distinct(cls, segments: tuple[RfmSegment, ...]) -> tuple[RfmSegment, ...]:
        if not segments:
            raise ValueError("rfm_segments is empty; name at least one, with when: 'true'")
        _distinct("rfm_segments", [segment.name for segment in segments])
        return segments


class LifecycleConfig(Section):
    """What divides the stages of a customer's life: own intervals passed, and probabilities."""

    fresh_ratio: float = Field(default=0.25, ge=0)
    cooling_ratio: float = Field(default=2.0, gt=0)
    at_risk_ratio: float = Field(default=3.0, gt=0)
    lost_ratio: float = Field(default=6.0, gt=0)
    cooling_below: Share = 0.6
    at_risk_below: Share = 0.4
    lost_below: Share = 0.25
    contract_at_risk_below: Share = 0.25
    next_purchase_from: Share = 0.5
    compare_days: Days = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _in_order(self) -> LifecycleConfig:
        ratios = [self.fresh_ratio, self.cooling_ratio, self.at_risk_ratio, self.lost_ratio]
        if ratios != sorted(ratios):
            raise ValueError(
                f"the ratios fresh, cooling, at_risk, lost are {ratios}; none may be less than the "
                "one before"
            )
        below = [self.lost_below, self.at_risk_below, self.cooling_below]
        if below != sorted(below):
            raise ValueError(
                f"lost_below, at_risk_below, cooling_below are {below}; none may be less than the "
                "one before"
            )
        return self


ActionName = Literal[
    "retain",
    "grow",
    "win_back",
    "repeat",
    "replenish",
    "cross_sell",
    "reward",
    "leave",
    "watch",
]


class ActionRule(Section):
    """What to do with the customers that a condition holds for, and why, in words.

    ``when`` is trusted SQL over the columns of clv_scores; ``reason`` may name them in braces.
    """

    action: ActionName
    when: str
    reason: str

    @field_validator("reason")
    @classmethod
    def _plain_names(cls, reason: str) -> str:
        parts = _parts_of(reason)
        odd = [name for _, name, spec, turned in parts if name == "" or spec or turned]
        if odd:
            raise ValueError(f"reason {reason!r} holds more in braces than the name of a column")
        return reason

    @property
    def parts(self) -> list[tuple[str, str | None]]:
        """The reason as pieces of text, each with the column that follows it, if one does.

        Example:
            >>> ActionRule(action="watch", when="true", reason="{T} days old").parts
            [('', 'T'), (' days old', None)]
        """
        return [(text, name) for text, name, _, _ in _parts_of(self.reason)]

    @property
    def tiers(self) -> list[str]:
        """The names that the condition compares clv_tier with.

        Example:
            >>> either = "clv_tier IN ('A', 'B') OR 'C' = clv_tier AND lifecycle_status = 'new'"
            >>> ActionRule(action="watch", when=either, reason="").tiers
            ['A', 'B', 'C']
        """
        lists = ("".join(found) for found in _COMPARED.findall(self.when))
        return [text[1:-1] for names in lists for text in re.findall(_TEXT, names)]


def require_known_tiers(rules: Sequence[ActionRule], tiers: Sequence[str]) -> None:
    """Refuse a rule about a tier that nobody is in: it would do nothing without a word."""
    for place, rule in enumerate(rules, 1):
        strange = [name for name in rule.tiers if name not in tiers]
        if strange:
            raise ValueError(
                f"actions {place} ({rule.action}).when compares clv_tier with {strange}, and "
                f"ranks.tiers are {list(tiers)}; who renames tiers replaces actions, too: copy the "
                "list from conf/base.yml, with the new names"
            )


def _parts_of(reason: str) -> list[tuple[str, str | None, str | None, str | None]]:
    return list(string.Formatter().parse(reason))


def _last_always_holds(rules: tuple[ActionRule, ...]) -> tuple[ActionRule, ...]:
    if not rules or rules[-1].when.strip().lower() != "true":
        raise ValueError(
            "the last rule must hold for everybody who is left: "
            "{action: watch, when: 'true', reason: ...}"
        )
    return rules


Actions = Annotated[tuple[ActionRule, ...], AfterValidator(_last_always_holds)]
_HIGH = "clv_tier IN ('Platinum', 'Gold', 'Silver', 'Bronze')"
_STAYS = "lifecycle_status IN ('active', 'reactivated')"
DEFAULT_ACTIONS: Actions = (
    ActionRule(
        action="leave",
        when="loss_making AND lifecycle_status <> 'lost'",
        reason="costs more to serve than the margin to come",
    ),
    ActionRule(
        action="retain",
        when=f"relationship = 'contract' AND lifecycle_status = 'at_risk' AND {_HIGH}",
        reason="{clv_tier} contract that is likely to end within a year",
    ),
    ActionRule(
        action="retain",
        when=f"lifecycle_status IN ('cooling', 'at_risk') AND {_HIGH}",
        reason="{clv_tier} customer, {days_since_last_purchase} days without a purchase, usual are "
        "{purchase_interval_days}",
    ),
    ActionRule(
        action="replenish",
        when="replenish_category IS NOT NULL AND lifecycle_status <> 'lost'",
        reason="{replenish_category} is due on {replenish_date}",
    ),
    ActionRule(
        action="reward",
        when=f"clv_tier IN ('Platinum', 'Gold', 'Silver') AND {_STAYS}",
        reason="{clv_tier} customer who stays, {frequency} times back so far",
    ),
    ActionRule(
        action="win_back",
        when="lifecycle_status IN ('at_risk', 'lost') AND rfm_monetary >= 4",
        reason="{days_since_last_purchase} days without a purchase, spent more than most before",
    ),
    ActionRule(
        action="win_back",
        when="relationship = 'contract' AND lifecycle_status = 'lost' AND historical_revenue > 0 "
        "AND (recency >= 365 OR purchase_interval_days >= 365)",
        reason="no contract any more, was renewed over {recency} days, for "
        "{purchase_interval_days} at a time",
    ),
    ActionRule(
        action="cross_sell",
        when=f"cross_sell_category IS NOT NULL AND {_STAYS}",
        reason="customers like this one also buy {cross_sell_category}",
    ),
    ActionRule(
        action="repeat",
        when="relationship = 'purchases' AND frequency = 0 AND lifecycle_status IN ('new', "
        "'active')",
        reason="one purchase so far, {days_since_last_purchase} days ago",
    ),
    ActionRule(
        action="grow",
        when=f"clv_tier IN ('Bronze', 'Medium') AND {_STAYS}",
        reason="{clv_tier} customer who stays",
    ),
    ActionRule(
        action="leave",
        when="lifecycle_status = 'lost' AND relationship = 'purchases'",
        reason="lost, and of little value before",
    ),
    ActionRule(
        action="leave",
        when="lifecycle_status = 'lost'",
        reason="no contract any more, was renewed over {recency} days only",
    ),
    ActionRule(action="watch", when="true", reason="nothing to be done for now"),
)


def _distinct(key: str, names: list[str]) -> None:
    if len(set(names)) < len(names):
        raise ValueError(f"{key} holds {names}; give each name once")
