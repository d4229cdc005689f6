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
_SO_FAR = ("purchases_so_far", "early_days_so_far", "later_days_so_far")


def with_exposure(scored: DataFrame, early_days: int, annual_discount_rate: float) -> DataFrame:
    """Adds what costs have grown with so far, and will within the horizon.

    After the last purchase a customer counts as one with the probability of being alive today; a
    contract counts until it ends.
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
    )
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
    """What customers of a segment cost so far, and what that grew with: a handful of rows.

    Args:
        exposed: what :func:`with_exposure` gives, with ``EVENT_COSTS`` and cost_by_kind.
        kinds: of events, whose cost is summed one by one in cost_by_kind.
    """
    parts = (*EVENT_COSTS, *_SO_FAR)
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
    """Purchases of the early phase so far; without such a phase none is.

    Which repeat purchases fell into it is not kept, only when the last one was: the others are
    taken as spread evenly over the time up to it.
    """
    if not early_days:
        return F.lit(0.0)
    repeats, recency = F.col("purchases_so_far") - 1, F.col("recency")
    # A contract that began and ended on one day may be the last, without a payment.
    some = F.greatest(repeats - 1, F.lit(0)) * early_days / recency
    return 1 + F.when(recency > early_days, some).otherwise(repeats)


def _from_events() -> tuple[Column, Column, Column]:
    per_purchase, early, later = (
        F.coalesce(name, F.lit(0.0)) for name in ("per_purchase", "per_early_day", "per_later_day")
    )
    of_purchases, *of_time = (
        F.coalesce(F.col(name).cast("double"), F.lit(0.0)) for name in EVENT_COSTS
    )
    time_cost = of_time[0] + of_time[1]
    usual = early * F.col("early_days_so_far") + later * F.col("later_days_so_far")
    ahead = early * F.col("early_days") + later * (F.col("days_ahead") - F.col("early_days"))
    own_purchases = _own_part(
        of_purchases, per_purchase * F.col("purchases_so_far"), "prior_purchases"
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
