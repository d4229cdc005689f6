"""The published digits of the CDNOW sample, through the pipelines from the raw file.

Parameters and log-likelihoods: maximum likelihood of Fader, Hardie and Lee (2005, Marketing
Science 24, table 2: r .243, alpha 4.414, a .793, b 2.426, LL -9582.4) and of Fader and Hardie's
note on the gamma-gamma model (2013: p 6.25, q 3.74, gamma 15.44), recomputed to eight digits.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.sql import Row, SparkSession

from clv_spark.config import Config
from clv_spark.lake import Lake
from clv_spark.models import bg_nbd
from clv_spark.pipelines import build_customer_days, build_features, fit_models
from clv_spark.schemas import CUSTOMER_DAYS, CUSTOMER_FEATURES, MODEL_PARAMETERS

SAMPLE = Path(__file__).parents[2] / "data" / "cdnow_sample.txt"
END_OF_CALIBRATION = dt.date(1997, 9, 30)
# master id, sample id, date, number of CDs, dollars: columns of varying width, so a line is read
# whole (no separator occurs in it) and taken apart by expressions.
PART = "split(trim(_c0), ' +')[{}]"
SOURCE = {
    "format": "csv",
    "path": str(SAMPLE),
    "options": {"header": False, "sep": "|", "ignoreTrailingWhiteSpace": True},
    "columns": {
        "customer_id": f"CAST({PART.format(1)} AS BIGINT)",
        "event_time": f"to_date({PART.format(2)}, 'yyyyMMdd')",
        "amount": f"CAST({PART.format(4)} AS DECIMAL(18,2))",
    },
}


# As published: one model, and the first purchase left out of the spend.
PUBLISHED = {"transactions": "bg_nbd", "spend_basis": "repeat"}


def config(lake: Path, **sections: Any) -> Config:
    values = {"lake": {"path": str(lake)}, "source": {"transactions": SOURCE}, "models": PUBLISHED}
    return Config.model_validate({**values, **sections})


@pytest.fixture(scope="module")
def lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    settings = config(tmp_path_factory.mktemp("cdnow") / "lake")
    build_customer_days(spark, settings)
    build_features(spark, settings, END_OF_CALIBRATION)
    fit_models(spark, settings, END_OF_CALIBRATION)
    return Lake(spark, settings)


@pytest.fixture(scope="module")
def fits(lake: Lake) -> dict[str, Row]:
    return {row["model"]: row for row in lake.read(MODEL_PARAMETERS).collect()}


def test_purchases_are_the_published_ones(fits: dict[str, Row]) -> None:
    found = fits["bg_nbd"]
    assert found["status"] == "ok"
    assert (found["segment"], found["time_unit"]) == ("global", "week")
    assert found["parameters"] == pytest.approx(
        {"r": 0.24259453, "alpha": 4.41360220, "a": 0.79292189, "b": 2.42590632}, rel=1e-5
    )
    assert found["log_likelihood"] == pytest.approx(-9582.429206674, abs=1e-5)
    assert found["standard_errors"] == pytest.approx(
        {"r": 0.01256, "alpha": 0.37822, "a": 0.18573, "b": 0.70541}, rel=1e-3
    )
    assert (found["chosen"], found["spend_basis"]) == (True, None)
    assert found["bic"] == pytest.approx(4 * np.log(2357) + 2 * 9582.429206674, abs=1e-4)


def test_spend_is_the_published_one(fits: dict[str, Row]) -> None:
    found = fits["gamma_gamma"]
    assert found["parameters"] == pytest.approx(
        {"p": 6.249573, "q": 3.744225, "gamma": 15.443518}, rel=1e-5
    )
    assert found["log_likelihood"] == pytest.approx(-4055.917694802, abs=1e-5)
    assert found["n_customers"] == 946
    assert (found["chosen"], found["spend_basis"]) == (True, "repeat")
    # The paper says .11.
    assert found["frequency_spend_correlation"] == pytest.approx(0.1139, abs=5e-5)


def test_counts_are_the_published_ones(fits: dict[str, Row]) -> None:
    found = fits["bg_nbd"]
    counts = (found["n_customers"], found["n_repeaters"], found["n_patterns"])
    assert counts == (2357, 946, 1016)


def test_orders_of_no_value_are_purchases(lake: Lake) -> None:
    """The sample's orders of 0.00 are kept: the published digits need them."""
    days = lake.read(CUSTOMER_DAYS)
    assert days.where("transactions > 0 AND gross_amount = 0").count() > 0
    features = lake.read(CUSTOMER_FEATURES)
    assert features.agg({"frequency": "sum"}).first()[0] == 2457
    assert features.agg({"frequency": "max"}).first()[0] == 29


def test_rows_and_patterns_have_one_likelihood(lake: Lake, fits: dict[str, Row]) -> None:
    rows = lake.read(CUSTOMER_FEATURES).select("frequency", "recency", "T").toPandas()
    x, t_x, T = (rows[name].to_numpy(float) for name in ("frequency", "recency", "T"))
    each = bg_nbd.log_likelihood(fits["bg_nbd"]["parameters"], x, t_x / 7, T / 7)
    assert fits["bg_nbd"]["log_likelihood"] == pytest.approx(float(np.sum(each)), rel=1e-9)


def test_buckets_come_close_to_exact_rows(
    spark: SparkSession, lake: Lake, fits: dict[str, Row], tmp_path: Path
) -> None:
    """A step of 0.2% in the mean, on 946 repeaters; tests/kernels has 150,000."""
    settings = lake.config.model_copy(
        update={"fit": lake.config.fit.model_copy(update={"max_exact_repeaters": 0})}
    )
    fit_models(spark, settings, END_OF_CALIBRATION)
    rows = lake.read(MODEL_PARAMETERS).collect()
    found = {row["model"]: row for row in rows}
    exact, bucketed = fits["gamma_gamma"], found["gamma_gamma"]
    assert bucketed["n_customers"] == exact["n_customers"]
    assert bucketed["n_patterns"] < exact["n_patterns"]
    assert bucketed["parameters"] == pytest.approx(exact["parameters"], rel=2e-3)
    assert bucketed["parameters"] != exact["parameters"]
    # Purchases have no buckets: not a bit differs.
    assert found["bg_nbd"]["parameters"] == fits["bg_nbd"]["parameters"]
