"""A shop with categories beside contracts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from clv_spark import pipelines
from clv_spark.config import Config
from tests.contract_world import contract_sections, contracts, write_contracts
from tests.operations import AS_OF, Finished, copied, finished_once, sections

CATEGORY = {"category": "substr(product, 1, 4)"}


def beside(shop: Path, lake: Path, source: Path | str, **more: Any) -> Config:
    """The shop's configuration with products and contracts; a customer is an integer in both."""
    values, held = sections(shop), contract_sections(source)
    values["source"]["transactions"]["columns"] |= CATEGORY
    both = {
        "source": {**values["source"], **held["source"]},
        "contract_segments": ["plan"],
        "products": {"enabled": True},
    }
    return Config.model_validate({**values, "lake": {"path": str(lake)}, **both, **more})


def held_once(spark: SparkSession, factory: pytest.TempPathFactory) -> Finished:
    """The finished run of the shop, to which products and contracts came; its source is theirs."""
    finished, folder = finished_once(spark, factory), factory.mktemp("held")
    source = write_contracts(contracts(900, as_of=AS_OF), folder / "source")
    lake = copied(finished.lake, folder / "lake")
    pipelines.run(spark, beside(finished.source, lake, source), AS_OF)
    return Finished(source, lake)
