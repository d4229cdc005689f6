-- contracts, schema version 1
CREATE TABLE contracts (
  `customer_id` BIGINT NOT NULL,
  `contract_id` STRING NOT NULL,
  `position` INT NOT NULL,
  `life` INT NOT NULL,
  `country` STRING,
  `life_start_date` DATE,
  `start_date` DATE,
  `end_date` DATE,
  `begins` STRING NOT NULL,
  `is_followed` BOOLEAN NOT NULL,
  `period` STRING NOT NULL,
  `periodic_amount` DECIMAL(18,2) NOT NULL,
  `periodic_margin` DECIMAL(18,2),
  `tenure` INT,
  `is_lost` BOOLEAN,
  CONSTRAINT period CHECK (period IN ('month', 'quarter', 'year')),
  CONSTRAINT amount CHECK (periodic_amount >= 0),
  CONSTRAINT dates CHECK (end_date IS NULL OR end_date >= start_date),
  CONSTRAINT shape CHECK ((start_date IS NULL) = (tenure IS NOT NULL))
)
-- key: customer_id, contract_id, position; slice: none
