"""TableSpec: what a table is - columns, types, comments, keys, partition, checks, version."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

ID = "<customer id>"
SEGMENT_KEYS = "<segment keys>"
# Stands for what value.definition counts.
DEFINED = "<value>"
_MEANINGS = {
    "revenue": "revenue",
    "margin": "margin",
    "net": "margin less cost to serve",
}


@dataclass(frozen=True)
class Shape:
    """What the configuration decides about the columns of the tables.

    Attributes:
        id_type: BIGINT when the source's customer id is an integer, else STRING.
        segment_keys: names of the segment columns, outermost first.
        definition: what value counts: revenue, margin or net.
    """

    id_type: str = "STRING"
    segment_keys: tuple[str, ...] = ()
    definition: str = "margin"


@dataclass(frozen=True)
class Column:
    """One column: its SQL type, and a comment with its meaning and unit."""

    name: str
    type: str
    comment: str
    nullable: bool = False


def reason_column(row: str, built_in: Iterable[str], rules: str) -> Column:
    """The column of a quarantine that says why a row is not used.

    Args:
        row: What a row of the source is.
        built_in: The reasons that every configuration has.
        rules: Where the configuration has more.
    """
    named = ", ".join(built_in)
    said = f"why the {row} is not used: {named}, or a name under {rules}; text"
    return Column("reason", "STRING", said)


@dataclass(frozen=True)
class TableSpec:
    """Everything that is decided about one table, in one place.

    Attributes:
        name: table name in the lake.
        comment: what one row is, for DESCRIBE.
        columns: in order; ``SEGMENT_KEYS`` stands for the configured keys.
        key: columns that identify a row.
        partition_by: partition columns.
        slice_column: the date column whose one value a run replaces; None = the whole table.
        checks: CHECK constraints by name. A check must be true, so say where NULL is right.
        version: raised by one when a consumer can see a change.
        properties: further properties of the table.
    """

    name: str
    comment: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    version: int
    partition_by: tuple[str, ...] = ()
    slice_column: str | None = None
    checks: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)

    def of(self, shape: Shape) -> TableSpec:
        """The same table with the configured id type and segment columns filled in.

        Example:
            >>> id_column = Column("customer_id", ID, "who")
            >>> keys = Column(SEGMENT_KEYS, "STRING", "configured")
            >>> spec = TableSpec("t", "", (id_column, keys), ("customer_id",), version=1)
            >>> [(c.name, c.type) for c in spec.of(Shape("BIGINT", ("country",))).columns]
            [('customer_id', 'BIGINT'), ('country', 'STRING')]
        """
        columns: list[Column] = []
        meaning = _MEANINGS[shape.definition]
        for one in self.columns:
            column = replace(one, comment=one.comment.replace(DEFINED, meaning))
            if column.name == SEGMENT_KEYS:
                columns += [replace(column, name=key) for key in shape.segment_keys]
            elif column.type == ID:
                columns.append(replace(column, type=shape.id_type))
            else:
                columns.append(column)
        said = {key: one.replace(DEFINED, shape.definition) for key, one in self.properties.items()}
        return replace(self, columns=tuple(columns), properties=said)

    @property
    def column_names(self) -> list[str]:
        """Names of the columns in order."""
        return [column.name for column in self.columns]

    def ddl(self, column: Column) -> str:
        """The Spark SQL definition of one column, as it stands in the schema snapshots."""
        null = "" if column.nullable else " NOT NULL"
        return f"`{column.name}` {column.type}{null}"
