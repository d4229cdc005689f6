-- revenue_history, schema version 1
CREATE TABLE revenue_history (
  `as_of_date` DATE NOT NULL,
  `relationship` STRING NOT NULL,
  `segment` STRING NOT NULL,
  `month` DATE NOT NULL,
  `first_date` DATE NOT NULL,
  `purchases` BIGINT NOT NULL,
  `gross_amount` DECIMAL(28,2) NOT NULL,
  `refund_amount` DECIMAL(28,2) NOT NULL,
  `gross_square` DOUBLE NOT NULL,
  `net_square` DOUBLE NOT NULL,
  `currency` STRING,
  CONSTRAINT relationship CHECK (relationship = 'purchases'),
  CONSTRAINT month CHECK (month = trunc(first_date, 'MM') AND first_date <= as_of_date),
  CONSTRAINT sums CHECK (purchases >= 0 AND refund_amount >= 0 AND gross_square >= 0 AND net_square >= 0)
)
PARTITIONED BY (as_of_date)
-- key: as_of_date, relationship, segment, month; slice: as_of_date
