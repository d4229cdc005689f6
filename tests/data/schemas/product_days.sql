-- product_days, schema version 1
CREATE TABLE product_days (
  `event_month` DATE NOT NULL,
  `event_date` DATE NOT NULL,
  `customer_id` BIGINT NOT NULL,
  `category` STRING NOT NULL,
  `gross_amount` DECIMAL(18,2) NOT NULL,
  CONSTRAINT month CHECK (event_month = trunc(event_date, 'MM'))
)
PARTITIONED BY (event_month)
-- key: customer_id, event_date, category; slice: none
