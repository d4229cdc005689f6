"""Part of job score-customers: scored customers and the months behind -> revenue_forecast."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict
from typing import Any

import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import Row as SparkRow

from clv_spark.config import Config, ForecastConfig
from clv_spark.economics.season import Season
from clv_spark.errors import ConfigError
from clv_spark.kernels.fit_segment import as_frame
from clv_spark.kernels.forecast_revenue import (
    Arrivals,
    SegmentForecast,
    forecast_rows,
    forecast_segment,
    month_days,
)
from clv_spark.kernels.segment_parameters import nearest
from clv_spark.kernels.segment_seasons import seasons_by_segment
from clv_spark.kernels.segment_table import SegmentParameters
from clv_spark.kernels.worker import in_worker
from clv_spark.pipelines.local_rows import table_rows
from clv_spark.pipelines.run_context import Run
from clv_spark.pipelines.summarise_segments import members_of, places_of
from clv_spark.schemas import REVENUE_FORECAST, REVENUE_HISTORY
from clv_spark.transforms.forecast import newcomers, season_months
from clv_spark.transforms.segments import GLOBAL, level_columns

_NUMBERS = (
    "existing_purchases",
    "existing_revenue",
    "new_customers",
    "new_purchases",
    "new_revenue",
    "mean",
    "variance",
    "variance_to_date",
)
_FORECAST = ", ".join(
    ["segment STRING", "margin_rate DOUBLE", *(f"{name} ARRAY<DOUBLE>" for name in _NUMBERS)]
)


def forecast_revenue(
    run: Run,
    patterns: DataFrame,
    features: DataFrame,
    leaves: Collection[str],
    parameters: Mapping[str, SegmentParameters],
    fitted: list[SparkRow],
) -> DataFrame:
    """Forecast every segment month by month.

    Args:
        run: The run.
        patterns: Sums of the scored customers by pattern, those of a segment together.
        features: The slice of customer_features they come from.
        leaves: Names of the leaf segments.
        parameters: What was used to score them, by segment.
        fitted: The rows of model_parameters behind it: they say which segment lies below which.

    Returns:
        Rows of revenue_forecast.
    """
    keys, nested = run.config.segments, len(run.config.segments) > 1
    arrivals = _arrivals(run, features)
    seasons = _seasons(run, parameters)
    index = {leaf: seasons[nearest(leaf, seasons, nested)].index.tolist() for leaf in leaves}
    work = _forecast_group(run.config, run.date, parameters, arrivals, index)
    found = patterns.groupBy("segment").applyInPandas(in_worker(work), _FORECAST).collect()
    parts = {row["segment"]: SegmentForecast(**row.asDict()) for row in found}
    above = places_of(fitted)
    last = keys[-1] if keys else GLOBAL
    rows = []
    for segment, members in members_of(leaves, above, nested).items():
        ours = [parts[leaf] for leaf in members if leaf in parts]
        season = seasons[nearest(segment, seasons, nested)]
        level = above.get(segment, (last, None))[0]
        rows += _rows(run, segment, level, ours, season)
    return table_rows(run.spark, REVENUE_FORECAST, rows)


def check_names(config: ForecastConfig, segments: Iterable[str]) -> None:
    """Hold configured rates against the segments there are, before anything is written.

    Raises:
        ConfigError: ``forecast.new_customers_per_month`` names a segment that nobody is in.
    """
    given = config.new_customers_per_month
    strays = sorted(set(given) - set(segments)) if isinstance(given, Mapping) else []
    if strays:
        raise ConfigError(
            f"forecast.new_customers_per_month names {strays}, which no customer is in; give "
            "the names of leaf segments as in segment_summary"
        )


def _rows(
    run: Run, segment: str, level: str, parts: list[SegmentForecast], season: Season
) -> list[dict[str, Any]]:
    months = run.config.forecast.months
    numbers = (
        forecast_rows(parts, season, run.date)
        if parts
        else [{"month": month, "days": days} for month, days in month_days(run.date, months)]
    )
    same = {
        "as_of_date": run.date,
        "relationship": "purchases",
        "segment": segment,
        "segment_level": level,
        "currency": run.config.currency,
    }
    return [same | row for row in numbers]


def _seasons(run: Run, parameters: Mapping[str, SegmentParameters]) -> dict[str, Season]:
    keys = run.config.segments
    keeps_refunds = run.config.refunds == "ignore"
    history = run.lake.read(REVENUE_HISTORY, run.date)
    months = season_months(history, keys, keeps_refunds=keeps_refunds).collect()
    return seasons_by_segment(
        [row.asDict() for row in months],
        level_columns(keys),
        parameters,
        run.date,
        run.config.forecast.min_season_months,
    )


def _arrivals(run: Run, features: DataFrame) -> dict[str, Arrivals]:
    """New customers of every leaf segment, as counted or as configured."""
    settings = run.config.forecast
    days = days_of_arrivals(run)
    found = newcomers(features, run.config.segments, days).collect()
    # Without so much history it is all there is.
    days = min(days, 1 + max(row["oldest"] for row in found))
    counted = {row["segment"]: row["arrived"] for row in found}
    given = settings.new_customers_per_month
    if isinstance(given, Mapping):
        rates = dict(given)
    elif given is None:
        rates = {}
    else:
        # Shared as the counted ones are; equally where there are none.
        weights = counted if sum(counted.values()) else dict.fromkeys(counted, 1)
        total = sum(weights.values())
        rates = {name: given * weight / total for name, weight in weights.items()}
    return {name: Arrivals(days, number, rates.get(name)) for name, number in counted.items()}


def days_of_arrivals(run: Run) -> int:
    """How many days back who came says how many will come, of buyers and of contracts."""
    return (run.date - _months_before(run.date, run.config.forecast.recent_months)).days


def _months_before(day: dt.date, months: int) -> dt.date:
    """The same day so many months earlier; for the last day of a month the last."""
    after = day + dt.timedelta(days=1)
    number = 12 * after.year + after.month - 1 - months
    start = dt.date(number // 12, number % 12 + 1, 1)
    return start + dt.timedelta(days=after.day - 2)


def _forecast_group(
    config: Config,
    as_of: dt.date,
    parameters: Mapping[str, SegmentParameters],
    arrivals: Mapping[str, Arrivals],
    index: Mapping[str, list[float]],
) -> Callable[[pd.DataFrame], pd.DataFrame]:
    months, keeps_refunds = config.forecast.months, config.refunds == "ignore"

    def forecast_one(rows: pd.DataFrame) -> pd.DataFrame:
        name = str(rows["segment"].iloc[0])
        part = forecast_segment(
            rows,
            parameters[name],
            arrivals[name],
            index[name],
            as_of=as_of,
            months=months,
            keeps_refunds=keeps_refunds,
        )
        return as_frame(asdict(part))

    return forecast_one
