"""A table from an earlier run, brought up to what its specification now says."""

from __future__ import annotations

from pyspark.sql import SparkSession

from clv_spark.config import RetentionConfig
from clv_spark.errors import InputError
from clv_spark.lake.ddl import kept_files, pairs, table_properties, text
from clv_spark.lake.place import quoted
from clv_spark.schemas import TableSpec


def bring_up_to_date(
    spark: SparkSession,
    table: str,
    spec: TableSpec,
    retention: RetentionConfig,
    have: dict[str, str],
) -> None:
    """Set what has changed of a table's properties, comments and segment columns.

    Args:
        spark: a session with Delta.
        table: the table in SQL, quoted.
        spec: what it is to be.
        retention: how long what Delta keeps besides the rows is kept.
        have: its properties, of :func:`properties_of_version`.

    Raises:
        InputError: a column has another type or spelling.
    """
    _set_properties(spark, table, table_properties(spec, retention), have)
    _update_columns(spark, table, spec)


def keep_as_configured(spark: SparkSession, table: str, retention: RetentionConfig) -> None:
    """Set how long Delta keeps what it keeps besides the rows, whatever else the table is."""
    _set_properties(spark, table, kept_files(retention), _properties(spark, table))


def properties_of_version(spark: SparkSession, table: str, spec: TableSpec) -> dict[str, str]:
    """The properties of a table which this package can write.

    Args:
        spark: a session with Delta.
        table: the table in SQL, quoted.
        spec: what it is to be.

    Raises:
        InputError: it has another schema version.
    """
    have = _properties(spark, table)
    found = have.get("clv_spark.schemaVersion", "none")
    if found != str(spec.version):
        raise InputError(
            f"{spec.name} in the lake has schema version {found}, this package writes "
            f"{spec.version}. Use another lake, or move the table away and run again"
        )
    return have


def _properties(spark: SparkSession, table: str) -> dict[str, str]:
    rows = spark.sql(f"SHOW TBLPROPERTIES {table}").collect()
    return {row["key"]: row["value"] for row in rows}


def _set_properties(
    spark: SparkSession, table: str, wanted: dict[str, str], have: dict[str, str]
) -> None:
    changed = {
        key: value
        for key, value in wanted.items()
        if have.get(key) != value and not key.startswith("delta.constraints.")
    }
    if changed:
        spark.sql(f"ALTER TABLE {table} SET TBLPROPERTIES ({pairs(changed)})")


def _update_columns(spark: SparkSession, table: str, spec: TableSpec) -> None:
    """New segment keys become columns; another type of the customer id, or spelling, is refused."""
    fields = spark.table(table).schema.fields
    have = {f.name: f.dataType.simpleString().upper() for f in fields}
    said = {f.name: f.metadata.get("comment") for f in fields}
    spelled = {f.name.lower(): f.name for f in fields}
    for column in spec.columns:
        old = spelled.get(column.name.lower(), column.name)
        if old != column.name:
            raise InputError(
                f"{spec.name} has the column {old} in the lake, now it would be {column.name}, "
                f"which Delta takes for the same. Write the key as {old}, or use another lake"
            )
        if column.name in have and said[column.name] != column.comment:
            # What a value counts is configured, so that its comment may change.
            spark.sql(
                f"ALTER TABLE {table} ALTER COLUMN {quoted(column.name)} "
                f"COMMENT {text(column.comment)}"
            )
        if column.name not in have:
            spark.sql(
                f"ALTER TABLE {table} ADD COLUMNS "
                f"({quoted(column.name)} {column.type} COMMENT {text(column.comment)})"
            )
        elif have[column.name] != column.type.replace(" ", ""):
            raise InputError(
                f"{spec.name}.{column.name} is {have[column.name]} in the lake, now it would "
                f"be {column.type}. Map the column to the old type, or use another lake"
            )
