-- pipeline_runs, schema version 1
CREATE TABLE pipeline_runs (
  `run_id` STRING NOT NULL,
  `stage` STRING NOT NULL,
  `job` STRING NOT NULL,
  `as_of_date` DATE,
  `status` STRING NOT NULL,
  `finished_at` TIMESTAMP NOT NULL,
  `seconds` DOUBLE NOT NULL,
  `rows_read` BIGINT,
  `rows_used` BIGINT,
  `rows_rejected` BIGINT,
  `rows_written` BIGINT,
  `amount_read` DECIMAL(28,2),
  `amount_used` DECIMAL(28,2),
  `amount_rejected` DECIMAL(28,2),
  `rejected_by_reason` MAP<STRING,BIGINT>,
  `source_version` STRING,
  `table_version` BIGINT,
  `config_hash` STRING,
  `message` STRING,
  `package_version` STRING NOT NULL,
  CONSTRAINT status CHECK (status IN ('done', 'already_done', 'failed')),
  CONSTRAINT reconciled CHECK (rows_read IS NULL OR rows_used IS NULL OR rows_rejected IS NULL OR rows_read = rows_used + rows_rejected)
)
-- key: run_id, stage; slice: none
