"""Spend on acquisition: whom it counts for, and when."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from clv_spark.config import Config
from clv_spark.pipelines.acquisition import (
    HOLDS,
    open_spend,
    shared_acquisition,
    with_acquisition_cost,
)
from clv_spark.pipelines.run_context import SECTIONS, Run

AS_OF = dt.date(2024, 6, 30)
# relationship, segment, first day, whether the buyer holds a contract besides.
Customer = tuple[str, str, dt.date, bool]
JUNE = dt.date(2024, 6, 3)
LINES = {"customer_id": "c", "event_time": "t", "amount": "a"}
CONTRACTS = {
    "customer_id": "c",
    "contract_id": "k",
    "start_date": "s",
    "end_date": "e",
    "period": "p",
    "periodic_amount": "a",
}


def configured(path: Path, spend: str, keys: tuple[str, ...] = (), **more: Any) -> Config:
    """A shop beside contracts with a table of spend; ``more`` names the segment keys."""
    path.write_text(spend, encoding="utf-8")
    segments, plans = more.get("segments", []), more.get("contract_segments", [])
    lines = {**LINES, **{key: key for key in segments}}
    held = {**CONTRACTS, **{key: key for key in plans}}
    columns = {"month": "month", "amount": "amount", **{key: key for key in keys}}
    source = {"format": "csv", "path": str(path), "columns": columns}
    values = {
        "source": {
            "transactions": {"path": "x", "columns": lines},
            "contracts": {"path": "y", "columns": held},
        },
        "costs": {"acquisition": {"spend": source}},
        **more,
    }
    return Config.model_validate(values)


@pytest.fixture
def costs(spark: SparkSession, tmp_path: Path) -> Callable[..., Counter[tuple[Any, ...]]]:
    """How often customers of a relationship and segment have which cost."""

    def find(
        config: Config, customers: list[Customer], as_of: dt.date = AS_OF
    ) -> Counter[tuple[Any, ...]]:
        rows = [
            (number, kind, segment, as_of, (as_of - first).days, True if holds else None)
            for number, (kind, segment, first, holds) in enumerate(customers)
        ]
        names = "customer_id INT, relationship STRING, segment STRING, as_of_date DATE, T INT"
        scored = spark.createDataFrame(rows, f"{names}, {HOLDS} BOOLEAN")
        if not shared_acquisition(config):
            scored = scored.drop(HOLDS)
        run = Run(spark, config, "run", as_of)
        found = with_acquisition_cost(run, scored, open_spend(run), {}).collect()
        return Counter((r["relationship"], r["segment"], r["acquisition_cost"]) for r in found)

    return find


CHANNELS = "month,amount,channel\n2024-06-01,1000,web\n2024-06-01,90,shop\n"


def test_spend_by_a_key_of_both_counts_for_the_new_ones_of_both(
    costs: Callable[..., Counter[tuple[Any, ...]]], tmp_path: Path
) -> None:
    keys = {"segments": ["channel"], "contract_segments": ["plan", "channel"]}
    config = configured(tmp_path / "spend.csv", CHANNELS, ("channel",), **keys)
    buyers: list[Customer] = [("purchases", "web", JUNE, False)] * 10
    holders: list[Customer] = [("contract", "flat/web", JUNE, False)] * 40
    # Won once, for the contract.
    both: list[Customer] = [("purchases", "web", JUNE, True)] * 5
    found = costs(config, [*buyers, *holders, *both, ("contract", "flat/shop", JUNE, False)])
    assert found == {
        ("purchases", "web", 20.0): 10,
        ("contract", "flat/web", 20.0): 40,
        ("purchases", "web", None): 5,
        ("contract", "flat/shop", 90.0): 1,
    }


def test_spend_by_a_key_of_one_counts_for_its_customers_alone(
    costs: Callable[..., Counter[tuple[Any, ...]]], tmp_path: Path
) -> None:
    keys = {"segments": ["channel"], "contract_segments": ["plan"]}
    config = configured(tmp_path / "spend.csv", CHANNELS, ("channel",), **keys)
    assert not shared_acquisition(config)
    found = costs(
        config,
        [
            *([("purchases", "web", JUNE, False)] * 9),
            # The contract has no channel, so nothing else bears what winning this one cost.
            ("purchases", "web", JUNE, True),
            ("contract", "web", JUNE, False),
        ],
    )
    assert found == {("purchases", "web", 100.0): 10, ("contract", "web", None): 1}


def test_contracts_alone_are_placed_by_their_key_also_where_report_by_has_it(
    costs: Callable[..., Counter[tuple[Any, ...]]], tmp_path: Path
) -> None:
    config = configured(
        tmp_path / "spend.csv", CHANNELS, ("channel",), contract_segments=["channel"]
    )
    values = config.model_dump(by_alias=True, exclude_unset=True)
    del values["source"]["transactions"]
    config = Config.model_validate({**values, "report_by": ["channel"]})
    assert costs(config, [("contract", "web", JUNE, False)]) == {("contract", "web", 1000.0): 1}


def test_of_a_month_that_is_not_over_the_days_so_far_count(
    costs: Callable[..., Counter[tuple[Any, ...]]], tmp_path: Path
) -> None:
    by_month = "month,amount\n2024-05-31,310\n2024-06-30,300\n2024-07-31,9999\n"
    config = configured(tmp_path / "spend.csv", by_month)
    may = dt.date(2024, 5, 20)
    customers: list[Customer] = [("purchases", "global", may, False)]
    for came in range(1, 31):
        customers.append(("purchases", "global", dt.date(2024, 6, came), False))
        if came in (1, 2, 15, 30):
            # One a day, at 300 in 30 days: 10 each on whichever day one looks.
            found = costs(config, customers, dt.date(2024, 6, came))
            assert found == {
                ("purchases", "global", 310.0): 1,
                ("purchases", "global", 10.0): came,
            }


def test_spend_by_day_counts_up_to_the_day(
    costs: Callable[..., Counter[tuple[Any, ...]]], tmp_path: Path
) -> None:
    days = [dt.date(2024, 5, 1) + dt.timedelta(days=n) for n in range(61)]
    by_day = "".join(f"{day},7\n" for day in days)
    config = configured(tmp_path / "spend.csv", f"month,amount\n{by_day}")
    came = [dt.date(2024, 5, 20), *(dt.date(2024, 6, n) for n in range(1, 11))]
    customers: list[Customer] = [("purchases", "global", day, False) for day in came]
    found = costs(config, customers, dt.date(2024, 6, 10))
    assert found == {("purchases", "global", 217.0): 1, ("purchases", "global", 7.0): 10}


def test_a_correction_on_another_day_makes_no_table_of_days(
    costs: Callable[..., Counter[tuple[Any, ...]]], tmp_path: Path
) -> None:
    rows = "2024-03-01,50\n2024-03-20,4\n2024-04-01,50\n2024-05-01,50\n2024-06-01,60\n"
    config = configured(tmp_path / "spend.csv", f"month,amount\n{rows}")
    customers: list[Customer] = [("purchases", "global", dt.date(2024, 6, 2), False)]
    customers.append(("purchases", "global", dt.date(2024, 3, 2), False))
    found = costs(config, customers, dt.date(2024, 6, 15))
    assert found == {("purchases", "global", 54.0): 1, ("purchases", "global", 130.0): 1}


def test_spend_from_before_the_first_customer_counts_for_nobody(
    costs: Callable[..., Counter[tuple[Any, ...]]],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    # A thousand a month, and data that begin in June: ten new customers in each month since.
    months = [dt.date(2023 + n // 12, n % 12 + 1, 1) for n in range(6, 20)]
    rows = "".join(f"{month},1000,{channel}\n" for month in months for channel in ("web", "shop"))
    keys = {"segments": ["channel"], "contract_segments": ["plan"]}
    spend = f"month,amount,channel\n{rows}"
    config = configured(tmp_path / "spend.csv", spend, ("channel",), **keys)
    customers: list[Customer] = [("purchases", "web", JUNE, False)] * 10
    customers += [("purchases", "web", dt.date(2024, 7, 3), False)] * 10
    # What was spent on the shop while others came waits for who comes there first.
    customers.append(("purchases", "shop", dt.date(2024, 8, 3), False))
    found = costs(config, customers, dt.date(2024, 8, 31))
    assert found == {("purchases", "web", 100.0): 20, ("purchases", "shop", 3000.0): 1}
    assert "22 months and segments of costs.acquisition.spend come before the month" in caplog.text


def test_features_are_made_again_when_spend_is_split_by_another_key(
    spark: SparkSession, tmp_path: Path
) -> None:
    """They hold the first value of such a key; nothing else about spend matters to them."""
    keys = {"segments": ["country", "channel"]}
    given = [
        configured(tmp_path / "whole.csv", "month,amount", **keys),
        configured(tmp_path / "other.csv", "month,amount", **keys),
        configured(tmp_path / "split.csv", "month,amount,channel", ("channel",), **keys),
        configured(
            tmp_path / "split.csv",
            "month,amount,channel",
            ("channel",),
            **keys,
            segment_assignment={"channel": "latest"},
        ),
    ]
    assert [[one.assignment(key) for key in keys["segments"]] for one in given] == [
        ["latest", "latest"],
        ["latest", "latest"],
        ["latest", "first"],
        ["latest", "latest"],
    ]
    whole, other, split, latest = (
        Run(spark, one, "run").config_hash(SECTIONS["customer_features"]) for one in given
    )
    assert whole == other
    assert len({whole, split, latest}) == 3
