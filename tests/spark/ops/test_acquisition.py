"""What winning a customer cost, by values of keys that the summary alone is broken down by."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from clv_spark import pipelines
from clv_spark.config import Config
from tests.operations import AS_OF, read_table, sections, shop, write_lines

COSTS = {"default": 40.0, "web": 25.0, "wbe": 1.0, "global": 2.0, "2023-01": 3.0}


@pytest.fixture
def shop_by_channel(tmp_path: Path) -> Config:
    """A shop that reports by channel: 0 web, 1 store, 2 called like one of its countries."""
    values = sections(
        write_lines(shop(400), tmp_path / "lines"),
        fit={"min_customers": 20, "min_repeaters": 5},
        costs={"acquisition": {"per_customer": {**COSTS, "Germany": 30.0}}},
        report_by=["channel", "acquisition_month"],
        lake={"path": str(tmp_path / "lake")},
    )
    channel = "element_at(array('web', 'store', 'Germany'), CAST(customer_id % 3 AS INT) + 1)"
    values["source"]["transactions"]["columns"]["channel"] = channel
    values["costs"]["service"] = {"per_year": {"default": 1.0, "store": 2.0}}
    return Config.model_validate(values)


def test_the_cost_of_a_channel_counts_and_a_name_without_effect_is_warned_of(
    spark: SparkSession, shop_by_channel: Config, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="clv_spark"):
        pipelines.run(spark, shop_by_channel, AS_OF)
    lake = Path(str(shop_by_channel.lake.path))
    seen = set()
    for row in read_table(lake / "clv_scores_latest").to_pylist():
        channel, country = row["customer_id"] % 3, row["segment"]
        # The segment's own cost comes first.
        wanted = 30.0 if country == "Germany" or channel == 2 else (25.0, 40.0)[channel]
        assert row["acquisition_cost"] == wanted, (country, channel)
        seen.add((country, channel))
    assert len(seen) == 6
    rows = read_table(lake / "segment_summary").to_pylist()
    cac = {row["segment"]: row["cac"] for row in rows if row["segment_level"] == "channel"}
    assert cac["Germany"] == 30.0
    assert 25.0 < cac["web"] < 30.0 < cac["store"] < 40.0
    (warning,) = (text for text in caplog.messages if "give a rate for" in text)
    # A month is no such name, and where there are countries nobody is looked up as global.
    assert "['2023-01', 'global', 'store', 'wbe']" in warning
