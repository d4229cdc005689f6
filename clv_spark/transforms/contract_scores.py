"""contract_features -> the kernel's input, its output -> contract_scores and rows of clv_scores."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from clv_spark.config import Config
from clv_spark.kernels.contract_forecasts import PERIODS
from clv_spark.kernels.contract_parameters import ContractParameters
from clv_spark.kernels.score_contracts import CONTRACT_STATUSES
from clv_spark.kernels.several_contracts import BEHIND_VALUE
from clv_spark.schemas import CONTRACT_SCORES
from clv_spark.transforms.contract_features import months
from clv_spark.transforms.scores import NO_MODEL, SCORED, Origin, decoded, with_origin
from clv_spark.transforms.segments import segment_name

_EPOCH = dt.date(1970, 1, 1)
_YEAR = 365
_RENEWALS = tuple(f"expected_renewals_{days}d" for days in PERIODS)
_SUMMED = (
    *_RENEWALS,
    "expected_revenue_365d",
    "clv_revenue",
    "clv_margin",
    "clv",
    "clv_low",
    "clv_high",
    "residual_clv",
    "historical_revenue",
    "historical_margin",
    "purchases_ahead",
    "paid_amount",
)
# In the order of contract and life, since sums of doubles depend on their order.
_ITEM = (
    "contract_id",
    "life",
    "age_days",
    "days_since_end",
    "p_active_365d",
    "days_ahead",
    *_SUMMED,
    *BEHIND_VALUE,
)
# The contract that stands for a customer with several: of those that run the newest.
_NEWEST = ("is_active", "start_days", "contract_id", "life")
_OF_NEWEST = (
    "as_of_date",
    "segment",
    "period",
    "score_status",
    "amount",
    "margin_rate",
    "parameters_place",
)


def contract_score_input(features: DataFrame, keys: tuple[str, ...], as_of: dt.date) -> DataFrame:
    """What a score depends on, and what a customer's row needs of it; money as DOUBLE."""
    today = F.lit(as_of)
    renewal = F.col("next_renewal_date")
    previous = F.add_months("start_date", F.col("tenure") * months())
    survived = F.when(F.col("is_lost"), F.col("tenure") - 1).otherwise(F.col("tenure"))
    return features.select(
        "customer_id",
        "contract_id",
        "life",
        segment_name(keys).alias("segment"),
        "period",
        "tenure",
        "is_active",
        "is_lost",
        F.datediff(renewal, today).alias("days_to_renewal"),
        F.datediff(renewal, previous).alias("period_days"),
        F.datediff(today, "start_date").alias("age_days"),
        F.datediff("start_date", F.lit(_EPOCH)).alias("start_days"),
        F.datediff(today, "last_renewal_date").alias("days_since_renewal"),
        F.when(F.col("is_active"), 0)
        .otherwise(F.datediff(today, "end_date"))
        .alias("days_since_end"),
        survived.alias("renewals"),
        "periods_paid",
        "periodic_amount",
        F.col("periodic_amount").cast("double").alias("amount"),
        F.col("periodic_margin").cast("double").alias("margin"),
        F.col("paid_amount").cast("double").alias("paid_amount"),
        F.col("paid_margin").cast("double").alias("paid_margin"),
    )


def with_customer(inputs: DataFrame) -> DataFrame:
    """Adds what is known of the customer, and brings those of one customer together.

    Returns:
        Added: lives (how many), customer_age (days since the first began), home (the customer's
        segment) and stands (whether this life is the one that stands for the customer).
    """
    beside = Window.partitionBy("customer_id")
    newest = F.max(F.struct(*_NEWEST, "segment")).over(beside)
    added = inputs.withColumns(
        {
            "lives": F.count(F.lit(1)).over(beside).cast("int"),
            "customer_age": F.max("age_days").over(beside),
            "newest": newest,
        }
    )
    is_newest = (F.col("newest.contract_id") == F.col("contract_id")) & (
        F.col("newest.life") == F.col("life")
    )
    return added.withColumns({"home": F.col("newest.segment"), "stands": is_newest}).drop("newest")


def contract_score_columns(scored: DataFrame, as_of: dt.date) -> DataFrame:
    """Adds what is the same for every contract.

    Args:
        scored: Contracts as the kernel gives them back.
        as_of: Last day that counts.
    """
    return scored.withColumns(
        {
            "as_of_date": F.lit(as_of),
            "score_status": decoded("status_place", CONTRACT_STATUSES),
        }
    )


def contract_origins(parameters: Iterable[ContractParameters]) -> list[Origin]:
    """Where the parameters of contracts come from, in the order that parameters_place refers to."""
    return [
        Origin(one.model if one.values else NO_MODEL, one.parameters_segment) for one in parameters
    ]


def contract_score_rows(
    scored: DataFrame, origins: Sequence[Origin], config: Config, fit_date: dt.date
) -> DataFrame:
    """Scored contracts as rows of ``contract_scores``."""
    made_with = with_origin(scored, origins, config, fit_date)
    return made_with.select(*CONTRACT_SCORES.column_names)


def customer_totals(scored: DataFrame) -> DataFrame:
    """The contracts of each customer with several together: their sums, and the newest that runs.

    Args:
        scored: Scored contracts; those of customers with one are left out.

    Returns:
        One row per customer. The bounds are sums, which are right for one that runs; where more
        do, and all have a forecast, ``items`` holds what their joint interval needs of each.
    """
    running = F.count(F.when(F.col("is_active"), 1))
    unknown = F.count(F.when(F.col("score_status") == "insufficient_data", 1))
    items = (
        scored.where("lives > 1")
        .groupBy("customer_id")
        .agg(
            F.array_sort(F.collect_list(F.struct(*_ITEM))).alias("items"),
            F.max_by(F.struct(*_OF_NEWEST), F.struct(*_NEWEST)).alias("newest"),
            F.max("age_days").alias("T"),
            F.min("days_since_renewal").alias("since_renewal"),
            F.bool_or(_ran_a_year_ago()).alias("ran_a_year_ago"),
            # Of several that run, how long any of them does is worked out beside their bounds.
            F.max("days_ahead").alias("days_ahead"),
            F.max("early_days_ahead").alias("early_days_ahead"),
            F.sum("renewals").cast("int").alias("frequency"),
            F.sum("periods_paid").cast("int").alias("periods_paid"),
            running.cast("int").alias("running"),
            unknown.cast("int").alias("unknown"),
        )
    )
    sums = (_total(name).alias(name) for name in _SUMMED)
    stays = F.aggregate("items", F.lit(1.0), lambda all_end, one: all_end * (1 - one.p_active_365d))
    totals = items.select(
        "*", "newest.*", stays.alias("all_end"), _served_days().alias("served_days"), *sums
    )
    several = (F.col("running") > 1) & (F.col("unknown") == 0)
    needed = F.transform("items", lambda one: F.struct(*(one[name] for name in BEHIND_VALUE)))
    return totals.withColumn("items", F.when(several, needed).otherwise(F.array())).drop("newest")


def lone_contracts(scored: DataFrame) -> DataFrame:
    """The same of customers with a single contract, who need not be brought together.

    Returns:
        One row per customer, without ``items``.
    """
    return scored.where("lives = 1").select(
        "customer_id",
        *_OF_NEWEST,
        F.col("age_days").alias("T"),
        F.col("days_since_renewal").alias("since_renewal"),
        (F.col("age_days") - F.col("days_since_end")).alias("served_days"),
        _ran_a_year_ago().alias("ran_a_year_ago"),
        "days_ahead",
        "early_days_ahead",
        F.col("renewals").alias("frequency"),
        "periods_paid",
        F.col("is_active").cast("int").alias("running"),
        (F.col("score_status") == "insufficient_data").cast("int").alias("unknown"),
        # As in the sum of several, to the last bit.
        (1 - F.col("p_active_365d")).alias("all_end"),
        *_SUMMED,
    )


def customer_rows(totals: DataFrame, new_customer_days: int) -> DataFrame:
    """Totals of customers as rows of ``clv_scores``; the customer is active while a contract is.

    Args:
        totals: What :func:`lone_contracts` and :func:`customer_totals` give.
        new_customer_days: Younger customers are new ones.
    """
    runs, known = F.col("running") > 0, F.col("unknown") == 0
    # A new contract may be that of an old customer.
    only_contract_is_new = (F.col("score_status") == "new") & (F.col("T") >= new_customer_days)
    expected = F.col("expected_renewals_365d")
    per_renewal = F.when(expected > 0, F.col("expected_revenue_365d") / expected)
    return totals.withColumns(
        {
            "relationship": F.lit("contract"),
            "score_status": F.when(~runs, "lost")
            .when(~known, "insufficient_data")
            .when(only_contract_is_new, "ok")
            .otherwise(F.col("score_status")),
            "p_alive": runs.cast("double"),
            "p_active_365d": 1 - F.col("all_end"),
            **{f"expected_purchases_{days}d": F.col(name) for days, name in _by_days()},
            # A contract that is bound to end leaves no renewal to take the mean of.
            "expected_order_value": F.when(
                known, F.coalesce(per_renewal, F.when(runs, F.col("amount")).otherwise(0.0))
            ),
            "return_rate": F.lit(0.0),
            "recency": F.col("T") - F.col("since_renewal"),
            "monetary_value": F.when(
                F.col("frequency") > 0, F.col("paid_amount") / F.col("periods_paid")
            ),
            "rhythm_days": months() * 365 / 12,
            "report_code": F.lit(None).cast("int"),
        }
    ).select(*SCORED)


def _by_days() -> list[tuple[int, str]]:
    return list(zip(PERIODS, _RENEWALS, strict=True))


def _ran_a_year_ago() -> Column:
    """Whether a contract had begun and not ended on the day a year before."""
    return (F.col("age_days") >= _YEAR) & (F.col("days_since_end") < _YEAR)


def _served_days() -> Column:
    """Days on which any of a customer's contracts ran; one on which several did counts once."""
    # Days before today, so that the first to begin has the largest.
    spans = F.transform(
        "items",
        lambda one: F.struct((-one.age_days).alias("begins"), (-one.days_since_end).alias("ends")),
    )
    nothing = F.struct(F.lit(0).alias("days"), F.lit(-(2**31)).cast("int").alias("until"))

    def with_span(so_far: Column, span: Column) -> Column:
        new = F.greatest(span.ends - F.greatest(span.begins, so_far.until), F.lit(0))
        until = F.greatest(so_far.until, span.ends)
        return F.struct((so_far.days + new).alias("days"), until.alias("until"))

    return F.aggregate(F.array_sort(spans), nothing, with_span, lambda found: found.days)


def _total(name: str) -> Column:
    """The sum of one number over a customer's contracts; NULL when one is."""
    return F.aggregate("items", F.lit(0.0), lambda total, one: total + one[name])
