"""The fold from lines to features hashes: no sort, no Python, and raw lines move once."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

from clv_spark.config import Config
from clv_spark.lake import Commit, trusted_session
from clv_spark.pipelines import fold_customers
from clv_spark.pipelines.snapshot import Snapshot
from clv_spark.schemas import (
    CUSTOMER_DAYS,
    CUSTOMER_FEATURES,
    REFUND_ONLY_CUSTOMERS,
    Shape,
    TableSpec,
)
from clv_spark.transforms import features
from clv_spark.transforms.conform import conform
from clv_spark.transforms.customer_days import (
    customer_days,
    sum_lines,
    totals_by_text,
    totals_of_sums,
)
from clv_spark.transforms.segments import Codes

AS_OF, NIGHT_BEFORE = dt.date(2011, 12, 9), dt.date(2011, 12, 8)
BEFORE_LATE, LATE = dt.date(2011, 9, 30), dt.date(2011, 10, 1)
FORBIDDEN = re.compile(
    r"SortAggregate|SortMergeJoin|Window|PythonUDF|BatchEvalPython|ArrowEvalPython|MapInPandas|MapInArrow|InPandas"
)
FEW, MANY = ("here", "there"), tuple(map(str, range(60)))
RAW = "CAST(id AS STRING) AS customer, timestamp_seconds(1300000000 + id) AS at, id / 7D AS amount"


@pytest.fixture(scope="module")
def lines_on_disk(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = str(tmp_path_factory.mktemp("plan") / "lines")
    lines = spark.range(40).selectExpr(
        "id",
        *RAW.split(", "),
        "CAST(id % 9 AS STRING) AS orders",
        "IF(id % 2 = 0, 'A', 'B') AS place",
    )
    lines.write.parquet(folder)
    return folder


@pytest.fixture(scope="module", autouse=True)
def static_plans(spark: SparkSession) -> Iterator[None]:
    before = spark.conf.get("spark.sql.adaptive.enabled")
    spark.conf.set("spark.sql.adaptive.enabled", "false")
    yield
    spark.conf.set("spark.sql.adaptive.enabled", before)


def fold(
    spark: SparkSession,
    folder: str,
    *,
    deduplicate: str,
    transactions: bool,
    key: str = "customer",
    values: Sequence[str] = FEW,
) -> dict[str, DataFrame]:
    columns = {"customer_id": key, "event_time": "at", "amount": "amount", "country": "place"}
    if transactions:
        columns["transaction_id"] = "orders"
    if deduplicate == "line_id":
        columns["line_id"] = "id"
    config = Config.model_validate(
        {
            "segments": ["country"],
            "source": {
                "transactions": {"path": folder, "deduplicate": deduplicate, "columns": columns}
            },
        }
    )
    shape = Shape("STRING", config.segments)
    with trusted_session(spark):
        source = config.source.transactions
        lines = conform(spark.read.parquet(folder), source, currency=None, segments=config.segments)
        codes = {"country": Codes.of_names(values)}
        summed = sum_lines(lines, codes, by_transaction=transactions, with_margin=False)
        days = customer_days(summed, codes)
        pieces = features.pieces_of_days(days, config.segments, AS_OF)
        folded = features.fold(pieces, codes, config)
        return {
            "look": totals_by_text(lines, config.segments),
            "totals": totals_of_sums(summed),
            "days": days,
            "features": features.customer_features(folded, shape, AS_OF),
            "refunds": features.refund_only_customers(folded, AS_OF),
        }


def executed(frame: DataFrame) -> Any:
    return frame._jdf.queryExecution().executedPlan()


def nodes_not_kept(plan: Any) -> Iterator[Any]:
    """All nodes, without those of what is kept on disks."""
    yield plan
    for number in range(plan.children().size()):
        yield from nodes_not_kept(plan.children().apply(number))


def way_of_the_lines(plan: Any) -> list[Any]:
    """The nodes from the scan up to the result; broadcast sides hold dictionaries, not lines."""
    way = [plan]
    while way[-1].children().size():
        children = [way[-1].children().apply(i) for i in range(way[-1].children().size())]
        (following,) = [child for child in children if not is_broadcast(child)]
        way.append(following)
    return way[::-1]


def is_broadcast(plan: Any) -> bool:
    if plan.nodeName() in ("InputAdapter", "ReusedExchange"):
        return is_broadcast(plan.child())
    return bool(plan.nodeName() == "BroadcastExchange")


def shuffles_of_lines(plan: Any) -> list[str]:
    """Exchanges between the scan and the first complete aggregate by customer."""
    found = []
    for node in way_of_the_lines(plan):
        text = node.simpleString(100)
        if node.nodeName() == "Exchange":
            found.append(text)
        by_customer = "HashAggregate(keys=[reason#" in text
        if by_customer and "partial_" not in text:
            return found
    raise AssertionError(f"no aggregate by customer in\n{plan.toString()}")


@pytest.mark.parametrize("key", ["customer", "CAST(customer AS BIGINT)"])
@pytest.mark.parametrize("transactions", [False, True])
@pytest.mark.parametrize(
    ("deduplicate", "values"), [("none", FEW), ("none", MANY), ("all_columns", FEW)]
)
def test_the_fold_only_hashes(
    spark: SparkSession,
    lines_on_disk: str,
    deduplicate: str,
    values: Sequence[str],
    transactions: bool,
    key: str,
) -> None:
    frames = fold(
        spark,
        lines_on_disk,
        deduplicate=deduplicate,
        transactions=transactions,
        key=key,
        values=values,
    )
    for name, frame in frames.items():
        text = executed(frame).toString()
        assert not FORBIDDEN.search(text), f"{name}:\n{text}"
        assert "HashAggregate" in text


@pytest.mark.parametrize("transactions", [False, True])
@pytest.mark.parametrize(
    ("deduplicate", "shuffles"), [("none", 1), ("all_columns", 2), ("line_id", 2)]
)
def test_raw_lines_move_once_and_once_more_to_find_copies(
    spark: SparkSession, lines_on_disk: str, deduplicate: str, shuffles: int, transactions: bool
) -> None:
    frames = fold(spark, lines_on_disk, deduplicate=deduplicate, transactions=transactions)
    for name in ("days", "features"):
        plan = executed(frames[name])
        found = shuffles_of_lines(plan)
        assert len(found) == shuffles, plan.toString()
        assert all(text.startswith("Exchange hashpartitioning(") for text in found)
        assert "Scan" in way_of_the_lines(plan)[0].nodeName()


@pytest.mark.parametrize("transactions", [False, True])
def test_versions_of_a_line_are_sorted_once_and_nothing_else_is(
    spark: SparkSession, lines_on_disk: str, transactions: bool
) -> None:
    frames = fold(spark, lines_on_disk, deduplicate="line_id", transactions=transactions)
    for name, frame in frames.items():
        plan = executed(frame)
        nodes = Counter(node.nodeName() for node in way_of_the_lines(plan))
        # The texts to come are those of all versions.
        times = 0 if name == "look" else 1
        assert (nodes["Window"], nodes["Sort"]) == (times, times), f"{name}:\n{plan.toString()}"
        others = re.sub(r"\bWindow \[row_number\(\)", "", plan.toString())
        assert not FORBIDDEN.search(others), f"{name}:\n{others}"


class SlicesOnDisk:
    """Tables as a night finds them, as far as the fold reads them."""

    def __init__(self, spark: SparkSession, folder: Path) -> None:
        self.spark, self.folder = spark, folder

    def write(self, spec: TableSpec, schema: StructType, rows: list[dict[str, Any]]) -> None:
        fields = pa.schema([field.with_nullable(True) for field in to_arrow_schema(schema)])
        (self.folder / spec.name).mkdir()
        table = pa.Table.from_pylist(rows, fields)
        pq.write_table(table, self.folder / spec.name / "part.parquet")

    def read(self, spec: TableSpec, _: dt.date | None = None) -> DataFrame:
        return self.spark.read.parquet(str(self.folder / spec.name))

    def read_version(self, spec: TableSpec, _: int) -> DataFrame:
        return self.read(spec)

    def last_commit(self, _: TableSpec, __: dt.date | None = None) -> None:
        """Parquet files have no log, so what segments there are has to be looked up."""


@pytest.fixture(scope="module")
def night(
    spark: SparkSession, lines_on_disk: str, tmp_path_factory: pytest.TempPathFactory
) -> SlicesOnDisk:
    """One customer bought on the new day, and one on a day that has changed."""
    frames = fold(spark, lines_on_disk, deduplicate="none", transactions=True)
    lake = SlicesOnDisk(spark, tmp_path_factory.mktemp("night"))
    bought = [{"customer_id": f"of {d}", "country": "here", "event_date": d} for d in (AS_OF, LATE)]
    lake.write(CUSTOMER_DAYS, frames["days"].schema, bought)
    lake.write(CUSTOMER_FEATURES, frames["features"].schema, [])
    lake.write(REFUND_ONLY_CUSTOMERS, frames["refunds"].schema, [])
    return lake


@pytest.fixture
def only_named_broadcasts(spark: SparkSession) -> Iterator[None]:
    """Tables of a real lake are too large to be sent everywhere by themselves."""
    key = "spark.sql.autoBroadcastJoinThreshold"
    spark.conf.set(key, "-1")
    yield
    spark.conf.unset(key)


@pytest.mark.usefixtures("only_named_broadcasts")
@pytest.mark.parametrize(
    ("changed", "start", "how"),
    [
        (frozenset(), NIGHT_BEFORE, "days after 2011-12-08 folded"),
        (frozenset({LATE}), None, "2 customers from all their days"),
        (frozenset({LATE}), BEFORE_LATE, "2 customers from 2011-09-30"),
    ],
)
def test_a_night_hashes_who_came_and_moves_no_other(
    night: SlicesOnDisk,
    monkeypatch: pytest.MonkeyPatch,
    changed: frozenset[dt.date],
    start: dt.date | None,
    how: str,
) -> None:
    """From the newest slice, and who was hit by a late line from an older one or all days."""
    config = Config.model_validate({"segments": ["country"]})
    run: Any = SimpleNamespace(spark=night.spark, lake=night, date=AS_OF, config=config)
    newest, planned = Snapshot(NIGHT_BEFORE, 1, changed), Commit("", None, "", "", "", "")
    monkeypatch.setattr(fold_customers, "newest_snapshot", lambda *_: newest)
    monkeypatch.setattr(fold_customers, "unchanged_snapshot", lambda *_: start)
    with ExitStack() as kept:
        folded = fold_customers.fold_customers(run, night.read(CUSTOMER_DAYS), planned, kept)
        assert how in folded.how
        for made in (
            features.customer_features(folded.rows, Shape("STRING", ("country",)), AS_OF),
            features.refund_only_customers(folded.rows, AS_OF),
        ):
            text = executed(made).toString()
            assert not FORBIDDEN.search(text), text
            # The ids of who came, and their pieces; all others stay where they are.
            moved = set(re.findall(r"\bExchange (\w+)\((\w+)#\d+.*plan_id=(\d+)", text))
            assert len(moved) == 2, text
            assert {each[:2] for each in moved} == {("hashpartitioning", "customer_id")}
            outside = [node.nodeName() for node in nodes_not_kept(executed(made))]
            assert "BroadcastHashJoin" in outside
            assert "Exchange" not in outside
