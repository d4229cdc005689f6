"""What the README shows of the demo is what the demo prints."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from clv_spark.lake import Lake
from clv_spark.reports import demo_report
from tests.conftest import DEMO_AS_OF, ROOT
from tests.operations import clv_spark, outcome, versions


def shown() -> list[str]:
    """The lines of the excerpt, those that stand for others left out."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    excerpt = readme.split("like this (shortened")[1].split("```")[1]
    return [line for line in excerpt.splitlines() if line.strip() not in ("", "...")]


def test_the_excerpt_is_what_the_demo_prints(spark: SparkSession, demo_lake: Lake) -> None:
    lines = shown()
    of_the_shop = lines[: lines.index("Telco: contracts by type")]
    assert len(of_the_shop) > 20
    printed = demo_report(spark, demo_lake.config, DEMO_AS_OF).splitlines()
    assert [line for line in of_the_shop if line not in printed] == []


@pytest.mark.long
def test_the_excerpt_is_what_the_command_prints(tmp_path: Path) -> None:
    """As a user types it, in a folder with what the repository brings."""
    for name in ("conf", "data"):
        (tmp_path / name).symlink_to(ROOT / name)
    result = clv_spark("demo", cwd=tmp_path, timeout=570)
    assert result.returncode == 0, result.stderr
    last = outcome(result)
    assert (last["job"], last["status"], last["exit_code"]) == ("demo", "done", 0)
    lines = shown()
    assert len(lines[lines.index("Telco: contracts by type") :]) > 5
    # In its order: each line is looked for after the one before it.
    printed = iter(result.stdout.splitlines())
    for line in lines:
        assert line in printed, line
    for lake in ("lake", "lake_telco"):
        assert "clv_scores_latest" in versions(tmp_path / lake)
