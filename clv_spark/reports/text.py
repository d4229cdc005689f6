"""Headings and tables of plain text for the terminal."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any


def heading(text: str) -> str:
    """The text with a line under it, after a blank line."""
    return f"\n{text}\n{'-' * len(text)}"


def table(names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> str:
    """Columns side by side, numbers to the right.

    Example:
        >>> print(table(("what", "money"), [("a", 1234.5), ("total", None)]))
        what      money
        a      1,234.50
        total      None
    """
    texts = [tuple(_text(value) for value in row) for row in rows]
    widths = [max(len(t[i]) for t in [tuple(names), *texts]) for i in range(len(names))]
    numeric = [any(not isinstance(r[i], str | None) for r in rows) for i in range(len(names))]
    lines = []
    for text in [tuple(names), *texts]:
        cells = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(text, widths, numeric, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def table_of(
    columns: Sequence[str], rows: Iterable[Any], names: Sequence[str] | None = None
) -> str:
    """The same of some columns of rows, under names of their own if they are given."""
    return table(names or columns, [tuple(row[column] for column in columns) for row in rows])


def _text(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, int):
        return str(value) if abs(value) < 100_000 else f"{value:,}"
    if isinstance(value, str | dt.date):
        return str(value)
    return f"{float(value):,.2f}"
