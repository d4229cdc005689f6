"""The settings of a run: typed, and checked before Spark starts."""

from clv_spark.config.consistency import ACQUISITION_MONTH
from clv_spark.config.contracts import PERIOD_MONTHS, ContractsSource
from clv_spark.config.costs import (
    AcquisitionConfig,
    AcquisitionCosts,
    AcquisitionSpend,
    CostsConfig,
    Margins,
    ServiceConfig,
    ServiceEvents,
)
from clv_spark.config.export import ExportConfig
from clv_spark.config.forecast import ForecastConfig
from clv_spark.config.judgement import ActionRule, LifecycleConfig, RanksConfig, RfmSegment, Tier
from clv_spark.config.load import load_config, masked
from clv_spark.config.model import (
    DAYS_PER_UNIT,
    Config,
    FitConfig,
    GatesConfig,
    LakeConfig,
    ModelsConfig,
    RetentionConfig,
    ValueConfig,
)
from clv_spark.config.products import ProductsConfig
from clv_spark.config.reports import ReportsConfig
from clv_spark.config.section import LocalSource, SourceSection, of_segment
from clv_spark.config.transactions import TransactionsSource
from clv_spark.config.what_if import Scenario

__all__ = [
    "ACQUISITION_MONTH",
    "DAYS_PER_UNIT",
    "PERIOD_MONTHS",
    "AcquisitionConfig",
    "AcquisitionCosts",
    "AcquisitionSpend",
    "ActionRule",
    "Config",
    "ContractsSource",
    "CostsConfig",
    "ExportConfig",
    "FitConfig",
    "ForecastConfig",
    "GatesConfig",
    "LakeConfig",
    "LifecycleConfig",
    "LocalSource",
    "Margins",
    "ModelsConfig",
    "ProductsConfig",
    "RanksConfig",
    "ReportsConfig",
    "RetentionConfig",
    "RfmSegment",
    "Scenario",
    "ServiceConfig",
    "ServiceEvents",
    "SourceSection",
    "Tier",
    "TransactionsSource",
    "ValueConfig",
    "load_config",
    "masked",
    "of_segment",
]
