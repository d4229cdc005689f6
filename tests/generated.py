"""Shared by the tests of fits: generated lines as a source, and a configuration on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from clv_spark.config import Config

COLUMNS = {
    "customer_id": "customer_id",
    "transaction_id": "transaction_id",
    "event_time": "event_time",
    "amount": "amount",
    "country": "country",
}


def config(folder: Path, **sections: Any) -> Config:
    source = {"path": str(folder / "lines"), "columns": COLUMNS}
    return Config.model_validate(
        {
            "lake": {"path": str(folder / "lake")},
            "source": {"transactions": source},
            "segments": ["country"],
            # The world's own models, so that its truth can be compared with the fits.
            "models": {"transactions": "bg_nbd", "spend_basis": "repeat"},
            # These have tests of their own.
            "reports": {"cohorts": "never", "forecast": False},
            **sections,
        }
    )


def write(folder: Path, lines: pa.Table) -> None:
    (folder / "lines").mkdir(parents=True)
    pq.write_table(lines, folder / "lines" / "lines.parquet")
