"""Part of job check-source: the sources of costs and margins as a run understands them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from clv_spark.config import (
    AcquisitionCosts,
    AcquisitionSpend,
    Config,
    Margins,
    ServiceEvents,
    SourceSection,
)
from clv_spark.lake import open_source
from clv_spark.transforms.acquisition import conform_spend, unusable_spend
from clv_spark.transforms.conform import margin_rates
from clv_spark.transforms.conform_costs import conform_acquisition, conform_events
from clv_spark.transforms.mapping import map_expressions, widen_integers

NO_RATE, TWO_RATES, NO_SPEND = "no_rate", "two_rates", "no_month_or_amount"


@dataclass(frozen=True)
class Understood:
    """A source and what became of it.

    Attributes:
        source: Its section.
        version: Of the data.
        mapped: Rows with the mapped expressions.
        conformed: Rows with one meaning each, with amount_cents, event_date and reason.
        keys: Names of its segment keys; None for a source that has none to name.
    """

    source: SourceSection
    version: str
    mapped: DataFrame
    conformed: DataFrame
    keys: tuple[str, ...] | None = None


def sources_of_costs(spark: SparkSession, config: Config) -> Iterator[Understood]:
    """Every configured source of service events, acquisition costs, spend and margin rates."""
    costs = config.costs
    sections = (costs.service.events, costs.acquisition.customers, costs.acquisition.spend)
    for section in (*sections, config.value.margins):
        if section is not None:
            state = open_source(spark, section)
            rows = state.rows.transform(widen_integers)
            mapped = rows.transform(map_expressions, section, section.columns)
            yield Understood(
                section, state.version, mapped, _conformed(state.rows, section, config)
            )


def _conformed(rows: DataFrame, section: SourceSection, config: Config) -> DataFrame:
    if isinstance(section, ServiceEvents):
        return conform_events(rows, section, config.costs.service)
    if isinstance(section, AcquisitionCosts):
        return conform_acquisition(rows, section)
    if isinstance(section, AcquisitionSpend):
        spend = conform_spend(rows, section)
        reason = F.when(unusable_spend(), NO_SPEND)
        return spend.withColumns({"event_date": F.col("month"), "reason": reason})
    if isinstance(section, Margins):
        return _rates(rows, section)
    raise TypeError(f"{section.key} is no source of costs")


def _rates(rows: DataFrame, section: Margins) -> DataFrame:
    """Margin rates by name; a name must not have two."""
    rates = margin_rates(rows, section)
    different = F.size(F.collect_set("rate").over(Window.partitionBy("name")))
    reason = F.when(F.col("rate").isNull(), NO_RATE).when(different > 1, TWO_RATES)
    none = {"event_date": F.lit(None).cast("date"), "amount_cents": F.lit(None).cast("bigint")}
    return rates.withColumns({"reason": reason, **none})
