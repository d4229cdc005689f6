"""The benchmarks, which no test runs: their configurations load, the page is of the results."""

from __future__ import annotations

from argparse import Namespace
from importlib import import_module
from pathlib import Path

import pytest

from clv_spark.config import load_config
from clv_spark.kernels.score_batch import OUTPUT_COLUMNS
from clv_spark.schemas import CLV_SCORES

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def benchmarks_import_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)


@pytest.mark.parametrize("least", [24, 13])
def test_the_forecast_of_the_shop(least: int, tmp_path: Path) -> None:
    config = import_module("forecast_online_retail").configuration(tmp_path, least)
    assert config.forecast.min_season_months == least
    assert config.reports.cohorts == "never"


def test_the_contracts(tmp_path: Path) -> None:
    config = import_module("contracts").configuration(tmp_path)
    assert config.contract_segments == ("plan",)


def test_the_whole_job_beside_its_peer(tmp_path: Path) -> None:
    bench, scale = import_module("bench"), import_module("scale")
    conf = bench.write_conf(tmp_path / "lines", Namespace(work=tmp_path))
    config = load_config(conf, [scale.SETTINGS], environ={})
    assert config.segments == ("country",)
    assert config.spark.conf["spark.driver.memory"] == scale.MEMORY


def test_the_page_says_what_the_results_say() -> None:
    """A page without its results is overwritten by older ones at the next measurement."""
    report = import_module("report")
    assert report.PAGE.read_text(encoding="utf-8") == report.page()


def test_the_cost_of_every_column_that_the_kernel_works_out_is_told() -> None:
    models = import_module("report_models")
    told = {name for columns in models.PART_COLUMNS.values() for name in columns}
    table = set(CLV_SCORES.column_names)
    assert told <= table
    given = {"customer_id", "frequency", "recency", "T", "monetary_value"}
    assert told >= (set(OUTPUT_COLUMNS) & table) - given
