-- segment_summary, schema version 2
CREATE TABLE segment_summary (
  `as_of_date` DATE NOT NULL,
  `relationship` STRING NOT NULL,
  `segment` STRING NOT NULL,
  `segment_level` STRING NOT NULL,
  `customers` BIGINT NOT NULL,
  `active_customers` DOUBLE,
  `clv_sum` DOUBLE,
  `clv_sum_low` DOUBLE,
  `clv_sum_high` DOUBLE,
  `clv_mean` DOUBLE,
  `horizon_days` INT NOT NULL,
  `currency` STRING,
  CONSTRAINT relationship CHECK (relationship IN ('purchases', 'contract')),
  CONSTRAINT numbers CHECK (customers >= 0 AND coalesce(active_customers, 0) >= 0 AND coalesce(clv_sum, 0) >= 0 AND coalesce(clv_sum_low, 0) >= 0 AND coalesce(clv_sum_high, 0) >= 0 AND coalesce(clv_mean, 0) >= 0),
  CONSTRAINT interval CHECK (coalesce(clv_sum_low, 0) <= coalesce(clv_sum_high, 0))
)
PARTITIONED BY (as_of_date)
-- key: as_of_date, relationship, segment; slice: as_of_date
