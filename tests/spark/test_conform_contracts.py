"""Every row of contracts gets its meaning, or the one reason why it is refused."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from clv_spark.config import Config, ContractsSource
from clv_spark.errors import InputError
from clv_spark.lake import trusted_session
from clv_spark.pipelines import check_source
from clv_spark.schemas import Shape
from clv_spark.transforms.conform_contracts import conform_contracts
from clv_spark.transforms.contract_features import contract_features
from clv_spark.transforms.contracts import contract_rows, with_lives
from tests.contract_rows import SHAPE, Values, conformed, source

D = dt.date


def lives(lines: DataFrame, as_of: dt.date) -> dict[tuple[str, int], Any]:
    rows = contract_rows(with_lives(conformed(lines)), SHAPE)
    found = contract_features(rows, SHAPE, as_of, None).collect()
    return {(row["contract_id"], row["life"]): row for row in found}


def test_every_fault_has_its_reason(values: Values) -> None:
    well = ("c", "well", "2024-01-01", None, "Month ", "10", "a")
    refused: dict[str, tuple[str | None, ...]] = {
        "missing_customer_id": (" ", "1", "2024-01-01", None, "month", "10", "a"),
        "missing_contract_id": ("c", None, "2024-01-01", None, "month", "10", "a"),
        "invalid_amount": ("c", "2", "2024-01-01", None, "month", "NaN", "a"),
        "invalid_amount 2": ("c", "3", "2024-01-01", None, "month", "-1", "a"),
        "invalid_amount 3": ("c", "4", "2024-01-01", None, "month", None, "a"),
        "unknown_period": ("c", "5", "2024-01-01", None, "fortnight", "10", "a"),
        "unknown_period 2": ("c", "6", "2024-01-01", None, None, "10", "a"),
        "invalid_start": ("c", "7", "soon", None, "month", "10", "a"),
        "invalid_start 2": ("c", "8", None, None, "month", "10", "a"),
        "invalid_end": ("c", "9", "2024-01-01", "later", "month", "10", "a"),
        "end_before_start": ("c", "10", "2024-01-02", "2024-01-01", "month", "10", "a"),
        "cheap": ("c", "11", "2024-01-01", None, "month", "0.5", "a"),
    }
    used: dict[str, tuple[str | None, ...]] = {
        "well": well,
        "free": ("c", "12", "2024-01-01", None, "year", "0", None),
        "ends at once": ("c", "13", "2024-01-01", "2024-01-01", "month", "10", "a"),
        "starts in the future": ("c", "14", "2190-01-01", "", "month", "10", "a"),
        # A refused row refuses no other.
        "beside a refused one": ("c", "10", "2024-01-01", None, "month", "10", "a"),
    }
    rows = conformed(source(values, refused | used), reject={"cheap": "price = '0.5'"}).collect()
    found = {json.loads(row["line"])["name"]: row for row in rows}
    assert {name: row["reason"] for name, row in found.items()} == {
        **{name: name.split(" ")[0] for name in refused},
        **dict.fromkeys(used),
    }
    assert (found["well"]["period"], found["well"]["amount_cents"]) == ("month", 1000)
    assert found["free"]["plan"] == "(unknown)"
    assert found["starts in the future"]["end_date"] is None


def test_rows_that_overlap_and_copies(values: Values) -> None:
    rows: dict[str, tuple[str | None, ...]] = {
        "first": ("c", "1", "2024-01-01", "2024-04-01", "month", "10", "a"),
        "overlap": ("c", "1", "2024-03-01", "2024-06-01", "month", "12", "a"),
        "overlap, with the refused one": ("c", "1", "2024-05-01", None, "month", "12", "a"),
        "same contract of another customer": ("d", "1", "2024-03-01", None, "month", "9", "a"),
        "open": ("c", "2", "2024-01-01", None, "month", "10", "a"),
        "overlap, as the one before is open": ("c", "2", "2025-01-01", None, "month", "11", "a"),
    }
    copies = source(values, {"copy": ("c", "3", "2024-01-01", None, "month", "10", "a")})
    both = source(values, rows).unionByName(copies).unionByName(copies).unionByName(copies)
    found = conformed(both).select("line", "reason").collect()
    reasons = sorted(
        (json.loads(row["line"])["name"].split(",")[0], row["reason"])
        for row in found
        if row["reason"]
    )
    assert reasons == [("copy", "duplicate")] * 2 + [("overlap", "overlap")] * 3


def test_lives_of_contracts_as_of_a_date(values: Values) -> None:
    rows: dict[str, tuple[str | None, ...]] = {
        # Upgraded at the first renewal, its row closed on the last day; downgraded later.
        "a1": ("c", "graded", "2024-01-10", "2024-02-09", "month", "10", "small"),
        "a2": ("c", "graded", "2024-02-10", "2024-04-10", "month", "20", "large"),
        "a3": ("c", "graded", "2024-04-10", None, "month", "5", "small"),
        # Paused for a month.
        "b1": ("c", "paused", "2024-01-01", "2024-03-01", "month", "10", "a"),
        "b2": ("c", "paused", "2024-04-01", None, "month", "10", "a"),
        # From monthly to yearly: nothing is lost.
        "c1": ("c", "changed", "2024-01-01", "2024-04-01", "month", "10", "a"),
        "c2": ("c", "changed", "2024-04-01", None, "year", "100", "a"),
        # On the last day of the month; lost in the middle of its third period.
        "d1": ("c", "cancelled", "2024-01-31", "2024-04-10", "month", "10", "a"),
        "e1": ("c", "ends later", "2024-01-01", "2024-07-01", "quarter", "30", "a"),
        "f1": ("c", "begins later", "2024-07-01", None, "month", "10", "a"),
        # Changed its plan on the day it began.
        "g1": ("c", "changed at once", "2024-01-15", "2024-01-15", "month", "10", "a"),
        "g2": ("c", "changed at once", "2024-01-15", None, "month", "20", "b"),
    }
    found = lives(source(values, rows), D(2024, 6, 30))
    facts = ("tenure", "is_active", "is_lost", "periods_paid", "paid_amount", "periodic_amount")
    assert {key: tuple(row[name] for name in facts) for key, row in found.items()} == {
        ("graded", 1): (5, True, False, 6, 10 + 2 * 20 + 3 * 5, 5),
        ("paused", 1): (2, False, True, 2, 20, 10),
        ("paused", 2): (2, True, False, 3, 30, 10),
        ("changed", 1): (3, False, False, 3, 30, 10),
        ("changed", 2): (0, True, False, 1, 100, 100),
        ("cancelled", 1): (3, False, True, 3, 30, 10),
        ("ends later", 1): (1, True, False, 2, 60, 30),
        ("changed at once", 1): (5, True, False, 6, 120, 20),
    }
    assert found["graded", 1]["plan"] == "small"
    assert found["ends later", 1]["end_date"] is None
    assert found["ends later", 1]["next_renewal_date"] == D(2024, 7, 1)
    # The third period was begun on 31 March, after a shorter month.
    assert found["cancelled", 1]["last_renewal_date"] == D(2024, 3, 31)
    earlier = lives(source(values, rows), D(2024, 3, 31))
    assert {key for key, row in earlier.items() if row["is_active"]} == {
        ("graded", 1),
        ("changed", 1),
        ("cancelled", 1),
        ("ends later", 1),
        ("changed at once", 1),
    }
    assert earlier["graded", 1]["plan"] == "large"
    # On the day it ends a contract no longer runs.
    assert lives(source(values, rows), D(2024, 7, 1))["ends later", 1]["is_lost"]


def test_a_mapping_of_the_wrong_type_stops_the_job(values: Values) -> None:
    rows = source(values, {"well": ("c", "1", "2024-01-01", None, "month", "10", "a")})
    with pytest.raises(InputError, match=r"source\.contracts\.columns\.start_date gives double"):
        conformed(rows, columns={"start_date": "CAST(1 AS DOUBLE)"})
    with pytest.raises(InputError, match=r"source\.contracts\.columns\.period.*does not fit"):
        conformed(rows, columns={"period": "no_such_column"})


@pytest.mark.parametrize(
    ("begin", "zone", "day"),
    [
        # Midnight in Berlin, as a database hands it over.
        ("TIMESTAMP'2024-01-31 23:00:00Z'", "Europe/Berlin", D(2024, 2, 1)),
        ("TIMESTAMP'2024-06-30 22:00:00Z'", "Europe/Berlin", D(2024, 7, 1)),
        ("'2024-01-31T23:00:00Z'", "Europe/Berlin", D(2024, 2, 1)),
        ("TIMESTAMP'2024-01-31 23:00:00Z'", "UTC", D(2024, 1, 31)),
        # What is local already stays.
        ("TIMESTAMP_NTZ'2024-01-31 23:00:00'", "Europe/Berlin", D(2024, 1, 31)),
        ("'2024-01-31 23:00:00'", "Europe/Berlin", D(2024, 1, 31)),
        ("DATE'2024-01-31'", "Asia/Tokyo", D(2024, 1, 31)),
    ],
)
def test_an_instant_is_a_day_of_the_time_zone(
    values: Values, begin: str, zone: str, day: dt.date
) -> None:
    rows = source(values, {"well": ("c", "1", None, None, "month", "10", "a")})
    dates = {"start_date": begin, "end_date": begin}
    (row,) = conformed(rows, columns=dates, timezone=zone).collect()
    assert (row["reason"], row["start_date"], row["end_date"]) == (None, day, day)


def test_time_zones_by_country_and_what_is_no_date(values: Values) -> None:
    rows: dict[str, tuple[str | None, ...]] = {
        "japan": ("c", "1", "2024-01-31T16:00:00Z", None, "month", "10", " Japan"),
        "others": ("c", "2", "2024-01-31T16:00:00Z", "", "month", "10", "France"),
        "no date": ("c", "3", "2024-01-31", "10:30", "month", "10", "Japan"),
    }
    zones = {"default": "UTC", "Japan": "Asia/Tokyo"}
    lines = conformed(source(values, rows), columns={"country": "plan"}, timezone=zones)
    found = {json.loads(row["line"])["name"]: row for row in lines.collect()}
    assert found["japan"]["start_date"] == D(2024, 2, 1)
    assert found["others"]["start_date"] == D(2024, 1, 31)
    assert [found[name]["reason"] for name in rows] == [None, None, "invalid_end"]


def test_check_source_says_that_dates_are_local(spark: SparkSession, tmp_path: Path) -> None:
    rows = "SELECT 1L AS who, 'n' AS number, TIMESTAMP'2024-01-31 23:00:00Z' AS begin"
    spark.sql(rows).write.parquet(str(tmp_path / "contracts"))
    columns = {
        "customer_id": "who",
        "contract_id": "number",
        "start_date": "begin",
        "end_date": "CAST(NULL AS DATE)",
        "period": "'month'",
        "periodic_amount": "10",
    }
    section = {"path": str(tmp_path / "contracts"), "columns": columns, "timezone": "Europe/Berlin"}
    lake = {"path": str(tmp_path / "lake")}
    config = Config.model_validate({"lake": lake, "source": {"contracts": section}})
    found = check_source(spark, config)
    types = {one["column"]: one["type"] for one in found["mapping"]}
    assert types["start_date"] == types["end_date"] == "date, in the configured time zone"
    assert types["customer_id"] == "bigint"
    assert found["first_date"] == found["sample"][0]["start_date"] == D(2024, 2, 1)


def test_a_snapshot(spark: SparkSession) -> None:
    rows = spark.sql(
        "SELECT * FROM VALUES ('a', 5, 'Yes', 'run'), ('b', 1, 'No', 'run'), ('c', 0, 'No', 'run'),"
        "('d', 0, 'Yes', 'lost before it began'), ('e', 1.5, 'No', 'no whole tenure'),"
        "('f', 9, NULL, 'unknown') AS t(id, months, churn, name)"
    )
    config = ContractsSource.model_validate(
        {
            "path": "-",
            "shape": "snapshot",
            "snapshot_window": 2,
            "columns": {
                "customer_id": "id",
                "contract_id": "id",
                "tenure": "months",
                "is_lost": "churn = 'Yes'",
                "period": "'month'",
                "periodic_amount": "10",
            },
        }
    )
    shape = Shape("STRING", ())
    with trusted_session(spark):
        lines = conform_contracts(rows, config, currency=None, segments=())
        refused = {row["customer_id"] for row in lines.where("reason = 'invalid_tenure'").collect()}
        assert refused == {"d", "e", "f"}
        features = contract_features(
            contract_rows(with_lives(lines), shape), shape, D(2024, 3, 31), 2
        )
    found = {row["customer_id"]: row for row in features.collect()}
    facts = ("entry_tenure", "tenure", "is_active", "is_lost", "start_date", "periods_paid")
    assert {name: tuple(row[fact] for fact in facts) for name, row in found.items()} == {
        "a": (3, 5, False, True, D(2023, 10, 31), 5),
        "b": (0, 1, True, False, D(2024, 2, 29), 2),
        "c": (0, 0, True, False, D(2024, 3, 31), 1),
    }
