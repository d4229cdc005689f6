"""A shop beside contracts, with service events, acquisition spend and scenarios."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from clv_spark import pipelines
from clv_spark.config import Config
from tests.contract_world import contract_sections, contracts, write_contracts
from tests.operations import AS_OF, Finished, copied, finished_once, read_table, sections

EARLY = 60
KINDS = {
    "call": {"unit_cost": 4.5, "grows_with": "time"},
    "delivery": {"grows_with": "purchases"},
}
COLUMNS = {"customer_id": "who", "event_date": "day", "kind": "kind", "amount": "cost"}
# Money by month; the first comes long before anybody was a customer, and counts for nobody.
SPEND = {"1999-01": 7.0, **{f"{2022 + n // 12}-{n % 12 + 1:02}": 500.0 + 10 * n for n in range(21)}}
SCENARIOS = {
    "two points of margin": {"margin_rate": 0.02},
    "orders 5% larger": {"order_value": 1.05},
    "prices 3% higher": {"price": 1.03},
    "a tenth less churn": {"churn": 0.9},
    "orders cost more": {"service_cost_per_purchase": 0.5},
    "calls cost a third more": {"service_cost_by_kind": {"call": 4 / 3}},
    "cheaper to win": {"cac": 0.8},
    "nothing": {},
}
# Signed and called off on one day, alone in a plan: it never paid, and has no value to come.
CALLED_OFF: dict[str, Any] = {
    "customer": 10**8,
    "contract": "called off",
    "begin": dt.date(2023, 3, 14),
    "finish": dt.date(2023, 3, 14),
    "unit": "month",
    "price": 10.0,
    "plan": "trial",
}
# Rows that can't be used, and one of somebody who is no customer.
USELESS, STRANGER = 5, 10**9


def events(first: Mapping[int, dt.date]) -> list[dict[str, Any]]:
    """Deliveries and calls of every third buyer, then the useless ones, then the stranger's."""
    rows: list[dict[str, Any]] = []
    for number, (customer, day) in enumerate(sorted(first.items())):
        if number % 3 == 0:
            for after in range(0, 200 + number % 50, 45):
                when = day + dt.timedelta(days=after)
                rows.append({"who": customer, "day": when, "kind": "call", "cost": None})
            rows.append({"who": customer, "day": day, "kind": "delivery", "cost": 2.25})
    good = {"who": 1, "day": dt.date(2023, 1, 1), "kind": "call", "cost": None}
    bad = ({"who": None}, {"day": None}, {"kind": " "}, {"kind": "fax"}, {"kind": "delivery"})
    return rows + [good | wrong for wrong in bad] + [good | {"who": STRANGER}]


def first_purchases(lake: Path) -> dict[int, dt.date]:
    """The first purchase day of every buyer."""
    rows = read_table(lake / "customer_features").to_pylist()
    return {row["customer_id"]: row["first_purchase_date"] for row in rows}


def costed_config(
    finished: Finished, costed: Finished, scenarios: Mapping[str, Any] = SCENARIOS
) -> Config:
    """The shop beside contracts, as net value, with costs."""
    values, held = sections(finished.source), contract_sections(costed.source / "contracts")
    spend = costed.source / "spend.csv"
    costs = {
        "service": {
            "early_days": EARLY,
            "per_purchase": {"default": 1.0, "Germany": 0.25},
            "per_year": 12.0,
            "per_year_early": 40.0,
            "events": {"path": str(costed.source / "events.parquet"), "columns": COLUMNS},
            "kinds": KINDS,
        },
        "acquisition": {
            "spend": {
                "format": "csv",
                "path": str(spend),
                "columns": {"month": "month", "amount": "money"},
            }
        },
    }
    more = {
        "lake": {"path": str(costed.lake)},
        "source": {**values["source"], **held["source"]},
        "contract_segments": ["plan"],
        "report_by": ["acquisition_month"],
        "reports": {"cohorts": "daily", "forecast": True},
        "value": {"definition": "net"},
        "costs": costs,
        "what_if": dict(scenarios),
    }
    return Config.model_validate({**values, **more})


_costed: list[Finished] = []


def costed_once(spark: SparkSession, factory: pytest.TempPathFactory) -> Finished:
    """The finished run, once more with all of this; made once for all tests of costs."""
    if not _costed:
        finished = finished_once(spark, factory)
        folder = factory.mktemp("costed")
        found = Finished(folder, copied(finished.lake, folder / "lake"))
        rows = events(first_purchases(finished.lake))
        pq.write_table(pa.Table.from_pylist(rows), folder / "events.parquet")
        spent = "".join(f"{month}-15,{money}\n" for month, money in SPEND.items())
        (folder / "spend.csv").write_text(f"month,money\n{spent}")
        held = [*contracts(900, as_of=AS_OF), CALLED_OFF]
        write_contracts(held, folder / "contracts")
        pipelines.run(spark, costed_config(finished, found), AS_OF)
        _costed.append(found)
    return _costed[0]
