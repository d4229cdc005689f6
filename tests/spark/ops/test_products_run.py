"""The whole job with products: what their tables say, and when they are made again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pyspark.sql import SparkSession

from clv_spark import pipelines
from clv_spark.config import Config
from tests.held import CATEGORY
from tests.operations import AS_OF, Finished, read_table

Configured = Callable[..., Config]
BEST = ("Platinum", "Gold", "Silver")


def with_products(config: Config, **given: Any) -> Config:
    values = config.model_dump(by_alias=True)
    values["source"]["transactions"]["columns"] |= CATEGORY
    values["products"] = {"enabled": True, **given}
    return Config.model_validate(values)


def redone(outcome: dict[str, Any]) -> list[str]:
    return [stage["stage"] for stage in outcome["stages"] if stage["status"] == "done"]


def check_offers(lake: Path, products: pd.DataFrame) -> None:
    """The tables of one run say the same."""
    segments = read_table(lake / "segment_products").to_pandas()
    scores = read_table(lake / "clv_scores").to_pandas()
    scores = scores[scores["relationship"] == "purchases"]
    whole = segments[segments["segment"] == "global"]
    assert set(segments["segment"]) == {"global", *scores["segment"]}
    assert whole["gross_amount"].sum() == products["gross_amount"].sum()
    assert set(whole["best_customers"]) == {scores["clv_tier"].isin(BEST).sum()}
    due = scores[scores["recommended_action"] == "replenish"]
    assert len(due) > 0
    named = due.merge(
        products,
        left_on=["customer_id", "action_category"],
        right_on=["customer_id", "category"],
    )
    assert len(named) == len(due)
    assert (abs(pd.to_datetime(named["next_date"]) - pd.Timestamp(AS_OF)).dt.days <= 14).all()


def test_products_are_those_of_the_customers_who_buy(held: Finished) -> None:
    """That the scores stay as they are without products, test_contracts.py holds."""
    products = read_table(held.lake / "customer_products").to_pandas()
    features = read_table(held.lake / "customer_features").to_pandas()
    assert set(products["customer_id"]) == set(features["customer_id"])
    assert products["gross_amount"].sum() == features["gross_amount"].sum()
    assert 1 < products["category"].nunique() < 100
    check_offers(held.lake, products)


@pytest.mark.long
def test_again_and_with_other_settings(
    spark: SparkSession, lake: Path, configured: Configured
) -> None:
    pipelines.run(spark, with_products(configured()), AS_OF)
    again = pipelines.run(spark, with_products(configured()), AS_OF)
    assert again["status"] == "already_done"
    assert "customer_products" in again["tables"]
    other = pipelines.run(spark, with_products(configured(), mean_weight=5), AS_OF)
    assert redone(other) == ["customer_products", "clv_scores", "clv_scores_latest"]
    pipelines.maintain(spark, with_products(configured()))
