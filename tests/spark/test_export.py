"""Exports are read back by other programs as they were, and are replaced whole or not at all."""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession

from clv_spark.config import ExportConfig
from clv_spark.errors import ConfigError, InputError
from clv_spark.lake import export as lake_export
from clv_spark.lake import trusted_session, write_export
from clv_spark.transforms.export import export_rows

KEY = ("customer_id", "relationship")
RUN, NEXT, THIRD = "a" * 32, "b" * 32, "c" * 32
SCHEMA = "customer_id STRING, relationship STRING, clv DOUBLE, day DATE, note STRING"
DAY = dt.date(2024, 2, 29)
NA = {"clv": [""], "day": [""]}
ODD = (
    'says "hello"',
    "a,b;c\td",
    "two\nlines",
    "two\r\nlines",
    "  blanks  ",
    'ends with "',
    "back\\slash",
    'both \\" and ","',
    "Zoë",
    "=1+1",
    "#no comment",
    "'",
)


def table(spark: SparkSession, *rows: tuple[Any, ...]) -> DataFrame:
    return spark.createDataFrame(list(rows), SCHEMA)


@pytest.fixture(scope="module")
def odd(spark: SparkSession) -> DataFrame:
    """Text that a careless writer gets wrong, in ids and elsewhere; missing values, and digits."""
    rows: list[tuple[Any, ...]] = [
        (text, "purchases", 0.1 * number / 3, DAY, text[::-1]) for number, text in enumerate(ODD)
    ]
    rows += [("plain", "contract", None, None, ""), ("plain", "purchases", 1e-300, DAY, None)]
    return table(spark, *rows)


def exported(rows: DataFrame, path: Path, run_id: str = RUN, **given: Any) -> dict[str, Any]:
    config = ExportConfig.model_validate({"path": str(path), **given})
    with trusted_session(rows.sparkSession):
        return write_export(export_rows(rows, config, KEY), config, run_id, {"rows": "as given"})


def held(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    """Rows with NULL as None; doubles by their digits."""
    return [
        tuple(None if pd.isna(v) else v.hex() if isinstance(v, float) else str(v) for v in row)
        for row in frame.itertuples(index=False)
    ]


def expected(rows: DataFrame) -> list[tuple[Any, ...]]:
    return held(pd.DataFrame([row.asDict() for row in rows.orderBy(*KEY).collect()]))


def test_csv_is_read_back_by_pandas_and_by_pythons_own_reader(
    odd: DataFrame, tmp_path: Path
) -> None:
    path = tmp_path / "the crm's folder" / "scores 100%.csv"
    exported(odd, path)
    read = pd.read_csv(path, float_precision="round_trip", keep_default_na=False, na_values=NA)
    # pandas does not tell '' from a missing text, which the file does.
    assert held(read) == [(*row[:4], row[4] or "") for row in expected(odd)]
    with path.open(encoding="utf-8", newline="") as file:
        assert [row["customer_id"] for row in csv.DictReader(file)] == [
            row["customer_id"] for row in odd.orderBy(*KEY).collect()
        ]
    lines = path.read_text(encoding="utf-8").split("\n")
    assert {'plain,contract,,,""', "plain,purchases,1.0E-300,2024-02-29,"} <= set(lines)


def test_json_lines_are_read_back(odd: DataFrame, tmp_path: Path) -> None:
    exported(odd, tmp_path / "scores.jsonl", format="jsonl")
    lines = (tmp_path / "scores.jsonl").read_text(encoding="utf-8").split("\n")
    rows = [json.loads(line) for line in lines if line]
    assert all(list(row) == odd.columns for row in rows), "a missing value is null, not absent"
    assert held(pd.DataFrame(rows)) == expected(odd)


@pytest.mark.parametrize("files", [1, 3])
def test_parquet_is_read_back(odd: DataFrame, tmp_path: Path, files: int) -> None:
    found = exported(odd, tmp_path / "scores", format="parquet", files=files)
    names = [file["name"] for file in found["files"]]
    folder = tmp_path / "scores" if files > 1 else tmp_path
    assert len(names) > 1 or files == 1
    read = pa.concat_tables(pq.read_table(folder / name) for name in names)
    assert read.column_names == odd.columns
    assert read.schema.field("day").type == pa.date32()
    assert held(read.sort_by([(name, "ascending") for name in KEY]).to_pandas()) == expected(odd)


def test_columns_rows_and_order_are_those_chosen(spark: SparkSession, tmp_path: Path) -> None:
    rows = [(f"c{n}", "purchases", float(n % 4), None, None) for n in range(12)]
    rows += [("missing", "purchases", None, None, None)]
    given = {
        "columns": ["clv", "customer_id"],
        "where": "clv > 0 OR customer_id = 'missing'",
        "order_by": ["clv DESC"],
    }
    exported(table(spark, *rows), tmp_path / "top.csv", **given)
    lines = (tmp_path / "top.csv").read_text().splitlines()
    assert lines == [
        "clv,customer_id",
        *("3.0,c11", "3.0,c3", "3.0,c7", "2.0,c10", "2.0,c2", "2.0,c6"),
        *("1.0,c1", "1.0,c5", "1.0,c9", ",missing"),
    ]


@pytest.mark.parametrize("files", [1, 3])
def test_the_same_rows_give_the_same_bytes(
    spark: SparkSession, odd: DataFrame, tmp_path: Path, files: int
) -> None:
    rows = [tuple(row) for row in odd.collect()]
    one, two = table(spark, *rows).coalesce(1), table(spark, *reversed(rows)).repartition(3)
    hashes = [
        [file["sha256"] for file in exported(frame, tmp_path / name, files=files)["files"]]
        for name, frame in (("one", one), ("two", two))
    ]
    assert hashes[0] == hashes[1]


def check_manifest(path: Path) -> list[Path]:
    """The files of a manifest, each with the hash and length that it says."""
    files = [path.parent / file["name"] for file in json.loads(path.read_text())["files"]]
    for file, said in zip(files, json.loads(path.read_text())["files"], strict=True):
        content = file.read_bytes()
        assert (said["bytes"], said["sha256"]) == (
            len(content),
            hashlib.sha256(content).hexdigest(),
        )
    return files


def test_a_file_is_replaced_whole_or_not_at_all(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = (table(spark, (who, "purchases", 1.0, None, None)) for who in ("old", "new"))
    path, page = tmp_path / "scores.csv", tmp_path / "scores.csv.manifest.json"
    exported(old, path)
    assert check_manifest(page) == [path]
    before = path.read_bytes(), page.read_bytes()

    def killed(source: Path, target: Path) -> None:
        assert "new" in source.read_text()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(lake_export, "put_in_place", killed)
        with pytest.raises(KeyboardInterrupt):
            exported(new, path, NEXT)
    assert (path.read_bytes(), page.read_bytes()) == before

    # What a process leaves that can't clean up goes with the next export; other files stay.
    (tmp_path / f".scores.csv.{THIRD}").mkdir()
    (tmp_path / ".scores.csv.mine").mkdir()
    exported(new, path, NEXT)
    assert "new" in path.read_text()
    assert check_manifest(page) == [path]
    names = [".scores.csv.mine", "scores.csv", "scores.csv.manifest.json"]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == names


def test_a_folder_counts_by_its_manifest(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = (
        table(spark, *((f"{who}{n}", "purchases", 1.0, None, None) for n in range(9)))
        for who in ("first", "second", "third")
    )
    folder, page = tmp_path / "scores", tmp_path / "scores" / "manifest.json"
    exported(first, folder, RUN, files=2)
    files = check_manifest(page)
    assert len(files) == 2

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(lake_export, "put_manifest", killed)
        with pytest.raises(KeyboardInterrupt):
            exported(second, folder, NEXT, files=2)
    assert check_manifest(page) == files

    exported(third, folder, THIRD, files=2)
    assert all("third" in file.read_text() for file in check_manifest(page))
    assert all(file.exists() for file in files), "who reads the export before can go on"
    runs = {entry.name for entry in folder.iterdir() if entry.is_dir()}
    assert runs == {RUN, THIRD}, "what was never published is gone"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"columns": ["clv", "value"]}, r"export.columns names \['value'\].*customer_id, relat"),
        ({"order_by": ["value desc"]}, r"export.order_by names \['value'\]"),
        (
            {"where": "value > 1"},
            r"export.where: 'value > 1' is no condition.*UNRESOLVED_COLUMN",
        ),
        ({"where": "clv >"}, "export.where: .*PARSE_SYNTAX_ERROR"),
        ({"where": "clv"}, r"export.where: 'clv' is no condition here \(.*FILTER_NOT_BOOLEAN"),
        ({"where": "sum(clv) > 1"}, "export.where: .* is no condition here.*customer_id, relat"),
    ],
)
def test_a_mistake_is_named(odd: DataFrame, given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        export_rows(odd, ExportConfig(path="-", **given), KEY)


@pytest.mark.parametrize("files", [1, 2])
def test_what_fails_on_the_way_leaves_the_old_export(
    odd: DataFrame, tmp_path: Path, files: int
) -> None:
    exported(odd, tmp_path / "scores", files=files)
    before = {path: path.is_dir() or path.read_bytes() for path in tmp_path.rglob("[!.]*")}
    with pytest.raises(InputError, match=r"CAST_INVALID_INPUT\); the export is as it was") as found:
        exported(odd, tmp_path / "scores", NEXT, files=files, where="CAST(customer_id AS INT) > 1")
    assert "hello" not in str(found.value)
    after = {path: path.is_dir() or path.read_bytes() for path in tmp_path.rglob("[!.]*")}
    assert {path: after[path] for path in before} == before


def test_a_folder_and_a_file_do_not_take_each_others_place(odd: DataFrame, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"is a folder, and export.files: 1 writes a file"):
        exported(odd, tmp_path / "folder")
    with pytest.raises(ConfigError, match=r"is a file, and export.files: 2 needs a folder"):
        exported(odd, tmp_path / "file", files=2)
    (tmp_path / "folder" / "manifest.json").write_text("{}")
    with pytest.raises(ConfigError, match="is no manifest of an export"):
        exported(odd, tmp_path / "folder", files=2)


def test_no_row_is_a_header_alone(odd: DataFrame, tmp_path: Path) -> None:
    exported(odd, tmp_path / "none.csv", where="false", columns=["customer_id", "clv"])
    assert (tmp_path / "none.csv").read_text() == "customer_id,clv\n"


@pytest.mark.parametrize(
    "given",
    [{"columns": []}, {"columns": ["clv", "clv"]}, {"order_by": ["clv down"]}, {"files": 0}],
)
def test_settings_that_make_no_sense_are_refused(
    given: dict[str, Any], config_for: Callable[..., Any]
) -> None:
    with pytest.raises(ValueError, match="export"):
        config_for(export=given)
