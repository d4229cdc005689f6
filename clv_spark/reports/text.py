"""Headings and tables of plain text for the terminal."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any


def heading(text: str) -> str:
    """The text with a line under it, after a blank line."""
    return f"\n{text}\n{'-' * len(text)}"


def table(names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> str:
    """Columns side by side, numbers to the right with separators; an id is a name, not a number.

    Example:
        >>> rows = [(123456, 1085, 1234.5), (123457, 1, None)]
        >>> print(table(("customer_id", "lines", "money"), rows))
        customer_id  lines     money
             123456  1,085  1,234.50
             123457      1      None
    """
    texts = [tuple(_text(*one) for one in zip(names, row, strict=True)) for row in rows]
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


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool | str | dt.date) or value is None or name.endswith("_id"):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{float(value):,.2f}"
