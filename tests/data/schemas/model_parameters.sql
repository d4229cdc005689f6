-- model_parameters, schema version 2
CREATE TABLE model_parameters (
  `fit_date` DATE NOT NULL,
  `model` STRING NOT NULL,
  `segment` STRING NOT NULL,
  `segment_level` STRING NOT NULL,
  `parent_segment` STRING,
  `parameters_segment` STRING,
  `parameters` MAP<STRING,DOUBLE>,
  `chosen` BOOLEAN NOT NULL,
  `standard_errors` MAP<STRING,DOUBLE>,
  `covariance` ARRAY<DOUBLE>,
  `log_likelihood` DOUBLE,
  `bic` DOUBLE,
  `n_customers` BIGINT NOT NULL,
  `n_patterns` BIGINT NOT NULL,
  `n_repeaters` BIGINT NOT NULL,
  `spend_basis` STRING,
  `frequency_spend_correlation` DOUBLE,
  `log_frequency_spend_correlation` DOUBLE,
  `iterations` INT,
  `gradient_norm` DOUBLE,
  `condition_number` DOUBLE,
  `bounds_touched` ARRAY<STRING>,
  `status` STRING NOT NULL,
  `message` STRING NOT NULL,
  `own_weight` DOUBLE NOT NULL,
  `time_unit` STRING NOT NULL,
  `package_version` STRING NOT NULL,
  CONSTRAINT status CHECK (status IN ('ok', 'spend_depends_on_frequency', 'too_small', 'degenerate', 'not_identified', 'failed')),
  CONSTRAINT weight CHECK (own_weight >= 0 AND own_weight <= 1)
)
PARTITIONED BY (fit_date)
-- key: fit_date, model, segment; slice: fit_date
