"""The notebook of the consumers runs on the demo's lake, imports and never defines."""

import ast
from pathlib import Path

import nbformat
import pyarrow.parquet as pq
import pytest
from nbclient import NotebookClient

from clv_spark.lake import Lake

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "notebooks" / "read_the_scores.ipynb"


def code_cells() -> list[str]:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def test_it_imports_and_never_defines() -> None:
    nodes = [node for cell in code_cells() for node in ast.walk(ast.parse(cell))]
    assert not [n for n in nodes if isinstance(n, ast.FunctionDef | ast.ClassDef | ast.Lambda)]
    assert any(isinstance(n, ast.ImportFrom) and "clv_spark" in str(n.module) for n in nodes)


def test_it_runs_on_the_demo_lake(demo_lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLV_LAKE", str(demo_lake.config.lake.path))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (bars,) = (number for number, cell in enumerate(notebook.cells) if "barh(" in cell.source)
    shown = "print(*(tick.get_text() for tick in axes.get_yticklabels()), sep='\\n')"
    notebook.cells.insert(bars + 1, nbformat.v4.new_code_cell(shown))
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute(cwd=str(NOTEBOOK.parent))
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    pictures = [out for out in outputs if "image/png" in out.get("data", {})]
    said = [out.get("text", "") for out in outputs]
    assert len(pictures) == 3
    assert any("customers as of 2011-12-09" in text for text in said)
    labels = notebook.cells[bars + 1].outputs[0].text.splitlines()
    lines = pq.read_table(ROOT / "data" / "online_retail_ii.parquet", columns=["Country"])
    assert len(labels) == 15
    assert set(labels) <= set(lines["Country"].to_pylist())
