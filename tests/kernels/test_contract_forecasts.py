"""Forecasts of contracts against direct sums, simulated lives, and each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from clv_spark.economics.total import TotalDraws, total_interval
from clv_spark.kernels.contract_forecasts import (
    DRAWS,
    LONGEST,
    Outlook,
    discounted_vintiles,
    forecast_contracts,
    renewals_within,
)
from clv_spark.kernels.contract_parameters import ContractParameters
from clv_spark.kernels.forecast_subscriptions import MONTHS, forecast_subscriptions
from clv_spark.kernels.new_contracts import new_contract_curve
from clv_spark.kernels.score_contracts import (
    CONTRACT_OUTPUT,
    CONTRACT_STATUSES,
    ContractSettings,
    score_contracts,
)
from clv_spark.kernels.several_contracts import BEHIND_VALUE, add_up_contracts
from clv_spark.kernels.sum_contracts import sum_contracts
from clv_spark.models import bdw, sbg

YEAR = Outlook(365, 0.1)
SBG = ContractParameters("uk", "month", "sbg", (0.7, 6.0), (), "uk")
BDW = ContractParameters("uk", "month", "bdw", (0.3, 5.0, 1.4), (), "uk")
YEARLY = replace(SBG, period="year", values=(0.7, 3.0))
UNCERTAIN = replace(SBG, covariance=((0.09, 0.02), (0.02, 0.09)))
EACH = pytest.mark.parametrize("parameters", [SBG, BDW, YEARLY, UNCERTAIN], ids=str)


def survival(parameters: ContractParameters, t: np.ndarray) -> np.ndarray:
    model = {"sbg": sbg, "bdw": bdw}[parameters.model]
    letters = dict(zip(model.PARAMETERS, parameters.values or (), strict=True))
    return np.exp(model.log_survival(letters, t))


@EACH
def test_forecasts_are_the_sums_over_the_renewals(parameters: ContractParameters) -> None:
    n, phase = np.array([0, 3, 50]), np.array([1.0, 0.25, 0.6])
    length = {"month": 365 / 12, "year": 365.0}[parameters.period]
    found = forecast_contracts(parameters, YEAR, n, phase)
    for row in range(3):
        k = np.arange(1, 20_000)
        stays = survival(parameters, n[row] + k) / survival(parameters, n[row])
        due = (phase[row] + k - 1) * length
        for days, values in zip((30, 90, 365), found.expected, strict=True):
            assert values[row] == pytest.approx(stays[due <= days + 1e-6].sum(), abs=1e-12)
        weighed = stays * 1.1 ** (-due / 365)
        assert found.discounted[row] == pytest.approx(weighed[due <= 365 + 1e-6].sum(), rel=1e-9)
        assert found.residual[row] == pytest.approx(weighed.sum(), rel=1e-6)
        assert found.running[row] == pytest.approx(stays[due <= 365 + 1e-6][-1], rel=1e-9)


@EACH
@pytest.mark.parametrize("horizon", [20, 365, 800])
def test_days_that_contracts_run_end_at_the_horizon(
    parameters: ContractParameters, horizon: int
) -> None:
    n, phase = np.array([0, 3, 50, 3]), np.array([1.0, 0.25, 0.6, 1e-3])
    length = {"month": 365 / 12, "year": 365.0}[parameters.period]
    found = forecast_contracts(parameters, Outlook(horizon, 0.1), n, phase)
    days = (np.arange(horizon * 200) + 0.5) / 200
    for row in range(n.size):
        renewals = np.maximum(np.floor(days / length - phase[row]) + 1, 0)
        stays = survival(parameters, n[row] + renewals) / survival(parameters, n[row : row + 1])
        expected = np.sum(stays * 1.1 ** (-days / 365)) / 200
        assert found.living_days[row] == pytest.approx(expected, rel=2e-4)


@pytest.mark.parametrize("age", [0, 40, 89, 90, 500])
def test_days_of_the_early_phase_ahead_are_those_that_a_new_contract_is_promised(age: int) -> None:
    """sBG(1, 3), 90 days: a quarter is lost after a month, a fifth of the rest after two."""
    one = replace(SBG, values=(1.0, 3.0))
    settings = ContractSettings(Outlook(365, 0.0), 0.3, new_customer_days=30, early_days=90)
    given = batch(1).to_pylist()[0] | {"segment": "uk", "period": "month", "is_active": True}
    given |= {"tenure": 0, "days_to_renewal": 30, "period_days": 30, "customer_age": age}
    row = pa.RecordBatch.from_pylist([given], schema=batch(1).schema)
    (found,) = score_contracts(row, settings, {("uk", "month"): one}).to_pylist()
    month, left = 365 / 12, max(90 - age, 0)
    lived = [max(min(left - month * k, month), 0) for k in range(3)]
    assert found["early_days_ahead"] == pytest.approx(lived[0] + 0.75 * lived[1] + 0.6 * lived[2])
    if age == 0:
        assert found["early_days_ahead"] == pytest.approx(70.7, abs=0.05)
        new = new_contract_curve(
            one,
            order_value=10.0,
            margin_rate=0.3,
            horizon_days=365,
            annual_discount_rate=0.0,
            early_days=90,
            draws=0,
        )
        promised = new.plain.years_early[0, -1] * 365
        assert found["early_days_ahead"] == pytest.approx(promised)


def test_without_horizon_it_is_the_published_residual_lifetime() -> None:
    """Fader and Hardie (2010): the first renewal at once, d = 10% a year."""
    letters = {"alpha": 0.7, "beta": 3.0}
    found = forecast_contracts(YEARLY, YEAR, np.array([0, 4]), np.array([1e-12, 1e-12]))
    expected = sbg.discounted_residual_lifetime(letters, 0.1, [0, 4])
    assert found.residual == pytest.approx(expected, rel=1e-9)


def simulated(parameters: ContractParameters, n: int, count: int) -> np.ndarray:
    """Discounted renewals within a year of contracts that survived n periods, phase one half."""
    rng = np.random.default_rng(5)
    alpha, beta = parameters.values or (1.0, 1.0)
    # Given survival of n renewals the chance of loss is beta distributed with beta + n.
    churn = rng.beta(alpha, beta + n, count)
    renewals = rng.geometric(churn) - 1
    most = int(renewals_within(365, parameters.period, np.array([0.5]))[0])
    length = {"month": 1 / 12, "year": 1.0}[parameters.period]
    steps = 1.1 ** -((0.5 + np.arange(most)) * length)
    return np.concatenate([[0.0], np.cumsum(steps)])[np.minimum(renewals, most)]


@pytest.mark.parametrize("parameters", [SBG, YEARLY], ids=str)
@pytest.mark.parametrize("n", [0, 2, 12])
def test_the_interval_leaves_a_tenth_out_on_each_side_at_most(
    parameters: ContractParameters, n: int
) -> None:
    values = simulated(parameters, n, 200_000)
    found = forecast_contracts(parameters, YEAR, np.array([n]), np.array([0.5]))
    assert np.mean(values < found.low[0] - 1e-9) <= 0.1 + 0.003
    assert np.mean(values > found.high[0] + 1e-9) <= 0.1 + 0.003
    # No narrower interval would do.
    assert found.low[0] == 0 or np.mean(values < found.low[0] + 1e-9) >= 0.1 - 0.003
    assert np.mean(values > found.high[0] - 1e-9) >= 0.1 - 0.003
    vintiles = discounted_vintiles(parameters, YEAR, np.array([n]), np.array([0.5]))[0]
    assert vintiles.mean() == pytest.approx(values.mean(), rel=0.03)
    assert found.discounted[0] == pytest.approx(values.mean(), rel=0.01)


@pytest.mark.parametrize("counts", [(2, 0), (1, 1), (0, 2), (0, 3), (3, 3)], ids=str)
def test_the_interval_of_several_contracts_is_that_of_their_sum(counts: tuple[int, int]) -> None:
    monthly, yearly = counts
    parts = [(SBG, 5, 10.0)] * monthly + [(YEARLY, 2, 100.0)] * yearly
    rng = np.random.default_rng(3)
    total = sum(rng.permutation(simulated(one, n, 100_000)) * price for one, n, price in parts)
    item = {"is_active": True, "days_to_renewal": 10, "period_days": 20}
    items = [
        {**item, "parameters_place": [SBG, YEARLY].index(one), "tenure": n, "value_margin": price}
        for one, n, price in parts
    ]
    ended = {**dict.fromkeys(BEHIND_VALUE), "is_active": False, "value_margin": 7.0, "tenure": 3}
    schema = pa.schema([(name, type_of(name)) for name in BEHIND_VALUE])
    batch = pa.RecordBatch.from_pydict(
        {
            "customer_id": [1, 2, 3, 4],
            "items": pa.array([[ended, *items], items[:1], [], []], pa.list_(pa.struct(schema))),
            "clv_low": [0.0, 0.0, 1.0, None],
            "clv_high": [0.0, 0.0, 2.0, None],
            "days_ahead": [10.0, 340.0, 3.0, None],
            "early_days_ahead": [5.0, 60.0, 3.0, None],
            "T": [50, 50, 50, 50],
        }
    )
    found = add_up_contracts(batch, YEAR, [SBG, YEARLY], 110).to_pylist()
    low, high = found[0]["clv_low"], found[0]["clv_high"]
    # Twenty values stand for each, and for the sum of all before the last.
    off = 0.02 if len(parts) <= 3 else 0.04
    assert np.mean(total < low - 1e-9) <= 0.1 + off
    assert np.mean(total > high + 1e-9) <= 0.1 + off
    assert np.mean(total <= low + 1e-9) >= 0.1 - off
    assert np.mean(total >= high - 1e-9) >= 0.1 - off
    # Of two that run at the same time no day counts twice.
    halves = 365 * (np.arange(4000) + 0.5) / 4000
    ended = np.ones(halves.size)
    for one, n, _ in parts:
        renewals = np.floor(halves / (365 / 12 if one is SBG else 365) - 0.5) + 1
        ended *= 1 - survival(one, n + renewals) / survival(one, np.array([n]))
    weighed = (1 - ended) * 1.1 ** (-halves / 365)
    assert found[0]["days_ahead"] == pytest.approx(np.mean(weighed) * 365, rel=2e-3)
    # The customer is 50 days old, so that 60 of the first 110 are left.
    early = np.sum(weighed[halves < 60]) * 365 / halves.size
    assert found[0]["early_days_ahead"] == pytest.approx(early, rel=5e-3)
    # Of one contract it is the contract's own, and nobody else's row matters.
    alone = forecast_contracts(parts[0][0], YEAR, np.array([parts[0][1]]), np.array([0.5]))
    assert found[1]["clv_high"] == pytest.approx(alone.high[0] * parts[0][2])
    assert found[1]["days_ahead"] == pytest.approx(max(alone.living_days[0], 340.0), rel=2e-3)
    first = add_up_contracts(batch.slice(0, 1), YEAR, [SBG, YEARLY], 110)
    assert first.to_pylist() == found[:1]
    # Whose bounds are known already keeps them.
    known = {name: batch.column(name) for name in batch.schema.names if name != "items"}
    assert found[2:] == pa.RecordBatch.from_pydict(known).to_pylist()[2:]


def type_of(name: str) -> pa.DataType:
    kinds = {"is_active": pa.bool_(), "value_margin": pa.float64()}
    return kinds.get(name, pa.int32())


def test_a_year_of_monthly_and_of_yearly_renewals_is_one_year() -> None:
    """Nobody is lost: twelve months and one year bring the same renewals, in their number."""
    loyal = (1e-5, 1e3)
    phase, n = np.array([1.0]), np.array([1])
    monthly = forecast_contracts(replace(SBG, values=loyal), Outlook(365, 0.0), n, phase)
    yearly = forecast_contracts(replace(YEARLY, values=loyal), Outlook(365, 0.0), n, phase)
    assert monthly.expected[2][0] == pytest.approx(12, rel=1e-6)
    assert yearly.expected[2][0] == pytest.approx(1, rel=1e-6)
    assert monthly.discounted[0] == pytest.approx(12 * yearly.discounted[0], rel=1e-6)
    assert np.isnan(monthly.residual[0])


@pytest.mark.parametrize(
    ("period", "days", "length", "expected"),
    [
        # Billed on the 1st: on 1 February 2024 the next renewals are 29, 60 and 90 days away.
        ("month", 29, 29, (1, 3, 12)),
        # On 1 March 31, 61 and 92 days, on 2 March a day less.
        ("month", 31, 31, (0, 2, 12)),
        ("month", 30, 31, (1, 2, 12)),
        # From January to April, and from July to October.
        ("quarter", 90, 90, (0, 1, 4)),
        ("quarter", 92, 92, (0, 0, 4)),
        ("year", 366, 366, (0, 0, 1)),
        ("year", 30, 366, (1, 1, 1)),
    ],
)
def test_renewals_of_the_next_weeks_are_counted_by_the_true_days(
    period: str, days: int, length: int, expected: tuple[int, ...]
) -> None:
    """Nobody is lost, so that the number of renewals is the calendar's."""
    loyal = replace(SBG, period=period, values=(1e-9, 1e9))
    given = batch(1).to_pylist()[0]
    given |= {"segment": "uk", "period": period, "is_active": True, "tenure": 5}
    given |= {"days_to_renewal": days, "period_days": length}
    one = pa.RecordBatch.from_pylist([given], schema=batch(1).schema)
    (found,) = score_contracts(one, SETTINGS, {("uk", period): loyal}).to_pylist()
    renewals = [found[f"expected_renewals_{until}d"] for until in (30, 90, 365)]
    assert renewals == pytest.approx(expected)


def test_uncertain_parameters_make_a_sum_less_sure() -> None:
    rows = pd.DataFrame(
        {
            "segment": "uk",
            "period": "month",
            "tenure": [3, 3, 9],
            "days_to_renewal": [10, 20, 10],
            "period_days": [30, 30, 31],
            "contracts": [100, 50, 80],
            "active": [60.0, 30.0, 70.0],
            "clv": [900.0, 400.0, 800.0],
            "margin": [100.0, 50.0, 80.0],
            "margin_2": [100.0, 50.0, 80.0],
        }
    )
    found = {one: sum_contracts(rows, one, YEAR) for one in (SBG, UNCERTAIN)}
    widths = {}
    for one, total in found.items():
        assert len(total.mean) == DRAWS
        assert (total.customers, total.clv) == (230.0, 2100.0)
        bounds = total_interval([TotalDraws(np.array(total.mean), np.array(total.variance))])
        widths[one] = bounds.high - bounds.low
    assert widths[UNCERTAIN] > 2 * widths[SBG]
    shuffled = sum_contracts(rows.iloc[[2, 0, 1]], UNCERTAIN, YEAR)
    assert shuffled == found[UNCERTAIN]


@pytest.mark.parametrize("many", ["contracts", "months"])
def test_of_many_contracts_a_small_error_of_the_parameters_counts(many: str) -> None:
    """Half the error of the parameters is half that of a sum, however small it is."""
    spreads = []
    for variance in (1e-4, 4e-4):  # One contract's interval would not show the first.
        sure = replace(SBG, covariance=((variance, 0.0), (0.0, variance)))
        rows = pd.DataFrame(
            {
                "segment": "uk",
                "period": "month",
                "tenure": [3],
                "days_to_renewal": [10],
                "period_days": [30],
                "contracts": [2_000_000],
                "active": [1e6],
                "clv": [1e7],
                "margin": [1e7],
                "margin_2": [1e7],
                "mrr": [1e7],
                "mrr_2": [1e7],
            }
        )
        if many == "contracts":
            drawn = np.array(sum_contracts(rows, sure, YEAR).mean)
        else:
            running = np.array(forecast_subscriptions(rows, sure).running)
            drawn = running.reshape(MONTHS, DRAWS + 1)[-1, 1:]
        spreads.append(drawn.std())
    assert spreads[0] > 0
    assert spreads[1] == pytest.approx(2 * spreads[0], rel=0.02)


def batch(rows: int = 60) -> pa.RecordBatch:
    rng = np.random.default_rng(2)
    active = rng.random(rows) < 0.7
    return pa.RecordBatch.from_pydict(
        {
            "contract_id": [str(number) for number in range(rows)],
            "segment": rng.choice(["uk", "fr", "nowhere"], rows).tolist(),
            "period": rng.choice(["month", "year"], rows).tolist(),
            "tenure": rng.integers(0, LONGEST + 50, rows).astype(np.int32),
            "is_active": active,
            "is_lost": ~active & (rng.random(rows) < 0.8),
            "days_to_renewal": pa.array(rng.integers(1, 29, rows), pa.int32(), mask=~active),
            "period_days": pa.array(np.full(rows, 30), pa.int32(), mask=~active),
            "age_days": rng.integers(0, 400, rows).astype(np.int32),
            "customer_age": rng.integers(0, 400, rows).astype(np.int32),
            "amount": rng.choice([0.0, 10.0, 25.0], rows),
            "margin": pa.array(rng.normal(5, 5, rows), mask=rng.random(rows) < 0.5),
            "paid_amount": rng.uniform(0, 100, rows),
            "paid_margin": pa.array(rng.normal(20, 30, rows), mask=rng.random(rows) < 0.5),
        }
    )


SETTINGS = ContractSettings(YEAR, margin_rate=0.3, new_customer_days=30, early_days=90)
PARAMETERS = {
    ("uk", "month"): UNCERTAIN,
    ("uk", "year"): replace(YEARLY, values=None, parameters_segment=None),
    ("fr", "month"): replace(BDW, segment="fr"),
    ("fr", "year"): replace(YEARLY, segment="fr"),
}


def test_a_contract_scores_the_same_in_any_batch() -> None:
    whole = batch()
    together = score_contracts(whole, SETTINGS, PARAMETERS).to_pylist()
    alone = [
        score_contracts(whole.slice(row, 1), SETTINGS, PARAMETERS).to_pylist()[0]
        for row in range(whole.num_rows)
    ]
    assert together == alone
    assert score_contracts(whole.slice(0, 0), SETTINGS, PARAMETERS).num_rows == 0


def test_what_is_unknown_is_null_and_has_a_status() -> None:
    rows = score_contracts(batch(300), SETTINGS, PARAMETERS).to_pylist()
    seen = set()
    for row in rows:
        status = CONTRACT_STATUSES[row["status_place"]]
        seen.add(status)
        known = {name: row[name] for name in CONTRACT_OUTPUT if name != "parameters_place"}
        if status == "insufficient_data":
            assert row["clv"] is None
            assert row["p_alive"] == 1.0
            assert row["historical_margin"] >= 0
        else:
            assert all(value is not None and value >= 0 for value in known.values()), row
            assert row["clv_low"] <= row["clv_high"]
        if status in ("lost", "changed"):
            assert row["p_alive"] == row["clv"] == row["clv_high"] == row["p_active_365d"] == 0.0
        assert 0 <= row["margin_rate"] <= 1
    assert seen == set(CONTRACT_STATUSES)
