"""Event dates are local calendar days, whatever the source calls a time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from clv_spark.errors import InputError
from tests.conforming import DAY, by_case, meaning

LONDON_SUMMER_NIGHT = {
    # 23:30 by London's clocks on 15 June is 22:30 UTC.
    "text": ("'2011-06-15 23:30:00'", DAY),
    "text with offset": ("'2011-06-15T22:30:00Z'", DAY),
    "text across midnight": ("'2011-06-15T23:30:00Z'", dt.date(2011, 6, 16)),
    "date text": ("'2011-06-15'", DAY),
    "short date text": ("' 2011-6-5'", dt.date(2011, 6, 5)),
    "before 1970": ("'1969-07-20 23:30:00'", dt.date(1969, 7, 20)),
}


def test_event_dates_are_local_days(spark: SparkSession, values: Callable[..., DataFrame]) -> None:
    texts = values(
        "name, customer, at, amount",
        *(f"('{name}', 1L, {sql}, 1.00)" for name, (sql, _) in LONDON_SUMMER_NIGHT.items()),
    )
    for expression in ("at", "to_timestamp(at)"):
        lines = by_case(
            meaning(texts, columns={"event_time": expression}, timezone="Europe/London")
        )
        found = {name: line["event_date"] for name, line in lines.items()}
        assert found == {name: day for name, (_, day) in LONDON_SUMMER_NIGHT.items()}, expression


@pytest.mark.parametrize(
    ("instant", "zone", "day"),
    [
        ("TIMESTAMP'2011-06-15 23:30:00Z'", "Europe/London", dt.date(2011, 6, 16)),
        ("TIMESTAMP'2011-01-15 23:30:00Z'", "Europe/London", dt.date(2011, 1, 15)),
        ("TIMESTAMP'2011-06-15 23:30:00Z'", "America/New_York", DAY),
        ("TIMESTAMP'1969-12-31 23:30:00Z'", "Asia/Tokyo", dt.date(1970, 1, 1)),
        ("TIMESTAMP'1960-02-29 03:00:00Z'", "America/New_York", dt.date(1960, 2, 28)),
        ("TIMESTAMP_NTZ'2011-06-15 23:30:00'", "Asia/Tokyo", DAY),
        ("TIMESTAMP_NTZ'1965-06-15 23:30:00'", "America/New_York", dt.date(1965, 6, 15)),
        ("DATE'2011-06-15'", "Asia/Tokyo", DAY),
        ("DATE'1901-01-01'", "America/New_York", dt.date(1901, 1, 1)),
    ],
)
def test_instants_become_local_days_and_local_times_stay(
    values: Callable[..., DataFrame], instant: str, zone: str, day: dt.date
) -> None:
    source = values("name, customer, at, amount", f"('only', 1L, {instant}, 1.00)")
    assert by_case(meaning(source, timezone=zone))["only"]["event_date"] == day


def test_time_zones_by_country(values: Callable[..., DataFrame]) -> None:
    source = values(
        "name, customer, at, amount, place",
        "('japan', 1L, TIMESTAMP'2011-06-15 16:00:00Z', 1.00, 'Japan')",
        "('japan with blanks', 1L, TIMESTAMP'2011-06-15 16:00:00Z', 1.00, ' Japan ')",
        r"('japan with a tab', 1L, TIMESTAMP'2011-06-15 16:00:00Z', 1.00, 'Japan\t')",
        "('peru', 1L, TIMESTAMP'2011-06-15 02:00:00Z', 1.00, 'Peru')",
        "('others', 1L, TIMESTAMP'2011-06-15 16:00:00Z', 1.00, 'France')",
        "('nowhere', 1L, TIMESTAMP'2011-06-15 16:00:00Z', 1.00, CAST(NULL AS STRING))",
    )
    zones = {"default": "UTC", "Japan": "Asia/Tokyo", "Peru": "America/Lima"}
    lines = by_case(meaning(source, columns={"country": "place"}, timezone=zones))
    assert {name: line["event_date"].day for name, line in lines.items()} == {
        "japan": 16,
        "japan with blanks": 16,
        "japan with a tab": 16,
        "peru": 14,
        "others": 15,
        "nowhere": 15,
    }


def test_the_range_of_dates_is_of_local_days(spark: SparkSession, tmp_path: Path) -> None:
    """Spark turns a comparison of days into one of instants: in the source's zone, not its own."""
    spark.sql(
        "SELECT * FROM VALUES"
        " ('before', 'x', TIMESTAMP'2011-06-14 22:59:59Z', 1.00D),"
        " ('first', 'x', TIMESTAMP'2011-06-14 23:00:00Z', 1.00D),"
        " ('last', 'x', TIMESTAMP'2011-06-15 22:59:59Z', 1.00D),"
        " ('after', 'x', TIMESTAMP'2011-06-15 23:00:00Z', 1.00D) AS t(name, customer, at, amount)"
    ).write.parquet(str(tmp_path / "lines"))
    source = spark.read.parquet(str(tmp_path / "lines"))
    lines = meaning(
        source, timezone="Europe/London", first_date="2011-06-15", last_date="2011-06-15"
    )
    found = {name: line["reason"] for name, line in by_case(lines).items()}
    outside = dict.fromkeys(("before", "after"), "date_out_of_range")
    assert found == {**outside, "first": None, "last": None}
    used = lines.where(F.col("reason").isNull() & (F.col("event_date") <= F.lit(DAY)))
    assert used.count() == 2


def test_the_session_time_zone_is_as_before(
    spark: SparkSession, values: Callable[..., DataFrame]
) -> None:
    before = (
        spark.conf.get("spark.sql.session.timeZone"),
        spark.conf.get("spark.sql.ansi.enabled"),
    )
    source = values("name, customer, at, amount", "('x', 1L, DATE'2011-06-15', 1.00)")
    meaning(source, timezone="Asia/Tokyo")
    with pytest.raises(InputError):
        meaning(source, columns={"amount": "nowhere"}, timezone="Asia/Tokyo")
    after = (spark.conf.get("spark.sql.session.timeZone"), spark.conf.get("spark.sql.ansi.enabled"))
    assert after == before
