"""Contracts with known parameters, and a configuration that reads them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

AS_OF = dt.date(2024, 6, 30)
START = dt.date(2021, 1, 1)
# alpha and beta of each plan, its period in months, and its price of a period.
PLANS: Mapping[str, tuple[float, float, int, float]] = {
    "basic": (0.9, 9.0, 1, 10.0),
    "plus": (0.5, 12.0, 1, 25.0),
    "annual": (0.7, 3.0, 12, 200.0),
}
PERIODS = {1: "month", 3: "quarter", 12: "year"}


def later(day: dt.date, months: int) -> dt.date:
    """The same day so many months later; days up to the 28th exist in all of them."""
    number = day.year * 12 + day.month - 1 + months
    return dt.date(number // 12, number % 12 + 1, day.day)


def contracts(customers: int = 600, seed: int = 1, as_of: dt.date = AS_OF) -> list[dict[str, Any]]:
    """One row per contract; every tenth customer has two."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for number in range(customers):
        for copy in range(2 if number % 10 == 0 else 1):
            plan = list(PLANS)[(number + copy) % len(PLANS)]
            alpha, beta, months, price = PLANS[plan]
            start = START + dt.timedelta(days=int(rng.integers(0, 1200)))
            start = start.replace(day=min(start.day, 28))
            lived = int(rng.geometric(rng.beta(alpha, beta)))
            # Beyond ten years it makes no difference.
            end = later(start, months * min(lived, 120 // months + 1))
            rows.append(
                {
                    "customer": number,
                    "contract": f"{number}-{copy}",
                    "begin": start,
                    "finish": end if end <= as_of else None,
                    "unit": PERIODS[months],
                    "price": price,
                    "plan": plan,
                }
            )
    return rows


SCHEMA = pa.schema(
    [
        ("customer", pa.int64()),
        ("contract", pa.string()),
        ("begin", pa.date32()),
        ("finish", pa.date32()),
        ("unit", pa.string()),
        ("price", pa.float64()),
        ("plan", pa.string()),
    ]
)


def write_contracts(rows: list[dict[str, Any]], folder: Path, files: int = 2) -> Path:
    """The rows as so many Parquet files."""
    folder.mkdir(parents=True)
    table = pa.Table.from_pylist(rows, SCHEMA)
    for number in range(files):
        first, last = (end * table.num_rows // files for end in (number, number + 1))
        pq.write_table(table.slice(first, last - first), folder / f"part-{number}.parquet")
    return folder


def contract_sections(source: Path | str, **more: Any) -> dict[str, Any]:
    """Configuration of these contracts without the place of the lake."""
    values: dict[str, Any] = {
        "source": {
            "contracts": {
                "path": str(source),
                "columns": {
                    "customer_id": "customer",
                    "contract_id": "contract",
                    "start_date": "begin",
                    "end_date": "finish",
                    "period": "unit",
                    "periodic_amount": "price",
                    "plan": "plan",
                },
            }
        },
        "currency": "EUR",
        "contract_segments": ["plan"],
        "fit": {"min_customers": 100},
    }
    for name, section in more.items():
        both = isinstance(section, Mapping) and isinstance(values.get(name), Mapping)
        values[name] = {**values[name], **section} if both else section
    return values
