"""How far customers have moved since a fit: the population stability index of their classes."""

from __future__ import annotations

import math
from collections.abc import Mapping


def stability_index(before: Mapping[str, int], now: Mapping[str, int]) -> float:
    """The population stability index: 0 for equal shares, from about 0.1 on a change to look at.

    Args:
        before: customers by class at one time.
        now: customers by class at another.

    Returns:
        Sum over classes of (q - p) ln(q / p), where p and q are their shares before and now. Every
        class counts half a customer more, so that one that is empty has a share. The same both
        ways round.

    Example:
        >>> stability_index({"once": 50, "often": 50}, {"once": 500, "often": 500}) < 1e-4
        True
        >>> round(stability_index({"once": 700, "often": 300}, {"once": 500, "often": 500}), 2)
        0.17
    """
    classes = sorted(before.keys() | now.keys())
    p, q = (_shares([counts.get(name, 0) for name in classes]) for counts in (before, now))
    return math.fsum((b - a) * math.log(b / a) for a, b in zip(p, q, strict=True))


def _shares(counts: list[int]) -> list[float]:
    total = sum(counts) + 0.5 * len(counts)
    return [(count + 0.5) / total for count in counts]
