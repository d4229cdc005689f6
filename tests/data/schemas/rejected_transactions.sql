-- rejected_transactions, schema version 1
CREATE TABLE rejected_transactions (
  `reason` STRING NOT NULL,
  `event_date` DATE,
  `amount` DECIMAL(18,2),
  `line` STRING NOT NULL
)
-- key: none; slice: none
