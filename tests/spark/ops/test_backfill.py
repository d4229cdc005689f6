"""Several dates at one go, published while others read; old slices go, upkeep changes nothing."""

from __future__ import annotations

import datetime as dt
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from clv_spark import pipelines
from clv_spark.config import Config
from clv_spark.errors import ConfigError
from clv_spark.lake import Lake
from clv_spark.lake.upkeep import scattered_files
from clv_spark.pipelines.fit_models import _has_drifted, fit_stage
from clv_spark.pipelines.run_context import open_run, shape_of
from clv_spark.schemas import CLV_SCORES, CUSTOMER_FEATURES, MODEL_PARAMETERS, PIPELINE_RUNS
from tests.operations import (
    AS_OF,
    EARLIER,
    Finished,
    contents,
    copied,
    read_table,
    runs,
    sections,
    versions,
)

# The first is too late for the slice before it to be kept.
FIRST, LAST = AS_OF + dt.timedelta(days=2), AS_OF + dt.timedelta(days=3)
RETENTION = {"slice_days": 1, "history_days": 11, "deleted_file_days": 4}
DATED = ("customer_features", "model_parameters", "clv_scores")


class Reader(threading.Thread):
    """Reads clv_scores_latest again and again, by Spark and without it."""

    def __init__(self, spark: SparkSession, folder: Path) -> None:
        super().__init__(daemon=True)
        self.spark, self.folder, self.stop = spark, folder, threading.Event()
        self.seen: list[tuple[str, frozenset[object], int]] = []
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            while not self.stop.is_set():
                # By Spark less often: each time takes as much from the run as a part of it.
                self.seen.append(("spark", *self.by_spark()))
                for _ in range(10):
                    self.seen.append(("deltalake", *self.by_deltalake()))
                    if self.stop.wait(0.2):
                        break
        except Exception as error:
            self.error = error

    def by_deltalake(self) -> tuple[frozenset[object], int]:
        table = read_table(self.folder)
        return frozenset(table["as_of_date"].to_pylist()), table.num_rows

    def by_spark(self) -> tuple[frozenset[object], int]:
        table = self.spark.read.format("delta").load(str(self.folder))
        row = table.agg(F.collect_set("as_of_date"), F.count("clv")).first()
        assert row is not None
        return frozenset(row[0]), row[1]


@dataclass(frozen=True)
class Backfilled:
    """What a backfill of two dates left, and what somebody saw who read meanwhile."""

    lake: Path
    config: Config
    outcome: dict[str, Any]
    reader: Reader

    def copied_to(self, lake: Path) -> tuple[Path, Config]:
        """A copy of the lake, and the settings for it."""
        place = self.config.lake.model_copy(update={"path": str(lake)})
        return copied(self.lake, lake), self.config.model_copy(update={"lake": place})


@pytest.fixture(scope="module")
def backfilled(
    spark: SparkSession, finished: Finished, tmp_path_factory: pytest.TempPathFactory
) -> Backfilled:
    lake = copied(finished.lake, tmp_path_factory.mktemp("backfilled") / "lake")
    fit = {"refit_every": 7, "refit_at_drift": 0.1, "min_customers": 100, "min_repeaters": 20}
    models = {"transactions": "auto", "candidates": ["bg_nbd", "mbg_nbd"]}
    values = sections(finished.source, fit=fit, models=models, retention=RETENTION)
    config = Config.model_validate({**values, "lake": {"path": str(lake)}})
    reader = Reader(spark, lake / "clv_scores_latest")
    reader.start()
    try:
        outcome = pipelines.backfill(spark, config, FIRST, LAST)
    finally:
        reader.stop.set()
        reader.join(60)
    return Backfilled(lake, config, outcome, reader)


def test_every_date_has_its_scores_and_the_source_was_read_once(backfilled: Backfilled) -> None:
    lake, outcome = backfilled.lake, backfilled.outcome
    assert [date["as_of_date"] for date in outcome["dates"]] == [str(FIRST), str(LAST)]
    assert outcome["status"] == "done"
    dates = {row["as_of_date"] for row in read_table(lake / "clv_scores").to_pylist()}
    assert {FIRST, LAST} <= dates
    assert set(read_table(lake / "clv_scores_latest")["as_of_date"].to_pylist()) == {LAST}
    reads = [row["status"] for row in runs(lake) if row["stage"] == "customer_days"]
    assert reads == ["done", "already_done", "already_done"]


def test_a_reader_sees_the_old_slice_or_the_new_one_whole(
    backfilled: Backfilled, finished: Finished
) -> None:
    reader = backfilled.reader
    assert reader.error is None
    before = read_table(finished.lake / "clv_scores_latest").num_rows
    after = read_table(backfilled.lake / "clv_scores_latest").num_rows
    reader.seen += [("deltalake", *reader.by_deltalake()), ("spark", *reader.by_spark())]
    for kind in ("deltalake", "spark"):
        seen = [(dates, rows) for who, dates, rows in reader.seen if who == kind]
        assert set(seen) == {(frozenset({AS_OF}), before), (frozenset({LAST}), after)}
        # Never back to the old one.
        assert [dates for dates, _ in seen] == sorted((d for d, _ in seen), key=max)


def test_old_slices_are_removed_and_come_not_back(
    spark: SparkSession, backfilled: Backfilled
) -> None:
    lake, config = backfilled.lake, backfilled.config
    for name in DATED:
        column = "fit_date" if name == "model_parameters" else "as_of_date"
        held = {FIRST} if name == "model_parameters" else {FIRST, LAST}
        assert set(read_table(lake / name)[column].to_pylist()) == held
    held = Lake(spark, config)
    made = held.last_commit(CUSTOMER_FEATURES, FIRST)
    assert made is not None
    assert made.table_version is not None
    later = held.commits_after(CUSTOMER_FEATURES, made.table_version)
    # What was removed between the two leaves known what the others hold.
    assert later is not None
    assert [one.table_version for one in later] == [made.table_version + 2]
    before = versions(lake)
    with pytest.raises(ConfigError, match=r"retention\.slice_days"):
        pipelines.run(spark, config, EARLIER)
    with pytest.raises(ConfigError, match=r"slice_days \(1\) before --to"):
        pipelines.backfill(spark, config, EARLIER, LAST)
    # Also the slice that the choice of models might have gone on from is gone.
    assert pipelines.run(spark, config, FIRST)["status"] == "already_done"
    assert versions(lake) == before


def test_a_date_whose_comparison_is_gone_is_done_already(
    spark: SparkSession, backfilled: Backfilled, tmp_path: Path
) -> None:
    lake, config = backfilled.copied_to(tmp_path / "lake")
    pipelines.run(spark, config, LAST + dt.timedelta(days=1))
    assert FIRST not in read_table(lake / "clv_scores")["as_of_date"].to_pylist()
    before = versions(lake)
    assert pipelines.run(spark, config, LAST)["status"] == "already_done"
    assert versions(lake) == before
    rows = [r for r in read_table(lake / "clv_scores").to_pylist() if r["as_of_date"] == LAST]
    assert any(row["previous_clv"] is not None for row in rows)


def test_how_long_history_is_kept_is_a_property_of_every_table_written(
    spark: SparkSession, backfilled: Backfilled
) -> None:
    wanted = {
        "delta.logRetentionDuration": "interval 11 days",
        "delta.deletedFileRetentionDuration": "interval 4 days",
    }
    for name in (*DATED, "clv_scores_latest", "pipeline_runs"):
        row = spark.sql(f"DESCRIBE DETAIL delta.`{backfilled.lake / name}`").first()
        assert row is not None
        assert wanted.items() <= row["properties"].items(), name


def test_young_parameters_are_used_again_and_the_scores_say_so(backfilled: Backfilled) -> None:
    lake = backfilled.lake
    # The settings of the fit are new, so the first date is fitted; the second is not due.
    assert set(read_table(lake / "model_parameters")["fit_date"].to_pylist()) >= {FIRST}
    assert LAST not in read_table(lake / "model_parameters")["fit_date"].to_pylist()
    scores = read_table(lake / "clv_scores").to_pylist()
    assert {row["fit_date"] for row in scores if row["as_of_date"] == LAST} == {FIRST}
    (message,) = (
        row["message"]
        for row in runs(lake)
        if row["stage"] == "model_parameters" and row["as_of_date"] == LAST
    )
    assert message == f"parameters of {FIRST} are used again: fit.refit_every is 7"


def test_parameters_of_other_customers_are_not_used_again(
    spark: SparkSession, backfilled: Backfilled
) -> None:
    with open_run(spark, backfilled.config, "fit-models", LAST) as run:
        fit = run.lake.last_commit(MODEL_PARAMETERS, FIRST)
        assert fit is not None
        assert sum(fit.figures["customers_by_class"].values()) > 1000
        assert fit_stage(run) == fit
        # As if all had bought once and yesterday.
        others = {**fit.figures, "customers_by_class": {"0/0": 1000}}
        assert _has_drifted(run, replace(fit, figures=others))


@pytest.mark.long
def test_scores_use_the_fit_that_the_stage_names_whatever_was_fitted_since(
    spark: SparkSession, backfilled: Backfilled, tmp_path: Path
) -> None:
    lake, before = copied(backfilled.lake, tmp_path / "lake"), FIRST - dt.timedelta(days=1)
    place = backfilled.config.lake.model_copy(update={"path": str(lake)})
    config = backfilled.config.model_copy(update={"lake": place, "retention": Config().retention})
    with open_run(spark, config, "fit-models", FIRST) as run:
        rows = run.lake.read(MODEL_PARAMETERS, FIRST)
        fit = run.lake.last_commit(MODEL_PARAMETERS, FIRST)
        assert fit is not None
        ours = replace(fit, run_id=run.run_id, slice=before.isoformat(), fingerprint="ours")
        earlier = rows.withColumn("fit_date", F.lit(before))
        run.lake.replace(MODEL_PARAMETERS, earlier, ours, before)
        # As if somebody had then tried other settings, without segments.
        others = replace(fit, run_id=run.run_id, config_hash="another", fingerprint="another")
        run.lake.replace(MODEL_PARAMETERS, rows.where("segment = 'global'"), others, FIRST)
    outcome = pipelines.run(spark, config, LAST)
    done = [stage["stage"] for stage in outcome["stages"] if stage["status"] == "done"]
    assert done == ["clv_scores", "clv_scores_latest"]
    (named,) = (
        row["message"]
        for row in runs(lake)
        if row["stage"] == "model_parameters" and row["run_id"] == outcome["run_id"]
    )
    assert named == f"parameters of {before} are used again: fit.refit_every is 7"
    scores = read_table(lake / "clv_scores").to_pylist()
    assert {row["fit_date"] for row in scores if row["as_of_date"] == LAST} == {before}
    # The single job chooses the same.
    assert pipelines.score_customers(spark, config, LAST)["status"] == "already_done"


def test_features_start_from_the_slice_before(backfilled: Backfilled) -> None:
    lake = backfilled.lake
    messages = {
        row["as_of_date"]: row["message"]
        for row in runs(lake)
        if row["stage"] == "customer_features"
    }
    assert f"days after {AS_OF} folded" in messages[FIRST]
    assert f"days after {FIRST} folded" in messages[LAST]


def test_scores_are_compared_with_the_date_before(backfilled: Backfilled) -> None:
    lake = backfilled.lake
    rows = read_table(lake / "clv_scores").to_pylist()
    before = {row["customer_id"]: row for row in rows if row["as_of_date"] == FIRST}
    now = {row["customer_id"]: row for row in rows if row["as_of_date"] == LAST}
    assert {row["clv_change"] is None for row in now.values()} >= {False}
    for customer, row in now.items():
        was = before.get(customer)
        value, tier = (was["clv"], was["clv_tier"]) if was else (None, None)
        assert (row["previous_clv"], row["previous_clv_tier"]) == (value, tier)
        assert row["clv_change"] == (row["clv"] - value if was else None)
    moves = [r for r in read_table(lake / "tier_migration").to_pylist() if r["as_of_date"] == LAST]
    assert {move["previous_date"] for move in moves} == {FIRST}
    assert sum(m["customers"] for m in moves if m["from_tier"] != "(none)") == len(before)
    assert sum(m["customers"] for m in moves if m["to_tier"] != "(gone)") == len(now)


def test_a_first_date_is_compared_with_nothing(finished: Finished) -> None:
    scores = read_table(finished.lake / "clv_scores")
    for name in ("clv_change", "previous_clv", "previous_clv_tier"):
        assert scores[name].null_count == scores.num_rows
    assert read_table(finished.lake / "tier_migration").num_rows == 0


@pytest.mark.long
def test_another_slice_before_makes_the_comparison_due_again(
    spark: SparkSession, backfilled: Backfilled, tmp_path: Path
) -> None:
    lake, config = backfilled.copied_to(tmp_path / "lake")
    with open_run(spark, config, "score-customers", FIRST) as run:
        rows = run.lake.read(CLV_SCORES, FIRST).withColumn("clv", F.lit(0.5))
        rows = rows.withColumn("clv_change", F.col("clv") - F.col("previous_clv"))
        commit = run.lake.last_commit(CLV_SCORES, FIRST)
        assert commit is not None
        again = replace(commit, run_id=run.run_id, fingerprint="another")
        run.lake.replace(
            CLV_SCORES.of(shape_of(rows, ())), rows.where("clv_low <= 0.5"), again, FIRST
        )
    outcome = pipelines.score_customers(spark, config, LAST)
    assert outcome["stages"][0]["status"] == "done"
    assert pipelines.score_customers(spark, config, LAST)["status"] == "already_done"
    rows = [r for r in read_table(lake / "clv_scores").to_pylist() if r["as_of_date"] == LAST]
    assert {row["previous_clv"] for row in rows} == {0.5, None}


def test_dates_in_the_wrong_order_are_refused(spark: SparkSession, backfilled: Backfilled) -> None:
    with pytest.raises(ConfigError, match="earlier date first"):
        pipelines.backfill(spark, backfilled.config, LAST, FIRST)
    # Nor is anything begun when only the last dates lie ahead.
    before = versions(backfilled.lake)
    with pytest.raises(ConfigError, match="in the future"):
        pipelines.backfill(spark, backfilled.config, EARLIER, dt.date(2999, 1, 1))
    assert versions(backfilled.lake) == before


@pytest.mark.long
def test_maintain_does_what_its_dry_run_says_and_changes_no_value(
    spark: SparkSession, backfilled: Backfilled, tmp_path: Path
) -> None:
    lake, config = backfilled.copied_to(tmp_path / "lake")
    before = contents(lake)
    planned = pipelines.maintain(spark, config, dry_run=True)
    assert planned["status"] == "dry_run"
    assert contents(lake) == before
    # A file for each run.
    assert planned["tables"]["pipeline_runs"]["files_put_together"] == 3
    done = pipelines.maintain(spark, config)
    assert (done["status"], done["tables"]) == ("done", planned["tables"])
    assert contents(lake) == before
    assert scattered_files(Lake(spark, config), PIPELINE_RUNS, "true") == 0
    # A run goes on from a lake that was put in order.
    assert pipelines.run(spark, config, LAST)["status"] == "already_done"
