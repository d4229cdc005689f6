"""Margin rates of products: each line has its product's, and another table means reading again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest
from pyspark.sql import SparkSession

from clv_spark import pipelines
from clv_spark.config import Config
from clv_spark.errors import InputError
from tests.operations import AS_OF, Finished, read_table, sections

RATES = {"P0002": "0.125", "P0003": "0", " P0004 ": "0.5"}
USUAL = Decimal("0.3")


def written(folder: Path, rates: dict[str, str], *more: str) -> Path:
    path = folder / "rates.csv"
    lines = [f"{name};{rate}" for name, rate in rates.items()]
    path.write_text("\n".join(["what;rate", *lines, *more]) + "\n")
    return path


@pytest.fixture
def configured(finished: Finished, tmp_path: Path) -> Callable[[Path], Config]:
    def make(rates: Path) -> Config:
        values = sections(finished.source)
        values["source"]["transactions"]["columns"]["product"] = "product"
        table = {
            "format": "csv",
            "path": str(rates),
            "options": {"sep": ";"},
            "columns": {"product": "what", "margin_rate": "rate"},
        }
        values |= {"value": {"margins": table}, "lake": {"path": str(tmp_path / "lake")}}
        return Config.model_validate(values)

    return make


def margins_by_hand(
    source: Path, usual: Callable[[str], Decimal] = lambda country: USUAL
) -> dict[Any, Decimal]:
    rates = {name.strip(): Decimal(rate) for name, rate in RATES.items()}
    found: dict[Any, Decimal] = defaultdict(Decimal)
    for line in ds.dataset(source).to_table().to_pylist():
        if line["product"] != "P0001":
            cents = Decimal(str(line["amount"])).quantize(Decimal("0.01"), ROUND_HALF_UP)
            margin = cents * rates.get(line["product"], usual(line["country"]))
            day = line["event_time"].date()
            found[line["customer_id"], day] += margin.quantize(Decimal("0.01"), ROUND_HALF_UP)
    return found


def test_each_line_has_the_margin_of_its_product(
    spark: SparkSession, finished: Finished, tmp_path: Path, configured: Callable[[Path], Config]
) -> None:
    config = configured(written(tmp_path, RATES))
    pipelines.build_customer_days(spark, config)
    days = read_table(tmp_path / "lake" / "customer_days").to_pylist()
    found = {(row["customer_id"], row["event_date"]): row["margin_amount"] for row in days}
    assert found == margins_by_hand(finished.source)
    again = pipelines.build_customer_days(spark, config)
    assert again["status"] == "already_done"
    written(tmp_path, {"P0002": "0.25"})
    changed = pipelines.build_customer_days(spark, configured(tmp_path / "rates.csv"))
    assert changed["status"] == "done"
    total = sum(
        r["margin_amount"] for r in read_table(tmp_path / "lake" / "customer_days").to_pylist()
    )
    assert total != sum(found.values())


@pytest.mark.slow
def test_a_line_without_a_rate_has_that_of_its_segment(
    spark: SparkSession, finished: Finished, tmp_path: Path, configured: Callable[[Path], Config]
) -> None:
    values = configured(written(tmp_path, RATES)).model_dump(by_alias=True, exclude_unset=True)
    values["value"]["margin_rate"] = {"default": 0.3, "Germany": 0.9}

    def found() -> dict[Any, Decimal]:
        pipelines.build_customer_days(spark, Config.model_validate(values))
        days = read_table(tmp_path / "lake" / "customer_days").to_pylist()
        return {(row["customer_id"], row["event_date"]): row["margin_amount"] for row in days}

    def by_hand(germany: str) -> dict[Any, Decimal]:
        return margins_by_hand(
            finished.source, lambda name: Decimal(germany) if name == "Germany" else USUAL
        )

    assert found() == by_hand("0.9")
    # Another rate means reading again, and of a path the nearest segment above counts.
    values["value"]["margin_rate"] = {"default": 0.3, "Germany": 0.6}
    values["source"]["transactions"]["columns"]["shelf"] = "product"
    values["segments"] = ["country", "shelf"]
    assert found() == by_hand("0.6")


@pytest.mark.long
def test_rates_of_a_view_are_read_anew_at_every_run(
    spark: SparkSession, finished: Finished, tmp_path: Path, configured: Callable[[Path], Config]
) -> None:
    values = configured(tmp_path).model_dump(by_alias=True)
    table = {"format": "table", "table": "rates_of_today", "options": {}, "path": None}
    values["value"]["margins"] |= table
    config = Config.model_validate(values)

    def total(rate: str) -> Decimal:
        rates = spark.createDataFrame([("P0002", rate)], "what STRING, rate STRING")
        rates.createOrReplaceTempView("rates_of_today")
        assert pipelines.build_customer_days(spark, config)["status"] == "done"
        days = read_table(tmp_path / "lake" / "customer_days").to_pylist()
        return sum((row["margin_amount"] for row in days), Decimal())

    assert total("0.5") > total("0.1")


@pytest.mark.parametrize("bad", ["P0009;1.5", "P0009;", "P0002;0.2", "P0009;much"])
def test_a_rate_that_can_not_be_used_stops_the_job(
    spark: SparkSession, tmp_path: Path, configured: Callable[[Path], Config], bad: str
) -> None:
    with pytest.raises(InputError, match=r"value\.margins: of 4 rows"):
        pipelines.build_customer_days(spark, configured(written(tmp_path, RATES, bad)))
    assert not (tmp_path / "lake" / "customer_days").exists()


@pytest.mark.slow
def test_a_country_below_min_customers_keeps_the_margin_it_is_known_to_have(
    spark: SparkSession, finished: Finished, tmp_path: Path
) -> None:
    values = sections(finished.source, fit={"min_customers": 1400})
    margin = "amount * IF(country = 'Germany', 0.4, 0.1)"
    values["source"]["transactions"]["columns"]["margin"] = margin
    config = Config.model_validate(values | {"lake": {"path": str(tmp_path / "lake")}})
    pipelines.build_customer_days(spark, config)
    pipelines.build_features(spark, config, AS_OF)
    pipelines.fit_models(spark, config, AS_OF)
    rows = read_table(tmp_path / "lake" / "model_parameters").to_pylist()
    found = {row["segment"]: row for row in rows if row["model"] == "margin_rate"}
    rates = {name: dict(row["parameters"])["rate"] for name, row in found.items()}
    assert 0.1 < rates["global"] < 0.4
    assert rates["Germany"] == pytest.approx(0.4, abs=0.002)
    assert rates["Country O'Brien"] == pytest.approx(0.1, abs=0.002)
    assert found["Germany"]["status"] == "too_small"
    assert found["Germany"]["parameters_segment"] == "Germany"
