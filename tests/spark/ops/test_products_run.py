"""The whole job with products: their stage, its fingerprint, and that scores do not move."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pyspark.sql import SparkSession

from clv_spark import pipelines
from clv_spark.config import Config
from clv_spark.schemas import ACTION_COLUMNS
from tests.operations import AS_OF, KEYS, Finished, contents, read_table, rows_of

Configured = Callable[..., Config]
BEST = ("Platinum", "Gold", "Silver")


def with_products(config: Config, **given: Any) -> Config:
    values = config.model_dump(by_alias=True)
    values["source"]["transactions"]["columns"]["category"] = "substr(product, 1, 4)"
    values["products"] = {"enabled": True, **given}
    return Config.model_validate(values)


def redone(outcome: dict[str, Any]) -> list[str]:
    return [stage["stage"] for stage in outcome["stages"] if stage["status"] == "done"]


def check_offers(lake: Path, products: pd.DataFrame) -> None:
    """The tables of one run say the same."""
    segments = read_table(lake / "segment_products").to_pandas()
    scores = read_table(lake / "clv_scores").to_pandas()
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


def test_products_are_a_stage_beside_unmoved_scores(
    spark: SparkSession, lake: Path, configured: Configured, finished: Finished
) -> None:
    pipelines.run(spark, with_products(configured()), AS_OF)
    tables = ("customer_days", "customer_features", "model_parameters")
    assert contents(lake, tables) == contents(finished.lake, tables)
    scores, before = (
        rows_of(read_table(folder / "clv_scores"), KEYS["clv_scores"], ACTION_COLUMNS)
        for folder in (lake, finished.lake)
    )
    assert scores == before

    products = read_table(lake / "customer_products").to_pandas()
    features = read_table(lake / "customer_features").to_pandas()
    assert set(products["customer_id"]) == set(features["customer_id"])
    assert products["gross_amount"].sum() == features["gross_amount"].sum()
    assert 1 < products["category"].nunique() < 100
    check_offers(lake, products)


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
