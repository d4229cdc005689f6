"""Keys that customers are told apart by, and which value of them counts."""

from __future__ import annotations

import pytest

from clv_spark.config import Config, load_config
from clv_spark.errors import ConfigError

COLUMNS = "customer_id: who, event_time: day, amount: paid, category: shelf, first_category: shelf"
LINES = f"source.transactions={{path: x, columns: {{{COLUMNS}}}}}"
FIRST = "segment_assignment={first_category: first}"


def loaded(*overrides: str) -> Config:
    return load_config(overrides=[LINES, *overrides], environ={})


def test_customers_can_be_told_apart_by_the_category_they_began_with() -> None:
    config = loaded("report_by=[first_category]", FIRST, "products.enabled=true")
    assert config.customer_keys == ("first_category",)
    assert config.assignment("first_category") == "first"


@pytest.mark.parametrize("section", ["segments", "report_by"])
def test_the_category_itself_is_of_the_products(section: str) -> None:
    with pytest.raises(ConfigError, match=f"{section} names .*category.*under another name"):
        loaded(f"{section}=[category, first_category]")


def test_spend_that_counts_for_contracts_alone_says_nothing_about_who_buys() -> None:
    held = "contract_id: k, start_date: s, end_date: e, period: p, periodic_amount: a"
    given = (
        f"source.contracts={{path: y, columns: {{customer_id: who, {held}, plan: plan, "
        "first_category: c}}",
        "report_by=[first_category]",
        "contract_segments=[first_category, plan]",
    )
    columns = "month: m, amount: a, first_category: c"
    shared = f"costs.acquisition.spend={{path: z, columns: {{{columns}}}}}"
    alone = f"costs.acquisition.spend={{path: z, columns: {{{columns}, plan: p}}}}"
    assert loaded(*given, shared).assignment("first_category") == "first"
    assert loaded(*given, alone).assignment("first_category") == "latest"
