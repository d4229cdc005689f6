"""Rates of service events: ratios of sums, those of all where a segment is small."""

from __future__ import annotations

import pytest

from clv_spark.config import ServiceConfig
from clv_spark.economics import ServiceRates
from clv_spark.kernels.event_rates import EventMix, event_mixes, event_rates, service_costs


def sums(segment="uk", relationship="purchases", customers=100, **more):
    return {
        "relationship": relationship,
        "segment": segment,
        "customers": customers,
        "service_of_purchases": 50.0,
        "service_of_early_time": 900.0,
        "service_of_later_time": 100.0,
        "purchases_seen": 200.0,
        "early_days_seen": 9000.0,
        "later_days_seen": 4000.0,
        "cost_by_kind": {"delivery": 50.0, "call": 750.0, "visit": 250.0},
        **more,
    }


def test_a_segment_has_the_ratios_of_its_own_sums():
    small = sums("fr", customers=10, service_of_purchases=70.0, purchases_seen=20.0)
    uk, fr = sorted(event_rates([small, sums()], min_customers=10), reverse=True)
    assert uk == ("purchases", "uk", 50 / 200, 900 / 9000, 100 / 4000, 0.5, 10.0)
    assert fr[:3] == ("purchases", "fr", 70 / 20)


def test_a_small_segment_has_the_rates_of_all_customers_of_its_relationship():
    small = sums("fr", customers=9, service_of_purchases=70.0, purchases_seen=20.0)
    other = sums("basic", "contract", service_of_purchases=1e6)
    rows = event_rates([small, sums(), other], min_customers=10)
    found = {row[:2]: row for row in rows}
    assert found["purchases", "fr"][2] == pytest.approx(120 / 220)
    assert found["purchases", "fr"][5] == pytest.approx(120 / 109)
    assert found["purchases", "uk"][2] == 50 / 200
    assert rows == event_rates([other, sums(), small], min_customers=10)


def test_nothing_costs_nothing():
    nothing = dict.fromkeys(
        name for name in sums() if name not in ("relationship", "segment", "customers")
    )
    assert event_rates([sums(**nothing)], min_customers=1)[0][2:] == (0, 0, 0, 0, 0)


def test_configured_rates_and_events_add_up():
    service = ServiceConfig(
        per_purchase={"default": 1.0, "Europe": 2.0},
        per_year=10.0,
        per_year_early={"default": 30.0},
        early_days=60,
    )
    found = {"per_purchase": 0.5, "per_early_day": 0.1, "per_later_day": 0.2}
    mix = EventMix(time={"call": 1.0})
    costs = service_costs(service, "Europe/France", found, 2, mix)
    assert costs.mix == mix
    assert costs.events == ServiceRates(
        per_purchase=0.5,
        per_purchase_early=0.5,
        per_year=73.0,
        per_year_early=36.5,
        early_days=60,
    )
    assert costs.rates == ServiceRates(
        per_purchase=2.5,
        per_purchase_early=2.5,
        per_year=10 + 73.0,
        per_year_early=30 + 36.5,
        early_days=60,
    )
    alone = service_costs(service, "Asia", None, 2, EventMix()).rates
    assert (alone.per_purchase, alone.per_year, alone.per_year_early) == (1.0, 10.0, 30.0)


def test_new_customers_of_a_country_with_a_slash_cost_what_all_others_do():
    service = ServiceConfig(per_purchase={"default": 4.0, "Bosnia": 6.0})
    for keys, cost in ((1, 4.0), (2, 6.0)):
        costs = service_costs(service, "Bosnia/Herzegovina", None, keys, EventMix())
        assert costs.rates.per_purchase == cost


KINDS = ServiceConfig.model_validate(
    {
        "events": {
            "path": "events",
            "columns": {"customer_id": "a", "event_date": "b", "kind": "c"},
        },
        "kinds": {
            "delivery": {"unit_cost": 1, "grows_with": "purchases"},
            "call": {"unit_cost": 3, "grows_with": "time"},
            "visit": {"unit_cost": 30, "grows_with": "time"},
        },
    }
)


def test_a_segment_has_its_own_mix_of_kinds_and_a_small_one_that_of_all():
    small = sums("fr", customers=9, cost_by_kind={"delivery": 3.0, "call": None, "visit": 1000.0})
    quiet = sums("se", cost_by_kind={"delivery": 2.0})
    silent = sums("basic", "contract", cost_by_kind=None)
    found = event_mixes([small, sums(), quiet, silent], KINDS, min_customers=10)
    assert found["purchases", "uk"] == EventMix({"delivery": 1.0}, {"call": 0.75, "visit": 0.25})
    assert found["purchases", "fr"].time == {"call": 750 / 2000, "visit": 1250 / 2000}
    assert found["purchases", "se"] == EventMix({"delivery": 1.0}, {})
    assert found["contract", "basic"] == EventMix()


def test_events_cost_more_by_the_share_of_their_kind():
    mix = EventMix({"delivery": 1.0}, {"call": 0.75, "visit": 0.25})
    assert mix.growth({"call": 1.2}) == pytest.approx((0.0, 0.15))
    assert mix.growth({"call": 0.0, "delivery": 2.0}) == pytest.approx((1.0, -0.75))
    assert mix.growth({}) == EventMix().growth({"call": 2.0}) == (0.0, 0.0)
