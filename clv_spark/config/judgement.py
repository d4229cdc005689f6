"""Sections ranks, lifecycle and actions: how scored customers are judged."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from clv_spark.config.section import Section

Above = Annotated[float, Field(gt=0, le=1)]


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


def _distinct(key: str, names: list[str]) -> None:
    if len(set(names)) < len(names):
        raise ValueError(f"{key} holds {names}; give each name once")
