-- subscription_metrics, schema version 1
CREATE TABLE subscription_metrics (
  `as_of_date` DATE NOT NULL,
  `month` DATE NOT NULL,
  `segment` STRING NOT NULL,
  `segment_level` STRING NOT NULL,
  `running_start` BIGINT NOT NULL,
  `new_contracts` BIGINT NOT NULL,
  `reactivated_contracts` BIGINT NOT NULL,
  `lost_contracts` BIGINT NOT NULL,
  `running_end` BIGINT NOT NULL,
  `mrr_start` DECIMAL(28,2) NOT NULL,
  `new_mrr` DECIMAL(28,2) NOT NULL,
  `reactivated_mrr` DECIMAL(28,2) NOT NULL,
  `expansion_mrr` DECIMAL(28,2) NOT NULL,
  `contraction_mrr` DECIMAL(28,2) NOT NULL,
  `churned_mrr` DECIMAL(28,2) NOT NULL,
  `mrr_end` DECIMAL(28,2) NOT NULL,
  `arpu` DOUBLE,
  `churn_rate` DOUBLE,
  `retention_rate` DOUBLE,
  `margin_rate` DOUBLE NOT NULL,
  `formula_clv` DOUBLE,
  `formula_clv_discounted` DOUBLE,
  `model_clv` DOUBLE,
  `currency` STRING,
  CONSTRAINT contracts CHECK (running_end = running_start + new_contracts + reactivated_contracts - lost_contracts AND running_end >= 0),
  CONSTRAINT mrr CHECK (mrr_end = mrr_start + new_mrr + reactivated_mrr + expansion_mrr - contraction_mrr - churned_mrr AND mrr_end >= 0),
  CONSTRAINT positive CHECK (new_mrr >= 0 AND reactivated_mrr >= 0 AND expansion_mrr >= 0 AND contraction_mrr >= 0 AND churned_mrr >= 0)
)
PARTITIONED BY (as_of_date)
-- key: as_of_date, month, segment; slice: as_of_date
