"""Imports go down only, and each floor keeps to its own work.

The checker reads source text, so each rule is first seen to fail on a bad snippet, then held
against the project.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

import pytest

ROOT = Path(__file__).resolve().parents[2]

FLOORS = {
    "errors": 0,
    "config": 0,
    "models": 1,
    "economics": 1,
    "kernels": 2,
    "schemas": 3,
    "transforms": 4,
    "lake": 4,
    "pipelines": 5,
    "reports": 5,
    "session": 6,
    "java_home": 0,
    "doctor": 6,
    "cli": 6,
    "__main__": 7,
    "jobs": 7,
}
SIDE_BY_SIDE = {frozenset({"transforms", "lake"})}

NO_SPARK = {"pyspark", "delta", "py4j"}
FORBIDDEN = {
    "errors": NO_SPARK | {"pandas", "numpy", "scipy"},
    "config": NO_SPARK | {"pandas"},
    "models": NO_SPARK | {"pandas", "pyarrow"},
    "economics": NO_SPARK | {"pandas", "pyarrow"},
    "kernels": NO_SPARK,
    "schemas": NO_SPARK | {"pandas"},
}
# What starts a Spark job, or reads or writes: a transform only describes.
ACTIONS = {
    "collect",
    "toPandas",
    "toArrow",
    "toLocalIterator",
    "take",
    "show",
    "isEmpty",
    "foreach",
    "foreachPartition",
    "saveAsTable",
}
TALKERS = {"cli", "doctor"}
# What hands a function to Spark's Python workers.
HANDS_OVER = {"applyInPandas", "applyInArrow", "mapInPandas", "mapInArrow"}
MAX_LINES = 400


def floor_of(path: str) -> str:
    """The part of the package that a file belongs to; "" is the package's own __init__."""
    parts = Path(path).with_suffix("").parts
    if parts[0] != "clv_spark":
        return parts[0]
    return "" if parts[1] == "__init__" else parts[1]


def breaks(path: str, source: str) -> list[str]:
    """Every rule that this source would break if it stood at this path."""
    tree = ast.parse(source)
    own = floor_of(path)
    found = []
    if ast.get_docstring(tree) is None:
        found.append("no docstring at the top")
    lines = len(source.splitlines())
    if lines > MAX_LINES:
        found.append(f"{lines} lines, more than {MAX_LINES}")
    if own not in FLOORS and own != "":
        found.append(f"{own} stands on no floor: add it to FLOORS")
        return found
    for name in imports(tree, path):
        found += _import_breaks(own, name)
    for node in ast.walk(tree):
        if own == "transforms":
            found += _transform_breaks(node)
        if own not in TALKERS and _is_call_of(node, "print"):
            found.append(f"line {node.lineno}: prints")
        if _is_method_in(node, HANDS_OVER) and not _is_call_of(node.args[0], "in_worker"):
            found.append(f"line {node.lineno}: hands a function to workers without in_worker")
    return found


def imports(tree: ast.Module, path: str) -> Iterator[str]:
    """Every module that is imported when the code runs, by its full name."""
    package = Path(path).with_suffix("").parts[:-1]
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and _is_type_checking(node.test):
            todo += node.orelse
            continue
        todo += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*above, *([node.module] if node.module else [])])
            # `from clv_spark import lake` names a module after the word import.
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _is_type_checking(test: ast.expr) -> bool:
    return ast.unparse(test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def _import_breaks(own: str, name: str) -> list[str]:
    top, _, rest = name.partition(".")
    if top == "jobs" and own != "jobs":
        return [f"imports {name}, which is a script"]
    if top != "clv_spark":
        return [f"imports {top}"] if top in FORBIDDEN.get(own, set()) else []
    other = rest.partition(".")[0]
    if other not in FLOORS or other == own:
        return []
    if own == "" or FLOORS[other] > FLOORS[own]:
        return [f"imports {name} from a floor above"]
    if frozenset({own, other}) in SIDE_BY_SIDE:
        return [f"imports {name} from beside it"]
    return []


def _transform_breaks(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Attribute) and node.attr in ("write", "writeTo", "writeStream"):
        return [f"line {node.lineno}: writes"]
    if isinstance(node, ast.Attribute) and node.attr in ("read", "readStream"):
        return [f"line {node.lineno}: reads"]
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return []
    method, bare = node.func.attr, not node.args and not node.keywords
    if method in ACTIONS or (method in ("first", "head") and bare):
        return [f"line {node.lineno}: calls {method}"]
    # A count of groups stays lazy; a count of rows runs.
    if method == "count" and bare and not _is_call_of(node.func.value, "groupBy"):
        return [f"line {node.lineno}: calls count"]
    return []


def _is_method_in(node: ast.AST, names: set[str]) -> TypeGuard[ast.Call]:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in names
    )


def _is_call_of(node: ast.AST, name: str) -> bool:
    if not isinstance(node, ast.Call):
        return False
    return (isinstance(node.func, ast.Name) and node.func.id == name) or (
        isinstance(node.func, ast.Attribute) and node.func.attr == name
    )


BAD = [
    ("clv_spark/models/a.py", "import clv_spark.kernels.fit", "from a floor above"),
    ("clv_spark/models/a.py", "from clv_spark import lake", "from a floor above"),
    ("clv_spark/schemas/a.py", "from clv_spark.cli import main", "from a floor above"),
    ("clv_spark/pipelines/a.py", "from clv_spark.session import get_session", "floor above"),
    ("clv_spark/pipelines/a.py", "def f():\n    import clv_spark.doctor", "floor above"),
    ("clv_spark/errors.py", "from clv_spark.models import registry", "from a floor above"),
    ("clv_spark/__init__.py", "from clv_spark.config import Config", "from a floor above"),
    ("clv_spark/lake/a.py", "from ..pipelines import run", "from a floor above"),
    ("clv_spark/cli.py", "import jobs.run", "which is a script"),
    ("clv_spark/transforms/a.py", "from clv_spark.lake import tables", "from beside it"),
    ("clv_spark/lake/a.py", "import clv_spark.transforms.fold", "from beside it"),
    ("clv_spark/kernels/a.py", "from pyspark.sql import DataFrame", "imports pyspark"),
    ("clv_spark/models/a.py", "import pandas as pd", "imports pandas"),
    ("clv_spark/economics/a.py", "import pyspark", "imports pyspark"),
    ("clv_spark/config/a.py", "import pyspark", "imports pyspark"),
    ("clv_spark/schemas/a.py", "import delta", "imports delta"),
    ("clv_spark/transforms/a.py", "n = lines.count()", "calls count"),
    ("clv_spark/transforms/a.py", "n = lines.where('a').select('b').count()", "calls count"),
    ("clv_spark/transforms/a.py", "n = lines.collect()", "calls collect"),
    ("clv_spark/transforms/a.py", "n = lines.toPandas()", "calls toPandas"),
    ("clv_spark/transforms/a.py", "n = lines.first()", "calls first"),
    ("clv_spark/transforms/a.py", "lines.write.save('x')", "writes"),
    ("clv_spark/transforms/a.py", "lines = spark.read.parquet('x')", "reads"),
    ("clv_spark/kernels/a.py", "print('hello')", "prints"),
    ("clv_spark/pipelines/a.py", "x = df.mapInArrow(work, schema)", "without in_worker"),
    ("clv_spark/new_thing.py", "import json", "stands on no floor"),
    ("clv_spark/lake/a.py", "\n" * MAX_LINES + "x = 1", "more than 400"),
]
GOOD = [
    ("clv_spark/kernels/a.py", "import pandas as pd\nfrom clv_spark.models import registry"),
    ("clv_spark/pipelines/a.py", "from clv_spark import __version__, lake, transforms"),
    ("clv_spark/pipelines/a.py", "x = df.mapInArrow(in_worker(work), schema)"),
    ("clv_spark/transforms/a.py", "p = lines.groupBy('a', 'b').count()"),
    ("clv_spark/transforms/a.py", "p = lines.agg(F.count('*'), F.first('a'))"),
    ("clv_spark/doctor.py", "from clv_spark.session import get_session"),
    ("clv_spark/config/a.py", "from clv_spark.errors import ConfigError"),
    ("clv_spark/lake/a.py", "from .tables import read\nn = rows.count()"),
    (
        "clv_spark/models/a.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pandas",
    ),
]


@pytest.mark.parametrize(("path", "code", "expected"), BAD)
def test_checker_sees_a_break(path: str, code: str, expected: str) -> None:
    found = breaks(path, f'"""Words."""\n{code}\n')
    assert any(expected in line for line in found), found


def test_checker_sees_a_missing_docstring() -> None:
    assert breaks("clv_spark/errors.py", "x = 1\n") == ["no docstring at the top"]


@pytest.mark.parametrize(("path", "code"), GOOD)
def test_checker_lets_good_code_pass(path: str, code: str) -> None:
    assert breaks(path, f'"""Words."""\n{code}\n') == []


def sources() -> list[str]:
    files = [*(ROOT / "clv_spark").rglob("*.py"), *(ROOT / "jobs").glob("*.py")]
    return sorted(str(path.relative_to(ROOT)) for path in files)


@pytest.mark.parametrize("path", sources())
def test_project_keeps_its_floors(path: str) -> None:
    assert breaks(path, (ROOT / path).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("folder", ["tests", "scripts", "benchmarks"])
def test_other_files_stay_short(folder: str) -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in (ROOT / folder).rglob("*.py")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MAX_LINES
    }
    assert long == {}


@pytest.mark.parametrize(
    ("packages", "unwanted"),
    [
        (("models", "economics", "config"), {"pyspark", "pandas", "pyarrow"}),
        (("kernels",), {"pyspark"}),
    ],
)
def test_imports_load_no_heavy_package(packages: tuple[str, ...], unwanted: set[str]) -> None:
    names = ", ".join(f"clv_spark.{package}" for package in packages)
    code = f"import sys, {names}; sys.stdout.write(' '.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & unwanted
