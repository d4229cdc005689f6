"""Tables of contracts by month: subscription_metrics and subscription_forecast."""

from __future__ import annotations

from clv_spark.schemas.spec import Column, TableSpec

_MRR = "DECIMAL(28,2)"
_SEGMENT = (
    Column("segment", "STRING", "'global', or a segment as in model_parameters; text"),
    Column("segment_level", "STRING", "'global' or the name of the segment key; text"),
)
_CURRENCY = Column(
    "currency", "STRING", "currency of all money, NULL when not configured; text", True
)

SUBSCRIPTION_METRICS = TableSpec(
    name="subscription_metrics",
    comment=(
        "One row per as_of_date, month and segment: contracts and monthly recurring revenue (MRR) "
        "from the first day of the month to its last, or to as_of_date. A contract counts in the "
        "segment of its newest row. A snapshot has the last month alone, with all that its window "
        "lost."
    ),
    columns=(
        Column("as_of_date", "DATE", "last day that counts; date, the partition"),
        Column("month", "DATE", "first day of the month; date"),
        *_SEGMENT,
        Column("running_start", "BIGINT", "contracts that run when the month begins; count"),
        Column("new_contracts", "BIGINT", "contracts that begin; count"),
        Column("reactivated_contracts", "BIGINT", "contracts that begin again; count"),
        Column("lost_contracts", "BIGINT", "contracts that end without going on; count"),
        Column("running_end", "BIGINT", "running_start + new + reactivated - lost, exactly; count"),
        Column("mrr_start", _MRR, "MRR when the month begins; money per month"),
        Column("new_mrr", _MRR, "MRR of contracts that begin; money per month"),
        Column("reactivated_mrr", _MRR, "MRR of contracts that begin again; money per month"),
        Column("expansion_mrr", _MRR, "what running contracts rise by; money per month"),
        Column("contraction_mrr", _MRR, "what they fall by, positive; money per month"),
        Column("churned_mrr", _MRR, "MRR of contracts that end, positive; money per month"),
        Column(
            "mrr_end",
            _MRR,
            "mrr_start + new + reactivated + expansion - contraction - churned, exactly; money per "
            "month",
        ),
        Column("arpu", "DOUBLE", "mrr_end / running_end, NULL without; money per month", True),
        Column(
            "churn_rate",
            "DOUBLE",
            "share of the contracts in running_start that end within the month; of a month that "
            "is not over at as_of_date, of the contracts that ran a month before as_of_date those "
            "that have ended since; the window of a snapshot is turned into a month at its pace; "
            "NULL without; 0 to 1",
            True,
        ),
        Column("retention_rate", "DOUBLE", "1 - churn_rate; 0 to 1", True),
        Column(
            "margin_rate",
            "DOUBLE",
            "margin per unit of MRR, above leaf segments in their mix; 0 to 1",
        ),
        Column(
            "formula_clv",
            "DOUBLE",
            "arpu x margin_rate / churn_rate, the textbook's, not discounted; NULL where nobody "
            "was lost; money per contract",
            nullable=True,
        ),
        Column(
            "formula_clv_discounted",
            "DOUBLE",
            "the same discounted and without the payment due now, as model_clv is. It takes the "
            "churn of all for that of each, but those who stay are ever more those who mean to "
            "stay, so it understates; money per contract",
            nullable=True,
        ),
        Column(
            "model_clv",
            "DOUBLE",
            "mean margin still to come of the running contracts that have a model, without "
            "horizon, in the last month only, NULL without discount rate; money per contract",
            nullable=True,
        ),
        _CURRENCY,
    ),
    key=("as_of_date", "month", "segment"),
    partition_by=("as_of_date",),
    slice_column="as_of_date",
    checks={
        "contracts": (
            "running_end = running_start + new_contracts + reactivated_contracts - lost_contracts "
            "AND running_end >= 0"
        ),
        "mrr": (
            "mrr_end = mrr_start + new_mrr + reactivated_mrr + expansion_mrr - contraction_mrr - "
            "churned_mrr AND mrr_end >= 0"
        ),
        "positive": (
            "new_mrr >= 0 AND reactivated_mrr >= 0 AND expansion_mrr >= 0 AND contraction_mrr >= 0 "
            "AND churned_mrr >= 0"
        ),
    },
    version=1,
)

SUBSCRIPTION_FORECAST = TableSpec(
    name="subscription_forecast",
    comment=(
        "One row per as_of_date, segment and month ahead: what the next 24 months leave of the "
        "contracts that run on as_of_date and have a model, and the contracts to come."
    ),
    columns=(
        Column("as_of_date", "DATE", "last day that counts; date, the partition"),
        *_SEGMENT,
        Column("months_ahead", "INT", "months of 365 / 12 days after as_of_date; count"),
        Column("forecast_date", "DATE", "the same day so many months later; date"),
        Column("running_contracts", "DOUBLE", "expected number that still run; count"),
        Column(
            "running_low",
            "DOUBLE",
            "fewer with probability 0.1: from shared draws of the parameters and the contracts' "
            "own chance; count",
        ),
        Column("running_high", "DOUBLE", "more with probability 0.1; count"),
        Column("mrr", "DOUBLE", "expected MRR of these contracts; money per month"),
        Column("mrr_low", "DOUBLE", "lower with probability 0.1; money per month"),
        Column("mrr_high", "DOUBLE", "higher with probability 0.1; money per month"),
        Column("margin", "DOUBLE", "expected margin of these contracts; money per month"),
        Column(
            "new_contracts",
            "DOUBLE",
            "expected contracts that will have begun and still run, where as many begin as in the "
            "forecast.recent_months; count",
        ),
        Column("new_mrr", "DOUBLE", "expected MRR of these; money per month"),
        Column("new_margin", "DOUBLE", "expected margin of these; money per month"),
        _CURRENCY,
    ),
    key=("as_of_date", "segment", "months_ahead"),
    partition_by=("as_of_date",),
    slice_column="as_of_date",
    checks={
        "interval": (
            "running_low >= 0 AND running_low <= running_high AND mrr_low >= 0 "
            "AND mrr_low <= mrr_high"
        ),
        "new": "margin >= 0 AND new_contracts >= 0 AND new_mrr >= 0 AND new_margin >= 0",
    },
    version=2,
)
