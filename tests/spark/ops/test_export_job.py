"""The job export on published scores: outcome, manifest, record, and what stops it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pyspark.sql import SparkSession

from clv_spark import __version__, pipelines
from clv_spark.config import Config
from clv_spark.errors import ConfigError, GateError, InputError
from tests.operations import AS_OF, contents, read_table, runs, versions

Configured = Callable[..., Config]


@pytest.fixture
def wanted(tmp_path: Path) -> dict[str, Any]:
    """Settings of an export."""
    return {
        "path": str(tmp_path / "crm.csv"),
        "columns": ["customer_id", "segment", "clv", "as_of_date"],
        "where": "clv > 50 AND segment LIKE '%O\\'Brien'",
        "order_by": ["clv desc"],
    }


def test_an_export_is_the_table_with_its_manifest_and_its_record(
    spark: SparkSession, lake: Path, configured: Configured, wanted: dict[str, Any]
) -> None:
    before = versions(lake)
    outcome = pipelines.export(spark, configured(export=wanted))

    latest = read_table(lake / "clv_scores_latest").to_pandas()
    chosen = latest[(latest.clv > 50) & latest.segment.str.endswith("O'Brien")]
    chosen = chosen.sort_values(["clv", "customer_id"], ascending=[False, True])
    read = pd.read_csv(wanted["path"], float_precision="round_trip")
    assert 0 < len(read) < len(latest)
    for name in ("customer_id", "segment", "clv"):
        assert read[name].tolist() == chosen[name].tolist()
    assert set(read["as_of_date"]) == {AS_OF.isoformat()}

    assert (outcome["job"], outcome["status"], outcome["rows"]) == ("export", "done", len(read))
    assert (outcome["path"], outcome["as_of_date"]) == (wanted["path"], AS_OF.isoformat())
    manifest = json.loads(Path(outcome["manifest"]).read_text(encoding="utf-8"))
    content = Path(wanted["path"]).read_bytes()
    assert manifest == {
        "table": "clv_scores_latest",
        "table_version": before["clv_scores_latest"],
        "as_of_date": AS_OF.isoformat(),
        "run_id": outcome["run_id"],
        "package_version": __version__,
        "format": "csv",
        "where": wanted["where"],
        "order_by": ["clv desc"],
        "columns": [
            {"name": "customer_id", "type": "bigint"},
            {"name": "segment", "type": "string"},
            {"name": "clv", "type": "double"},
            {"name": "as_of_date", "type": "date"},
        ],
        "rows": len(read),
        "files": [
            {
                "name": "crm.csv",
                "bytes": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
            }
        ],
    }
    row = runs(lake)[-1]
    assert (row["job"], row["stage"], row["status"]) == ("export", "export", "done")
    assert (row["rows_written"], row["as_of_date"]) == (len(read), AS_OF)
    assert row["source_version"] == f"clv_scores_latest:{before['clv_scores_latest']}"
    assert row["table_version"] is None
    assert {**versions(lake), "pipeline_runs": 0} == {**before, "pipeline_runs": 0}

    again = pipelines.export(spark, configured(export=wanted))
    assert again["files"] == outcome["files"], "the same export has the same hash"


def test_an_empty_export_replaces_nothing_unless_it_may(
    spark: SparkSession, lake: Path, configured: Configured, wanted: dict[str, Any]
) -> None:
    path = Path(wanted["path"])
    pipelines.export(spark, configured(export=wanted))
    before = path.read_bytes()
    nobody = {**wanted, "where": "clv < 0"}
    with pytest.raises(GateError, match=r"no row .*'clv < 0'.*allow_empty: true"):
        pipelines.export(spark, configured(export=nobody))
    assert path.read_bytes() == before
    assert (runs(lake)[-1]["status"], runs(lake)[-1]["stage"]) == ("failed", "export")

    outcome = pipelines.export(spark, configured(export={**nobody, "allow_empty": True}))
    assert outcome["rows"] == 0
    assert path.read_text() == "customer_id,segment,clv,as_of_date\n"
    assert json.loads(Path(outcome["manifest"]).read_text())["rows"] == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"path": None}, "export.path is not set"),
        ({"columns": ["customer"]}, r"export.columns names \['customer'\]"),
        ({"where": "clv > one"}, "export.where: 'clv > one' is no condition here"),
    ],
)
def test_a_mistake_in_the_settings_stops_before_anything_is_recorded(
    spark: SparkSession,
    lake: Path,
    configured: Configured,
    wanted: dict[str, Any],
    given: dict[str, Any],
    said: str,
) -> None:
    before = contents(lake)
    with pytest.raises(ConfigError, match=said):
        pipelines.export(spark, configured(export={**wanted, **given}))
    assert contents(lake) == before
    assert not Path(wanted["path"]).exists()


def test_without_published_scores_there_is_nothing_to_export(
    spark: SparkSession, configured: Configured, wanted: dict[str, Any]
) -> None:
    with pytest.raises(InputError, match="clv_scores_latest does not exist"):
        pipelines.export(spark, configured(export=wanted))
    assert not Path(wanted["path"]).exists()


def test_a_condition_that_fails_on_a_row_is_named(
    spark: SparkSession, lake: Path, configured: Configured, wanted: dict[str, Any]
) -> None:
    fails = {**wanted, "where": "CAST(segment AS INT) > 3"}
    with pytest.raises(InputError, match=r"CAST_INVALID_INPUT.*export\.where"):
        pipelines.export(spark, configured(export=fails))
    assert not Path(wanted["path"]).exists()
    (lake / "file").touch()
    with pytest.raises(ConfigError, match=r"export\.path .* cannot be made"):
        pipelines.export(spark, configured(export={**wanted, "path": str(lake / "file" / "x.csv")}))


def test_scores_that_somebody_else_changed_are_not_exported(
    spark: SparkSession, lake: Path, configured: Configured, wanted: dict[str, Any]
) -> None:
    spark.sql(f"DELETE FROM delta.`{lake / 'clv_scores_latest'}` WHERE clv < 10")
    with pytest.raises(InputError, match="changed by another program"):
        pipelines.export(spark, configured(export=wanted))
