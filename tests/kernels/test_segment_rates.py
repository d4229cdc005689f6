"""Ratios of sums: large segments have their own, small ones lean on the segment above by money."""

from __future__ import annotations

from typing import Any

import pytest

from clv_spark.kernels.segment_rates import rate_rows
from clv_spark.kernels.segment_tree import SUMS, segment_tree
from clv_spark.kernels.segments import take_parents

LEVELS = ["0", "1", "2"]


def leaf(
    region: str, name: str, customers: int, gross: int, margin: int | None, refund: int = 0
) -> dict[str, Any]:
    """A leaf segment; money in cents."""
    sums = {**dict.fromkeys(SUMS, 0), "customers": customers, "gross": gross, "refund": refund}
    return {"0": "global", "1": region, "2": f"{region}/{name}", **sums, "margin": margin}


def rates(*leaves: dict[str, Any], least: int = 200) -> dict[tuple[str, str], dict[str, Any]]:
    """By model and segment, as model_parameters has them."""
    rows = take_parents(
        [
            {**row, "parent_segment": tree[row["segment"]].parent}
            for tree in [segment_tree(leaves, LEVELS)]
            for row in rate_rows(tree, least)
        ]
    )
    return {(row["model"], row["segment"]): row for row in rows}


def test_a_small_segment_with_much_money_keeps_its_own_margin_rate() -> None:
    found = rates(
        leaf("EU", "uk", 10_000, 1_000_000_00, 390_000_00),
        leaf("EU", "malta", 199, 19_900_00, 1_990_00),
        leaf("EU", "nobody much", 2, 50_00, 5_00),
    )
    uk, malta, tiny = (
        found["margin_rate", f"EU/{name}"] for name in ("uk", "malta", "nobody much")
    )
    assert uk["parameters"] == {"rate": 0.39}
    assert (uk["status"], uk["own_weight"]) == ("ok", 1.0)
    assert malta["parameters"]["rate"] == pytest.approx(0.10, abs=0.002)
    assert (malta["status"], malta["parameters_segment"]) == ("too_small", "EU/malta")
    assert malta["own_weight"] == pytest.approx(0.995, abs=0.001)
    # Half as much as the region's mean customer: a third its own.
    assert tiny["own_weight"] == pytest.approx(1 / 3, abs=0.001)
    above = found["margin_rate", "EU"]["parameters"]["rate"]
    assert tiny["parameters"]["rate"] == pytest.approx(0.10 / 3 + 2 * above / 3, abs=0.001)


def test_it_leans_on_the_rate_of_the_nearest_segment_above() -> None:
    found = rates(
        leaf("EU", "uk", 1000, 100_000_00, 30_000_00),
        leaf("Asia", "japan", 60, 6_000_00, 3_000_00),
        leaf("Asia", "laos", 1, 0, 0),
    )
    asia = found["margin_rate", "Asia"]["parameters"]["rate"]
    assert 0.49 < asia < 0.5
    # Who sold nothing has the rate above as it is, which is itself drawn.
    laos = found["margin_rate", "Asia/laos"]
    assert laos["parameters"]["rate"] == pytest.approx(asia, rel=1e-12)
    assert laos["own_weight"] == 0.0


def test_refunds_beyond_sales_leave_no_ratio_of_ones_own() -> None:
    found = rates(
        leaf("EU", "uk", 1000, 100_000_00, 30_000_00),
        leaf("EU", "fr", 300, 1_000_00, -500_00, refund=2_000_00),
    )
    above = found["margin_rate", "EU"]["parameters"]["rate"]
    assert found["margin_rate", "EU/fr"]["parameters"]["rate"] == pytest.approx(above)


def test_the_return_rate_of_a_small_segment_is_its_parents_and_no_margin_means_no_row() -> None:
    found = rates(
        leaf("EU", "uk", 1000, 100_000_00, None, refund=5_000_00),
        leaf("EU", "fr", 100, 10_000_00, None, refund=2_000_00),
    )
    assert {model for model, _ in found} == {"return_rate"}
    assert found["return_rate", "EU/uk"]["parameters"] == {"rate": 0.05, "prior_amount": 100.0}
    fr = found["return_rate", "EU/fr"]
    assert fr["parameters"] == found["return_rate", "EU"]["parameters"]
    assert (fr["parameters_segment"], fr["own_weight"]) == ("EU", 0.0)
