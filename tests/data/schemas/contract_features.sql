-- contract_features, schema version 1
CREATE TABLE contract_features (
  `as_of_date` DATE NOT NULL,
  `customer_id` BIGINT NOT NULL,
  `contract_id` STRING NOT NULL,
  `life` INT NOT NULL,
  `country` STRING,
  `period` STRING NOT NULL,
  `start_date` DATE NOT NULL,
  `end_date` DATE,
  `entry_tenure` INT NOT NULL,
  `tenure` INT NOT NULL,
  `is_active` BOOLEAN NOT NULL,
  `is_lost` BOOLEAN NOT NULL,
  `last_renewal_date` DATE NOT NULL,
  `next_renewal_date` DATE,
  `periodic_amount` DECIMAL(18,2) NOT NULL,
  `periodic_margin` DECIMAL(18,2),
  `periods_paid` INT NOT NULL,
  `paid_amount` DECIMAL(28,2) NOT NULL,
  `paid_margin` DECIMAL(28,2),
  CONSTRAINT period CHECK (period IN ('month', 'quarter', 'year')),
  CONSTRAINT tenure CHECK (entry_tenure >= 0 AND tenure >= entry_tenure),
  CONSTRAINT state CHECK (NOT (is_active AND is_lost) AND is_active = (end_date IS NULL)),
  CONSTRAINT renewal CHECK (is_active = (next_renewal_date IS NOT NULL))
)
PARTITIONED BY (as_of_date)
-- key: as_of_date, customer_id, contract_id, life; slice: as_of_date
