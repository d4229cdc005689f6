"""Tables about the source: which files were read, and which changes came too late."""

from __future__ import annotations

from clv_spark.schemas.spec import Column, TableSpec

SOURCE_FILES = TableSpec(
    name="source_files",
    comment=(
        "One row per read of the source and file that had changed by then. Of a path the row of "
        "the highest read_id counts, as far as customer_days names that read in its last commit."
    ),
    columns=(
        Column("read_id", "BIGINT", "number of the read, growing by one; count"),
        Column("path", "STRING", "address of the file as Spark writes it; text"),
        Column("is_present", "BOOLEAN", "false when the file had vanished; true or false"),
        Column("size", "BIGINT", "length, NULL for files of Delta tables; count of bytes", True),
        Column(
            "modification_time",
            "TIMESTAMP",
            "when the file was changed last, NULL for files of Delta tables; UTC",
            nullable=True,
        ),
        Column("line_count", "BIGINT", "lines of the file, used or not; count"),
        Column("undated_line_count", "BIGINT", "lines without a readable date; count"),
        Column(
            "event_dates",
            "ARRAY<DATE>",
            "local calendar days of its lines, sorted: what has to be derived again when the file "
            "changes or vanishes; date",
        ),
    ),
    key=("read_id", "path"),
    checks={"counts": "read_id >= 1 AND line_count >= undated_line_count"},
    version=1,
)

LATE_CHANGES = TableSpec(
    name="late_changes",
    comment=(
        "One row per date whose lines changed in the source but, being older than "
        "gates.max_late_days, were not derived again. A run with a wider limit applies them; "
        "customer_days still has what it had."
    ),
    columns=(
        Column("event_date", "DATE", "local calendar day that changed; date"),
        Column("read_id", "BIGINT", "the read that saw it first, see source_files; count"),
    ),
    key=("event_date",),
    version=1,
)
