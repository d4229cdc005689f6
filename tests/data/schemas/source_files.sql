-- source_files, schema version 1
CREATE TABLE source_files (
  `read_id` BIGINT NOT NULL,
  `path` STRING NOT NULL,
  `is_present` BOOLEAN NOT NULL,
  `size` BIGINT,
  `modification_time` TIMESTAMP,
  `line_count` BIGINT NOT NULL,
  `undated_line_count` BIGINT NOT NULL,
  `event_dates` ARRAY<DATE> NOT NULL,
  CONSTRAINT counts CHECK (read_id >= 1 AND line_count >= undated_line_count)
)
-- key: read_id, path; slice: none
