"""contracts -> what began, changed and ended in each month, as contracts and as MRR.

MRR, monthly recurring revenue, is the price of a period over its months, each row rounded once to
whole cents, so that sums and differences of months and segments agree to the cent.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from clv_spark.transforms.conform_contracts import CONTRACT
from clv_spark.transforms.contract_features import dated_rows, months
from clv_spark.transforms.money import cents, exact_sum_where, money, summand
from clv_spark.transforms.segments import (
    level_columns,
    of_segment_column,
    on_every_level,
    with_segments,
)

# "left" counts those of the lost who ran when the month began, "window" the months in which
# contracts of a snapshot may have been lost; "ran" and "gone" those who ran a month before the
# as-of date, and of these who have ended since.
_COUNTS = ("new", "reactivated", "lost", "left", "window", "ran", "gone")
_CENTS = ("new_cents", "reactivated_cents", "expansion", "contraction", "churned", "margin")
EVENTS = (*_COUNTS, *_CENTS)


def mrr_cents(amount: Column) -> Column:
    """The monthly part of a periodic amount in cents, rounded half up.

    Exact in whole numbers; a negative margin is rounded to the nearest as well.
    """
    return F.floor((cents(amount) * 2 + months()) / (months() * 2)).cast("bigint")


def subscription_events(
    rows: DataFrame,
    keys: tuple[str, ...],
    as_of: dt.date,
    *,
    snapshot_window: int | None,
    margin_rate: float | Mapping[str, float],
) -> DataFrame:
    """Contracts and cents that came and went by month, in every segment of every level.

    Args:
        rows: rows of ``contracts``.
        keys: names of the segment keys of contracts.
        as_of: last day that counts.
        snapshot_window: periods within which lost contracts of a snapshot were lost; None for rows
            with dates.
        margin_rate: margin per unit of MRR where the source has no margin, or by segment.

    Returns:
        segment, level, month and the sums ``EVENTS``; margin is that of what came less of what
        went.
    """
    dated = rows if snapshot_window is None else dated_rows(rows, as_of)
    begun = dated.where(F.col("start_date") <= F.lit(as_of))
    contract = Window.partitionBy(*CONTRACT).orderBy("position")
    whole = contract.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    began = F.when(F.col("begins").isin("new", "reactivated"), F.col("start_date"))
    priced = begun.select(
        "start_date",
        "begins",
        F.last(began, ignorenulls=True).over(contract).alias("run_start"),
        (months() * (snapshot_window or 0)).cast("bigint").alias("window"),
        F.when(
            (F.col("end_date") <= F.lit(as_of)) & ~F.col("is_followed"), F.col("end_date")
        ).alias("end_date"),
        mrr_cents(F.col("periodic_amount")).alias("mrr"),
        mrr_cents(F.col("periodic_margin")).alias("margin"),
        F.lag(mrr_cents(F.col("periodic_amount"))).over(contract).alias("earlier"),
        F.lag(mrr_cents(F.col("periodic_margin"))).over(contract).alias("earlier_margin"),
        # Whole contracts move between segments, so that no segment sees half of one.
        *(F.last(key).over(whole).alias(key) for key in keys),
    )
    levels = level_columns(keys)
    leaf = _by_month(with_segments(priced, keys), levels, as_of)
    # By the rate of the leaf segment, so that those above it have the mix of theirs.
    usual = of_segment_column(margin_rate, len(keys), segment=F.col(levels[-1])) * mrr_change()
    margin = summand(F.coalesce(F.col("margin").cast("double"), usual))
    return (
        on_every_level(leaf.withColumn("margin", margin), levels)
        .groupBy("segment", "level", "month")
        .agg(*(F.sum(name).alias(name) for name in EVENTS))
    )


def mrr_change() -> Column:
    """Cents of MRR that a month ends with more than it began with."""
    came = F.col("new_cents") + F.col("reactivated_cents") + F.col("expansion")
    return came - F.col("contraction") - F.col("churned")


def _by_month(priced: DataFrame, levels: Sequence[str], as_of: dt.date) -> DataFrame:
    begins, mrr = F.col("begins"), F.col("mrr")
    month_ago = F.add_months(F.lit(as_of), -1)
    had_begun = begins.isin("new", "reactivated") & (F.col("start_date") <= month_ago)
    had_ended = F.col("end_date") <= month_ago
    goes_on = begins.isin("continued", "changed")
    rise = F.when(goes_on, mrr - F.col("earlier")).otherwise(0)
    came = {
        "new": (begins == "new").cast("bigint"),
        "reactivated": (begins == "reactivated").cast("bigint"),
        "window": F.when(begins == "new", F.col("window")).otherwise(0),
        "ran": had_begun.cast("bigint"),
        "new_cents": F.when(begins == "new", mrr).otherwise(0),
        "reactivated_cents": F.when(begins == "reactivated", mrr).otherwise(0),
        "expansion": F.greatest(rise, F.lit(0)),
        "contraction": F.greatest(-rise, F.lit(0)),
        "margin": F.when(goes_on, F.col("margin") - F.col("earlier_margin")).otherwise(
            F.col("margin")
        ),
    }
    ran_before = F.trunc("run_start", "MM") < F.trunc("end_date", "MM")
    went = {
        "lost": F.lit(1).cast("bigint"),
        "left": ran_before.cast("bigint"),
        "ran": -had_ended.cast("bigint"),
        "gone": ((F.col("run_start") <= month_ago) & ~had_ended).cast("bigint"),
        "churned": mrr,
        "margin": -F.col("margin"),
    }
    both = (_event("start_date", came), _event("end_date", went))
    # Of both at once: to read, shuffle and sort the contracts for each would cost as much again.
    events = F.when(F.col("end_date").isNotNull(), F.array(*both)).otherwise(F.array(both[0]))
    listed = priced.select(*levels, F.explode(events).alias("event")).select(*levels, "event.*")
    return listed.groupBy(*levels, "month").agg(*(F.sum(name).alias(name) for name in EVENTS))


def _event(day: str, parts: Mapping[str, Column]) -> Column:
    """What one row adds to a month; nothing to what is not named."""
    none = F.lit(0).cast("bigint")
    sums = (parts.get(name, none).alias(name) for name in EVENTS)
    return F.struct(F.trunc(day, "MM").alias("month"), *sums)


def subscription_metrics(
    events: DataFrame,
    levels: Sequence[str],
    as_of: dt.date,
    *,
    margin_rate: float | Mapping[str, float],
    annual_discount_rate: float,
    last_month_only: bool,
) -> DataFrame:
    """The bridge of each month from the contracts and MRR at its start to those at its end.

    Args:
        events: what :func:`subscription_events` gives.
        levels: names of the levels, 'global' first.
        as_of: last day that counts.
        margin_rate: margin per unit of MRR where there is none, or by segment.
        annual_discount_rate: for the discounted formula.
        last_month_only: leave earlier months out, for a snapshot: all it has lost in its window is
            in the last.

    Returns:
        The columns of ``subscription_metrics`` but as_of_date, model_clv and currency.
    """
    last = as_of.replace(day=1)
    span = F.sequence(F.min("month"), F.lit(last), F.expr("INTERVAL 1 MONTH"))
    calendar = events.groupBy("segment", "level").agg(F.explode(span).alias("month"))
    filled = calendar.join(events, ["segment", "level", "month"], "left").fillna(
        0, [name for name in EVENTS if name != "margin"]
    )
    so_far = Window.partitionBy("segment").orderBy("month")
    running = F.sum(F.col("new") + F.col("reactivated") - F.col("lost")).over(so_far)
    totals = filled.withColumns(
        {
            "running_end": running,
            "mrr": F.sum(mrr_change()).over(so_far),
            "mrr_change": mrr_change(),
            "mean_window": F.sum("window").over(so_far) / F.sum("new").over(so_far),
            "ran_so_far": F.sum("ran").over(so_far),
            "gone_so_far": F.sum("gone").over(so_far),
            "margin": F.sum("margin").over(so_far).cast("double"),
        }
    )
    start = F.col("running_end") - F.col("new") - F.col("reactivated") + F.col("lost")
    share = F.when(start > 0, F.col("left") / start)
    in_last = share
    if last_month_only:
        # All of a snapshot's window; a month has a part of it.
        in_last = 1 - F.pow(1 - share, 1 / F.col("mean_window"))
    elif (as_of + dt.timedelta(days=1)).day != 1:
        # Renewals fall on some days of a month more than on others, so that its first days alone
        # say little of the whole: the month up to the date does.
        in_last = F.when(F.col("ran_so_far") > 0, F.col("gone_so_far") / F.col("ran_so_far"))
    churn = F.when(F.col("month") == F.lit(last), in_last).otherwise(share)
    arpu = F.when(F.col("running_end") > 0, F.col("mrr") / 100 / F.col("running_end"))
    rate = F.when(F.col("mrr") > 0, F.col("margin") / F.col("mrr"))
    within = F.least(F.greatest(rate, F.lit(0.0)), F.lit(1.0))
    usual = of_segment_column(margin_rate, len(levels) - 1)
    margin = F.when(rate.isNotNull(), within).otherwise(usual)
    monthly = (1 + annual_discount_rate) ** (1 / 12) - 1
    discounted = arpu * margin * (1 - churn) / (monthly + churn)
    names = F.element_at(F.lit(list(levels)), F.col("level") + 1)
    shown = totals.where(F.col("month") == F.lit(last)) if last_month_only else totals
    return shown.select(
        "month",
        "segment",
        names.alias("segment_level"),
        start.alias("running_start"),
        F.col("new").alias("new_contracts"),
        F.col("reactivated").alias("reactivated_contracts"),
        F.col("lost").alias("lost_contracts"),
        "running_end",
        money(F.col("mrr") - F.col("mrr_change"), 28).alias("mrr_start"),
        money(F.col("new_cents"), 28).alias("new_mrr"),
        money(F.col("reactivated_cents"), 28).alias("reactivated_mrr"),
        money(F.col("expansion"), 28).alias("expansion_mrr"),
        money(F.col("contraction"), 28).alias("contraction_mrr"),
        money(F.col("churned"), 28).alias("churned_mrr"),
        money(F.col("mrr"), 28).alias("mrr_end"),
        arpu.alias("arpu"),
        churn.alias("churn_rate"),
        (1 - churn).alias("retention_rate"),
        margin.alias("margin_rate"),
        F.when(churn > 0, arpu * margin / churn).alias("formula_clv"),
        F.when(churn + monthly > 0, discounted).alias("formula_clv_discounted"),
    )


def arrival_sums(
    inputs: DataFrame, margin_rate: float | Mapping[str, float], keys: int, recent_days: int
) -> DataFrame:
    """What the running contracts of each segment and period bring a month, and the new ones.

    New ones that were lost since count like all others; who goes on with another period, or after a
    pause, brings none.

    Args:
        inputs: rows of ``contract_score_input``.
        margin_rate: margin per unit of price where there is none, or by segment.
        keys: number of segment keys.
        recent_days: younger contracts are new.

    Returns:
        segment, period, mrr and margin of those that run, new (their number), new_mrr, new_margin,
        in money per month, and oldest: the age of the first contract in days.
    """
    monthly = F.col("amount") / months()
    recorded = F.col("margin") / months()
    usual = of_segment_column(margin_rate, keys) * monthly
    is_new = (F.col("age_days") < recent_days) & (F.col("life") == 1)
    told = inputs.select(
        "segment",
        "period",
        "age_days",
        F.col("is_active").alias("runs"),
        is_new.alias("is_new"),
        monthly.alias("mrr"),
        F.greatest(F.coalesce(recorded, usual), F.lit(0.0)).alias("margin"),
    )

    return told.groupBy("segment", "period").agg(
        exact_sum_where(F.col("runs"), F.col("mrr")).alias("mrr"),
        exact_sum_where(F.col("runs"), F.col("margin")).alias("margin"),
        F.count_if("is_new").alias("new"),
        exact_sum_where(F.col("is_new"), F.col("mrr")).alias("new_mrr"),
        exact_sum_where(F.col("is_new"), F.col("margin")).alias("new_margin"),
        F.max("age_days").alias("oldest"),
    )


def running_patterns(inputs: DataFrame) -> DataFrame:
    """Running contracts by what their future depends on, with the sums of their MRR in money.

    Args:
        inputs: rows of ``contract_score_input``.

    Returns:
        segment, period, tenure, days_to_renewal, period_days, contracts, mrr, mrr_2 (the sum of
        squares).
    """
    keys = ("segment", "period", "tenure", "days_to_renewal", "period_days")
    amount = mrr_cents(F.col("periodic_amount")).cast("decimal(18,0)")
    priced = inputs.where(F.col("is_active")).select(*keys, amount.alias("cents"))
    counted = priced.groupBy(*keys).agg(
        F.count(F.lit(1)).alias("contracts"),
        F.sum("cents").cast("double").alias("cents"),
        F.sum(F.col("cents") * F.col("cents")).cast("double").alias("squares"),
    )
    return counted.select(
        *keys,
        "contracts",
        (F.col("cents") / 100).alias("mrr"),
        (F.col("squares") / 10_000).alias("mrr_2"),
    )
