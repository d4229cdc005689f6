"""What winning a customer cost, by keys that the summary is broken down by, and what it may."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from clv_spark import pipelines
from clv_spark.config import Config
from tests.operations import AS_OF, read_table, sections, shop, write_lines

pytestmark = pytest.mark.slow

COSTS = {"default": 40.0, "web": 25.0, "wbe": 1.0, "global": 2.0, "2023-01": 3.0}


class Messages(logging.Handler):
    """Keeps what is said."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


@pytest.fixture(scope="module")
def shop_by_channel(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[str]]:
    """The lake of a shop that reports by channel, one called like one of its countries; warnings.

    It has 21 months behind it, of which 36 are asked for.
    """
    folder = tmp_path_factory.mktemp("by channel")
    values = sections(
        write_lines(shop(400), folder / "lines"),
        fit={"min_customers": 20, "min_repeaters": 5},
        costs={
            "acquisition": {"per_customer": {**COSTS, "Germany": 30.0}, "recent_months": 36},
            "service": {"per_year": {"default": 1.0, "store": 2.0}},
        },
        report_by=["channel", "acquisition_month"],
        lake={"path": str(folder / "lake")},
    )
    channel = "element_at(array('web', 'store', 'Germany'), CAST(customer_id % 3 AS INT) + 1)"
    columns = values["source"]["transactions"]["columns"]
    columns["channel"] = channel
    # In the store each order is twice as large.
    columns["amount"] = f"{columns['amount']} * IF(customer_id % 3 = 1, 2, 1)"
    messages, logger = Messages(), logging.getLogger("clv_spark")
    logger.addHandler(messages)
    try:
        pipelines.run(spark, Config.model_validate(values), AS_OF)
    finally:
        logger.removeHandler(messages)
    return folder / "lake", messages.texts


@pytest.fixture(scope="module")
def scores(shop_by_channel: tuple[Path, list[str]]) -> list[dict[str, Any]]:
    return list(read_table(shop_by_channel[0] / "clv_scores_latest").to_pylist())


@pytest.fixture(scope="module")
def summary(shop_by_channel: tuple[Path, list[str]]) -> list[dict[str, Any]]:
    return list(read_table(shop_by_channel[0] / "segment_summary").to_pylist())


def test_the_cost_of_a_channel_counts_where_its_segment_has_none(
    scores: list[dict[str, Any]], summary: list[dict[str, Any]]
) -> None:
    seen = set()
    for row in scores:
        channel, country = row["customer_id"] % 3, row["segment"]
        # The segment's own cost comes first.
        wanted = 30.0 if country == "Germany" or channel == 2 else (25.0, 40.0)[channel]
        assert row["acquisition_cost"] == wanted, (country, channel)
        seen.add((country, channel))
    assert len(seen) == 6
    cac = {row["segment"]: row["cac"] for row in summary if row["segment_level"] == "channel"}
    assert cac["Germany"] == 30.0
    assert 25.0 < cac["web"] < 30.0 < cac["store"] < 40.0


def test_new_customers_of_a_channel_are_like_its_customers(summary: list[dict[str, Any]]) -> None:
    rows = {row["segment"]: row for row in summary if row["segment_level"] == "channel"}
    web, store = rows["web"], rows["store"]
    # Some 130 customers each, where 20 count half: most of the factor of two shows.
    for name in ("new_customer_value", "new_customer_value_low", "new_customer_value_high"):
        assert 1.5 < store[name] / web[name] < 2.4, name
    assert store["clv_to_cac"] == pytest.approx(store["new_customer_value"] / store["cac"])
    (every,) = (row for row in summary if row["segment_level"] == "global")
    whole = sum(row["new_customers"] * row["new_customer_value"] for row in rows.values())
    assert whole == pytest.approx(every["new_customers"] * every["new_customer_value"], rel=0.05)
    # A month is of one age: nothing tells its customers from others of that age.
    months = {
        row["new_customer_value"] for row in summary if row["segment_level"] == "acquisition_month"
    }
    assert len(months) > 1


def test_a_cost_that_nothing_looks_up_is_warned_of(
    shop_by_channel: tuple[Path, list[str]],
) -> None:
    (warning,) = (text for text in shop_by_channel[1] if "give a rate for" in text)
    # A month is no such name, and where there are countries nobody is looked up as global.
    assert "['2023-01', 'global', 'store', 'wbe']" in warning


def test_the_budget_is_for_as_many_as_come_in_a_year(
    scores: list[dict[str, Any]], summary: list[dict[str, Any]]
) -> None:
    days = 1 + max(row["T"] for row in scores)
    assert 600 < days < 36 * 365 / 12
    rows = [row for row in summary if row["segment_level"] != "acquisition_month"]
    assert len(rows) == 6
    for row in rows:
        assert row["new_customers"] == row["customers"]
        a_year = row["new_customers"] * 365 / days
        assert row["acquisition_budget"] == pytest.approx(row["max_cac"] * a_year), row["segment"]
