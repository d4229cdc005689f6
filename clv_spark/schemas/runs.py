"""Table pipeline_runs: what each run did, stage by stage."""

from __future__ import annotations

from clv_spark.schemas.spec import Column, TableSpec

PIPELINE_RUNS = TableSpec(
    name="pipeline_runs",
    comment="One row per run and stage: rows read, used, rejected and written, and how it went.",
    columns=(
        Column("run_id", "STRING", "one run of one job; identifier"),
        Column("stage", "STRING", "stage of the job; text"),
        Column("job", "STRING", "job as named on the command line; text"),
        Column(
            "as_of_date", "DATE", "as-of date of the run, NULL where a job has none; date", True
        ),
        Column("status", "STRING", "done, already_done or failed; text"),
        Column("finished_at", "TIMESTAMP", "when the row was made; UTC"),
        Column("seconds", "DOUBLE", "time the stage took; seconds"),
        Column("rows_read", "BIGINT", "rows of the stage's input; count", True),
        Column("rows_used", "BIGINT", "rows that entered the result; count", True),
        Column("rows_rejected", "BIGINT", "rows refused, rows_read less rows_used; count", True),
        Column("rows_written", "BIGINT", "rows of the result; count", True),
        Column("amount_read", "DECIMAL(28,2)", "money of the lines read, signed; money", True),
        Column("amount_used", "DECIMAL(28,2)", "money of the lines used, signed; money", True),
        Column("amount_rejected", "DECIMAL(28,2)", "money of the refused lines; money", True),
        Column("rejected_by_reason", "MAP<STRING,BIGINT>", "refused lines by reason; count", True),
        Column("source_version", "STRING", "what was read: version or fingerprint; text", True),
        Column("table_version", "BIGINT", "Delta version written by the stage; count", True),
        Column("config_hash", "STRING", "hash of the settings the stage depends on; text", True),
        Column("message", "STRING", "what to know, or why it failed; text", True),
        Column("package_version", "STRING", "version of clv_spark; text"),
    ),
    key=("run_id", "stage"),
    checks={
        "status": "status IN ('done', 'already_done', 'failed')",
        "reconciled": (
            "rows_read IS NULL OR rows_used IS NULL OR rows_rejected IS NULL "
            "OR rows_read = rows_used + rows_rejected"
        ),
    },
    version=1,
)
