"""Table model_parameters: what was estimated, and how well."""

from __future__ import annotations

from clv_spark.schemas.spec import Column, TableSpec

MODEL_PARAMETERS = TableSpec(
    name="model_parameters",
    comment="One row per fit_date, model, segment and time unit: what was estimated and how well.",
    columns=(
        Column("fit_date", "DATE", "as_of_date of the data fitted; date, the partition"),
        Column(
            "relationship",
            "STRING",
            "purchases: customers without contract; contract; text",
        ),
        Column(
            "model",
            "STRING",
            "bg_nbd, mbg_nbd, pareto_nbd, bg_bb (purchases), gamma_gamma (spend), return_rate and "
            "margin_rate (ratios of sums that a customer's own rates are shrunk to); sbg, bdw "
            "(contracts); text",
        ),
        Column(
            "segment",
            "STRING",
            "'global', the value of the segment key, or the path of several, as Europe/France; "
            "text",
        ),
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
            "parameters by the paper's letters; of purchases alpha in time_unit, of spend gamma in "
            "money, the rest without unit",
            nullable=True,
        ),
        Column(
            "chosen",
            "BOOLEAN",
            "whether scores use this model: of the purchase models of a segment one is chosen; "
            "true or false",
        ),
        Column(
            "standard_errors",
            "MAP<STRING,DOUBLE>",
            "of the parameters, NULL where there are none; in their units",
            nullable=True,
        ),
        Column(
            "covariance",
            "ARRAY<DOUBLE>",
            "of the parameters in the papers' order of their letters, row by row, with the error "
            "of the middle they are drawn to; of taken ones also how far siblings are from the "
            "parent; products of their units",
            nullable=True,
        ),
        Column(
            "sibling_loadings",
            "ARRAY<DOUBLE>",
            "the part of covariance that segments below one parent share: how far one standard "
            "deviation of each of its directions moves the parameters, row by row, NULL where "
            "nothing was drawn to a parent; in their units",
            nullable=True,
        ),
        Column("log_likelihood", "DOUBLE", "of the segment's own fit; natural log units", True),
        Column("bic", "DOUBLE", "Bayesian information criterion of the own fit; no unit", True),
        Column("n_customers", "BIGINT", "customers in the fit, or contracts; count"),
        Column("n_patterns", "BIGINT", "distinct rows the fit saw; count"),
        Column(
            "n_repeaters",
            "BIGINT",
            "customers in the fit with a repeat purchase; for spend those with a mean, for "
            "contracts those lost; count",
        ),
        Column(
            "spend_basis",
            "STRING",
            "purchase days behind a customer's mean spend: repeat (without the first) or all, "
            "NULL for other models; text",
            nullable=True,
        ),
        Column(
            "frequency_spend_correlation",
            "DOUBLE",
            "correlation of the numbers of purchase days and the mean spends in the fit, which "
            "gamma_gamma takes for 0; no unit",
            nullable=True,
        ),
        Column(
            "log_frequency_spend_correlation",
            "DOUBLE",
            "the same of their logarithms, which a few huge orders do not hide; no unit",
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
            "bounds_touched",
            "ARRAY<STRING>",
            "parameters that ran to a limit of the search; text",
            nullable=True,
        ),
        Column(
            "status",
            "STRING",
            "of the segment's own fit: ok; spend_depends_on_frequency: ok, but the correlation of "
            "logarithms is beyond fit.max_frequency_spend_correlation; too_small: none was made, "
            "the segment may be drawn to its parent all the same, see own_weight; degenerate: no "
            "dropout, or no difference between customers, to be seen; not_identified; failed; text",
        ),
        Column("message", "STRING", "the status in words, and what follows from it; text"),
        Column(
            "own_weight",
            "DOUBLE",
            "share of own data in the parameters: 1 own, 0 parent's, between: drawn to the "
            "parent's; no unit",
        ),
        Column(
            "time_unit",
            "STRING",
            "unit of time of the parameters: day, week or year; of contracts the period from "
            "renewal to renewal, month, quarter or year, each fitted apart; text",
        ),
        Column("package_version", "STRING", "version of clv_spark that fitted; text"),
    ),
    key=("fit_date", "model", "segment", "time_unit"),
    partition_by=("fit_date",),
    slice_column="fit_date",
    checks={
        "status": (
            "status IN ('ok', 'spend_depends_on_frequency', 'too_small', 'degenerate', "
            "'not_identified', 'failed')"
        ),
        "relationship": "relationship IN ('purchases', 'contract')",
        "weight": "own_weight >= 0 AND own_weight <= 1",
    },
    version=4,
)
