"""One slice is replaced in one commit: constraints, conflicts, retries and lost answers."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import deltalake
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from delta.tables import DeltaTable
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from clv_spark.config import Config
from clv_spark.errors import ConfigError, ConflictError, GateError, InputError
from clv_spark.lake import UNVERSIONED, Commit, Lake, lake_lock
from clv_spark.lake.commit_log import CommitLog
from clv_spark.lake.hadoop import path_and_files
from clv_spark.lake.place import local_path
from clv_spark.lake.upkeep import compact
from clv_spark.pipelines import maintain
from clv_spark.pipelines.run_context import Run
from clv_spark.schemas import Column, TableSpec
from tests.operations import read_table

MONDAY, TUESDAY, WEDNESDAY = (dt.date(2024, 1, day) for day in (1, 2, 3))
SCHEMA = "day DATE, name STRING, amount DOUBLE"
NOTES = TableSpec(
    name="notes",
    comment="One row per note.",
    columns=(
        Column("day", "DATE", "day of the note; date"),
        Column("name", "STRING", "who; text"),
        Column("amount", "DOUBLE", "how much; money", nullable=True),
    ),
    key=("day", "name"),
    version=1,
    partition_by=("day",),
    slice_column="day",
)
CHECKED = TableSpec(**{**vars(NOTES), "name": "checked", "checks": {"positive": "amount >= 0"}})


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path) -> Lake:
    return Lake(spark, Config.model_validate({"lake": {"path": str(tmp_path / "lake")}}))


def commit(run_id: str, day: dt.date) -> Commit:
    return Commit(run_id, day.isoformat(), run_id, "source", "config", "version")


def rows_in(lake: Lake, spec: TableSpec) -> list[tuple[Any, ...]]:
    return sorted(tuple(row.values()) for row in read_table(lake.path(spec)).to_pylist())


def logs(lake: Lake, spec: TableSpec) -> list[Path]:
    return sorted(Path(lake.path(spec)).glob("_delta_log/*.json"))


def version(lake: Lake, spec: TableSpec) -> int:
    return deltalake.DeltaTable(lake.path(spec)).version()


def test_a_slice_is_replaced_and_a_bad_row_stops_the_whole_write(
    spark: SparkSession, lake: Lake
) -> None:
    def rows(*values: tuple[Any, ...]) -> DataFrame:
        return spark.createDataFrame(list(values), SCHEMA)

    lake.replace(CHECKED, rows((MONDAY, "a", 1.0)), commit("r1", MONDAY), MONDAY)
    lake.replace(CHECKED, rows((TUESDAY, "b", 2.0)), commit("r2", TUESDAY), TUESDAY)
    done = lake.replace(CHECKED, rows((MONDAY, "c", 3.0)), commit("r3", MONDAY), MONDAY)
    expected = [(MONDAY, "c", 3.0), (TUESDAY, "b", 2.0)]
    assert rows_in(lake, CHECKED) == expected
    assert (done.run_id, done.rows_written, done.table_version) == ("r3", 1, version(lake, CHECKED))
    last = lake.last_commit(CHECKED, TUESDAY)
    assert last is not None
    assert last.run_id == "r2"
    assert lake.newest_slice(CHECKED) == TUESDAY
    assert lake.newest_slice(CHECKED, MONDAY) == MONDAY

    before = version(lake, CHECKED)
    negative = rows((MONDAY, "fine", 1.0), (MONDAY, "customer-4711", -77.5))
    with pytest.raises(GateError, match="'positive'") as caught:
        lake.replace(CHECKED, negative, commit("r4", MONDAY), MONDAY)
    assert "4711" not in str(caught.value)
    assert "77.5" not in str(caught.value)
    with pytest.raises(GateError, match="'name'"):
        lake.replace(CHECKED, rows((MONDAY, None, 1.0)), commit("r5", MONDAY), MONDAY)
    # A row outside the slice is refused, whether the slice is there or new.
    for day, other in ((MONDAY, TUESDAY), (WEDNESDAY, MONDAY)):
        stray = rows((day, "fine", 1.0), (other, "customer-4711", 1.0))
        with pytest.raises(GateError, match="rows of the slice only") as caught:
            lake.replace(CHECKED, stray, commit("r6", day), day)
        assert "4711" not in str(caught.value)
    assert rows_in(lake, CHECKED) == expected
    assert version(lake, CHECKED) == before


def disturbed(
    spark: SparkSession, lake: Lake, times: Path, at_most: int, day: dt.date = MONDAY
) -> DataFrame:
    """Rows whose computation lets another writer commit to the same slice meanwhile."""
    table, log = lake.path(NOTES), str(times)

    def disturb(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for batch in batches:
            with open(log, "a+") as file:
                file.seek(0)
                if len(file.read()) < at_most:
                    file.write("x")
                    other = pa.table(
                        {"day": [day], "name": ["other"], "amount": [0.5]},
                        pa.schema([("day", pa.date32()), ("name", "string"), ("amount", "double")]),
                    )
                    deltalake.write_deltalake(
                        table, other, mode="overwrite", predicate=f"day = '{day}'"
                    )
            yield batch

    start = spark.createDataFrame([(day, "ours", 9.0)], SCHEMA).coalesce(1)
    return start.mapInPandas(disturb, SCHEMA)


@pytest.mark.faults
@pytest.mark.long
def test_a_conflict_is_retried_and_reported_when_it_stays(
    spark: SparkSession, lake: Lake, tmp_path: Path
) -> None:
    start = spark.createDataFrame([(MONDAY, "start", 1.0)], SCHEMA)
    lake.replace(NOTES, start, commit("r1", MONDAY), MONDAY)

    once = disturbed(spark, lake, tmp_path / "once", 1)
    done = lake.replace(NOTES, once, commit("r2", MONDAY), MONDAY)
    assert done.run_id == "r2"
    assert (tmp_path / "once").read_text() == "x"
    assert rows_in(lake, NOTES) == [(MONDAY, "ours", 9.0)]

    always = disturbed(spark, lake, tmp_path / "always", 1000)
    with pytest.raises(ConflictError, match="3 times") as caught:
        lake.replace(NOTES, always, commit("r3", MONDAY), MONDAY)
    assert caught.value.exit_code == 20
    assert len((tmp_path / "always").read_text()) == 3
    assert rows_in(lake, NOTES) == [(MONDAY, "other", 0.5)]


def test_a_write_whose_answer_was_lost_is_not_done_twice(
    spark: SparkSession, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = spark.createDataFrame([(MONDAY, "a", 1.0)], SCHEMA)
    lake.replace(NOTES, rows, commit("r1", MONDAY), MONDAY)
    before, save, lost = version(lake, NOTES), Lake._save, []

    def save_and_lose(self: Lake, spec: TableSpec, writer: Any) -> None:
        save(self, spec, writer)
        if not lost:
            lost.append(True)
            raise PySparkException("[DELTA_CONCURRENT_WRITE] the answer is lost")

    monkeypatch.setattr(Lake, "_save", save_and_lose)
    done = lake.replace(NOTES, rows, commit("r2", MONDAY), MONDAY)
    assert lost
    assert done.table_version == version(lake, NOTES) == before + 1
    # Nor where rows are added.
    lost.clear()
    rows = spark.createDataFrame([(TUESDAY, "b", 2.0)], SCHEMA)
    done = lake.replace(NOTES, rows, commit("r2", TUESDAY), TUESDAY)
    assert lost
    assert done.table_version == version(lake, NOTES) == before + 2
    assert rows_in(lake, NOTES) == [(MONDAY, "a", 1.0), (TUESDAY, "b", 2.0)]


def test_a_new_slice_is_added_and_replaces_what_another_writer_added_meanwhile(
    spark: SparkSession, lake: Lake, tmp_path: Path
) -> None:
    monday = spark.createDataFrame([(MONDAY, "start", 1.0)], SCHEMA)
    lake.replace(NOTES, monday, commit("r1", MONDAY), MONDAY)
    none = monday.where("false")
    done = lake.replace(NOTES, none, commit("r2", TUESDAY), TUESDAY)
    assert (done.run_id, lake.holds(NOTES, TUESDAY)) == ("r2", False)
    tuesday = spark.createDataFrame([(TUESDAY, "a", 1.0)], SCHEMA)
    lake.replace(NOTES, tuesday, commit("r2", TUESDAY), TUESDAY)
    assert [mode(log) for log in logs(lake, NOTES)[1:]] == ["Append", None, "Append"]

    once = disturbed(spark, lake, tmp_path / "once", 1, WEDNESDAY)
    done = lake.replace(NOTES, once, commit("r3", WEDNESDAY), WEDNESDAY)
    assert rows_in(lake, NOTES)[1:] == [(TUESDAY, "a", 1.0), (WEDNESDAY, "ours", 9.0)]
    assert done.table_version == version(lake, NOTES)
    assert lake.newest_slice(NOTES) == WEDNESDAY
    days = (MONDAY - dt.timedelta(days=1), MONDAY, TUESDAY, WEDNESDAY + dt.timedelta(days=1))
    oldest = [lake.oldest_slice(NOTES, since=day) for day in days]
    assert oldest == [MONDAY, MONDAY, TUESDAY, None]


def mode(log: Path) -> str | None:
    """How the rows of a commit were written."""
    infos = (json.loads(line).get("commitInfo") for line in log.read_text().splitlines())
    return next(info["operationParameters"].get("mode") for info in infos if info)


def test_properties_that_others_set_meanwhile_are_no_failure(
    spark: SparkSession, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = spark.createDataFrame([(MONDAY, "a", 1.0)], SCHEMA)
    lake.replace(NOTES, rows, commit("r1", MONDAY), MONDAY)
    save, tries = Lake._save, []

    def save_beside(self: Lake, spec: TableSpec, writer: Any) -> None:
        tries.append(spec.name)
        if len(tries) == 1:
            raise PySparkException("[DELTA_METADATA_CHANGED] MetadataChangedException: try again")
        save(self, spec, writer)

    monkeypatch.setattr(Lake, "_save", save_beside)
    assert lake.replace(NOTES, rows, commit("r2", MONDAY), MONDAY).run_id == "r2"
    assert len(tries) == 2


def test_what_others_did_to_a_table_is_seen_in_its_log(
    spark: SparkSession, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in (MONDAY, TUESDAY):
        rows = spark.createDataFrame([(day, "a", 1.0)], SCHEMA)
        lake.replace(NOTES, rows, commit("r1", day), day)
    assert lake.newest_slice(NOTES) == TUESDAY
    deltalake.DeltaTable(lake.path(NOTES)).delete(f"day = '{TUESDAY}'")
    assert lake.newest_slice(NOTES) == MONDAY
    assert lake.last_commit(NOTES, MONDAY) is None

    history = DeltaTable.forPath(spark, lake.path(NOTES)).history()
    expected = history.select("version", "operation", "userMetadata").collect()
    for one_by_one in (0, 20):
        monkeypatch.setattr("clv_spark.lake.commit_log._ONE_BY_ONE", one_by_one)
        found = list(CommitLog(spark).commits(lake.path(NOTES), 1000))
        assert [tuple(row.values())[:3] for row in found] == [tuple(row) for row in expected]
        assert found[1]["operationMetrics"]["numOutputRows"] == "1"


def test_a_stage_has_its_name_in_spark_and_a_file_the_limits_of_its_key(
    spark: SparkSession, lake: Lake
) -> None:
    def described() -> str | None:
        return spark.sparkContext.getLocalProperty("spark.job.description")

    names = []

    def work(planned: Commit) -> Commit:
        names.append(described())
        rows = spark.createDataFrame([(MONDAY, "a", 1.0)], SCHEMA)
        return lake.replace(NOTES, rows, planned, MONDAY)

    Run(spark, lake.config, "job").stage(NOTES, [], work, source_version="s", slice_date=MONDAY)
    assert (names, described()) == (["notes 2024-01-01"], None)
    limits = deltalake.DeltaTable(lake.path(NOTES)).get_add_actions(flatten=True)
    found = pa.table(limits).column_names
    assert "min.name" in found
    assert "min.amount" not in found


def test_what_a_stage_reads_of_a_view_is_new_at_every_run(spark: SparkSession, lake: Lake) -> None:
    def work(planned: Commit) -> Commit:
        rows = spark.createDataFrame([(MONDAY, "a", 1.0)], SCHEMA)
        return lake.replace(NOTES, rows, planned, MONDAY)

    def status(version: str) -> str:
        run = Run(spark, lake.config, "job")
        run.stage(NOTES, ["same", version], work, source_version="s", slice_date=MONDAY)
        return run.status

    assert [status(version) for version in ("1", "1", "2")] == ["done", "already_done", "done"]
    assert [status(f"3; {UNVERSIONED}") for _ in range(2)] == ["done", "done"]


def test_a_path_without_scheme_is_where_spark_puts_tables(spark: SparkSession) -> None:
    assert local_path(spark, "/data/clv") == Path("/data/clv")
    assert local_path(spark, "file:///data/clv/") == Path("/data/clv")
    assert local_path(spark, "s3a://bucket/clv") is None
    hadoop = spark.sparkContext._jsc.hadoopConfiguration()
    before = hadoop.get("fs.defaultFS")
    hadoop.set("fs.defaultFS", "hdfs://127.0.0.1:8020")
    try:
        assert local_path(spark, "/data/clv") is None
    finally:
        hadoop.set("fs.defaultFS", before)


@pytest.mark.parametrize("name", ["C#1", "what?", "a%20b", "a b"])
@pytest.mark.parametrize("scheme", ["", "file:", "file://"])
def test_lock_and_tables_are_in_the_same_folder(
    spark: SparkSession, tmp_path: Path, name: str, scheme: str
) -> None:
    folder = tmp_path / name / "lake"
    assert local_path(spark, f"{scheme}{folder}") == folder
    path, _ = path_and_files(spark, f"{scheme}{folder}")
    assert path.toUri().getPath() == str(folder)


@pytest.mark.parametrize("path", ["file/lake", "file", "/proc/lake", "foo://lake"])
def test_a_lake_that_cannot_be_is_a_matter_of_configuration(
    spark: SparkSession, tmp_path: Path, path: str
) -> None:
    (tmp_path / "file").touch()
    place = path if path[0] == "/" or "://" in path else str(tmp_path / path)
    config = Config.model_validate({"lake": {"path": place}})
    with (
        pytest.raises(ConfigError, match=r"lake\.path .* cannot be used"),
        lake_lock(spark, config),
    ):
        pass


def test_there_is_nothing_to_maintain_where_no_lake_is(spark: SparkSession, tmp_path: Path) -> None:
    config = Config.model_validate({"lake": {"path": str(tmp_path / "typo")}})
    with pytest.raises(InputError, match="holds no table"):
        maintain(spark, config)
    assert not (tmp_path / "typo").exists()


@pytest.mark.parametrize(
    "lake", [{"path": "foo://bucket/lake"}, {"catalog": "nope", "schema": "clv"}]
)
def test_upkeep_of_a_lake_out_of_reach_says_what_to_check(
    spark: SparkSession, lake: dict[str, str]
) -> None:
    with pytest.raises(ConfigError, match=r"cannot be used .*Check lake\.path"):
        maintain(spark, Config.model_validate({"lake": lake}))


def test_a_key_spelled_otherwise_than_in_the_lake_is_named(lake: Lake) -> None:
    lake.ensure(NOTES)
    columns = (*NOTES.columns[:2], Column("Amount", "DOUBLE", "how much; money", nullable=True))
    other = TableSpec(**{**vars(NOTES), "columns": columns})
    with pytest.raises(InputError, match=r"the column amount in the lake.* as amount"):
        Lake(lake.spark, lake.config).ensure(other)


def test_files_are_compressed_and_only_texts_have_dictionaries(
    spark: SparkSession, lake: Lake
) -> None:
    setting = "parquet.enable.dictionary#amount"
    rows = [(MONDAY, f"name {number % 2}", float(number % 2)) for number in range(50)]
    two = spark.createDataFrame(rows, SCHEMA).repartition(2)
    lake.replace(NOTES, two, commit("r1", MONDAY), MONDAY)
    check_files(lake, 2)
    assert compact(lake, NOTES, "true") == 1
    check_files(lake, 1)
    assert spark.conf.get(setting, "as before") == "as before"


def check_files(lake: Lake, number: int) -> None:
    """The table consists of so many files, each as a table's files are."""
    files = deltalake.DeltaTable(lake.path(NOTES)).file_uris()
    assert len(files) == number
    for file in files:
        columns = pq.read_metadata(file).row_group(0).to_dict()["columns"]
        found = {column["path_in_schema"]: column for column in columns}
        assert {column["compression"] for column in columns} == {"ZSTD"}
        assert found["name"]["has_dictionary_page"]
        assert not found["amount"]["has_dictionary_page"]


def test_a_folder_that_a_killed_process_left_without_a_commit_becomes_a_table(
    spark: SparkSession, tmp_path: Path
) -> None:
    lake = Lake(spark, Config.model_validate({"lake": {"path": str(tmp_path)}}))
    log = tmp_path / "notes" / "_delta_log"
    (log / "_staged_commits").mkdir(parents=True)
    (log / ".00000000000000000000.json.1234.tmp").write_text("half a com")
    assert not lake.exists(NOTES)
    lake.ensure(NOTES)
    assert lake.exists(NOTES)
    assert lake.is_empty(NOTES)
