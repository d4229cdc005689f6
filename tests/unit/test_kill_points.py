"""No point at which a run can be killed is forgotten by the tests that kill it."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any

from clv_spark import schemas
from clv_spark.schemas import TableSpec
from tests.faults import test_contract_kills, test_cost_kills, test_kills

FOLDER = Path(__file__).resolve().parents[2] / "clv_spark" / "pipelines"
REACHED = re.compile(r"^ +reached\((.+)\)$", re.MULTILINE)
STAGE = re.compile(r"\.stage\(\s*(\w+),")
KILLED = (
    *test_kills.POINTS,
    *test_contract_kills.POINTS,
    *test_cost_kills.POINTS,
    test_kills.BETWEEN_TWO_TABLES,
    test_kills.BEFORE_THE_EXPORT,
)


def sources() -> dict[str, str]:
    """The text of each module of the pipelines."""
    return {file.stem: file.read_text(encoding="utf-8") for file in FOLDER.glob("*.py")}


def tables_of_stages(text: str) -> list[TableSpec]:
    """What the stages in a module end with."""
    found = []
    for name in STAGE.findall(text):
        # A table that takes its shape from the configuration has a name of its own there.
        given = name if name.isupper() else re.findall(rf"\b{name} = (\w+)\.of\(", text)[-1]
        found.append(getattr(schemas, given))
    return found


def points(module: str, text: str, stages: list[TableSpec]) -> set[str]:
    """The points in a module, with the name of each table that it can be at."""
    names: dict[str, Any] = vars(import_module(f"clv_spark.pipelines.{module}"))
    own = [value for value in names.values() if isinstance(value, TableSpec)]
    tables = stages if module == "run_context" else own
    return {
        eval(point, {**names, "spec": spec})
        for point in REACHED.findall(text)
        for spec in (tables if "{spec." in point else [None])
    }


def test_every_point_in_the_code_is_one_that_a_test_kills_at() -> None:
    texts = sources()
    stages = [table for text in texts.values() for table in tables_of_stages(text)]
    assert sum(text.count(".stage(") for text in texts.values()) == len(stages)
    # Each stands on a line of its own, but for the function itself.
    calls = sum(len(re.findall(r"\breached\(", text)) for text in texts.values()) - 1
    assert calls == sum(len(REACHED.findall(text)) for text in texts.values())
    found = set().union(*(points(name, text, stages) for name, text in texts.items()))
    assert found == set(KILLED)
