"""A date that cannot be meant is refused by every job that takes one, before anything starts."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from clv_spark import pipelines
from clv_spark.cli import JOBS
from clv_spark.config import Config
from clv_spark.errors import ConfigError

# Nothing is asked of it.
NO_SPARK: Any = None


@pytest.mark.parametrize("name", [name for name, (dated, _) in JOBS.items() if dated])
def test_a_date_in_the_future_is_refused(name: str) -> None:
    job = getattr(pipelines, name.replace("-", "_"))
    with pytest.raises(ConfigError, match="--as-of 2111-12-09 lies in the future; give the last"):
        job(NO_SPARK, Config(), dt.date(2111, 12, 9))
