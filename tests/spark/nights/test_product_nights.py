"""Categories follow the source night by night, and are as if made from nothing."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable

import pytest

from clv_spark.config import ProductsConfig
from clv_spark.errors import InputError
from clv_spark.pipelines import product_days
from tests.nights import FIRST
from tests.operations import read_table, versions
from tests.spark.nights.conftest import Follower, cut_off_at

pytestmark = pytest.mark.slow


@pytest.mark.long
def test_nights_and_a_kill_end_as_a_rebuild(follow: Callable[..., Follower]) -> None:
    shop = follow("parquet", seed=12, products=True)
    files = shop.files
    for number in range(2):
        day = FIRST + dt.timedelta(days=number)
        files.put(f"day {day}", files.lines.of(day, 60))
        shop.build(shop.config(), day)
    assert _folded(shop, day) == f"days after {FIRST} folded"
    _check_sums(shop)

    # What a run had written that was cut off before customer_days must not stay.
    files.put("of the past", files.lines.of(FIRST, 5))
    with cut_off_at("customer_days:products_written") as points:
        shop.days()
    assert points[-1] == "customer_days:products_written"
    files.remove("of the past")
    day = shop.night(2)
    shop.check(day)
    assert _folded(shop, day) == "all days folded"


def _check_sums(shop: Follower) -> None:
    """The categories of a day add up to the day."""
    sold: Counter[tuple[str, dt.date]] = Counter()
    rows = read_table(shop.folder / "lake" / "product_days").to_pylist()
    for row in rows:
        sold[row["customer_id"], row["event_date"]] += row["gross_amount"]
    assert {row["category"] for row in rows} == {"k0", "k1", "k2", "k3", "(unknown)"}
    days = read_table(shop.folder / "lake" / "customer_days").to_pylist()
    assert sold == {
        (row["customer_id"], row["event_date"]): row["gross_amount"]
        for row in days
        if row["transactions"] > 0
    }


def test_without_products_nothing_changes(follow: Callable[..., Follower]) -> None:
    """A category that is mapped for something else makes no table and no pass over the lines."""
    shop = follow("parquet", seed=14, products=True)
    files = shop.files
    files.put("first", files.lines.of(FIRST, 30))
    mapped = shop.config().model_copy(update={"products": ProductsConfig(enabled=False)})
    with cut_off_at("never") as points:
        outcome = shop.build(mapped, FIRST)
    assert "customer_days:committed" in points
    assert not [point for point in points if "product" in point]
    assert not [name for name in versions(shop.folder / "lake") if "product" in name]
    assert "customer_products" not in outcome["tables"]


def test_articles_are_no_categories(
    follow: Callable[..., Follower], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = follow("parquet", seed=15, products=True)
    files = shop.files
    files.put("first", files.lines.of(FIRST, 30))
    monkeypatch.setattr(product_days, "MOST_CATEGORIES", 4)
    with pytest.raises(InputError, match=r"more than 4 distinct values; map it to something coars"):
        shop.days()
    assert "customer_days" not in versions(shop.folder / "lake")


def _folded(shop: Follower, day: dt.date) -> str:
    """What the last fold of customer_products started from."""
    runs = read_table(shop.folder / "lake" / "pipeline_runs").to_pylist()
    found = [row for row in runs if (row["stage"], row["as_of_date"]) == ("customer_products", day)]
    return str(max(found, key=lambda row: row["finished_at"])["message"])
