"""A table's definition in SQL: columns with comments, partitions, and Delta's properties."""

from __future__ import annotations

from collections.abc import Mapping

from clv_spark.config import RetentionConfig
from clv_spark.lake.place import quoted
from clv_spark.schemas import TableSpec


def create_table(identifier: str, spec: TableSpec, keep: RetentionConfig) -> str:
    """The statement that makes a table.

    Args:
        identifier: the table in SQL, quoted.
        spec: what it holds.
        keep: how long its history is kept.
    """
    columns = ", ".join(f"{spec.ddl(c)} COMMENT {text(c.comment)}" for c in spec.columns)
    partitions = ", ".join(quoted(name) for name in spec.partition_by)
    # In SQL, as Delta's own builder takes no name with a catalog.
    return (
        f"CREATE TABLE IF NOT EXISTS {identifier} ({columns}) USING delta "
        + (f"PARTITIONED BY ({partitions}) " if partitions else "")
        + f"COMMENT {text(spec.comment)} TBLPROPERTIES ({pairs(table_properties(spec, keep))})"
    )


def table_properties(spec: TableSpec, keep: RetentionConfig) -> dict[str, str]:
    """Delta's properties of a table, its checks among them.

    Args:
        spec: what the table holds.
        keep: how long its history is kept.
    """
    return {
        "delta.enableDeletionVectors": "false",
        "delta.checkpointPolicy": "classic",
        **kept_files(keep),
        **_statistics(spec),
        "clv_spark.schemaVersion": str(spec.version),
        **spec.properties,
        # As properties of the new table, not by ALTER TABLE: one commit, so that a process
        # killed on the way can't leave a table without its checks.
        **{f"delta.constraints.{name}": check for name, check in spec.checks.items()},
    }


def kept_files(keep: RetentionConfig) -> dict[str, str]:
    """For how long Delta keeps a table's history, and the files of rows that were replaced."""
    return {
        "delta.logRetentionDuration": f"interval {keep.history_days} days",
        "delta.deletedFileRetentionDuration": f"interval {keep.deleted_file_days} days",
    }


def _statistics(spec: TableSpec) -> dict[str, str]:
    """Smallest and largest values by file, of the key: others are in no order, and cost a pass."""
    names = [quoted(name) for name in spec.key if name not in spec.partition_by]
    return {"delta.dataSkippingStatsColumns": ",".join(names)} if names else {}


def text(value: str) -> str:
    r"""The value as text in SQL.

    Example:
        >>> print(text("O'Brien"))
        'O\'Brien'
    """
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def pairs(properties: Mapping[str, str]) -> str:
    """Names and values as they stand between brackets after TBLPROPERTIES."""
    return ", ".join(f"{text(key)} = {text(value)}" for key, value in properties.items())
