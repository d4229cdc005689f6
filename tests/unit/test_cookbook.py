"""The queries of the README name tables and columns that there are; DuckDB binds each of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from clv_spark.schemas import TABLES, Shape

README = Path(__file__).parents[2] / "README.md"
# What DuckDB calls otherwise than Spark.
TYPES = {r"\bSTRING\b": "VARCHAR", r"ARRAY<(\w+)>": r"\1[]", r"MAP<(.+)>": r"MAP(\1)"}


def queries() -> list[str]:
    """Cut at every ";", as a reader would: a comment must not hold one."""
    blocks = re.findall(r"^```sql\n(.*?)^```", README.read_text(encoding="utf-8"), re.M | re.S)
    return [query.strip() for block in blocks for query in block.split(";") if query.strip()]


@pytest.fixture(scope="module")
def tables() -> Iterator[duckdb.DuckDBPyConnection]:
    """Empty tables with the columns of the specifications."""
    with duckdb.connect() as connection:
        for spec in TABLES:
            filled = spec.of(Shape("BIGINT", ("country",)))
            columns = ", ".join(f'"{c.name}" {in_duckdb(c.type)}' for c in filled.columns)
            connection.execute(f"CREATE TABLE {spec.name} ({columns})")
        yield connection


def in_duckdb(spark_type: str) -> str:
    for spark, other in TYPES.items():
        spark_type = re.sub(spark, other, spark_type)
    return spark_type


def test_the_readme_has_a_cookbook() -> None:
    assert len(queries()) > 10


@pytest.mark.parametrize("query", queries(), ids=lambda query: query.splitlines()[0][:60])
def test_a_query_of_the_readme_finds_its_columns(
    tables: duckdb.DuckDBPyConnection, query: str
) -> None:
    assert tables.execute(query).fetchall() == []


def test_the_query_of_losses_finds_those_with_much_revenue(
    tables: duckdb.DuckDBPyConnection,
) -> None:
    (query,) = (text for text in queries() if "WHERE loss_making" in text)
    with tables.cursor() as connection:
        connection.execute("BEGIN")
        for number in range(20):
            # Every second is served at a loss, also of those with the most revenue.
            revenue, loss = 1000.0 - 10 * number, number % 2 == 0
            connection.execute(
                "INSERT INTO clv_scores_latest (customer_id, relationship, clv_revenue, "
                "clv_margin, clv_service_cost, loss_making) VALUES (?, 'purchases', ?, ?, ?, ?)",
                [number, revenue, 0.3 * revenue, (0.4 if loss else 0.2) * revenue, loss],
            )
        found = connection.execute(query).fetchall()
        connection.execute("ROLLBACK")
    assert [row[0] for row in found] == [0, 2]
