-- cohort_summary, schema version 2
CREATE TABLE cohort_summary (
  `as_of_date` DATE NOT NULL,
  `relationship` STRING NOT NULL,
  `segment` STRING NOT NULL,
  `cohort_month` DATE NOT NULL,
  `age_months` INT NOT NULL,
  `customers` BIGINT NOT NULL,
  `active_customers` BIGINT NOT NULL,
  `purchase_days` BIGINT NOT NULL,
  `revenue` DECIMAL(28,2) NOT NULL,
  `margin` DECIMAL(28,2) NOT NULL,
  `cumulative_revenue` DECIMAL(28,2) NOT NULL,
  `cumulative_margin` DECIMAL(28,2) NOT NULL,
  `expected_cumulative_revenue` DOUBLE,
  `expected_cumulative_margin` DOUBLE,
  CONSTRAINT relationship CHECK (relationship IN ('purchases', 'contract')),
  CONSTRAINT counts CHECK (age_months >= 0 AND customers >= active_customers AND active_customers >= 0 AND purchase_days >= active_customers)
)
PARTITIONED BY (as_of_date)
-- key: as_of_date, relationship, segment, cohort_month, age_months; slice: as_of_date
