"""Generated contracts: the same for any block, without overlaps, and as the world says."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from clv_spark.errors import ConfigError
from clv_spark.kernels.generate import BLOCK_CUSTOMERS
from clv_spark.kernels.generate_contracts import PLANS, block_contracts, contracts
from clv_spark.models import fit

SPAN = {"start": date(2020, 1, 1), "end": date(2024, 12, 31)}


def test_blocks_are_what_the_kernel_makes() -> None:
    customers = BLOCK_CUSTOMERS + 100
    blocks = [pa.RecordBatch.from_pydict({"id": [number]}) for number in (1, 0)]
    made = list(block_contracts(blocks, customers=customers, arguments={**SPAN, "seed": 3}))
    assert made[0] == contracts(BLOCK_CUSTOMERS, 100, **SPAN, seed=3)
    assert made[1] == contracts(0, BLOCK_CUSTOMERS, **SPAN, seed=3)
    assert made[1] != contracts(0, BLOCK_CUSTOMERS, **SPAN, seed=4)


def test_rows_of_a_contract_follow_each_other() -> None:
    rows = contracts(0, 2000, **SPAN, ids="string").to_pylist()
    by_contract = defaultdict(list)
    for row in rows:
        by_contract[row["contract_id"]].append(row)
        assert row["start_date"] <= SPAN["end"]
        assert row["end_date"] is None or row["start_date"] < row["end_date"] <= SPAN["end"]
        assert 0 <= row["periodic_margin"] < row["periodic_amount"]
    gaps = set()
    for ours in by_contract.values():
        for before, after in pairwise(ours):
            assert before["end_date"] <= after["start_date"]
            gaps.add(before["end_date"] == after["start_date"])
    # Upgrades and pauses.
    assert gaps == {True, False}


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.plan)
def test_a_fit_finds_the_world(plan: object) -> None:
    world = next(one for one in PLANS if one is plan)
    rows = contracts(0, BLOCK_CUSTOMERS, **SPAN, seed=1, world=[world]).to_pylist()
    first = {}
    for row in rows:
        first.setdefault(row["contract_id"], []).append(row)
    tenure, lost = [], []
    for ours in first.values():
        life = [ours[0]]
        for row in ours[1:]:
            if row["start_date"] == life[-1]["end_date"]:
                life.append(row)
        last = life[-1]["end_date"] or SPAN["end"]
        begun = life[0]["start_date"]
        months = (last.year - begun.year) * 12 + last.month - begun.month - (last.day < begun.day)
        tenure.append(months // world.months)
        lost.append(life[-1]["end_date"] is not None)
    data = {"entry": np.zeros(len(tenure)), "tenure": tenure, "lost": np.array(lost, float)}
    found = fit("sbg", data)
    assert found.status == "ok"
    mean = found.parameters["alpha"] / (found.parameters["alpha"] + found.parameters["beta"])
    assert mean == pytest.approx(world.alpha / (world.alpha + world.beta), rel=0.12)


def test_mistakes_are_named() -> None:
    with pytest.raises(ConfigError, match="no block"):
        contracts(1, 10, **SPAN)
    with pytest.raises(ConfigError, match="nothing to make"):
        contracts(0, 10, start=SPAN["end"], end=SPAN["start"])
