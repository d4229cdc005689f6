-- segment_products, schema version 1
CREATE TABLE segment_products (
  `as_of_date` DATE NOT NULL,
  `segment` STRING NOT NULL,
  `category` STRING NOT NULL,
  `best_customers` BIGINT NOT NULL,
  `best_buyers` BIGINT NOT NULL,
  `other_customers` BIGINT NOT NULL,
  `other_buyers` BIGINT NOT NULL,
  `best_share` DOUBLE,
  `other_share` DOUBLE,
  `lift` DOUBLE,
  `gross_amount` DECIMAL(28,2) NOT NULL,
  `best_gross_amount` DECIMAL(28,2) NOT NULL,
  CONSTRAINT counts CHECK (best_customers >= 0 AND best_buyers >= 0 AND other_customers >= 0 AND other_buyers >= 0 AND best_buyers <= best_customers AND other_buyers <= other_customers AND best_buyers + other_buyers >= 1),
  CONSTRAINT shares CHECK ((best_share IS NULL) = (best_customers = 0) AND (other_share IS NULL) = (other_customers = 0) AND (lift IS NULL) = (best_customers = 0 OR other_buyers = 0))
)
PARTITIONED BY (as_of_date)
-- key: as_of_date, segment, category; slice: as_of_date
