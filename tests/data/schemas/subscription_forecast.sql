-- subscription_forecast, schema version 2
CREATE TABLE subscription_forecast (
  `as_of_date` DATE NOT NULL,
  `segment` STRING NOT NULL,
  `segment_level` STRING NOT NULL,
  `months_ahead` INT NOT NULL,
  `forecast_date` DATE NOT NULL,
  `running_contracts` DOUBLE NOT NULL,
  `running_low` DOUBLE NOT NULL,
  `running_high` DOUBLE NOT NULL,
  `mrr` DOUBLE NOT NULL,
  `mrr_low` DOUBLE NOT NULL,
  `mrr_high` DOUBLE NOT NULL,
  `margin` DOUBLE NOT NULL,
  `new_contracts` DOUBLE NOT NULL,
  `new_mrr` DOUBLE NOT NULL,
  `new_margin` DOUBLE NOT NULL,
  `currency` STRING,
  CONSTRAINT interval CHECK (running_low >= 0 AND running_low <= running_high AND mrr_low >= 0 AND mrr_low <= mrr_high),
  CONSTRAINT new CHECK (margin >= 0 AND new_contracts >= 0 AND new_mrr >= 0 AND new_margin >= 0)
)
PARTITIONED BY (as_of_date)
-- key: as_of_date, segment, months_ahead; slice: as_of_date
