"""What the README shows of the demo is what the demo prints."""

from __future__ import annotations

from pyspark.sql import SparkSession

from clv_spark.lake import Lake
from clv_spark.reports import demo_report
from tests.conftest import DEMO_AS_OF, ROOT


def test_the_excerpt_is_what_the_demo_prints(spark: SparkSession, demo_lake: Lake) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    excerpt = readme.split("like this (shortened")[1].split("```")[1].split("Telco:")[0]
    lines = [line for line in excerpt.splitlines() if line.strip() not in ("", "...")]
    assert len(lines) > 20
    printed = demo_report(spark, demo_lake.config, DEMO_AS_OF).splitlines()
    assert [line for line in lines if line not in printed] == []
