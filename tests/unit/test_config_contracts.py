"""The configuration of contracts: what is missing or out of place is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clv_spark.config import Config, load_config
from clv_spark.config.contracts import RESERVED_CONTRACT_NAMES
from clv_spark.errors import ConfigError
from clv_spark.schemas import CONTRACT_FEATURES, CONTRACTS
from clv_spark.schemas.spec import SEGMENT_KEYS

CONF = Path(__file__).parents[2] / "conf"
ROWS = {
    "customer_id": "c",
    "contract_id": "n",
    "start_date": "a",
    "end_date": "b",
    "period": "p",
    "periodic_amount": "m",
}
SNAPSHOT = {
    "customer_id": "c",
    "contract_id": "c",
    "tenure": "t",
    "is_lost": "l",
    "period": "p",
    "periodic_amount": "m",
}


def load(source: dict[str, Any], **more: str) -> Config:
    overrides = [f"source.contracts={source}", *(f"{key}={value}" for key, value in more.items())]
    return load_config(overrides=overrides, environ={})


def test_a_snapshot_needs_its_window_and_says_why() -> None:
    given = {"path": "x", "shape": "snapshot", "columns": SNAPSHOT}
    with pytest.raises(ConfigError, match=r"snapshot_window.*no default, since it decides"):
        load(given)
    assert load({**given, "snapshot_window": 1}).source.contracts is not None
    with pytest.raises(ConfigError, match="snapshot_window has a meaning for shape 'snapshot'"):
        load({"path": "x", "columns": ROWS, "snapshot_window": 1})


def test_a_snapshot_has_no_times_to_turn_into_days() -> None:
    given = {"path": "x", "shape": "snapshot", "columns": SNAPSHOT, "snapshot_window": 1}
    with pytest.raises(ConfigError, match=r"source\.contracts\.timezone has a meaning for shape"):
        load({**given, "timezone": "Europe/Berlin"})


@pytest.mark.parametrize("name", ROWS)
def test_every_column_of_rows_is_needed(name: str) -> None:
    columns = {key: value for key, value in ROWS.items() if key != name}
    with pytest.raises(ConfigError, match=f"source.contracts.columns lacks .*{name}"):
        load({"path": "x", "columns": columns})


@pytest.mark.parametrize(
    ("source", "more", "message"),
    [
        ({"format": "table", "path": "x"}, {}, r"needs source\.contracts\.table"),
        ({"path": "x", "reject": {"overlap": "true"}}, {}, "quarantine uses itself"),
        ({"path": "x", "timezone": "Mars/Olympus"}, {}, "Mars/Olympus.*Europe/London"),
        (
            {"path": "x", "timezone": {"default": "UTC", "Japan": "Asia/Tokyo"}},
            {},
            r"time zone by country needs source\.contracts\.columns\.country",
        ),
        ({"path": "x", "columns": {**ROWS, "plan": "q"}}, {}, r"maps \['plan'\], which nothing"),
        ({"path": "x"}, {"contract_segments": "[plan]"}, r"contract_segments names \['plan'\]"),
        ({"path": "x"}, {"contract_segments": "[period]"}, "use for something else"),
        ({"path": "x", "columns": {**ROWS, "currency": "q"}}, {}, "currency is not set"),
        ({"path": "x", "columns": {**ROWS, "tenure": "t"}}, {}, r"maps \['tenure'\]"),
    ],
)
def test_mistakes_are_named(source: dict[str, Any], more: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load({"columns": ROWS, **source}, **more)


def test_a_segment_key_cannot_take_the_name_of_a_column() -> None:
    names = {
        column.name.lower()
        for spec in (CONTRACTS, CONTRACT_FEATURES)
        for column in spec.columns
        if column.name != SEGMENT_KEYS
    }
    assert names <= RESERVED_CONTRACT_NAMES


def test_what_a_run_is_about() -> None:
    alone = load({"path": "x", "columns": ROWS})
    assert (alone.has_purchases, alone.has_contracts) == (False, True)
    assert (Config().has_purchases, Config().has_contracts) == (True, False)
    both = load_config(CONF / "telecom.yml", environ={})
    assert (both.has_purchases, both.has_contracts) == (True, True)
    assert load_config(CONF / "demo_contracts.yml", environ={}).contract_segments == ("plan",)
