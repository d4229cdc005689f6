"""The first rule that holds says what to do, why in words, and what is at stake."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as hs
from pyspark.sql import DataFrame, SparkSession

from clv_spark.config import ActionRule, Config
from clv_spark.errors import ConfigError
from clv_spark.lake import trusted_session
from clv_spark.pipelines.judge_customers import checked_rules
from clv_spark.pipelines.run_context import Run
from clv_spark.transforms.actions import with_actions, without_products

AS_OF = dt.date(2024, 6, 30)
SCHEMA = (
    "customer_id STRING, as_of_date DATE, relationship STRING, frequency INT, recency INT, "
    "days_since_last_purchase INT, purchase_interval_days DOUBLE, lifecycle_status STRING, "
    "clv_tier STRING, rfm_monetary INT, clv DOUBLE, p_alive DOUBLE, replenish_category STRING, "
    "replenish_date DATE, cross_sell_category STRING, historical_revenue DOUBLE, "
    "loss_making BOOLEAN"
)
DEFAULTS = Config().actions
LAST = ActionRule(action="watch", when="true", reason="nothing")
Values = dict[str, Any]


def customer(name: str, **given: Any) -> Values:
    values: Values = dict.fromkeys(part.split()[0] for part in SCHEMA.split(", "))
    usual = {
        "customer_id": name,
        "as_of_date": AS_OF,
        "relationship": "purchases",
        "frequency": 3,
        "recency": 400,
        "days_since_last_purchase": 50,
        "purchase_interval_days": 30.5,
        "lifecycle_status": "active",
        "clv_tier": "Low",
        "rfm_monetary": 2,
        "clv": 10.0,
        "p_alive": 0.5,
        "historical_revenue": 120.0,
        "loss_making": False,
    }
    return {**values, **usual, **given}


def judged(spark: SparkSession, rules: Any, *customers: Values) -> dict[str, Any]:
    rows = spark.createDataFrame([tuple(c.values()) for c in customers], SCHEMA)
    with trusted_session(spark):
        found = with_actions(rows, rules).collect()
    return {row["customer_id"]: row for row in found}


def test_the_default_rules_do_what_their_names_say(spark: SparkSession) -> None:
    contract = {"relationship": "contract", "purchase_interval_days": 30.4, "rfm_monetary": None}
    yearly = {**contract, "purchase_interval_days": 365.0, "lifecycle_status": "lost"}
    at_first = {"recency": 0, "frequency": 0}
    cases = [
        ("retain", customer("a", clv_tier="Gold", lifecycle_status="cooling")),
        ("retain", customer("b", clv_tier="Gold", lifecycle_status="at_risk", **contract)),
        ("reward", customer("c", clv_tier="Platinum")),
        ("reward", customer("d", clv_tier="Silver", lifecycle_status="reactivated", **contract)),
        ("grow", customer("e", clv_tier="Medium")),
        ("win_back", customer("f", lifecycle_status="lost", rfm_monetary=4)),
        ("win_back", customer("g", lifecycle_status="lost", clv=0.0, p_alive=0.0, **contract)),
        ("leave", customer("h", lifecycle_status="lost")),
        ("leave", customer("i", lifecycle_status="lost", **{**contract, "recency": 30})),
        # Lost at its first renewal after a year; called off before it paid.
        ("win_back", customer("q", **{**yearly, **at_first})),
        ("leave", customer("r", **{**yearly, **at_first, "historical_revenue": 0.0})),
        # Of the best by margin, and served at a loss; lost already, where it is for others to win.
        ("leave", customer("s", clv_tier="Platinum", loss_making=True)),
        ("win_back", customer("t", lifecycle_status="lost", rfm_monetary=5, loss_making=True)),
        ("repeat", customer("j", lifecycle_status="new", frequency=0)),
        ("watch", customer("k", lifecycle_status="new", frequency=0, **contract)),
        ("watch", customer("l", lifecycle_status="cooling")),
        ("watch", customer("m", lifecycle_status=None, clv_tier=None, clv=None, p_alive=None)),
        (
            "replenish",
            customer("n", replenish_category="ink", replenish_date=AS_OF + dt.timedelta(14)),
        ),
        # How far ahead is for products.replenish_days to say, and for nothing else.
        (
            "replenish",
            customer("o", replenish_category="ink", replenish_date=AS_OF + dt.timedelta(45)),
        ),
        ("cross_sell", customer("p", cross_sell_category="paper")),
    ]
    found = judged(spark, DEFAULTS, *(values for _, values in cases))
    actions = {name: row["recommended_action"] for name, row in found.items()}
    assert actions == {values["customer_id"]: action for action, values in cases}
    assert {rule.action for rule in DEFAULTS} == set(actions.values())
    assert found["a"]["action_reason"] == (
        "Gold customer, 50 days without a purchase, usual are 31"
    )
    assert found["q"]["action_reason"] == (
        "no contract any more, was renewed over 0 days, for 365 at a time"
    )
    assert found["s"]["action_reason"] == "costs more to serve than the margin to come"
    assert found["n"]["action_reason"] == "ink is due on 2024-07-14"
    categories = {name: row["action_category"] for name, row in found.items()}
    assert {name: c for name, c in categories.items() if c} == {
        "n": "ink",
        "o": "ink",
        "p": "paper",
    }


def test_at_stake_is_the_value_of_a_relationship_that_exists(spark: SparkSession) -> None:
    found = judged(
        spark,
        (LAST,),
        customer("half", clv=10.0, p_alive=0.5),
        customer("loss", clv=-3.0, p_alive=0.5),
        customer("ended", clv=0.0, p_alive=0.0),
        customer("vanished", clv=1e-310, p_alive=1e-308),
        customer("unknown", clv=None, p_alive=0.5),
    )
    stakes = {name: row["value_at_stake"] for name, row in found.items()}
    assert stakes == {"half": 20.0, "loss": 0.0, "ended": 0.0, "vanished": 0.0, "unknown": None}


def test_a_reason_holds_numbers_dates_braces_and_what_is_unknown(spark: SparkSession) -> None:
    text = (
        "{{{customer_id}}} 100% {clv}|{frequency}|{replenish_date}|{cross_sell_category}|{p_alive}"
    )
    rule = ActionRule(action="watch", when="true", reason=text)
    row = customer("it's", clv=1234567.5, replenish_date=AS_OF, p_alive=-0.2)
    reason = judged(spark, (rule,), row)["it's"]["action_reason"]
    assert reason == "{it's} 100% 1234568|3|2024-06-30|unknown|0"


POOL: list[tuple[str, Callable[[Values], bool | None]]] = [
    ("clv > 10", lambda c: None if c["clv"] is None else c["clv"] > 10),
    ("frequency = 0", lambda c: c["frequency"] == 0),
    ("clv_tier IN ('Gold', 'Low')", lambda c: c["clv_tier"] and c["clv_tier"] in ("Gold", "Low")),
    ("NOT (clv > 10)", lambda c: None if c["clv"] is None else not c["clv"] > 10),
    # By zero there is no answer, which is no yes.
    ("1 / frequency > 0.4", lambda c: 0 < c["frequency"] < 2.5),
    ("value_at_stake > 10", lambda c: c["clv"] is not None and max(0, c["clv"] / 0.5) > 10),
]


@settings(
    max_examples=6,
    deadline=None,
    # To shrink an example takes a Spark job for each try.
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    order=hs.permutations(range(len(POOL))),
    customers=hs.lists(
        hs.tuples(
            hs.one_of(hs.none(), hs.floats(-50, 50)),
            hs.integers(0, 4),
            hs.sampled_from(["Gold", "Low", "Medium", None]),
        ),
        min_size=1,
        max_size=30,
    ),
)
def test_the_first_rule_that_holds_counts(
    spark: SparkSession, order: list[int], customers: list[tuple[Any, int, Any]]
) -> None:
    rules = [ActionRule(action="grow", when=POOL[place][0], reason=str(place)) for place in order]
    rows = [
        customer(str(number), clv=clv, frequency=frequency, clv_tier=tier)
        for number, (clv, frequency, tier) in enumerate(customers)
    ]
    found = judged(spark, (*rules, LAST), *rows)
    for row in rows:
        first = next((str(place) for place in order if POOL[place][1](row)), "nothing")
        assert found[row["customer_id"]]["action_reason"] == first


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ({"when": "clvv > 1"}, r"actions 1 \(grow\).when.*UNRESOLVED_COLUMN.*may name.*clv_tier"),
        ({"when": "clv"}, "FILTER_NOT_BOOLEAN"),
        ({"when": "clv >"}, "PARSE_SYNTAX_ERROR"),
        ({"when": "recommended_action = 'watch'"}, "UNRESOLVED_COLUMN"),
        ({"reason": "worth {clvv}"}, r"actions 1 \(grow\).reason names \{clvv\}.*clv_tier"),
    ],
)
def test_a_wrong_rule_is_named_before_anything_is_scored(
    spark: SparkSession, rule: dict[str, str], says: str
) -> None:
    first = {"action": "grow", "when": "clv > 1", "reason": "large", **rule}
    config = Config.model_validate({"actions": [first, LAST.model_dump()]})
    with pytest.raises(ConfigError, match=says), trusted_session(spark):
        checked_rules(Run(spark, config, "score-customers", AS_OF))


def test_combinations_of_scores_without_a_name_are_named(spark: SparkSession) -> None:
    segments = [{"name": "A", "when": "recency > 1 OR frequency > 1 OR monetary > 2"}]
    config = Config.model_validate({"ranks": {"rfm_segments": segments}})
    with pytest.raises(ConfigError, match=r"2 of 125 .* recency 1, frequency 1, monetary 1"):
        checked_rules(Run(spark, config, "score-customers", AS_OF))


def test_the_default_rules_fit_the_columns_of_the_scores(spark: SparkSession) -> None:
    names = checked_rules(Run(spark, Config(), "score-customers", AS_OF)).rfm_names
    assert (len(names), names[0], names[-1]) == (125, "Lost", "Champions")


def test_no_function_is_python(spark: SparkSession) -> None:
    rows: DataFrame = spark.createDataFrame([tuple(customer("a").values())], SCHEMA)
    rows = without_products(rows.drop("replenish_category", "replenish_date"))
    plan = with_actions(rows, DEFAULTS)._jdf.queryExecution().executedPlan().toString()
    assert not re.search(r"Python|Arrow|Exchange", plan), plan
