"""What to do with each customer: the first configured rule that holds, with its reason in words."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as st

from clv_spark.config import ActionRule
from clv_spark.errors import ConfigError
from clv_spark.schemas import ACTION_COLUMNS
from clv_spark.transforms.mapping import analysed_with
from clv_spark.transforms.rules import condition

# What is known of a customer's products: which category is due, when, and which one to offer.
PRODUCT_COLUMNS = {
    "replenish_category": "string",
    "replenish_date": "date",
    "cross_sell_category": "string",
}
OF_ACTIONS = (*ACTION_COLUMNS, "value_at_stake")
_CATEGORIES = {"replenish": "replenish_category", "cross_sell": "cross_sell_category"}
_RULE = "__clv_spark_rule"
# A probability this small says nothing about what is lost any more.
_VANISHED = 1e-300


def without_products(rows: DataFrame) -> DataFrame:
    """Adds the columns of products where nothing is known of them."""
    return rows.withColumns(
        {name: F.lit(None).cast(kind) for name, kind in PRODUCT_COLUMNS.items()}
    )


def with_products(rows: DataFrame, offered: DataFrame | None) -> DataFrame:
    """Adds what is known of a customer's products to the row of the purchases.

    Args:
        rows: Judged customers.
        offered: ``PRODUCT_COLUMNS`` by customer_id; None where products are not read.
    """
    if offered is None:
        return without_products(rows)
    ours = offered.withColumn("relationship", F.lit("purchases"))
    return rows.join(ours, ["customer_id", "relationship"], "left")


def with_actions(rows: DataFrame, rules: Sequence[ActionRule]) -> DataFrame:
    """Adds value_at_stake, and the action, reason and category of the first rule that holds.

    Args:
        rows: Judged customers with ``PRODUCT_COLUMNS``.
        rules: The configured rules in order; the last one holds for everybody.

    Raises:
        ConfigError: a condition does not fit these columns, or a reason names another one.
    """
    clv, alive = F.col("clv"), F.col("p_alive")
    stake = F.when(alive > _VANISHED, F.try_divide(clv, alive)).otherwise(0.0)
    staked = rows.withColumn(
        "value_at_stake", F.when(clv.isNotNull(), F.greatest(stake, F.lit(0.0)))
    )
    # A condition that divides by zero does not hold; it must not end the job.
    with analysed_with(rows.sparkSession, **{"spark.sql.ansi.enabled": "false"}):
        number = F.lit(len(rules) - 1)
        for place, rule in reversed(list(enumerate(rules[:-1]))):
            holds = condition(staked, f"actions {place + 1} ({rule.action}).when", rule.when)
            number = F.when(holds, F.lit(place)).otherwise(number)
        numbered = staked.withColumn(_RULE, number)
    reasons = [_rendered(staked, place, rule) for place, rule in enumerate(rules)]
    action, category = F.col("recommended_action"), F.lit(None).cast("string")
    for name, column in _CATEGORIES.items():
        category = F.when(action == name, F.col(column)).otherwise(category)
    return (
        numbered.withColumns(
            {
                "recommended_action": _of_rule([F.lit(rule.action) for rule in rules]),
                "action_reason": _of_rule(reasons),
            }
        )
        .withColumn("action_category", category)
        .drop(_RULE)
    )


def _of_rule(values: Sequence[Column]) -> Column:
    chosen = values[-1]
    for place, value in enumerate(values[:-1]):
        chosen = F.when(F.col(_RULE) == place, value).otherwise(chosen)
    return chosen


def _rendered(rows: DataFrame, place: int, rule: ActionRule) -> Column:
    """The reason with the values of the columns it names."""
    pieces = []
    for text, name in rule.parts:
        pieces.append(F.lit(text))
        if name is None:
            continue
        if name not in rows.columns:
            raise ConfigError(
                f"actions {place + 1} ({rule.action}).reason names {{{name}}}, which is no column "
                f"here; there are {', '.join(rows.columns)}. Write {{{{ and }}}} for braces"
            )
        pieces.append(_in_words(rows.schema[name]))
    return F.concat(F.lit(""), *pieces)


def _in_words(field: st.StructField) -> Column:
    """A value as text, numbers as whole ones."""
    column = F.col(field.name)
    if isinstance(field.dataType, st.DoubleType):
        text = F.format_string("%.0f", F.round(column))
    else:
        text = column.cast("string")
    return F.coalesce(F.when(column.isNotNull(), text), F.lit("unknown"))
