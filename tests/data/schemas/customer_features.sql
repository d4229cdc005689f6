-- customer_features, schema version 2
CREATE TABLE customer_features (
  `as_of_date` DATE NOT NULL,
  `customer_id` BIGINT NOT NULL,
  `country` STRING,
  `first_purchase_date` DATE NOT NULL,
  `last_purchase_date` DATE NOT NULL,
  `frequency` INT NOT NULL,
  `recency` INT NOT NULL,
  `T` INT NOT NULL,
  `days_since_last_purchase` INT NOT NULL,
  `first_day_amount` DECIMAL(18,2) NOT NULL,
  `repeat_amount` DECIMAL(18,2) NOT NULL,
  `monetary_value` DOUBLE,
  `transactions` BIGINT NOT NULL,
  `gross_amount` DECIMAL(18,2) NOT NULL,
  `refund_amount` DECIMAL(18,2) NOT NULL,
  `margin_amount` DECIMAL(18,2),
  CONSTRAINT ages CHECK (frequency >= 0 AND recency >= 0 AND recency <= T AND frequency <= recency),
  CONSTRAINT refund CHECK (refund_amount >= 0)
)
PARTITIONED BY (as_of_date)
-- key: as_of_date, customer_id; slice: as_of_date
