"""A later date is published while others read, and old slices go."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from clv_spark import pipelines
from clv_spark.config import Config
from clv_spark.errors import ConfigError
from tests.operations import AS_OF, EARLIER, LATER, Finished, copied, read_table, sections, versions

RETENTION = {"slice_days": 30, "history_days": 11, "deleted_file_days": 4}
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
                self.seen.append(("deltalake", *self.by_deltalake()))
                self.seen.append(("spark", *self.by_spark()))
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


@pytest.fixture(scope="module")
def moved_on(
    spark: SparkSession, finished: Finished, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Config, Reader]:
    lake = copied(finished.lake, tmp_path_factory.mktemp("moved") / "lake")
    values = {**sections(finished.source, retention=RETENTION), "lake": {"path": str(lake)}}
    config = Config.model_validate(values)
    reader = Reader(spark, lake / "clv_scores_latest")
    reader.start()
    try:
        pipelines.run(spark, config, LATER)
    finally:
        reader.stop.set()
        reader.join(60)
    return lake, config, reader


def test_a_reader_sees_the_old_slice_or_the_new_one_whole(
    moved_on: tuple[Path, Config, Reader],
) -> None:
    lake, _, reader = moved_on
    assert reader.error is None
    customers = read_table(lake / "clv_scores").num_rows
    reader.seen += [("deltalake", *reader.by_deltalake()), ("spark", *reader.by_spark())]
    for kind in ("deltalake", "spark"):
        seen = [(dates, rows) for who, dates, rows in reader.seen if who == kind]
        assert set(seen) == {(frozenset({AS_OF}), customers), (frozenset({LATER}), customers)}
        # Never back to the old one.
        assert [dates for dates, _ in seen] == sorted((d for d, _ in seen), key=max)


def test_old_slices_are_removed_and_come_not_back(
    spark: SparkSession, moved_on: tuple[Path, Config, Reader]
) -> None:
    lake, config, _ = moved_on
    for name in DATED:
        column = "fit_date" if name == "model_parameters" else "as_of_date"
        assert set(read_table(lake / name)[column].to_pylist()) == {LATER}
    before = versions(lake)
    with pytest.raises(ConfigError, match=r"retention\.slice_days"):
        pipelines.run(spark, config, EARLIER)
    # Also the slice that the choice of models went on from is gone.
    assert pipelines.run(spark, config, LATER)["status"] == "already_done"
    assert versions(lake) == before


def test_how_long_history_is_kept_is_a_property_of_every_table_written(
    spark: SparkSession, moved_on: tuple[Path, Config, Reader]
) -> None:
    lake, _, _ = moved_on
    wanted = {
        "delta.logRetentionDuration": "interval 11 days",
        "delta.setTransactionRetentionDuration": "interval 11 days",
        "delta.deletedFileRetentionDuration": "interval 4 days",
    }
    for name in (*DATED, "clv_scores_latest", "pipeline_runs"):
        row = spark.sql(f"DESCRIBE DETAIL delta.`{lake / name}`").select("properties").first()
        assert row is not None
        assert wanted.items() <= row[0].items(), name
