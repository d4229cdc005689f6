-- revenue_forecast, schema version 2
CREATE TABLE revenue_forecast (
  `as_of_date` DATE NOT NULL,
  `relationship` STRING NOT NULL,
  `segment` STRING NOT NULL,
  `segment_level` STRING NOT NULL,
  `month` DATE NOT NULL,
  `days` INT NOT NULL,
  `expected_purchases` DOUBLE,
  `expected_revenue` DOUBLE,
  `revenue_low` DOUBLE,
  `revenue_high` DOUBLE,
  `cumulative_revenue` DOUBLE,
  `cumulative_revenue_low` DOUBLE,
  `cumulative_revenue_high` DOUBLE,
  `expected_margin` DOUBLE,
  `existing_purchases` DOUBLE,
  `existing_revenue` DOUBLE,
  `new_customers` DOUBLE,
  `new_purchases` DOUBLE,
  `new_revenue` DOUBLE,
  `seasonal_index` DOUBLE,
  `currency` STRING,
  CONSTRAINT relationship CHECK (relationship IN ('purchases', 'contract')),
  CONSTRAINT numbers CHECK (days >= 1 AND coalesce(expected_purchases, 0) >= 0 AND coalesce(expected_revenue, 0) >= 0 AND coalesce(revenue_low, 0) >= 0 AND coalesce(revenue_high, 0) >= 0 AND coalesce(cumulative_revenue, 0) >= 0 AND coalesce(cumulative_revenue_low, 0) >= 0 AND coalesce(cumulative_revenue_high, 0) >= 0 AND coalesce(expected_margin, 0) >= 0 AND coalesce(existing_purchases, 0) >= 0 AND coalesce(existing_revenue, 0) >= 0 AND coalesce(new_customers, 0) >= 0 AND coalesce(new_purchases, 0) >= 0 AND coalesce(new_revenue, 0) >= 0),
  CONSTRAINT interval CHECK (coalesce(revenue_low, 0) <= coalesce(revenue_high, 0) AND coalesce(cumulative_revenue_low, 0) <= coalesce(cumulative_revenue_high, 0))
)
PARTITIONED BY (as_of_date)
-- key: as_of_date, relationship, segment, month; slice: as_of_date
