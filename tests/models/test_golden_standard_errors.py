"""Standard errors of parameters and predictions against known ones; every name says whose."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from clv_spark.models import bg_nbd, fit, gamma_gamma
from clv_spark.models.uncertainty import prediction_errors

# Found without importing the package, which takes half a second.
DATASETS = Path(find_spec("lifetimes").origin).parent / "datasets"


def errors(result):
    assert result.status == "ok"
    return list(result.standard_errors.values())


def test_bg_nbd_errors_of_cdnow_recomputed(bg_fit):
    assert list(bg_fit.standard_errors) == ["r", "alpha", "a", "b"]
    assert errors(bg_fit) == pytest.approx([0.01256, 0.37822, 0.18573, 0.70541], abs=6e-6)


def test_mbg_nbd_errors_of_cdnow_recomputed(cdnow):
    result = fit("mbg_nbd", cdnow.purchases())
    assert errors(result) == pytest.approx([0.08327, 0.69562, 0.15479, 0.53749], abs=6e-6)


def test_pareto_nbd_errors_of_cdnow_in_clvtools(cdnow):
    result = fit("pareto_nbd", cdnow.purchases())
    expected = [0.0476264, 0.8427222, 0.1872594, 6.2105448]
    assert errors(result) == pytest.approx(expected, rel=1e-3)


def test_bg_bb_errors_of_donations_recomputed():
    table = pd.read_csv(DATASETS / "donations.csv")
    data = {"x": table["frequency"], "t_x": table["recency"], "T": table["periods"]}
    result = fit("bg_bb", data, table["weights"])
    assert result.log_likelihood == pytest.approx(-33225.581274347, abs=1e-5)
    assert errors(result) == pytest.approx([0.06939, 0.02945, 0.05101, 0.32082], abs=6e-6)


def test_gamma_gamma_errors_of_two_decimal_cdnow_recomputed():
    table = pd.read_csv(DATASETS / "cdnow_customers_summary_with_transactions.csv")
    table.columns = ["id", "x", "t_x", "T", "m_x"]
    repeat = table[table["x"] > 0]
    result = fit("gamma_gamma", {"x": repeat["x"], "m_x": repeat["m_x"]})
    assert result.log_likelihood == pytest.approx(-4055.923244, abs=1e-6)
    assert errors(result) == pytest.approx([1.18967, 0.29016, 4.15995], rel=2e-5)


def test_gamma_gamma_errors_are_those_of_second_differences_of_the_plain_likelihood(cdnow, gg_fit):
    names, best = list(gg_fit.parameters), np.array(list(gg_fit.parameters.values()))
    spend = cdnow.spend()

    def total(point):
        params = dict(zip(names, point, strict=True))
        return np.sum(gamma_gamma.log_likelihood(params, spend["x"], spend["m_x"]))

    steps = np.diag(2e-4 * best)
    information = np.zeros((3, 3))
    for i, one in enumerate(steps):
        for j, other in enumerate(steps):
            corners = total(best + one + other) - total(best + one - other)
            corners -= total(best - one + other) - total(best - one - other)
            information[i, j] = -corners / (4 * one[i] * other[j])
    expected = np.sqrt(np.diag(np.linalg.inv(information)))
    assert errors(gg_fit) == pytest.approx(expected.tolist(), rel=1e-4)


def test_delta_method_errors_of_expected_purchases_of_cdnow_recomputed(bg_fit):
    x, t_x, T = np.array([2.0, 0.0]), np.array([30.43, 0.0]), np.array([38.86, 38.86])

    def forecast(params):
        return bg_nbd.expected_purchases(params, 39, x, t_x, T)

    assert forecast(bg_fit.parameters) == pytest.approx([1.225907, 0.194782], abs=6e-7)
    assert prediction_errors(forecast, bg_fit) == pytest.approx([0.045189, 0.008997], abs=6e-7)


def test_delta_method_errors_of_expected_spend_are_those_of_its_written_out_slopes(gg_fit):
    x, m_x = np.array([0.0, 1.0, 2.0, 21.0]), np.array([0.0, 5.0, 22.35, 299.6])
    p, q, gamma = gg_fit.parameters.values()
    level, below = gamma + x * m_x, p * x + q - 1
    # Of p (gamma + x m_x) / (p x + q - 1) by p, q and gamma.
    slopes = np.array([level * (q - 1) / below**2, -p * level / below**2, p / below])
    expected = np.sqrt(np.einsum("ic,ij,jc->c", slopes, gg_fit.covariance, slopes))
    errors = prediction_errors(lambda params: gamma_gamma.expected_spend(params, x, m_x), gg_fit)
    assert errors == pytest.approx(expected.tolist(), rel=1e-5)
