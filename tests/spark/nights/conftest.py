"""A lake that follows its source night by night, and the same made from nothing."""

from __future__ import annotations

import contextlib
import datetime as dt
import importlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from clv_spark import pipelines
from clv_spark.config import Config
from clv_spark.pipelines.cohort_history import cohort_history_stage
from clv_spark.pipelines.run_context import open_run
from clv_spark.pipelines.summarise_revenue import history_stage
from tests.nights import COLUMNS, FIRST, Delta, Files
from tests.operations import read_table, rows_of

OF_DAYS = ("customer_days", "rejected_transactions")
OF_DATE = ("customer_features", "refund_only_customers")
# Five categories, one of them missing.
CATEGORY = "nullif(concat('k', line % 5), 'k4')"


# Each stage has imported the function by its name, and the package has functions of these names.
STAGES = [
    importlib.import_module(f"clv_spark.pipelines.{name}")
    for name in (
        "build_customer_days",
        "build_features",
        "build_products",
        "summarise_revenue",
        "cohort_history",
        "run_context",
    )
]


@contextlib.contextmanager
def cut_off_at(point: str) -> Iterator[list[str]]:
    """A run within ends at a named point, if it comes there; the points it came to."""
    points: list[str] = []

    def stop(reached: str) -> None:
        points.append(reached)
        if reached == point:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
        for module in STAGES:
            patch.setattr(module, "reached", stop)
        yield points


def old_and_new(shop: Follower) -> tuple[Files, dt.date, dt.date]:
    """The lake follows a source of two days, one of them too old to be changed."""
    files = shop.files
    old, new = FIRST, FIRST + dt.timedelta(days=500)
    files.put("old", files.lines.of(old, 20))
    files.put("new", files.lines.of(new, 20))
    shop.days()
    return files, old, new


@dataclass
class Follower:
    """Builds days and features in a lake that is kept from night to night."""

    spark: SparkSession
    folder: Path
    source: Files | Delta
    deduplicate: str
    products: bool = False
    months: bool = False

    @property
    def files(self) -> Files:
        """The source, which is one of files."""
        assert isinstance(self.source, Files)
        return self.source

    @property
    def table(self) -> Delta:
        """The source, which is a Delta table."""
        assert isinstance(self.source, Delta)
        return self.source

    def config(self, lake: str = "lake", **gates: Any) -> Config:
        transactions = {
            **self.source.source(),
            "columns": {**COLUMNS, **({"category": CATEGORY} if self.products else {})},
            "deduplicate": self.deduplicate,
        }
        return Config.model_validate(
            {
                "lake": {"path": str(self.folder / lake)},
                "segments": ["country"],
                # Few customers: a correction may take many of them away.
                "gates": {"max_customer_drop": 1, **gates},
                "source": {"transactions": transactions},
                "products": {"enabled": self.products},
            }
        )

    def night(self, number: int, point: str | None = None) -> dt.date:
        """The source changes, and the lake follows, up to a point where the run is cut off."""
        day = FIRST + dt.timedelta(days=number)
        self.source.night(day)
        with cut_off_at(point or "never"):
            self.build(self.config(), day)
        return day

    def days(self, **gates: Any) -> None:
        """Only the tables of days follow."""
        pipelines.build_customer_days(self.spark, self.config(**gates))

    def build(self, config: Config, day: dt.date) -> dict[str, Any]:
        pipelines.build_customer_days(self.spark, config)
        features = pipelines.build_features(self.spark, config, day)
        if self.months:
            with open_run(self.spark, config, "score-customers", day) as run:
                history_stage(run)
                cohort_history_stage(run)
        return features

    def check(self, day: dt.date) -> None:
        """Every table is, to the last digit, what a lake without a past has."""
        self.build(self._fresh(), day)
        products = ("product_days", "customer_products") if self.products else ()
        months = ("revenue_history", "cohort_history") if self.months else ()
        self._compare((*OF_DAYS, *OF_DATE, *products, *months), day)

    def check_days(self) -> None:
        """The same of the tables of days alone."""
        pipelines.build_customer_days(self.spark, self._fresh())
        self._compare(OF_DAYS, FIRST)

    def _fresh(self) -> Config:
        shutil.rmtree(self.folder / "fresh", ignore_errors=True)
        return self.config("fresh")

    def _compare(self, names: tuple[str, ...], day: dt.date) -> None:
        for name in names:
            found, expected = (self._rows(lake, name, day) for lake in ("lake", "fresh"))
            assert found == expected, name

    def _rows(self, lake: str, name: str, day: dt.date) -> list[Any]:
        table = read_table(self.folder / lake / name)
        if "as_of_date" in table.column_names:
            table = table.filter(pc.equal(table["as_of_date"], day))
        return rows_of(table)

    def how(self, day: dt.date) -> str:
        """What the features of a date are folded from now."""
        said = self.message(self.build(self.config(), day)["run_id"])
        return said.partition("left out; ")[2]

    def message(self, run_id: str) -> str:
        """What a run says of itself."""
        rows = read_table(self.folder / "lake" / "pipeline_runs").to_pylist()
        (message,) = [row["message"] for row in rows if row["run_id"] == run_id]
        return str(message)

    def last_commit(self, table: str) -> dict[str, Any]:
        """What Delta's log says about the newest commit."""
        history = self.spark.sql(f"DESCRIBE HISTORY delta.`{self.folder / 'lake' / table}`")
        row = history.orderBy("version", ascending=False).first()
        assert row is not None
        return {"operation": row["operation"], **row["operationMetrics"]}

    def remove_old_files(self, name: str) -> None:
        """Files that no longer belong to a table go away, as VACUUM removes them in time."""
        folder = self.folder / "lake" / name
        held = {unquote(urlparse(uri).path) for uri in DeltaTable(str(folder)).file_uris()}
        old = [file for file in folder.rglob("*.parquet") if unquote(str(file)) not in held]
        assert old
        for file in old:
            if "_delta_log" not in file.parts:
                file.unlink()


@pytest.fixture
def follow(spark: SparkSession, tmp_path: Path) -> Callable[..., Follower]:
    """Makes a follower of a source of some kind."""

    def make(
        kind: str,
        seed: int,
        deduplicate: str = "all_columns",
        *,
        products: bool = False,
        months: bool = False,
    ) -> Follower:
        place = tmp_path / "the night's lines"
        source = {
            "parquet": lambda: Files(place, seed),
            "csv": lambda: Files(place, seed, "csv"),
            "delta": lambda: Delta(place, seed),
            "change data feed": lambda: Delta(place, seed, feed=True),
        }[kind]()
        return Follower(spark, tmp_path, source, deduplicate, products, months)

    return make
