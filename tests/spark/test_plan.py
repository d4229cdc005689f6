"""The fold from lines to features hashes: no sort, no Python, and raw lines move once."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from clv_spark.config import Config
from clv_spark.lake import trusted_session
from clv_spark.schemas import Shape
from clv_spark.transforms import features
from clv_spark.transforms.conform import conform
from clv_spark.transforms.customer_days import (
    customer_days,
    sum_lines,
    totals_by_text,
    totals_of_sums,
)
from clv_spark.transforms.segments import Codes

AS_OF = dt.date(2011, 12, 9)
FORBIDDEN = re.compile(
    r"SortAggregate|SortMergeJoin|Window|PythonUDF|BatchEvalPython|ArrowEvalPython|MapInPandas|MapInArrow|InPandas"
)
FEW, MANY = ("here", "there"), tuple(map(str, range(60)))
RAW = "CAST(id AS STRING) AS customer, timestamp_seconds(1300000000 + id) AS at, id / 7D AS amount"


@pytest.fixture(scope="module")
def lines_on_disk(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = str(tmp_path_factory.mktemp("plan") / "lines")
    lines = spark.range(40).selectExpr(
        *RAW.split(", "), "CAST(id % 9 AS STRING) AS orders", "IF(id % 2 = 0, 'A', 'B') AS place"
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
        }


def executed(frame: DataFrame) -> Any:
    return frame._jdf.queryExecution().executedPlan()


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
@pytest.mark.parametrize(("deduplicate", "shuffles"), [("none", 1), ("all_columns", 2)])
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
