"""clv_scores_latest -> the columns and rows of an export, in an order that is always the same."""

from __future__ import annotations

from collections.abc import Iterable

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from clv_spark.config import ExportConfig
from clv_spark.errors import ConfigError
from clv_spark.transforms.rules import condition


def export_rows(latest: DataFrame, config: ExportConfig, key: tuple[str, ...]) -> DataFrame:
    """The chosen columns of the rows that meet the condition, in ``config.files`` partitions.

    Rows go to partitions by the hash of their customer and are sorted within, ties by the key, so
    that the same table gives the same files. Missing values come last.

    Args:
        latest: the scores.
        config: what is chosen.
        key: columns that tell rows apart; the first says which file a row goes to.

    Raises:
        ConfigError: a column does not exist, or the condition does not fit the table.
    """
    names = latest.columns
    chosen = list(config.columns or names)
    _require_columns("export.columns", chosen, names)
    _require_columns("export.order_by", (name for name, _ in config.order), names)
    order = [*config.order, *((name, False) for name in key)]
    wanted = latest
    if config.where is not None:
        wanted = latest.where(condition(latest, "export.where", config.where))
    spread = wanted.repartition(config.files, key[0])
    return spread.sortWithinPartitions(*(_ordered(*one) for one in order)).select(*chosen)


def _ordered(name: str, largest_first: bool) -> Column:
    return F.desc_nulls_last(name) if largest_first else F.asc_nulls_last(name)


def _require_columns(where: str, wanted: Iterable[str], names: list[str]) -> None:
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise ConfigError(
            f"{where} names {unknown}, which clv_scores_latest does not have; it has "
            f"{', '.join(names)}"
        )
