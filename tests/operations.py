"""Shared by the tests of operation: a small shop, its configuration, tables compared by bits."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml
from pyspark.sql import SparkSession

from clv_spark import pipelines
from clv_spark.config import Config
from clv_spark.kernels.generate import WORLD, transactions
from clv_spark.schemas import TABLES
from tests.small_spark import JAVA_OPTIONS, NOT_COMPILED, TEST_SPARK

ROOT = Path(__file__).parent.parent
AS_OF = dt.date(2023, 9, 30)
LATER = dt.date(2023, 11, 30)
EARLIER = dt.date(2023, 7, 31)
KEYS = {spec.name: spec.key for spec in TABLES}
# run_id differs from run to run, so the rows of one run are told apart by stage.
ORDER = {**KEYS, "pipeline_runs": ("stage",)}
# What two runs that do the same may differ in.
OF_THE_RUN = ("run_id", "finished_at", "seconds", "table_version", "source_version")
SMALL_SPARK = {
    "spark.driver.memory": "1g",
    "spark.sql.shuffle.partitions": "2",
    "spark.databricks.delta.snapshotPartitions": "1",
    JAVA_OPTIONS: TEST_SPARK[JAVA_OPTIONS],
}


def shop(customers: int = 1500) -> pa.Table:
    """Lines of two countries over two years."""
    batches = transactions(
        0,
        customers,
        world=WORLD[:2],
        start=dt.date(2022, 1, 1),
        end=dt.date(2023, 12, 31),
        lines_per_purchase=1.3,
        seed=7,
    )
    lines = pa.Table.from_batches(batches)
    countries = pc.replace_substring(lines["country"], "France", "Country O'Brien")
    return lines.set_column(lines.column_names.index("country"), "country", countries)


def write_lines(lines: pa.Table, folder: Path, files: int = 2) -> Path:
    """The lines as so many Parquet files."""
    folder.mkdir(parents=True)
    for number in range(files):
        first = number * lines.num_rows // files
        last = (number + 1) * lines.num_rows // files
        pq.write_table(lines.slice(first, last - first), folder / f"part-{number}.parquet")
    return folder


def sections(source: Path | str, **more: Any) -> dict[str, Any]:
    """Configuration of the shop without the place of its lake."""
    values: dict[str, Any] = {
        "source": {
            "transactions": {
                "path": str(source),
                "columns": {
                    "customer_id": "customer_id",
                    "transaction_id": "transaction_id",
                    "event_time": "event_time",
                    "amount": "amount",
                    "country": "country",
                },
                "reject": {"the shop's own use": "product = 'P0001'"},
            }
        },
        "currency": "EUR",
        "segments": ["country"],
        "fit": {"min_customers": 100, "min_repeaters": 20},
        # What has tests of its own costs each run of the others seconds.
        "models": {"transactions": "bg_nbd"},
        "reports": {"cohorts": "never", "forecast": False},
    }
    for name, section in more.items():
        both = isinstance(section, Mapping) and isinstance(values.get(name), Mapping)
        values[name] = {**values[name], **section} if both else section
    return values


def bits(value: Any) -> Any:
    """The value so that equal means equal bit by bit: doubles by their digits in hex."""
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, list | tuple):
        return tuple(bits(inner) for inner in value)
    return value


def rows_of(table: pa.Table, key: Sequence[str] = (), without: Iterable[str] = ()) -> list[Any]:
    """The rows in the order of the key, or in any one order without a key."""
    names = [name for name in table.column_names if name not in set(without)]
    rows = [bits(tuple(row.values())) for row in table.select(names).to_pylist()]
    order = [names.index(name) for name in key]
    if not order:
        return sorted(rows, key=repr)
    return sorted(rows, key=lambda row: [repr(row[position]) for position in order])


def read_table(folder: Path | str) -> pa.Table:
    """A Delta table, read without Spark."""
    return pa.table(deltalake.DeltaTable(str(folder)).to_pyarrow_table())


def contents(lake: Path | str, names: Iterable[str] | None = None) -> dict[str, list[Any]]:
    """Every row of the tables, by default of all, fit to be compared with those of another run."""
    names = tuple(versions(lake)) if names is None else names
    return {
        name: rows_of(
            read_table(Path(lake) / name),
            ORDER[name],
            OF_THE_RUN if name == "pipeline_runs" else (),
        )
        for name in names
    }


def slice_of(lake: Path | str, name: str, day: dt.date) -> list[Any]:
    """One dated slice, in key order."""
    table = read_table(Path(lake) / name)
    column = "fit_date" if name == "model_parameters" else "as_of_date"
    return rows_of(table.filter(pc.field(column) == pa.scalar(day)), KEYS[name])


def versions(lake: Path | str) -> dict[str, int]:
    """The Delta version of every table that exists."""
    return {
        name: deltalake.DeltaTable(str(Path(lake) / name)).version()
        for name in KEYS
        if (Path(lake) / name / "_delta_log").exists()
    }


def runs(lake: Path | str) -> list[dict[str, Any]]:
    """The rows of pipeline_runs, oldest first."""
    rows = read_table(Path(lake) / "pipeline_runs").to_pylist()
    return sorted(rows, key=lambda row: row["finished_at"])


@dataclass(frozen=True)
class Finished:
    """A source, and the lake after one run on it; nobody writes to either."""

    source: Path
    lake: Path


_finished: list[Finished] = []


def finished_once(spark: SparkSession, factory: pytest.TempPathFactory) -> Finished:
    """One clean run on the shop, made once for all tests that compare with it or go on from it."""
    if not _finished:
        folder = factory.mktemp("finished")
        source = write_lines(shop(), folder / "o'brien's lines")
        lake = folder / "the shop's lake"
        values = {**sections(source), "lake": {"path": str(lake)}}
        pipelines.run(spark, Config.model_validate(values), AS_OF)
        _finished.append(Finished(source, lake))
    return _finished[0]


def write_conf(
    folder: Path, source: Path, lake: Path, *, compiled: bool = True, **more: Any
) -> Path:
    """The configuration as a file, with a small Spark of its own."""
    return write_sections(folder, lake, sections(source, **more), compiled=compiled)


def write_sections(
    folder: Path, lake: Path, given: Mapping[str, Any], *, compiled: bool = True
) -> Path:
    """Any sections as a file, with a lake and a small Spark of their own."""
    conf = {**SMALL_SPARK, "spark.sql.warehouse.dir": str(folder / "warehouse")}
    if not compiled:
        conf |= NOT_COMPILED
    spark = {"master": "local[2]", "conf": conf}
    values = {"lake": {"path": str(lake)}, "spark": spark, **given}
    path = folder / "conf.yml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


def copied(lake: Path, target: Path) -> Path:
    """A lake of its own with the same tables."""
    return Path(shutil.copytree(lake, target))


def environment(**more: str) -> dict[str, str]:
    """Environment of a child process that finds the package here."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYSPARK_", "CLV_SPARK__"))}
    return {**kept, "PYTHONPATH": str(ROOT), **more}


def clv_spark(
    *arguments: str | Path, cwd: Path, timeout: float = 120, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run the real command in a process of its own."""
    return finished(
        [sys.executable, "-m", "clv_spark", *map(str, arguments)],
        cwd=cwd,
        timeout=timeout,
        env=environment(**env),
    )


def started(command: Sequence[str], **options: Any) -> subprocess.Popen[str]:
    """A child in a process group of its own, so that its JVM can be ended with it."""
    pipe = subprocess.PIPE
    given = {"stdout": pipe, "stderr": pipe, "stdin": subprocess.DEVNULL, **options}
    return subprocess.Popen(command, text=True, start_new_session=True, **given)


def ended(child: subprocess.Popen[str]) -> None:
    """End a child with everything it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait(30)


def finished(
    command: Sequence[str], *, timeout: float, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; one that takes too long is ended with its children."""
    child = started(command, **options)
    try:
        out, err = child.communicate(timeout=timeout)
    finally:
        ended(child)
    return subprocess.CompletedProcess(list(command), child.returncode, out, err)


def outcome(result: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The last line on stdout."""
    return dict(json.loads(result.stdout.splitlines()[-1]))
