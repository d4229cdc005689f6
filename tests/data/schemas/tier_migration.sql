-- tier_migration, schema version 1
CREATE TABLE tier_migration (
  `as_of_date` DATE NOT NULL,
  `previous_date` DATE NOT NULL,
  `relationship` STRING NOT NULL,
  `from_tier` STRING NOT NULL,
  `to_tier` STRING NOT NULL,
  `customers` BIGINT NOT NULL,
  `clv_before` DOUBLE NOT NULL,
  `clv_after` DOUBLE NOT NULL,
  CONSTRAINT relationship CHECK (relationship IN ('purchases', 'contract')),
  CONSTRAINT dates CHECK (previous_date < as_of_date),
  CONSTRAINT customers CHECK (customers > 0)
)
PARTITIONED BY (as_of_date)
-- key: as_of_date, relationship, from_tier, to_tier; slice: as_of_date
