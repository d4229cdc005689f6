"""Customers of both relationships in one table: whose parameters stand behind each, whose ids."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession

from clv_spark.errors import InputError
from clv_spark.pipelines.score_customers import together
from clv_spark.pipelines.scored import Scored
from clv_spark.transforms.earlier import EARLIER
from clv_spark.transforms.scores import SCORED
from tests.operations import AS_OF, Finished, read_table


def test_every_score_names_the_parameters_behind_it(held: Finished) -> None:
    scores = read_table(held.lake / "clv_scores_latest").to_pylist()
    fits = read_table(held.lake / "model_parameters").to_pylist()
    # Of neither world are segments or models known in the other.
    known = {(fit["relationship"], fit["model"], fit["segment"]) for fit in fits if fit["chosen"]}
    assert {row["relationship"] for row in scores} == {"purchases", "contract"}
    for row in scores:
        purchases, _, spend = row["model"].partition(" + ")
        names = {purchases: row["parameters_segment"]}
        if row["relationship"] == "purchases":
            names[spend] = row["spend_parameters_segment"]
        else:
            assert (spend, row["spend_parameters_segment"]) == ("", None)
        for model, segment in names.items():
            assert (row["relationship"], model, segment) in known
            assert segment in (row["segment"], row["segment"].rpartition("/")[0] or "global")
        assert row["fit_date"] == AS_OF


def test_ids_of_two_types_are_no_customer(spark: SparkSession) -> None:
    columns = ", ".join(f"'' AS {name}" for name in (*SCORED, *EARLIER) if name != "customer_id")
    parts = [
        Scored(spark.sql(f"SELECT {value} AS customer_id, {columns}"), lambda rates: {}, "", ())
        for value in ("CAST(1 AS BIGINT)", "'1'")
    ]
    with pytest.raises(InputError, match="same type in both"):
        together(parts)
