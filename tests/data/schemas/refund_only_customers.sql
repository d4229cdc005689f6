-- refund_only_customers, schema version 1
CREATE TABLE refund_only_customers (
  `as_of_date` DATE NOT NULL,
  `customer_id` BIGINT NOT NULL,
  `refund_amount` DECIMAL(28,2) NOT NULL,
  `margin_amount` DECIMAL(28,2),
  CONSTRAINT refund CHECK (refund_amount >= 0)
)
PARTITIONED BY (as_of_date)
-- key: as_of_date, customer_id; slice: as_of_date
