"""The caller's session is given back as it was, and no value reaches SQL unquoted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pyspark.errors import AnalysisException, PySparkException
from pyspark.logger import PySparkLogger
from pyspark.sql import SparkSession

from clv_spark.config import Config
from clv_spark.errors import ConfigError
from clv_spark.lake import Lake, trusted_session
from clv_spark.lake.session_settings import RUNTIME_SETTINGS
from clv_spark.schemas import CLV_SCORES, REJECTED_TRANSACTIONS
from tests.operations import AS_OF, Finished, read_table, runs


def test_the_callers_settings_come_back_also_after_an_error(spark: SparkSession) -> None:
    own = {"spark.sql.session.timeZone": "Asia/Tokyo", "spark.sql.ansi.enabled": "false"}
    unset = "spark.databricks.delta.commit.idempotencyCheck.enabled"
    old = {key: str(spark.conf.get(key)) for key in own}
    spark.conf.unset(unset)
    for key, value in own.items():
        spark.conf.set(key, value)
    try:
        before = {key: spark.conf.get(key, None) for key in RUNTIME_SETTINGS}
        inside: dict[str, str | None] = {}

        def work() -> None:
            with trusted_session(spark):
                inside.update({key: spark.conf.get(key) for key in RUNTIME_SETTINGS})
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            work()
        assert inside == RUNTIME_SETTINGS
        assert {key: spark.conf.get(key, None) for key in RUNTIME_SETTINGS} == before
        assert before["spark.sql.session.timeZone"] == "Asia/Tokyo"
    finally:
        for key, value in old.items():
            spark.conf.set(key, value)


def test_an_error_is_not_written_to_the_log_with_the_row_it_quotes(
    spark: SparkSession, caplog: pytest.LogCaptureFixture
) -> None:
    row = spark.range(1).selectExpr("CAST(concat('customer-', 4711 + id) AS INT)")
    names = ("DataFrameQueryContextLogger", "SQLQueryContextLogger")
    loggers = [PySparkLogger.getLogger(name) for name in names]
    for logger in loggers:
        logger.addHandler(caplog.handler)
    try:
        with trusted_session(spark), pytest.raises(PySparkException, match="4711"):
            row.collect()
        assert "4711" not in caplog.text
        # The caller's own errors are told as before.
        with pytest.raises(PySparkException, match="4711"):
            row.collect()
        assert "4711" in caplog.text
    finally:
        for logger in loggers:
            logger.removeHandler(caplog.handler)


@pytest.mark.parametrize("what", ["Corrupt", "Missing"])
def test_a_session_that_skips_files_is_refused(spark: SparkSession, what: str) -> None:
    key = f"spark.sql.files.ignore{what}Files"
    spark.conf.set(key, "true")
    try:
        with pytest.raises(ConfigError, match=key), trusted_session(spark):
            pass
    finally:
        spark.conf.unset(key)


def test_quotes_and_spaces_in_names_and_values_are_only_text(finished: Finished) -> None:
    """Source, lake, reject reason and country of the finished run all hold a quote."""
    assert "'" in str(finished.lake)
    assert " " in str(finished.source)
    scores = read_table(finished.lake / "clv_scores")
    assert set(scores["segment"].to_pylist()) == {"Germany", "Country O'Brien"}
    assert set(scores["parameters_segment"].to_pylist()) == {"Germany", "Country O'Brien"}
    rejected = read_table(finished.lake / "rejected_transactions")
    assert set(rejected["reason"].to_pylist()) == {"the shop's own use"}
    assert all(json.loads(line)["product"] == "P0001" for line in rejected["line"].to_pylist())
    (days,) = [row for row in runs(finished.lake) if row["stage"] == "customer_days"]
    assert dict(days["rejected_by_reason"]) == {"the shop's own use": rejected.num_rows}
    assert days["as_of_date"] == AS_OF


def test_a_backtick_ends_no_identifier(spark: SparkSession, tmp_path: Path) -> None:
    name = "x`; DROP SCHEMA default; --"
    lake = Lake(spark, Config.model_validate({"lake": {"schema": name}}))
    assert lake.identifier(CLV_SCORES) == f"`{name.replace('`', '``')}`.`clv_scores`"
    with pytest.raises(AnalysisException) as caught:
        lake.ensure(REJECTED_TRANSACTIONS)
    # Spark read it as one name, and this catalog allows no such name.
    assert caught.value.getCondition() == "INVALID_ATTRIBUTE_NAME_SYNTAX"
    assert f"name: {name}." in str(caught.value)
    assert spark.catalog.databaseExists("default")

    folder = tmp_path / "a`b' c"
    in_folder = Lake(spark, Config.model_validate({"lake": {"path": str(folder)}}))
    in_folder.ensure(REJECTED_TRANSACTIONS)
    assert in_folder.read(REJECTED_TRANSACTIONS).count() == 0
    assert (folder / "rejected_transactions" / "_delta_log").is_dir()
