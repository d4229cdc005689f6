-- what_if, schema version 2
CREATE TABLE what_if (
  `as_of_date` DATE NOT NULL,
  `relationship` STRING NOT NULL,
  `segment_level` STRING NOT NULL,
  `segment` STRING NOT NULL,
  `scenario` STRING NOT NULL,
  `clv_sum` DOUBLE,
  `clv_change` DOUBLE,
  `clv_service_cost` DOUBLE,
  `clv_service_cost_change` DOUBLE,
  `new_customer_value` DOUBLE,
  `cac` DOUBLE,
  `clv_to_cac` DOUBLE,
  `clv_to_cac_change` DOUBLE,
  `payback_days` DOUBLE,
  `payback_days_change` DOUBLE,
  `currency` STRING,
  CONSTRAINT relationship CHECK (relationship IN ('purchases', 'contract')),
  CONSTRAINT base CHECK (scenario <> 'base' OR coalesce(clv_change, 0) = 0),
  CONSTRAINT acquisition CHECK (coalesce(cac, 0) >= 0 AND coalesce(payback_days, 0) >= 0)
)
PARTITIONED BY (as_of_date)
-- key: as_of_date, relationship, segment_level, segment, scenario; slice: as_of_date
