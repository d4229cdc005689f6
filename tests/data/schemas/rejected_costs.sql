-- rejected_costs, schema version 1
CREATE TABLE rejected_costs (
  `source` STRING NOT NULL,
  `reason` STRING NOT NULL,
  `amount` DECIMAL(18,2),
  `line` STRING NOT NULL
)
-- key: none; slice: none
