-- customer_costs, schema version 2
CREATE TABLE customer_costs (
  `as_of_date` DATE NOT NULL,
  `customer_id` BIGINT NOT NULL,
  `relationship` STRING NOT NULL,
  `service_events` BIGINT NOT NULL,
  `first_event_date` DATE,
  `service_of_purchases` DECIMAL(28,2) NOT NULL,
  `service_of_early_time` DECIMAL(28,2) NOT NULL,
  `service_of_later_time` DECIMAL(28,2) NOT NULL,
  `cost_by_kind` MAP<STRING, DECIMAL(28,2)>,
  `acquisition_cost` DECIMAL(28,2),
  CONSTRAINT relationship CHECK (relationship IN ('purchases', 'contract', 'none')),
  CONSTRAINT costs CHECK (service_of_purchases >= 0 AND service_of_early_time >= 0 AND service_of_later_time >= 0 AND coalesce(acquisition_cost, 0) >= 0)
)
PARTITIONED BY (as_of_date)
-- key: as_of_date, customer_id; slice: as_of_date
