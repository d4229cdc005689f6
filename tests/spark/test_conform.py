"""Every line of a source gets its meaning, or the one reason why it is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from clv_spark.errors import InputError
from tests.conforming import DAY, by_case, meaning

WELL = {
    "customer": "'c1'",
    "amount": "'12.50'",
    "margin": "'1.00'",
    "at": "'2011-06-15 10:00:00'",
    "currency": "'EUR'",
    "stock": "'apple'",
    "back": "'false'",
}
FAULTS = {
    "missing_customer_id": ("customer", ["CAST(NULL AS STRING)", "''", "'   '"]),
    "invalid_amount": (
        "amount",
        ["CAST(NULL AS STRING)", "'NaN'", "'Infinity'", "'-Infinity'", "'ten'", "'1e300'", "''"],
    ),
    "invalid_margin": ("margin", ["CAST(NULL AS STRING)", "'NaN'", "'lots'"]),
    "invalid_refund_flag": ("back", ["'J'", "'maybe'"]),
    "invalid_date": (
        "at",
        ["CAST(NULL AS STRING)", "'garbage'", "'2011-13-45'", "'10:30'", "'2011'", "' 2011-06 '"],
    ),
    "date_out_of_range": ("at", ["'2010-12-31 23:59:59'", "'2012-01-01'"]),
    "foreign_currency": ("currency", ["'USD'", "CAST(NULL AS STRING)", "'eur'"]),
    "the owner's rule": ("stock", ["'POST'"]),
}


def faulty_lines() -> dict[str, tuple[str, dict[str, str]]]:
    """Lines by name, with the reason expected: every single fault, and every pair of faults."""
    lines = {"well": ("", WELL)}
    for reason, (part, faults) in FAULTS.items():
        for number, fault in enumerate(faults):
            lines[f"{reason} {number}"] = (reason, {**WELL, part: fault})
    order = list(FAULTS)
    for position, first in enumerate(order):
        for second in order[position + 1 :]:
            parts = {FAULTS[r][0]: FAULTS[r][1][0] for r in (second, first)}
            lines[f"{first} and {second}"] = (first, {**WELL, **parts})
    return lines


@pytest.fixture(scope="module")
def refused(values: Callable[..., DataFrame]) -> dict[str, Any]:
    lines = faulty_lines()
    rows = [
        f"('{name.replace(chr(39), chr(92) + chr(39))}', {', '.join(parts[part] for part in WELL)})"
        for name, (_, parts) in lines.items()
    ]
    source = values(f"name, {', '.join(WELL)}", *rows)
    return by_case(
        meaning(
            source,
            columns={"margin": "margin", "currency": "currency", "is_refund": "back"},
            currency="EUR",
            first_date="2011-01-01",
            last_date="2011-12-31",
            # The second condition is NULL for every line: a rule that does not know refuses nobody.
            reject={"the owner's rule": "stock = 'POST'", "unknown": "stock = NULL"},
        )
    )


@pytest.mark.parametrize("name", list(faulty_lines()))
def test_a_line_has_the_first_reason_that_applies(refused: dict[str, Any], name: str) -> None:
    expected = faulty_lines()[name][0] or None
    assert refused[name]["reason"] == expected


def test_a_usable_line_says_what_it_was_understood_as(refused: dict[str, Any]) -> None:
    line = refused["well"]
    assert (line["customer_id"], line["event_date"]) == ("c1", DAY)
    assert (line["amount_cents"], line["margin_cents"], line["is_refund"]) == (1250, 100, False)


def test_a_line_without_a_margin_is_used_with_a_usual_one(
    values: Callable[..., DataFrame],
) -> None:
    source = values(
        "name, customer, at, amount, margin",
        "('known', 'c1', '2011-06-15', '12.50', '1.00')",
        "('missing', 'c1', '2011-06-15', '12.50', NULL)",
    )
    # As conf/base.yml and check-source advise.
    found = by_case(meaning(source, columns={"margin": "coalesce(margin, 0.3 * amount)"}))
    assert {name: line["margin_cents"] for name, line in found.items()} == {
        "known": 100,
        "missing": 375,
    }
    assert {line["reason"] for line in found.values()} == {None}


def test_a_refused_line_is_kept_whole(refused: dict[str, Any]) -> None:
    kept = json.loads(refused["invalid_amount 4"]["line"])
    assert kept == {
        "name": "invalid_amount 4",
        "customer": "c1",
        "amount": "ten",
        "margin": "1.00",
        "at": "2011-06-15 10:00:00",
        "currency": "EUR",
        "stock": "apple",
        "back": "false",
    }


def test_not_a_number_and_infinite_doubles_are_invalid(values: Callable[..., DataFrame]) -> None:
    source = values(
        "name, customer, at, amount",
        "('nan', 1L, DATE'2011-06-15', double('NaN'))",
        "('inf', 1L, DATE'2011-06-15', double('Infinity'))",
        "('-inf', 1L, DATE'2011-06-15', double('-Infinity'))",
        "('huge', 1L, DATE'2011-06-15', 1e300)",
        "('null', 1L, DATE'2011-06-15', CAST(NULL AS DOUBLE))",
        "('-0.0', 1L, DATE'2011-06-15', -0.0D)",
        "('0', 1L, DATE'2011-06-15', 0.0D)",
    )
    lines = by_case(meaning(source))
    reasons = {name: line["reason"] for name, line in lines.items()}
    invalid = dict.fromkeys(("nan", "inf", "-inf", "huge", "null"), "invalid_amount")
    assert reasons == {**invalid, "-0.0": None, "0": None}
    assert lines["-0.0"]["amount_cents"] == 0
    assert lines["-0.0"]["is_refund"] is False


AMOUNTS = {
    "double": ("CAST({} AS DOUBLE)", {"1.005": 101, "-1.005": -101, "0.1": 10, "2.675": 268}),
    "double as text": ("'{}'", {"1.005": 101, "1e3": 100_000, " 7.5 ": 750, "-0.004": 0}),
    "decimal": ("CAST({} AS DECIMAL(20,4))", {"1.0050": 101, "-1.0050": -101, "8.0049": 800}),
    "float": ("CAST({} AS FLOAT)", {"1.005": 101, "19.99": 1999}),
    "int": ("CAST({} AS INT)", {"3": 300, "-3": -300}),
    "largest": ("CAST({} AS DOUBLE)", {"999999999999.99": 99_999_999_999_999}),
}


def test_amounts_are_rounded_half_up_as_they_are_written(spark: SparkSession) -> None:
    for kind, (cast, cases) in AMOUNTS.items():
        rows = [f"('{text}', 1L, DATE'2011-06-15', {cast.format(text)})" for text in cases]
        source = spark.sql(
            f"SELECT * FROM VALUES {', '.join(rows)} AS t(name, customer, at, amount)"
        )
        found = {name: line["amount_cents"] for name, line in by_case(meaning(source)).items()}
        assert found == cases, kind


def test_small_integers_do_not_wrap_around(values: Callable[..., DataFrame]) -> None:
    source = values(
        "name, customer, at, quantity, pence",
        "('many', 1L, DATE'2011-06-15', 80995, 2000000)",
        "('short', 1L, DATE'2011-06-15', 30000, 30000)",
    )
    for kind in ("INT", "SMALLINT"):
        typed = source.where("name = 'short'" if kind == "SMALLINT" else "true")
        typed = typed.withColumn("quantity", F.col("quantity").cast(kind))
        lines = by_case(meaning(typed, columns={"amount": "quantity * pence / 100"}))
        assert lines["short"]["amount_cents"] == 900_000_000
        if kind == "INT":
            assert lines["many"]["amount_cents"] == 80_995 * 2_000_000
    whole = by_case(meaning(source, columns={"amount": "quantity * pence"}))
    assert whole["many"]["amount_cents"] == 80_995 * 2_000_000 * 100


def test_what_is_marked_as_refund_is_negative(values: Callable[..., DataFrame]) -> None:
    source = values(
        "name, customer, at, amount, margin, back",
        "('positive', 1L, DATE'2011-06-15', 5.00, 2.00, true)",
        "('negative', 1L, DATE'2011-06-15', -5.00, -2.00, true)",
        "('sale', 1L, DATE'2011-06-15', 5.00, 2.00, false)",
        "('not said', 1L, DATE'2011-06-15', -5.00, -2.00, CAST(NULL AS BOOLEAN))",
    )
    lines = by_case(meaning(source, columns={"is_refund": "back", "margin": "margin"}))
    found = {n: (r["is_refund"], r["amount_cents"], r["margin_cents"]) for n, r in lines.items()}
    assert found == {
        "positive": (True, -500, -200),
        "negative": (True, -500, -200),
        "sale": (False, 500, 200),
        "not said": (True, -500, -200),
    }
    by_sign = by_case(meaning(source))
    assert [by_sign[name]["is_refund"] for name in ("positive", "negative")] == [False, True]


def test_equal_lines_count_once(values: Callable[..., DataFrame]) -> None:
    source = values(
        "name, customer, at, amount, note",
        "('a', 'x', '2011-06-15', 1.00D, CAST(NULL AS STRING))",
        "('a', 'x', '2011-06-15', 1.00D, CAST(NULL AS STRING))",
        "('a', 'x', '2011-06-15', 1.00D, CAST(NULL AS STRING))",
        "('b', 'x', '2011-06-15', 1.00D, '')",
        "('nan', 'x', '2011-06-15', double('NaN'), '')",
        "('nan', 'x', '2011-06-15', double('NaN'), '')",
    )
    lines = meaning(source, deduplicate="all_columns").collect()
    found = sorted((json.loads(line["line"])["name"], line["reason"] or "") for line in lines)
    assert found == [
        ("a", ""),
        ("a", "duplicate"),
        ("a", "duplicate"),
        ("b", ""),
        # An earlier reason wins, for the copy as well.
        ("nan", "invalid_amount"),
        ("nan", "invalid_amount"),
    ]
    assert {line["reason"] for line in meaning(source, deduplicate="none").collect()} == {
        None,
        "invalid_amount",
    }


VERSIONS = (
    "('old', 'k1', '2011-06-15', 1, 1.00)",
    "('new', 'k1', '2011-06-15', 3, 2.00)",
    "('unsaid', 'k1', '2011-06-15', CAST(NULL AS INT), 3.00)",
    "('other day', 'k1', '2011-06-16', 1, 4.00)",
    "('tie a', 'k2', '2011-06-15', 7, 5.00)",
    "('tie b', 'k2', '2011-06-15', 7, 6.00)",
    "('no key 1', CAST(NULL AS STRING), '2011-06-15', 1, 7.00)",
    "('no key 2', CAST(NULL AS STRING), '2011-06-15', 1, 7.00)",
    "('blank key 1', ' ', '2011-06-15', 1, 8.00)",
    "('blank key 2', ' ', '2011-06-15', 1, 9.00)",
)


NUMBERED = {"none": "double('NaN')", "nor here": "double('NaN')", "one": "1D", "the same": "1D"}


@pytest.mark.parametrize("backwards", [False, True])
def test_the_newest_version_of_a_line_wins(
    values: Callable[..., DataFrame], backwards: bool
) -> None:
    rows = VERSIONS[::-1] if backwards else VERSIONS
    source = values("name, key, at, changed, amount", *rows).withColumn("customer", F.lit("x"))
    lines = by_case(
        meaning(
            source.repartition(3, "amount"),
            columns={"line_id": "key", "updated_at": "changed"},
            deduplicate="line_id",
        )
    )
    kept = {name for name, line in lines.items() if line["reason"] is None}
    without = {f"{what} key {number}" for what in ("no", "blank") for number in (1, 2)}
    assert kept == {"new", "other day", "tie b"} | without
    assert {line["reason"] for line in lines.values()} == {None, "duplicate"}


def test_lines_whose_number_is_nan_are_no_versions_of_each_other(
    values: Callable[..., DataFrame],
) -> None:
    """As pandas writes a missing number."""
    rows = [f"('{name}', {key}, 'x', '2011-06-15', 1)" for name, key in NUMBERED.items()]
    source = values("name, key, customer, at, amount", *rows)
    lines = by_case(meaning(source, columns={"line_id": "key"}, deduplicate="line_id"))
    refused = {name for name, line in lines.items() if line["reason"] is not None}
    assert len(refused) == 1
    assert refused < {"one", "the same"}


def test_segment_values_are_text_and_never_empty(values: Callable[..., DataFrame]) -> None:
    source = values(
        "name, customer, at, amount, place",
        "('null', 1L, DATE'2011-06-15', 1.00, CAST(NULL AS STRING))",
        "('blank', 1L, DATE'2011-06-15', 1.00, '  ')",
        "('quote', 1L, DATE'2011-06-15', 1.00, 'O\\'Brien')",
        "('spaces', 1L, DATE'2011-06-15', 1.00, ' Peru ')",
    )
    lines = by_case(meaning(source, columns={"country": "place"}, segments=("country",)))
    assert {name: line["country"] for name, line in lines.items()} == {
        "null": "(unknown)",
        "blank": "(unknown)",
        "quote": "O'Brien",
        "spaces": "Peru",
    }


@pytest.mark.parametrize(
    ("id_sql", "spark_type", "value"),
    [
        ("9007199254740993L", "bigint", 9_007_199_254_740_993),
        ("CAST(12346 AS INT)", "bigint", 12346),
        ("'00017'", "string", "00017"),
        ("CAST(9007199254740993 AS DECIMAL(20,0))", "string", "9007199254740993"),
    ],
)
def test_customer_ids_keep_every_digit(
    values: Callable[..., DataFrame], id_sql: str, spark_type: str, value: object
) -> None:
    source = values("name, customer, at, amount", f"('x', {id_sql}, DATE'2011-06-15', 1.00)")
    lines = meaning(source)
    assert lines.schema["customer_id"].dataType.simpleString() == spark_type
    assert by_case(lines)["x"]["customer_id"] == value


def test_an_id_that_is_cast_to_int_is_an_integer(values: Callable[..., DataFrame]) -> None:
    source = values("name, customer, at, amount", "('x', 17.0D, DATE'2011-06-15', 1.00)")
    lines = meaning(source, columns={"customer_id": "CAST(customer AS INT)"})
    assert lines.schema["customer_id"].dataType.simpleString() == "bigint"
    assert by_case(lines)["x"]["customer_id"] == 17


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        (
            {"customer_id": "double(1)"},
            ["customer_id", "double", "CAST(nanvl(..., NULL) AS BIGINT)"],
        ),
        ({"customer_id": "amount"}, ["customer_id", "decimal(3,2)", "CAST(... AS STRING)"]),
        ({"event_time": "17L"}, ["event_time", "bigint", "to_timestamp"]),
        ({"amount": "at"}, ["amount", "date", "CAST(... AS DOUBLE)"]),
        ({"amount": "sum(amount)"}, ["columns.amount", "sum(amount)"]),
        ({"amount": "*"}, ["columns.amount", "'*'"]),
        ({"amount": "explode(array(1, 2))"}, ["UNSUPPORTED_GENERATOR", "one value for each line"]),
        ({"is_refund": "at"}, ["columns.is_refund", "date", "BOOLEAN"]),
        ({"amount": "nowhere"}, ["columns.amount", "'nowhere'", "name, customer, at, amount"]),
        ({"event_time": "to_date(wen)"}, ["columns.event_time", "UNRESOLVED_COLUMN", "backticks"]),
        ({"customer_id": "no_such(at)"}, ["columns.customer_id", "UNRESOLVED_ROUTINE"]),
        ({"amount": "1 +"}, ["columns.amount", "PARSE_SYNTAX_ERROR"]),
    ],
)
def test_a_mapping_that_does_not_fit_is_named(
    values: Callable[..., DataFrame], columns: dict[str, str], says: list[str]
) -> None:
    source = values("name, customer, at, amount", "('x', 1L, DATE'2011-06-15', 1.00)")
    with pytest.raises(InputError) as caught:
        meaning(source, columns=columns)
    assert caught.value.exit_code == 11
    for words in says:
        assert words in str(caught.value)


def test_a_rule_that_does_not_fit_is_named(values: Callable[..., DataFrame]) -> None:
    source = values("name, customer, at, amount", "('x', 1L, DATE'2011-06-15', 1.00)")
    with pytest.raises(InputError, match=r"reject\.postage.*stock_code"):
        meaning(source, reject={"postage": "stock_code = 'POST'"})
    for rule, kind in (("at", "date"), ("array(1)", "array<int>")):
        with pytest.raises(InputError, match=f"reject.postage: .* gives {kind}, .* a condition"):
            meaning(source, reject={"never": "false", "postage": rule})


@pytest.mark.parametrize("deduplicate", ["none", "all_columns", "line_id"])
def test_columns_of_any_name(values: Callable[..., DataFrame], deduplicate: str) -> None:
    names = ["name", "Customer ID", "a.b", "__copy", "__m_amount", "tick`s", "__r_0"]
    source = values(
        "c0, c1, c2, c3, c4, c5, c6", "('x', 'c1', '2011-06-15', 5, '7.00', 'k', false)"
    ).toDF(*names)
    lines = meaning(
        source,
        columns={
            "customer_id": "`Customer ID`",
            "event_time": "`a.b`",
            "amount": "__m_amount * __copy",
            "line_id": "`tick``s`",
        },
        reject={"never": "__r_0"},
        deduplicate=deduplicate,
    )
    line = by_case(lines)["x"]
    assert (line["reason"], line["customer_id"], line["amount_cents"]) == (None, "c1", 3500)
    assert set(json.loads(line["line"])) == set(names)
