"""Tables of results: model_parameters, clv_scores, clv_scores_latest, pipeline_runs."""

from __future__ import annotations

from dataclasses import replace

from clv_spark.schemas.spec import ID, Column, TableSpec

MODEL_PARAMETERS = TableSpec(
    name="model_parameters",
    comment="One row per fit_date, model and segment: what was estimated and how well.",
    columns=(
        Column("fit_date", "DATE", "as_of_date of the data fitted; date, the partition"),
        Column(
            "model",
            "STRING",
            "bg_nbd (purchases), gamma_gamma (spend), return_rate or margin_rate (ratios of "
            "sums that a customer's own rate is shrunk to); text",
        ),
        Column("segment", "STRING", "'global' or the value of the segment key; text"),
        Column("segment_level", "STRING", "'global' or the name of the segment key; text"),
        Column("parent_segment", "STRING", "segment above, NULL for 'global'; text", True),
        Column(
            "parameters_segment",
            "STRING",
            "whose parameters these are: the segment or its parent, NULL when neither has any; "
            "text",
            nullable=True,
        ),
        Column(
            "parameters",
            "MAP<STRING,DOUBLE>",
            "parameters by the paper's letters; alpha in time_unit, gamma in money, the rest "
            "without unit",
            nullable=True,
        ),
        Column("log_likelihood", "DOUBLE", "of the segment's own fit; natural log units", True),
        Column("bic", "DOUBLE", "Bayesian information criterion of the own fit; no unit", True),
        Column("n_customers", "BIGINT", "customers in the fit; count"),
        Column("n_patterns", "BIGINT", "distinct rows the fit saw; count"),
        Column("n_repeaters", "BIGINT", "customers with frequency > 0 in the fit; count"),
        Column(
            "frequency_spend_correlation",
            "DOUBLE",
            "correlation of frequency and monetary_value, which gamma_gamma takes for 0; no unit",
            nullable=True,
        ),
        Column("iterations", "INT", "steps of the optimiser; count", True),
        Column(
            "gradient_norm",
            "DOUBLE",
            "of the mean log-likelihood over log-parameters at the estimate; no unit",
            nullable=True,
        ),
        Column("condition_number", "DOUBLE", "of its Hessian; no unit", True),
        Column(
            "status",
            "STRING",
            "of the segment's own fit: ok, too_small, not_identified or failed; text",
        ),
        Column("message", "STRING", "the status in words, and what follows from it; text"),
        Column("own_weight", "DOUBLE", "share of own data in the parameters: 1 own, 0 parent"),
        Column("time_unit", "STRING", "unit of time of the parameters: day, week or year; text"),
        Column("package_version", "STRING", "version of clv_spark that fitted; text"),
    ),
    key=("fit_date", "model", "segment"),
    partition_by=("fit_date",),
    slice_column="fit_date",
    checks={
        "status": "status IN ('ok', 'too_small', 'not_identified', 'failed')",
        "weight": "own_weight >= 0 AND own_weight <= 1",
    },
    version=1,
)

_NO_PURCHASE_MODEL = "score_status = 'insufficient_data'"
_NO_SPEND_MODEL = "score_status IN ('insufficient_data', 'spend_undefined')"


def _number(column: str, null_when: str) -> str:
    # NaN is larger than every number in Spark, so the upper bound refuses it as well.
    finite = f"{column} >= 0 AND {column} < double('Infinity')"
    return f"(({column} IS NULL AND {null_when}) OR ({column} IS NOT NULL AND {finite}))"


def _probability(column: str) -> str:
    return f"({_number(column, _NO_PURCHASE_MODEL)} AND coalesce({column}, 0) <= 1)"


def _all(*conditions: str) -> str:
    return " AND ".join(conditions)


_PURCHASE_NUMBERS = ("expected_purchases_30d", "expected_purchases_90d", "expected_purchases_365d")
_MONEY_NUMBERS = ("expected_order_value", "expected_revenue_365d", "clv", "total_clv")

CLV_SCORES = TableSpec(
    name="clv_scores",
    comment=(
        "One row per as_of_date, customer and relationship: how likely active, what they will buy "
        "and be worth. History by as_of_date; the newest is clv_scores_latest."
    ),
    columns=(
        Column("as_of_date", "DATE", "last day that counts; date, the partition"),
        Column("customer_id", ID, "customer as named by the source; identifier"),
        Column("relationship", "STRING", "purchases: without contract; text"),
        Column("segment", "STRING", "the customer's segment, 'global' when none is set; text"),
        Column(
            "score_status",
            "STRING",
            "ok; one_purchase: no repeat yet, the spend is the segment's mean; new: younger than "
            "value.new_customer_days; parent_model: the segment's own fit was too weak, its "
            "parent's is used; spend_undefined: no spend model, money columns are NULL; "
            "insufficient_data: no purchase model, predictions are NULL; text",
        ),
        Column("clv", "DOUBLE", "expected discounted margin of the next horizon_days; money", True),
        Column("total_clv", "DOUBLE", "historical_clv plus clv; money", True),
        Column("historical_clv", "DOUBLE", "margin earned so far, at least 0; money"),
        Column(
            "residual_clv",
            "DOUBLE",
            "like clv without horizon, NULL when annual_discount_rate = 0; money",
            nullable=True,
        ),
        Column(
            "p_alive",
            "DOUBLE",
            "probability that the relationship still exists on as_of_date; bg_nbd gives every "
            "one-time buyer 1, so lists should use p_active_365d; 0 to 1",
            nullable=True,
        ),
        Column(
            "p_active_365d",
            "DOUBLE",
            "probability of at least one purchase day in the next 365 days; 0 to 1",
            nullable=True,
        ),
        Column(
            "expected_purchases_30d", "DOUBLE", "purchase days in the next 30 days; count", True
        ),
        Column(
            "expected_purchases_90d", "DOUBLE", "purchase days in the next 90 days; count", True
        ),
        Column(
            "expected_purchases_365d", "DOUBLE", "purchase days in the next 365 days; count", True
        ),
        Column(
            "expected_order_value",
            "DOUBLE",
            "expected gross amount of a future purchase day; money per purchase day",
            nullable=True,
        ),
        Column(
            "expected_revenue_365d",
            "DOUBLE",
            "expected revenue of the next 365 days, net of returns, not discounted; money",
            nullable=True,
        ),
        Column("return_rate", "DOUBLE", "share of gross amount expected to be returned; 0 to 1"),
        Column("margin_rate", "DOUBLE", "margin per unit of net revenue in clv; 0 to 1"),
        Column("frequency", "INT", "repeat purchase days; count"),
        Column("recency", "INT", "from first to last purchase day; days"),
        Column("T", "INT", "age: from first purchase day to as_of_date; days"),
        Column(
            "monetary_value",
            "DOUBLE",
            "mean gross amount of a repeat purchase day, NULL when frequency = 0; money per "
            "purchase day",
            nullable=True,
        ),
        Column("model", "STRING", "model of purchases and model of spend; text"),
        Column("parameters_segment", "STRING", "whose purchase parameters were used; text", True),
        Column(
            "spend_parameters_segment", "STRING", "whose spend parameters were used; text", True
        ),
        Column("fit_date", "DATE", "fit_date of the parameters; date"),
        Column("horizon_days", "INT", "length of the clv horizon; days"),
        Column("annual_discount_rate", "DOUBLE", "value t days ahead weighs (1 + rate)^(-t/365)"),
        Column("currency", "STRING", "currency of all money, NULL when not configured; text", True),
    ),
    key=("as_of_date", "customer_id", "relationship"),
    partition_by=("as_of_date",),
    slice_column="as_of_date",
    checks={
        "status": (
            "score_status IN ('ok', 'one_purchase', 'new', 'parent_model', 'spend_undefined', "
            "'insufficient_data')"
        ),
        "probabilities": _all(_probability("p_alive"), _probability("p_active_365d")),
        "purchases": _all(*(_number(c, _NO_PURCHASE_MODEL) for c in _PURCHASE_NUMBERS)),
        "money": _all(
            *(_number(c, _NO_SPEND_MODEL) for c in _MONEY_NUMBERS),
            _number("historical_clv", "false"),
            _number("residual_clv", f"(annual_discount_rate = 0 OR {_NO_SPEND_MODEL})"),
        ),
        "facts": _all(
            "frequency >= 0",
            "recency >= 0",
            "recency <= T",
            "return_rate >= 0",
            "return_rate <= 1",
            "margin_rate >= 0",
            "margin_rate <= 1",
            "(monetary_value IS NULL) = (frequency = 0)",
            "coalesce(monetary_value, 0) < double('Infinity')",
        ),
    },
    version=1,
)

CLV_SCORES_LATEST = replace(
    CLV_SCORES,
    name="clv_scores_latest",
    comment="The newest as_of_date of clv_scores, replaced last, after every gate.",
    key=("customer_id", "relationship"),
    partition_by=(),
    slice_column=None,
)

PIPELINE_RUNS = TableSpec(
    name="pipeline_runs",
    comment="One row per run and stage: rows read, used, rejected and written, and how it went.",
    columns=(
        Column("run_id", "STRING", "one run of one job; identifier"),
        Column("stage", "STRING", "stage of the job; text"),
        Column("job", "STRING", "job as named on the command line; text"),
        Column(
            "as_of_date", "DATE", "as-of date of the run, NULL where a job has none; date", True
        ),
        Column("status", "STRING", "done, already_done or failed; text"),
        Column("finished_at", "TIMESTAMP", "when the row was made; UTC"),
        Column("seconds", "DOUBLE", "time the stage took; seconds"),
        Column("rows_read", "BIGINT", "rows of the stage's input; count", True),
        Column("rows_used", "BIGINT", "rows that entered the result; count", True),
        Column("rows_rejected", "BIGINT", "rows refused, rows_read less rows_used; count", True),
        Column("rows_written", "BIGINT", "rows of the result; count", True),
        Column("amount_read", "DECIMAL(28,2)", "money of the lines read, signed; money", True),
        Column("amount_used", "DECIMAL(28,2)", "money of the lines used, signed; money", True),
        Column("amount_rejected", "DECIMAL(28,2)", "money of the refused lines; money", True),
        Column("rejected_by_reason", "MAP<STRING,BIGINT>", "refused lines by reason; count", True),
        Column("source_version", "STRING", "what was read: version or fingerprint; text", True),
        Column("table_version", "BIGINT", "Delta version written by the stage; count", True),
        Column("config_hash", "STRING", "hash of the settings the stage depends on; text", True),
        Column("message", "STRING", "what to know, or why it failed; text", True),
        Column("package_version", "STRING", "version of clv_spark; text"),
    ),
    key=("run_id", "stage"),
    checks={
        "status": "status IN ('done', 'already_done', 'failed')",
        "reconciled": (
            "rows_read IS NULL OR rows_used IS NULL OR rows_rejected IS NULL "
            "OR rows_read = rows_used + rows_rejected"
        ),
    },
    version=1,
)
