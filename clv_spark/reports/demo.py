"""What a person sees on the terminal: the demo's result, and how check-source read the source."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from clv_spark.config import Config
from clv_spark.lake import Lake
from clv_spark.models import PURCHASE_MODELS
from clv_spark.reports.marketing import marketing_report
from clv_spark.reports.text import heading, table, table_of
from clv_spark.schemas import (
    CLV_SCORES,
    CLV_SCORES_LATEST,
    CUSTOMER_FEATURES,
    MODEL_PARAMETERS,
    PIPELINE_RUNS,
    SEGMENT_SUMMARY,
    SUBSCRIPTION_FORECAST,
    SUBSCRIPTION_METRICS,
    TABLES,
)


def demo_report(spark: SparkSession, config: Config, as_of: dt.date) -> str:
    """The result of a run: lines, countries, best customers, where the tables are, how to read."""
    lake = Lake(spark, config)
    parts = [
        heading(f"Online Retail II as of {as_of}"),
        _lines(lake),
        heading("Countries"),
        _countries(lake, as_of),
        heading("The ten most valuable customers of the next 365 days"),
        _best(lake, 10),
        marketing_report(lake, as_of),
        heading("Where the tables are, and three ways to read them"),
        how_to_read(lake),
    ]
    return "\n".join(parts) + "\n"


def _lines(lake: Lake) -> str:
    runs = lake.read(PIPELINE_RUNS).where(F.col("stage") == "customer_days")
    row = runs.where("rows_read IS NOT NULL").orderBy(F.desc("finished_at")).first()
    if row is None:
        return "no run on record"
    rows = [
        ("lines read", row["rows_read"], row["amount_read"]),
        ("lines used", row["rows_used"], row["amount_used"]),
        ("lines rejected", row["rows_rejected"], row["amount_rejected"]),
    ]
    reasons = sorted(row["rejected_by_reason"].items(), key=lambda item: -item[1])
    rows += [(f"  {reason}", lines, "") for reason, lines in reasons]
    return table(("", "lines", "GBP"), rows)


def _countries(lake: Lake, as_of: dt.date) -> str:
    money = lake.read(CUSTOMER_FEATURES, as_of)
    money = money.select("customer_id", "gross_amount", "refund_amount")
    scored = lake.read(CLV_SCORES, as_of).join(money, "customer_id")
    rows = (
        scored.groupBy("segment")
        .agg(
            F.count(F.lit(1)).alias("customers"),
            F.sum(F.col("gross_amount") - F.col("refund_amount")).alias("revenue"),
            F.sum("clv").alias("clv"),
        )
        .orderBy(F.desc("customers"), "segment")
        .collect()
    )
    chosen = lake.read(MODEL_PARAMETERS, as_of).where("chosen")
    chosen = chosen.where(F.col("model").isin(list(PURCHASE_MODELS)))
    fits = {row["segment"]: row for row in chosen.collect()}
    sums = {row["segment"]: row for row in lake.read(SEGMENT_SUMMARY, as_of).collect()}
    found = []
    for row in rows:
        fit, total = fits[row["segment"]], sums[row["segment"]]
        bounds = (row["clv"], total["clv_sum_low"], total["clv_sum_high"])
        how = (fit["model"], _how_fitted(fit["own_weight"]))
        found.append((row["segment"], row["customers"], *how, row["revenue"], *bounds))
    customers, revenue = (sum(row[name] for row in rows) for name in ("customers", "revenue"))
    root = sums["global"]
    whole = (root["clv_sum"], root["clv_sum_low"], root["clv_sum_high"])
    found.append((f"{len(rows)} countries", customers, "", "", revenue, *whole))
    names = ("country", "customers", "model", "fit", "net revenue GBP", "clv GBP", "low", "high")
    return f"{table(names, found)}\nglobal fit: {fits['global']['message']}"


def _how_fitted(own_weight: float) -> str:
    if own_weight == 0:
        return "parent"
    return "own" if own_weight == 1 else f"pooled, {own_weight:.0%} own"


def _best(lake: Lake, count: int) -> str:
    columns = (
        "customer_id",
        "segment",
        "frequency",
        "p_active_365d",
        "expected_purchases_365d",
        "expected_order_value",
        "historical_clv",
        "clv",
        "clv_low",
        "clv_high",
    )
    rows = lake.read(CLV_SCORES_LATEST).orderBy(F.desc("clv"), "customer_id").limit(count)
    return table_of(columns, rows.collect())


def how_to_read(lake: Lake) -> str:
    """Where the tables are, and three ways to read them."""
    there = [spec for spec in TABLES if lake.exists(spec)]
    if lake.config.lake.path is None:
        tables = "\n".join(f"  {lake.identifier(spec)}" for spec in there)
        return f"{tables}\n\nSpark SQL\n  SELECT * FROM {lake.identifier(CLV_SCORES_LATEST)}"
    places = {spec.name: Path(lake.path(spec)).resolve() for spec in there}
    names = "\n".join(f"  {name:24} {place}" for name, place in places.items())
    latest = places["clv_scores_latest"]
    return f"""{names}

Spark SQL (spark-sql or any notebook with Delta)
  SELECT customer_id, clv FROM delta.`{latest}` ORDER BY clv DESC LIMIT 10;

DuckDB (pip install duckdb duckdb-extension-delta)
  import duckdb, pathlib, duckdb_extension_delta as d
  duckdb.load_extension(str(next(pathlib.Path(d.__path__[0]).rglob("*.duckdb_extension"))))
  duckdb.sql("FROM delta_scan('{latest}') SELECT customer_id, clv ORDER BY clv DESC LIMIT 10")

Polars (pip install polars deltalake)
  import polars as pl
  pl.scan_delta("{latest}").sort("clv", descending=True).head(10).collect()
"""


def source_report(found: dict[str, Any]) -> str:
    """What check-source found, for the terminal; of every source, if there are several."""
    more = "".join(source_report(other) for other in found.get("beside", ()))
    reasons = [(reason, t["lines"], t["amount"]) for reason, t in found["reasons"].items()]
    sample = found["sample"]
    names = tuple(sample[0]) if sample else ()
    parts = [
        heading(f"How each column of {found['source']} is mapped"),
        table(
            ("column", "expression", "type"),
            [(m["column"], m["expression"], m["type"]) for m in found["mapping"]],
        ),
        heading(f"{len(sample)} lines as the pipeline sees them (amounts in cents)"),
        table(names, [tuple(row.values()) for row in sample]) if sample else "none",
        heading("Lines and money by reason"),
        table(("reason", "lines", "amount"), reasons),
        heading("Dates and currencies of the lines"),
        f"lines run from {found['first_date']} to {found['last_date']}",
        f"currencies seen: {found['currencies'] or 'no currency column is mapped'}",
        heading("What to change"),
        "\n".join(f"- {line}" for line in found["advice"]) or "nothing",
    ]
    return "\n".join(parts) + "\n\n" + more


def contracts_report(spark: SparkSession, config: Config, as_of: dt.date) -> str:
    """The result of a run on contracts: by plan, month ahead, and the best customers."""
    lake = Lake(spark, config)
    parts = [
        heading("Telco: contracts by type"),
        _plans(lake, as_of),
        heading("What the next months leave of the contracts that run"),
        _months_ahead(lake, as_of),
        heading("The five most valuable customers with a contract"),
        _best(lake, 5),
    ]
    return "\n".join(parts) + "\n\n"


def _plans(lake: Lake, as_of: dt.date) -> str:
    fits = lake.read(MODEL_PARAMETERS, as_of).where("chosen AND relationship = 'contract'")
    sums = lake.read(SEGMENT_SUMMARY, as_of).where("relationship = 'contract'")
    metrics = lake.read(SUBSCRIPTION_METRICS, as_of)
    last = {row["segment"]: row for row in metrics.orderBy("month").collect()}
    totals = {row["segment"]: row for row in sums.collect()}
    found = []
    for fit in fits.orderBy("segment").collect():
        row, total = last[fit["segment"]], totals[fit["segment"]]
        counts = (row["running_end"], row["lost_contracts"])
        values = (row["formula_clv_discounted"], row["model_clv"], total["clv_sum"])
        how = (fit["model"], fit["status"], _how_fitted(fit["own_weight"]))
        found.append((fit["segment"], *counts, row["churn_rate"], *how, *values))
    about = ("segment", "running", "lost", "churn")
    names = (*about, "model", "status", "fit", "formula", "model's", "clv")
    note = (
        "formula and model's: value of a contract without horizon, discounted. The formula takes "
        "one churn for all;\nthose who stay are ever more those who mean to stay. fit: own; "
        "pooled: drawn to the parent's\nparameters, with so much weight of its own; parent: the "
        "parent's as they are."
    )
    return f"{table(names, found)}\n{note}"


def _months_ahead(lake: Lake, as_of: dt.date) -> str:
    rows = lake.read(SUBSCRIPTION_FORECAST, as_of).where("segment = 'global'")
    names = ("months_ahead", "running_contracts", "running_low", "running_high", "mrr")
    chosen = rows.where("months_ahead IN (1, 3, 6, 12, 24)").orderBy("months_ahead").collect()
    return table_of(names, chosen)
