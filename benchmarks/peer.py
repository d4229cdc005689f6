"""What a user would do without clv_spark: DuckDB for the features, lifetimes for the rest.

Runs in a process of its own and ends with one JSON line: seconds by stage, sizes and parameters.

    python benchmarks/peer.py --data LINES --as-of 2023-12-31 --out scores.parquet

lifetimes 0.11.3 needs no workaround with pandas 2.3, numpy 2.4 and scipy 1.17: its golden digits on
CDNOW came out. Times are in weeks, since it fits days less reliably.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import warnings
from collections.abc import Iterator
from datetime import date
from itertools import pairwise
from pathlib import Path

import duckdb
import pandas as pd
from lifetimes import BetaGeoFitter, GammaGammaFitter

PURCHASE_DAYS = """
SELECT customer_id, CAST(event_time AS DATE) AS day, any_value(country) AS country,
       sum(amount) AS spent
FROM read_parquet($files)
WHERE amount >= 0 AND CAST(event_time AS DATE) <= $as_of
GROUP BY ALL
"""
CUSTOMERS = """
SELECT customer_id,
       arg_max(country, day) AS country,
       count(*) - 1 AS frequency,
       max(day) - min(day) AS recency,
       $as_of - min(day) AS "T",
       coalesce((sum(spent) - arg_min(spent, day)) / nullif(count(*) - 1, 0), 0) AS monetary_value
FROM purchase_days
GROUP BY customer_id
"""
FEATURES = f"WITH purchase_days AS ({PURCHASE_DAYS}) {CUSTOMERS}"
WEEK = 7
HORIZONS = (30, 90, 365)
MONTHS = 12
MONTHLY_RATE = 1.10 ** (1 / 12) - 1


def features(data: str, as_of: date, threads: int, memory: str) -> pd.DataFrame:
    """Return frequency, recency, T in days and monetary_value per customer."""
    database = duckdb.connect(config={"threads": threads, "memory_limit": memory})
    return database.execute(FEATURES, {"files": files_of(data), "as_of": as_of}).df()


def files_of(data: str) -> str:
    """Return the glob of the lines' files."""
    return f"{data}/*.parquet" if Path(data).is_dir() else data


def fit(customers: pd.DataFrame) -> tuple[BetaGeoFitter, GammaGammaFitter]:
    """Fit BG/NBD on all customers and gamma-gamma on those who came back."""
    purchases = BetaGeoFitter()
    purchases.fit(customers["frequency"], customers["recency"] / WEEK, customers["T"] / WEEK)
    again = customers[(customers["frequency"] > 0) & (customers["monetary_value"] > 0)]
    spend = GammaGammaFitter()
    spend.fit(again["frequency"], again["monetary_value"])
    return purchases, spend


def score(
    customers: pd.DataFrame, purchases: BetaGeoFitter, spend: GammaGammaFitter
) -> pd.DataFrame:
    """Return what a marketing team asks for, one row per customer."""
    frequency, amount = customers["frequency"], customers["monetary_value"]
    recency, age = customers["recency"] / WEEK, customers["T"] / WEEK
    scores = customers[["customer_id", "country"]].copy()
    scores["p_alive"] = purchases.conditional_probability_alive(frequency, recency, age)
    for days in HORIZONS:
        scores[f"expected_purchases_{days}d"] = (
            purchases.conditional_expected_number_of_purchases_up_to_time(
                days / WEEK, frequency, recency, age
            )
        )
    scores["clv"] = spend.customer_lifetime_value(
        purchases,
        frequency,
        recency,
        age,
        amount,
        time=MONTHS,
        discount_rate=MONTHLY_RATE,
        freq="W",
    )
    return scores


def groups(customers: pd.DataFrame, per_country: bool) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield all customers, or those of each country."""
    if not per_country:
        yield "all", customers
        return
    for country, part in customers.groupby("country"):
        yield str(country), part


def arguments(description: str | None) -> argparse.ArgumentParser:
    """The options that all queries of lines have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", required=True, help="directory or glob of Parquet files")
    parser.add_argument("--as-of", required=True, type=date.fromisoformat)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--memory", default="6GB", help="memory limit of DuckDB")
    return parser


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--out", required=True, help="Parquet file for the scores")
    parser.add_argument("--per-country", action="store_true", help="one model per country")
    options = parser.parse_args()
    warnings.simplefilter("ignore", RuntimeWarning)  # log(0) on the way to an optimum

    clock = [time.perf_counter()]
    customers = features(options.data, options.as_of, options.threads, options.memory)
    clock.append(time.perf_counter())
    parts = list(groups(customers, options.per_country))
    models = {name: fit(part) for name, part in parts}
    clock.append(time.perf_counter())
    scores = pd.concat([score(part, *models[name]) for name, part in parts])
    clock.append(time.perf_counter())
    scores.to_parquet(options.out, compression="zstd", index=False)
    clock.append(time.perf_counter())

    seconds = [round(after - before, 3) for before, after in pairwise(clock)]
    result = {
        "seconds": dict(zip(("features", "fit", "score", "write"), seconds, strict=True)),
        "total": round(clock[-1] - clock[0], 3),
        "customers": len(customers),
        "repeaters": int((customers["frequency"] > 0).sum()),
        "clv": float(scores["clv"].sum()),
        "parameters": {
            name: {**dict(purchases.params_), **dict(spend.params_)}
            for name, (purchases, spend) in models.items()
        },
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
