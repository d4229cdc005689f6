"""The settings of a run: typed, and checked before Spark starts."""

from clv_spark.config.contracts import PERIOD_MONTHS, ContractsSource
from clv_spark.config.forecast import ForecastConfig
from clv_spark.config.load import load_config, masked
from clv_spark.config.model import (
    DAYS_PER_UNIT,
    Config,
    FitConfig,
    GatesConfig,
    LakeConfig,
    ModelsConfig,
    RetentionConfig,
    TransactionsSource,
    ValueConfig,
)
from clv_spark.config.section import SourceSection

__all__ = [
    "DAYS_PER_UNIT",
    "PERIOD_MONTHS",
    "Config",
    "ContractsSource",
    "FitConfig",
    "ForecastConfig",
    "GatesConfig",
    "LakeConfig",
    "ModelsConfig",
    "RetentionConfig",
    "SourceSection",
    "TransactionsSource",
    "ValueConfig",
    "load_config",
    "masked",
]
