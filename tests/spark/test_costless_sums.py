"""Where no cost is configured its sums are nothing, and are not added up."""

from __future__ import annotations

from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from clv_spark.config import CostsConfig
from clv_spark.transforms.earlier import BEFORE_CLV, BEFORE_TIER
from clv_spark.transforms.segment_sums import MONEY, leaf_sums, without_cost
from clv_spark.transforms.service import AHEAD

EVENTS = {
    "events": {"path": "events", "columns": {"customer_id": "a", "event_date": "b", "kind": "c"}},
    "kinds": {"call": {"unit_cost": 3}},
}
OF_SERVICE = {"clv_service_cost", "historical_service_cost", "loss", *AHEAD}
OF_WINNING = {"acquisition_cost", "new_acquisition_cost"}


@pytest.mark.parametrize(
    ("given", "nothing"),
    [
        ({}, OF_SERVICE | OF_WINNING),
        ({"service": {"per_purchase": 1.0}}, {*AHEAD[2:]} | OF_WINNING),
        ({"service": {"per_purchase_early": 1.0}}, {*AHEAD[2:]} | OF_WINNING),
        ({"service": {"per_year": {"default": 0, "uk": 2.0}}}, {*AHEAD[2:]} | OF_WINNING),
        ({"service": {"per_year_early": 1.0}}, {*AHEAD[2:]} | OF_WINNING),
        ({"service": EVENTS}, OF_WINNING),
        ({"acquisition": {"per_customer": 9.0}}, OF_SERVICE),
    ],
)
def test_what_is_nothing_follows_from_the_costs_that_are_configured(
    given: dict[str, Any], nothing: set[str]
) -> None:
    assert without_cost(CostsConfig.model_validate(given)) == nothing


def test_sums_of_nothing_are_those_of_customers_who_cost_nothing(spark: SparkSession) -> None:
    nothing = without_cost(CostsConfig())
    money = {
        name: F.lit(0.0) if name in nothing else F.rand(seed) for seed, name in enumerate(MONEY)
    }
    others = {
        "relationship": F.lit("purchases"),
        "T": F.lit(500),
        "recency": F.lit(400),
        "ran_a_year_ago": F.lit(None).cast("boolean"),
        "p_alive": F.lit(0.5),
        "segment": F.lit("global"),
        "report_code": F.lit(0),
        "clv_tier": F.lit("Low"),
        "loss_making": F.lit(True),
        "purchases_so_far": F.lit(1),
        BEFORE_TIER: F.lit("Low"),
        BEFORE_CLV: F.lit(1.0),
    }
    valued = spark.range(100).withColumns({**money, **others})

    def sums(rows: DataFrame, which: frozenset[str]) -> dict[str, Any]:
        (found,) = leaf_sums(rows, recent_days=365, by_month=False, nothing=which).collect()
        # Nobody is new, and nobody's acquisition cost is known.
        return {name: value or 0 for name, value in found.asDict().items()}

    without_loss = valued.withColumn("clv_margin", F.lit(0.0))
    assert sums(without_loss, frozenset()) == sums(without_loss, nothing)
    # They need not even be there.
    assert sums(valued.drop(*nothing - {"acquisition_cost"}), nothing)["clv"] > 0
