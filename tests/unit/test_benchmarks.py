"""The benchmarks, which no test runs: their configurations load, the page is of the results."""

from __future__ import annotations

from argparse import Namespace
from importlib import import_module
from pathlib import Path
from typing import Any

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


def comparison() -> dict[str, Any]:
    stages = {"customer_days": 5.0, "customer_features": 3.0, "model_parameters": 2.0}
    stages |= {"revenue_history": 1.0, "clv_scores": 6.0, "clv_scores_latest": 4.0}
    ours = {"stages": stages, "total": 22.0, "start": 6.0, "peak_mb": 300}
    stages = {"features": 2.0, "fit": 4.0, "score": 3.0, "write": 1.0}
    peer = {"stages": stages, "total": 10.0, "start": 1.0, "peak_mb": 100}
    return {"ours": ours, "peer_result": peer}


def test_a_row_for_every_stage_beside_the_peer_and_the_limits() -> None:
    job = import_module("report_job")
    entry = comparison()
    entry["peer_result"]["apart"] = {"read": 0.5, "customer-days": 1.0, "features": 2.0}
    steps = [step for rows in job.LIMITS.values() for row in rows.values() for step in row]
    entry["limits"] = dict.fromkeys(steps, 1.0)
    assert job.table(entry).splitlines() == [
        "| stage | ours, s | peer, s | ratio | Spark alone, s | bytes alone, s |",
        "|---|--:|--:|--:|--:|--:|",
        "| read | in customer-days | 0.50 | - | 1.00 | 1.00 |",
        "| customer-days | 5.00 | 1.00 | 5.00 | 2.00 | 1.00 |",
        "| features | 4.00 | 2.00 | 2.00 | 1.00 | 1.00 |",
        "| fit | 2.00 | 4.00 | 0.50 | - | - |",
        "| score | 6.00 | 3.00 | 2.00 | 1.00 | 1.00 |",
        "| write | 4.00 | 1.00 | 4.00 | 1.00 | 1.00 |",
        "| everything else | 1.00 | - | - | - | - |",
        "| **total** | 22.00 | 10.00 | 2.20 | 5.00 | 5.00 |",
        "| start and stop, apart | 6.00 | 1.00 | 6.00 | - | - |",
        "| peak memory, MB | 300 | 100 | 3.00 | - | - |",
    ]
    assert job.words(entry) == (
        "From lines to features: ours 9.00 s, the peer's one query 2.00 s, ratio 4.50. The peer's "
        "read, customer-days and features are queries of their own, measured apart, so that the "
        "rows add up to more than the total. Spark alone needs 0.50 times the peer's total."
    )


def test_a_result_of_which_less_was_measured() -> None:
    """The peer's features are a query from lines on: they stand beside no row of ours."""
    job = import_module("report_job")
    rows = job.table(comparison()).splitlines()
    assert rows[0] == "| stage | ours, s | peer, s | ratio |"
    assert rows[2:5] == [
        "| read | in customer-days | - | - |",
        "| customer-days | 5.00 | - | - |",
        "| features | 4.00 | - | - |",
    ]
    assert "apart" not in job.words(comparison())


def test_the_cost_of_every_column_that_the_kernel_works_out_is_told() -> None:
    models = import_module("report_models")
    told = {name for columns in models.PART_COLUMNS.values() for name in columns}
    table = set(CLV_SCORES.column_names)
    assert told <= table
    given = {"customer_id", "frequency", "recency", "T", "monetary_value"}
    assert told >= (set(OUTPUT_COLUMNS) & table) - given
