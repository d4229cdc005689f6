-- rejected_contracts, schema version 1
CREATE TABLE rejected_contracts (
  `reason` STRING NOT NULL,
  `start_date` DATE,
  `amount` DECIMAL(18,2),
  `line` STRING NOT NULL
)
-- key: none; slice: none
