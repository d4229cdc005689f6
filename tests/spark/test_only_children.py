"""A segment without siblings has its parent's customers, and counts them once."""

from __future__ import annotations

import pandas as pd
import pytest
from pyspark.sql import SparkSession

from clv_spark.kernels.segment_tree import SUMS, middles, segment_tree
from clv_spark.kernels.shared_errors import shared_errors
from clv_spark.pipelines.fit_levels import FitPlan, fit_levels
from tests.kernels.worlds import bg_nbd_patterns

PLAN = FitPlan({"bg_nbd": 7}, {"bg_nbd": 20}, 100, 1.0, ("region", "country"))
SAME = ("parameters", "covariance", "own_weight", "status")
WORLDS = {"EU": (0.5, 7.0, 0.8, 2.4), "Asia": (0.5, 4.0, 0.8, 2.4), "US": (0.5, 12.0, 0.8, 2.4)}


def fitted(spark: SparkSession, regions: list[str]) -> dict[str, dict[str, object]]:
    """Each region is one country."""
    parts = {
        name: bg_nbd_patterns(f"{name}/x", WORLDS[name], 400, seed=place)
        for place, name in enumerate(regions)
    }
    leaf = pd.concat(parts.values())
    levels = [
        leaf.assign(level=0, segment="global"),
        pd.concat([part.assign(level=1, segment=name) for name, part in parts.items()]),
        leaf.assign(level=2),
    ]
    patterns = spark.createDataFrame(pd.concat(levels).assign(model="bg_nbd"))
    sums = dict.fromkeys(SUMS, 400)
    leaves = [{"0": "global", "1": name, "2": f"{name}/x", **sums} for name in regions]
    rows = fit_levels(PLAN, patterns, segment_tree(leaves, ["0", "1", "2"]))
    return {row["segment"]: row for row in rows}


@pytest.mark.long
def test_a_country_that_is_its_region_has_the_parameters_of_it(spark: SparkSession) -> None:
    rows = fitted(spark, list(WORLDS))
    drawn_to = middles({name: str(row["parent_segment"]) for name, row in rows.items()})
    for region in WORLDS:
        country = rows[f"{region}/x"]
        assert {name: country[name] for name in SAME} == {name: rows[region][name] for name in SAME}
        assert 0 < float(str(country["own_weight"])) < 1
        # In sums its error is the same as the region's.
        ((stream, loadings),) = shared_errors(country, rows, "bg_nbd", drawn_to)
        assert stream == "bg_nbd below global"
        assert ((stream, loadings),) == shared_errors(rows[region], rows, "bg_nbd", drawn_to)


def test_the_only_segment_of_a_shop_stands_on_its_own(spark: SparkSession) -> None:
    rows = fitted(spark, ["EU"])
    for name in ("EU", "EU/x"):
        assert {field: rows[name][field] for field in SAME} == {
            field: rows["global"][field] for field in SAME
        }
        assert rows[name]["own_weight"] == 1
        assert rows[name]["parameters_segment"] == name
