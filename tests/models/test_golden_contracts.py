"""sBG and BdW against published numbers; every test name says whose they are."""

from __future__ import annotations

import csv
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from clv_spark.models import bdw, fit, sbg
from clv_spark.models.contract_forecast import probability_running

# Fader and Hardie (2007), table 1: percent of a cohort that survived 0, 1, 2, ... years.
REGULAR = [100, 63.1, 46.8, 38.2, 32.6, 28.9, 26.2, 24.1]
HIGH_END = [100, 86.9, 74.3, 65.3, 59.3, 55.1, 51.7, 49.1]


def cohort(survivors: list[float]) -> tuple[dict[str, list[int]], list[float]]:
    """A cohort seen from its start: who was lost in which year, and who is still there."""
    last = len(survivors) - 1
    lost = [1] * last + [0]
    data = {"entry": [0] * (last + 1), "tenure": [*range(1, last + 1), last], "lost": lost}
    return data, [a - b for a, b in pairwise(survivors)] + [survivors[-1]]


def fitted(model, survivors):
    data, weights = cohort(survivors)
    result = fit(model, data, weights)
    assert result.status == "ok", result.message
    assert result.gradient_norm < 1e-9
    return result


@pytest.mark.parametrize(
    ("survivors", "published", "recomputed", "log_likelihood"),
    [
        (REGULAR, (0.704, 1.182), (0.70407728, 1.18204297), -1.6802651885),
        (HIGH_END, (0.668, 3.806), (0.66808834, 3.80609492), -1.6111581474),
    ],
    ids=["regular", "high end"],
)
def test_parameters_are_those_of_fader_hardie_2007(
    survivors, published, recomputed, log_likelihood
):
    result = fitted("sbg", survivors)
    assert tuple(result.parameters.values()) == pytest.approx(published, abs=5e-4)
    assert tuple(result.parameters.values()) == pytest.approx(recomputed, rel=1e-7)
    assert result.log_likelihood / 100 == pytest.approx(log_likelihood, abs=1e-9)


@pytest.mark.parametrize(
    ("survivors", "expected"),
    [
        (REGULAR, [0.2201, 0.2044, 0.1912, 0.1799, 0.1700]),
        (HIGH_END, [0.4604, 0.4358, 0.4142, 0.3951, 0.3780]),
    ],
    ids=["regular", "high end"],
)
def test_survival_in_years_8_to_12_is_the_recomputed_one(survivors, expected):
    params = fitted("sbg", survivors).parameters
    survival = np.exp(sbg.log_survival(params, np.arange(8, 13)))
    assert survival == pytest.approx(expected, abs=5e-5)


# Fader and Hardie (2010): cases 1 and 2 have the same mean churn and differ in its spread.
LIFETIMES = [
    ("regular", (0.704, 1.182), 3.69515, [2.9647, 4.1035, 4.8701, 5.4424, 5.8944]),
    ("high end", (0.668, 3.806), 5.92260, [5.4149, 5.9018, 6.2943, 6.6203, 6.8971]),
    ("case 1", (3.80, 15.19), 4.00762, [3.3084, 3.4496, 3.5852, 3.7155, 3.8409]),
    ("case 2", (0.067, 0.267), 7.97349, [7.6708, 9.4553, 9.8508, 10.0562, 10.1886]),
]


@pytest.mark.parametrize(
    ("params", "new", "running"), [one[1:] for one in LIFETIMES], ids=[one[0] for one in LIFETIMES]
)
@pytest.mark.parametrize("model", ["closed form", "sum"])
def test_discounted_lifetimes_are_those_of_fader_hardie_2010(params, new, running, model):
    if model == "closed form":
        module, letters = sbg, dict(zip(("alpha", "beta"), params, strict=True))
    else:
        module, letters = bdw, dict(zip(("gamma", "delta", "c"), (*params, 1.0), strict=True))
    assert module.discounted_lifetime(letters, 0.1) == pytest.approx(new, abs=1e-5)
    residual = module.discounted_residual_lifetime(letters, 0.1, np.arange(5))
    assert residual == pytest.approx(running, abs=5e-5)


def test_bdw_on_five_years_of_high_end_is_that_of_retenmod():
    result = fitted("bdw", HIGH_END[:5])
    values = tuple(result.parameters.values())
    assert values == pytest.approx((0.25934, 1.72256, 1.58435), abs=2e-5)
    assert values == pytest.approx((0.2593357, 1.72255123, 1.58436159), rel=1e-6)
    assert result.log_likelihood / 100 == pytest.approx(-1.2227493, abs=1e-7)
    survival = 100 * np.exp(bdw.log_survival(result.parameters, np.arange(1, 11)))
    published = [86.9147, 74.1928, 65.4784, 59.2933, 54.6610]
    published += [51.0369, 48.1044, 45.6688, 43.6037, 41.8232]
    assert survival == pytest.approx(published, abs=2e-3)


def test_a_running_contract_is_judged_given_that_it_survived():
    """A published library returns S(n + t) instead, which is what a new contract would do."""
    params = {"alpha": 1.0, "beta": 1.0}
    given = probability_running(sbg.log_survival, params, 1, 9)
    assert given == pytest.approx(10 / 11)
    assert np.exp(sbg.log_survival(params, 10)) == pytest.approx(1 / 11)


@pytest.mark.parametrize(
    ("window", "stated", "parameters", "churn"),
    [
        (None, 0.027, (0.422618, 7.393297), 0.0270511),
        (1, 0.427, (22.411648, 17.436293), 0.4270968),
    ],
    ids=["naive cohort likelihood", "conditional on survival to entry"],
)
def test_monthly_churn_of_the_telco_sample_is_that_of_issue_6(window, stated, parameters, churn):
    """What sBG says of the month in which each month-to-month customer was last seen.

    The naive likelihood takes everybody as seen from the start, though those who left before the
    last month are not in the file; the other one conditions on having survived to that month.
    """
    path = Path(__file__).parents[2] / "data" / "telco_customer_churn.csv"
    with path.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["Contract"] == "Month-to-month"]
    tenure = np.array([int(row["tenure"]) for row in rows])
    lost = np.array([row["Churn"] == "Yes" for row in rows]).astype(int)
    entry = np.zeros_like(tenure) if window is None else np.maximum(tenure - window, 0)
    result = fit("sbg", {"entry": entry, "tenure": tenure, "lost": lost})
    survived = sbg.log_survival(result.parameters, np.array([tenure - 1, tenure]))
    found = np.mean(-np.expm1(survived[1] - survived[0]))
    assert (len(rows), int(lost.sum())) == (3875, 1655)
    assert found == pytest.approx(stated, abs=5e-4)
    # Recomputed, to more digits.
    assert tuple(result.parameters.values()) == pytest.approx(parameters, rel=1e-4)
    assert found == pytest.approx(churn, abs=1e-6)
