"""The tables as consumers see them: documented, named well, and changed only with a new version."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from clv_spark.schemas import TABLES, Shape, TableSpec
from clv_spark.schemas.docs import render
from clv_spark.schemas.spec import ID, SEGMENT_KEYS

ROOT = Path(__file__).parents[2]
SNAPSHOTS = ROOT / "tests" / "data" / "schemas"
SHAPE = Shape("BIGINT", ("country",))
# What a comment says after its last ";": how the number is to be read.
UNITS = (
    "date",
    "text",
    "identifier",
    "count",
    "days",
    "seconds",
    "money",
    "no unit",
    "without unit",
    "0 to 1",
    "JSON text",
    "UTC",
    "natural log units",
    "true or false",
    "in their units",
    "products of their units",
)
# As words, since "discounted" counts nothing.
UNIT = re.compile(rf"\b({'|'.join(map(re.escape, UNITS))})\b")


@pytest.fixture(params=TABLES, ids=lambda spec: spec.name)
def spec(request: pytest.FixtureRequest) -> TableSpec:
    table: TableSpec = request.param
    return table.of(SHAPE)


def snapshot(spec: TableSpec) -> str:
    """Everything a consumer can see, as SQL; a change needs a new version and a new snapshot."""
    lines = [f"-- {spec.name}, schema version {spec.version}"]
    lines += [f"CREATE TABLE {spec.name} ("]
    columns = [f"  {spec.ddl(column)}" for column in spec.columns]
    checks = [f"  CONSTRAINT {name} CHECK ({check})" for name, check in spec.checks.items()]
    lines += [",\n".join([*columns, *checks]), ")"]
    if spec.partition_by:
        lines.append(f"PARTITIONED BY ({', '.join(spec.partition_by)})")
    lines.append(f"-- key: {', '.join(spec.key) or 'none'}; slice: {spec.slice_column or 'none'}")
    return "\n".join(lines) + "\n"


def test_the_page_of_tables_is_up_to_date() -> None:
    page = (ROOT / "docs" / "tables.md").read_text(encoding="utf-8")
    assert page == render(), "docs/tables.md is old: make docs"


def test_a_change_of_schema_comes_with_a_version(spec: TableSpec) -> None:
    recorded = (SNAPSHOTS / f"{spec.name}.sql").read_text(encoding="utf-8")
    now = snapshot(spec)
    version = re.search(r"schema version (\d+)", recorded)
    assert version is not None
    if int(version.group(1)) == spec.version:
        assert now == recorded, f"{spec.name} changed: raise its version and record it anew"
    assert now == recorded, f"record version {spec.version} in tests/data/schemas/{spec.name}.sql"


def test_every_snapshot_is_of_a_table() -> None:
    assert {path.stem for path in SNAPSHOTS.glob("*.sql")} == {spec.name for spec in TABLES}


def test_every_column_says_its_unit(spec: TableSpec) -> None:
    assert spec.comment.endswith(".")
    for column in spec.columns:
        # Where there is no ";" it is the whole comment.
        unit = column.comment.rpartition(";")[2]
        assert UNIT.search(unit), f"{column.name}: {column.comment}"
        assert len(column.comment) >= 15, column.name


def test_money_and_counts_have_the_types_of_the_design(spec: TableSpec) -> None:
    for column in spec.columns:
        if column.name.endswith("_amount") or column.name.startswith("amount_"):
            assert column.type in ("DECIMAL(18,2)", "DECIMAL(28,2)"), column.name
        if column.name.endswith("_date"):
            assert column.type == "DATE", column.name
        if column.name in ("frequency", "recency", "T"):
            assert (column.type, column.nullable) == ("INT", False)


def test_names_differ_by_more_than_case(spec: TableSpec) -> None:
    lower = [name.lower() for name in spec.column_names]
    assert len(set(lower)) == len(lower)
    assert "t" not in spec.column_names
    assert all(re.fullmatch(r"T|[a-z][a-z0-9_]*", name) for name in spec.column_names)


def test_keys_and_partitions_are_columns_that_are_never_null(spec: TableSpec) -> None:
    columns = {column.name: column for column in spec.columns}
    for name in (*spec.key, *spec.partition_by, *filter(None, [spec.slice_column])):
        assert not columns[name].nullable, name
    if spec.slice_column:
        assert spec.slice_column in spec.partition_by


def test_the_configuration_fills_in_ids_and_segments() -> None:
    for spec in TABLES:
        filled = spec.of(Shape("STRING", ()))
        assert SEGMENT_KEYS not in filled.column_names
        assert ID not in {column.type for column in filled.columns}
        assert "country" not in filled.column_names
