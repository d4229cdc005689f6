-- customer_products, schema version 1
CREATE TABLE customer_products (
  `as_of_date` DATE NOT NULL,
  `customer_id` BIGINT NOT NULL,
  `category` STRING NOT NULL,
  `purchase_days` BIGINT NOT NULL,
  `first_day` DATE NOT NULL,
  `last_day` DATE NOT NULL,
  `gross_amount` DECIMAL(28,2) NOT NULL,
  `interval_days` DOUBLE,
  `next_date` DATE,
  CONSTRAINT days CHECK (purchase_days >= 1 AND first_day <= last_day AND last_day <= as_of_date AND purchase_days <= datediff(last_day, first_day) + 1),
  CONSTRAINT next CHECK ((interval_days IS NULL) = (next_date IS NULL) AND coalesce(interval_days, 1) >= 0 AND coalesce(next_date, last_day) >= last_day)
)
PARTITIONED BY (as_of_date)
-- key: as_of_date, customer_id, category; slice: as_of_date
