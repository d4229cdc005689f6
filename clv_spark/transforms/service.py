"""Scored customers -> what it costs to serve them, so far and within the horizon.

Costs grow with purchases and with the time as a customer. Both have a rate of an early phase of a
customer's life and one for the time after. Rates are configured, or found from service events; a
customer's own events then count against what customers of the segment with as many purchases and
days cost, drawn to that as long as little is known of the customer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from clv_spark.config import ServiceConfig
from clv_spark.economics import rate_per_unit
from clv_spark.kernels.living_forecasts import PERIODS
from clv_spark.transforms.money import exact_sum
from clv_spark.transforms.segments import of_segment_column

# What events cost so far, as columns of customer_costs.
EVENT_COSTS = ("service_of_purchases", "service_of_early_time", "service_of_later_time")
# The rates that events lead to, and how much cost weighs as much as everybody's rate.
EVENT_RATES = ("per_purchase", "per_early_day", "per_later_day", "prior_purchases", "prior_time")
RATE_TYPES = "relationship STRING, segment STRING, " + ", ".join(f"{n} DOUBLE" for n in EVENT_RATES)
# What is ahead within the horizon: all service cost, and what of it follows from events.
AHEAD = (
    "service_of_purchases_ahead",
    "service_of_time_ahead",
    "events_of_purchases_ahead",
    "events_of_time_ahead",
)
# What costs have grown with so far, and what of it lies in the days that the events tell of.
_SO_FAR = ("purchases_so_far", "early_days_so_far", "later_days_so_far")
_SEEN = ("purchases_seen", "early_days_seen", "later_days_seen")


def with_exposure(
    scored: DataFrame, early_days: int, annual_discount_rate: float, seen_days: int | None
) -> DataFrame:
    """Adds what costs have grown with so far, and will within the horizon.

    After the last purchase a customer counts as one with the probability of being alive today; a
    contract counts until it ends.

    Args:
        scored: what the kernels give of both relationships.
        early_days: length of the early phase.
        annual_discount_rate: of what lies ahead.
        seen_days: how far back service events go, in days; None: there are none.
    """
    age, recency = F.col("T"), F.col("recency")
    guessed = recency + F.coalesce("p_alive", F.lit(1.0)) * (age - recency)
    alive = F.coalesce(F.col("served_days").cast("double"), guessed)
    days = scored.withColumns(
        {
            # Of contracts each begins with a payment.
            "purchases_so_far": F.coalesce("periods_paid", F.col("frequency") + 1).cast("double"),
            "early_days_so_far": F.least(alive, F.lit(float(early_days))),
            "later_days_so_far": F.greatest(alive - early_days, F.lit(0.0)),
        }
    ).withColumns(_seen(seen_days))
    left = F.greatest(early_days - age, F.lit(0))
    # Discounted, as all that lies ahead is.
    rate = rate_per_unit(annual_discount_rate, 1)
    counted = (1 - F.exp(-rate * left)) / rate if rate else left.cast("double")
    mean = F.when(left > 0, counted / left).otherwise(1.0)
    return days.withColumns(
        {
            "early_purchases": F.least(_expected_within(left) * mean, "purchases_ahead"),
            # A contract may end before its early phase does.
            "early_days": F.least(
                F.coalesce("early_days_ahead", F.col("p_alive") * counted), F.col("days_ahead")
            ),
        }
    )


def _seen(seen_days: int | None) -> dict[str, Column]:
    """What of the exposure so far lies in the days that events go back; all of it without any.

    Before the table of events begins nobody has one, so that what was bought then, and the time
    then, would make the rates too low.
    """
    if seen_days is None:
        return {seen: F.col(so_far) for seen, so_far in zip(_SEEN, _SO_FAR, strict=True)}
    unseen = F.greatest(F.col("T") - seen_days, F.lit(0))
    # The day on which events begin is seen, and the first purchase if it was on that day.
    repeats = F.col("purchases_so_far") - 1 - _repeats_within(unseen - 1)
    bought = F.when(unseen > 0, F.greatest(repeats, F.lit(0.0)))
    early = F.greatest(F.col("early_days_so_far") - unseen, F.lit(0.0))
    later = F.greatest(_days_from(unseen) - early, F.lit(0.0))
    return dict(zip(_SEEN, (F.coalesce(bought, "purchases_so_far"), early, later), strict=True))


def _days_from(age: Column) -> Column:
    """Days as a customer from an age on.

    After the last purchase each day counts by the probability of being alive today. To count all
    days up to an expected last one would leave out many who are still there.
    """
    today, last = F.col("T"), F.col("recency")
    alive = F.coalesce("p_alive", F.lit(1.0))
    bought = F.greatest(last - age, F.lit(0)) + alive * (today - F.greatest(last, age))
    # Of several contracts the days that any of them ran are known as a number alone: they are
    # taken as spread evenly over the time up to the end of the last, and that as no earlier than
    # its last renewal. Of a single one this is exact.
    served = F.col("served_days").cast("double")
    end = F.when(F.col("p_alive") == 1, today).otherwise(F.greatest("served_days", last))
    held = F.when(end > 0, served * F.greatest(end - age, F.lit(0)) / end).otherwise(served)
    return F.coalesce(held, bought)


def _expected_within(days: Column) -> Column:
    """Expected purchases of the next so many days, on straight lines between those known.

    After the last of them they go on as before it.
    """
    expected, before, value = F.lit(0.0), 0, F.lit(0.0)
    for until in PERIODS:
        here = F.col(f"expected_purchases_{until}d")
        share = F.greatest((days - before) / (until - before), F.lit(0.0))
        share = share if until == PERIODS[-1] else F.least(share, F.lit(1.0))
        expected = expected + share * (here - value)
        before, value = until, here
    return expected


def event_sums(exposed: DataFrame, kinds: Iterable[str]) -> DataFrame:
    """What events of a segment's customers cost, and what that grew with: a handful of rows.

    Args:
        exposed: what :func:`with_exposure` gives, with ``EVENT_COSTS`` and cost_by_kind.
        kinds: of events, whose cost is summed one by one in cost_by_kind.
    """
    parts = (*EVENT_COSTS, *_SEEN)
    by_kind = F.create_map()
    for kind in kinds:
        cost = exact_sum(F.col("cost_by_kind")[kind]).cast("double")
        by_kind = F.map_concat(by_kind, F.create_map(F.lit(kind), cost))
    return exposed.groupBy("relationship", "segment").agg(
        F.count(F.lit(1)).alias("customers"),
        *(exact_sum(F.col(name)).cast("double").alias(name) for name in parts),
        by_kind.alias("cost_by_kind"),
    )


def with_service_costs(
    exposed: DataFrame,
    service: ServiceConfig,
    rates: DataFrame | None,
    depths: Mapping[str, int],
) -> DataFrame:
    """Adds historical_service_cost, and what purchases and time will cost within the horizon.

    Args:
        exposed: what :func:`with_exposure` gives; with ``EVENT_COSTS`` where there are rates.
        service: configured rates.
        rates: ``EVENT_RATES`` by relationship and segment; None without events.
        depths: number of segment keys by relationship.

    Returns:
        The rows with historical_service_cost and ``AHEAD``.
    """
    of_purchase, of_time, so_far = _configured(service, depths)
    events: Sequence[Column] = (F.lit(0.0), F.lit(0.0))
    if rates is not None:
        exposed = exposed.join(F.broadcast(rates), ["relationship", "segment"], "left")
        *events, events_so_far = _from_events()
        of_purchase, of_time = of_purchase + events[0], of_time + events[1]
        so_far = so_far + events_so_far
    ahead = dict(zip(AHEAD, (of_purchase, of_time, *events), strict=True))
    return exposed.withColumns({"historical_service_cost": so_far, **ahead})


def _configured(service: ServiceConfig, depths: Mapping[str, int]) -> tuple[Column, Column, Column]:
    purchase = of_segment_column(service.per_purchase, depths)
    year = of_segment_column(service.per_year, depths)
    early_purchase, early_year = (
        of_segment_column(service.early[name], depths) for name in ("per_purchase", "per_year")
    )
    early_ahead, days_ahead = F.col("early_purchases"), F.col("days_ahead")
    of_purchase = purchase * (F.col("purchases_ahead") - early_ahead) + early_purchase * early_ahead
    of_time = (year * (days_ahead - F.col("early_days")) + early_year * F.col("early_days")) / 365
    early = _early_so_far(service.early_days)
    so_far = (
        early_purchase * early
        + purchase * (F.col("purchases_so_far") - early)
        + early_year * F.col("early_days_so_far") / 365
        + year * F.col("later_days_so_far") / 365
    )
    return of_purchase, of_time, so_far


def _early_so_far(early_days: int) -> Column:
    """Purchases of the early phase so far; without such a phase none is."""
    return 1 + _repeats_within(F.lit(early_days)) if early_days else F.lit(0.0)


def _repeats_within(days: Column) -> Column:
    """Repeat purchases up to an age.

    On which day each was is not kept, only when the last one was: the others are taken as spread
    evenly over the time up to it.
    """
    repeats, recency = F.col("purchases_so_far") - 1, F.col("recency")
    # A contract that began and ended on one day may be the last, without a payment.
    some = F.greatest(repeats - 1, F.lit(0)) * days / recency
    return F.when(recency > days, some).otherwise(repeats)


def _from_events() -> tuple[Column, Column, Column]:
    per_purchase, early, later = (
        F.coalesce(name, F.lit(0.0)) for name in ("per_purchase", "per_early_day", "per_later_day")
    )
    of_purchases, *of_time = (
        F.coalesce(F.col(name).cast("double"), F.lit(0.0)) for name in EVENT_COSTS
    )
    time_cost = of_time[0] + of_time[1]
    usual = early * F.col("early_days_seen") + later * F.col("later_days_seen")
    ahead = early * F.col("early_days") + later * (F.col("days_ahead") - F.col("early_days"))
    own_purchases = _own_part(
        of_purchases, per_purchase * F.col("purchases_seen"), "prior_purchases"
    )
    return (
        own_purchases * per_purchase * F.col("purchases_ahead"),
        _own_part(time_cost, usual, "prior_time") * ahead,
        of_purchases + time_cost,
    )


def _own_part(own: Column, usual: Column, prior: str) -> Column:
    """How much more the customer costs than others, drawn to 1 as long as little is known."""
    weight = F.coalesce(F.col(prior), F.lit(0.0))
    return F.when(usual + weight > 0, (own + weight) / (usual + weight)).otherwise(1.0)
