-- customer_days, schema version 1
CREATE TABLE customer_days (
  `event_month` DATE NOT NULL,
  `event_date` DATE NOT NULL,
  `customer_id` BIGINT NOT NULL,
  `country` STRING,
  `transactions` BIGINT NOT NULL,
  `line_count` BIGINT NOT NULL,
  `gross_amount` DECIMAL(18,2) NOT NULL,
  `refund_amount` DECIMAL(18,2) NOT NULL,
  `margin_amount` DECIMAL(18,2),
  CONSTRAINT counts CHECK (transactions >= 0 AND line_count >= 1 AND transactions <= line_count),
  CONSTRAINT month CHECK (event_month = trunc(event_date, 'MM')),
  CONSTRAINT refund CHECK (refund_amount >= 0)
)
PARTITIONED BY (event_month)
-- key: customer_id, event_date; slice: none
