-- late_changes, schema version 1
CREATE TABLE late_changes (
  `event_date` DATE NOT NULL,
  `read_id` BIGINT NOT NULL
)
-- key: event_date; slice: none
