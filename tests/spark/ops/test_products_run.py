"""The whole job with products: their stage, its fingerprint, and that scores do not move."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from clv_spark import pipelines
from clv_spark.config import Config
from tests.operations import AS_OF, Finished, contents, read_table

Configured = Callable[..., Config]


def with_products(config: Config, **given: Any) -> Config:
    values = config.model_dump(by_alias=True)
    values["source"]["transactions"]["columns"]["category"] = "substr(product, 1, 4)"
    values["products"] = {"enabled": True, **given}
    return Config.model_validate(values)


def redone(outcome: dict[str, Any]) -> list[str]:
    return [stage["stage"] for stage in outcome["stages"] if stage["status"] == "done"]


def test_products_are_a_stage_beside_unmoved_scores(
    spark: SparkSession, lake: Path, configured: Configured, finished: Finished
) -> None:
    pipelines.run(spark, with_products(configured()), AS_OF)
    tables = ("customer_days", "customer_features", "model_parameters", "clv_scores")
    assert contents(lake, tables) == contents(finished.lake, tables)

    products = read_table(lake / "customer_products").to_pandas()
    features = read_table(lake / "customer_features").to_pandas()
    assert set(products["customer_id"]) == set(features["customer_id"])
    assert products["gross_amount"].sum() == features["gross_amount"].sum()
    assert 1 < products["category"].nunique() < 100
    assert products["next_date"].notna().any()

    again = pipelines.run(spark, with_products(configured()), AS_OF)
    assert again["status"] == "already_done"
    assert "customer_products" in again["tables"]
    other = pipelines.run(spark, with_products(configured(), mean_weight=5), AS_OF)
    assert redone(other) == ["customer_products"]
    pipelines.maintain(spark, with_products(configured()))
