"""Writes docs/tables.md from the TableSpecs (make docs)."""

from __future__ import annotations

import sys

from clv_spark.schemas import TABLES, Shape, TableSpec

_HEAD = """# Tables

Generated from `clv_spark/schemas` by `make docs`; a test fails when this page is out of date.
Every table is Delta, reader version 1. Segment columns are shown for `segments: [country]`;
`customer_id` is BIGINT when the source's id is an integer, otherwise STRING.
"""


def render() -> str:
    """The whole page as Markdown.

    Example:
        >>> render().splitlines()[0]
        '# Tables'
    """
    shape = Shape(id_type="STRING or BIGINT", segment_keys=("country",))
    return _HEAD + "".join(_table(spec.of(shape)) for spec in TABLES)


def _table(spec: TableSpec) -> str:
    lines = [f"\n## {spec.name}\n", spec.comment, ""]
    if spec.key:
        lines.append(f"Key: {', '.join(f'`{name}`' for name in spec.key)}. ")
    if spec.partition_by:
        lines.append(f"Partitioned by `{', '.join(spec.partition_by)}`. ")
    lines.append(f"Schema version {spec.version}.\n")
    lines += ["| column | type | null | meaning; unit |", "|---|---|---|---|"]
    for column in spec.columns:
        null = "yes" if column.nullable else "no"
        lines.append(f"| `{column.name}` | {column.type} | {null} | {column.comment} |")
    if spec.checks:
        lines += ["", "Checks on every row:", ""]
        lines += [f"- `{name}`: `{check}`" for name, check in spec.checks.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(render())
