"""The CDNOW sample as the papers use it: in weeks, orders of one day merged."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from clv_spark.models import FitResult, fit

SAMPLE = Path(__file__).parents[2] / "data" / "cdnow_sample.txt"
Floats = NDArray[np.float64]


class Cdnow(NamedTuple):
    x: Floats
    t_x: Floats
    T: Floats
    m_x: Floats
    holdout: Floats

    def purchases(self) -> dict[str, Floats]:
        return {"x": self.x, "t_x": self.t_x, "T": self.T}

    def spend(self) -> dict[str, Floats]:
        repeat = self.x > 0
        return {"x": self.x[repeat], "m_x": self.m_x[repeat]}


def cdnow_until(days: pd.DataFrame, end: str) -> Cdnow:
    today = pd.Timestamp(end)
    seen = days[days["date"] <= today]
    per = seen.groupby("customer")["date"].agg(["min", "max", "count"])
    first = seen["customer"].map(per["min"])
    mean = seen[seen["date"] > first].groupby("customer")["amount"].mean()
    later = days[days["date"] > today].groupby("customer").size()

    def weeks(duration: pd.Series) -> Floats:
        return duration.dt.days.to_numpy(np.float64) / 7

    return Cdnow(
        x=per["count"].to_numpy(np.float64) - 1,
        t_x=weeks(per["max"] - per["min"]),
        T=weeks(today - per["min"]),
        m_x=mean.reindex(per.index).to_numpy(np.float64),
        holdout=later.reindex(per.index, fill_value=0).to_numpy(np.float64),
    )


def two_decimals(values: Floats) -> Floats:
    """Halves up; the inner rounding is for 35.175, which as a double is a little less."""
    return np.floor(np.round(values * 100, 6) + 0.5) / 100


@pytest.fixture(scope="session")
def cdnow_log() -> pd.DataFrame:
    names = ["master_id", "customer", "date", "cds", "amount"]
    log = pd.read_csv(SAMPLE, sep=r"\s+", header=None, names=names, dtype={"date": str})
    log["date"] = pd.to_datetime(log["date"], format="%Y%m%d")
    return log


@pytest.fixture(scope="session")
def cdnow_days(cdnow_log: pd.DataFrame) -> pd.DataFrame:
    return cdnow_log.groupby(["customer", "date"], as_index=False)["amount"].sum()


@pytest.fixture(scope="session")
def cdnow(cdnow_days: pd.DataFrame) -> Cdnow:
    return cdnow_until(cdnow_days, "1997-09-30")


@pytest.fixture(scope="session")
def cdnow_78_weeks(cdnow_days: pd.DataFrame) -> Cdnow:
    return cdnow_until(cdnow_days, "1998-06-30")


@pytest.fixture(scope="session")
def cdnow_two_decimals(cdnow: Cdnow) -> Cdnow:
    """As the two files of customers in lifetimes: every number of a repeat buyer is theirs."""
    return cdnow._replace(
        t_x=two_decimals(cdnow.t_x), T=two_decimals(cdnow.T), m_x=two_decimals(cdnow.m_x)
    )


@pytest.fixture(scope="session")
def bg_fit(cdnow: Cdnow) -> FitResult:
    return fit("bg_nbd", cdnow.purchases())


@pytest.fixture(scope="session")
def gg_fit(cdnow: Cdnow) -> FitResult:
    return fit("gamma_gamma", cdnow.spend())
