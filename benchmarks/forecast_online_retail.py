"""Forecast six months of Online Retail II, cut at the end of May 2011, and hold them to the truth.

    python benchmarks/forecast_online_retail.py

The shop is one segment, without its countries. Beside it stands what a planner would do without any
model: the same month a year before. The lake is made in a temporary folder; the result goes to
standard output, a line of JSON each.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
from report import ROOT

AS_OF = dt.date(2011, 5, 31)
MONTHS = 6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--least", type=int, nargs="*", default=[24, 13], help="values of min_season_months to try"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for least in options.least:
            sys.stdout.write(json.dumps(forecast(Path(folder), least)) + "\n")
            sys.stdout.flush()


def forecast(folder: Path, least: int) -> dict[str, Any]:
    """The run as of the cut, and its months beside those that came and those a year before."""
    from clv_spark import pipelines
    from clv_spark.lake import Lake
    from clv_spark.schemas import CUSTOMER_DAYS, REVENUE_FORECAST
    from clv_spark.session import get_session

    config = configuration(folder, least)
    spark = get_session(config)
    pipelines.run(spark, config, AS_OF)
    lake = Lake(spark, config)
    rows = lake.read(REVENUE_FORECAST, AS_OF).where("segment = 'global'").orderBy("month")
    ahead = rows.toPandas().head(MONTHS).set_index("month")
    days = lake.read(CUSTOMER_DAYS).groupBy("event_month")
    net = days.agg({"gross_amount": "sum", "refund_amount": "sum"}).toPandas()
    net = net.set_index("event_month")
    actual = (net["sum(gross_amount)"] - net["sum(refund_amount)"]).astype(float)
    before = [month.replace(year=month.year - 1) for month in ahead.index]
    table = pd.DataFrame(
        {
            "actual": actual.reindex(ahead.index),
            "forecast": ahead["expected_revenue"],
            "low": ahead["revenue_low"],
            "high": ahead["revenue_high"],
            "existing": ahead["existing_revenue"],
            "new": ahead["new_revenue"],
            "index": ahead["seasonal_index"],
            "year_before": actual.reindex(before).to_numpy(),
        }
    )
    inside = table["actual"].between(table["low"], table["high"])
    return {
        "min_season_months": least,
        "months": json.loads(table.round(2).to_json(orient="index", date_format="iso")),
        "forecast": errors(table["forecast"], table["actual"]),
        "year_before": errors(table["year_before"], table["actual"]),
        "months_within_80_percent": int(inside.sum()),
    }


def configuration(folder: Path, least: int) -> Any:
    """The settings of the run."""
    from clv_spark.config import load_config

    settings = {
        "lake.path": folder / "lake",
        "source.transactions.path": ROOT / "data" / "online_retail_ii.parquet",
        "forecast.min_season_months": least,
        "segments": [],
        "reports.cohorts": "never",
        "spark.conf": {
            "spark.sql.warehouse.dir": str(folder / "warehouse"),
            "spark.sql.shuffle.partitions": "4",
        },
        "spark.master": "local[2]",
    }
    given = [f"{name}={json.dumps(value, default=str)}" for name, value in settings.items()]
    return load_config(ROOT / "conf" / "demo.yml", given, environ={})


def errors(forecast: pd.Series[float], actual: pd.Series[float]) -> dict[str, float]:
    """Mean absolute error of a month, the same in percent, and how far the sum of all is off."""
    off = forecast - actual
    return {
        "mae": round(float(off.abs().mean()), 2),
        "mape": round(float((off.abs() / actual).mean()), 4),
        "sum": round(float(forecast.sum() / actual.sum() - 1), 4),
    }


if __name__ == "__main__":
    main()
