"""The segments of a run: who lies below whom, and the sums of their customers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SUMS = ("customers", "spenders", "without_spend", "gross", "refund", "margin")


@dataclass(frozen=True)
class Segment:
    """One segment of one level.

    Attributes:
        name: As in the tables.
        level: 0 for the root, 1 for its children and so on.
        parent: The segment above; None for the root.
        totals: Sums over its customers by the names in ``SUMS``; None where nothing is known.
    """

    name: str
    level: int
    parent: str | None
    totals: Mapping[str, int | None]


def segment_tree(leaves: Sequence[Mapping[str, Any]], levels: Sequence[str]) -> dict[str, Segment]:
    """All segments from the rows of the leaves, parents before children, else by name.

    Args:
        leaves: One row per leaf: the names of its segments by level, and the ``SUMS``.
        levels: The columns of these names, the root's first.

    Example:
        >>> sums = dict.fromkeys(SUMS, 1) | {"margin": None}
        >>> rows = [{"0": "global", "1": "uk", **sums}, {"0": "global", "1": "fr", **sums}]
        >>> tree = segment_tree(rows, ["0", "1"])
        >>> [(s.name, s.parent, s.totals["customers"]) for s in tree.values()]
        [('global', None, 2), ('fr', 'global', 1), ('uk', 'global', 1)]
    """
    tree: dict[str, Segment] = {}
    for level, column in enumerate(levels):
        members: dict[str, list[Mapping[str, Any]]] = {}
        for row in leaves:
            members.setdefault(row[column], []).append(row)
        for name in sorted(members):
            below = members[name]
            parent = below[0][levels[level - 1]] if level else None
            tree[name] = Segment(name, level, parent, {what: _sum(below, what) for what in SUMS})
    return tree


def middles(parents: Mapping[str, str | None]) -> dict[str, str | None]:
    """Below whom the siblings are that a segment is drawn to: its parent, where it has any.

    An only child has its parent's customers. Drawn to the parent it would count them twice, so it
    is drawn to what the parent is drawn to; the only child of the root is drawn to nothing.

    Args:
        parents: The parent of each segment, None for the root.

    Example:
        >>> found = middles({"global": None, "EU": "global", "Asia": "global", "EU/fr": "EU",
        ...                  "EU/uk": "EU", "Asia/jp": "Asia"})
        >>> found["EU"], found["EU/fr"], found["Asia/jp"], middles({"global": None, "uk": "global"})
        ('global', 'EU', 'global', {'global': None, 'uk': None})
    """
    children = Counter(parents.values())
    found = {}
    for segment, above in parents.items():
        middle = above
        while middle is not None and children[middle] == 1:
            middle = parents.get(middle)
        found[segment] = middle
    return found


def _sum(rows: Sequence[Mapping[str, Any]], what: str) -> int | None:
    values = [row[what] for row in rows if row[what] is not None]
    return sum(values) if values else None
