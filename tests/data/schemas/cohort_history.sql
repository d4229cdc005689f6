-- cohort_history, schema version 1
CREATE TABLE cohort_history (
  `as_of_date` DATE NOT NULL,
  `relationship` STRING NOT NULL,
  `segment` STRING NOT NULL,
  `cohort_month` DATE NOT NULL,
  `month` DATE NOT NULL,
  `customers` BIGINT NOT NULL,
  `active_customers` BIGINT NOT NULL,
  `purchase_days` BIGINT NOT NULL,
  `margin_days` BIGINT NOT NULL,
  `gross_amount` DECIMAL(28,2) NOT NULL,
  `refund_amount` DECIMAL(28,2) NOT NULL,
  `margin_amount` DECIMAL(28,2),
  `currency` STRING,
  CONSTRAINT relationship CHECK (relationship = 'purchases'),
  CONSTRAINT counts CHECK (customers >= active_customers AND active_customers >= 0 AND purchase_days >= active_customers AND margin_days >= 0),
  CONSTRAINT margin CHECK ((margin_days = 0) = (margin_amount IS NULL))
)
PARTITIONED BY (as_of_date)
-- key: as_of_date, relationship, segment, cohort_month, month; slice: as_of_date
