"""Where few customers leave the likelihood has two maxima, and a hazard is small in any unit."""

from __future__ import annotations

import numpy as np
import pytest

from clv_spark.models import MODELS, fit, mbg_nbd
from clv_spark.models.pooling import fit_pooled
from clv_spark.models.prior import Prior, wide_prior
from clv_spark.models.transform import coordinates_of

pytestmark = pytest.mark.filterwarnings("error")


def world(seed, customers, r, alpha, a, b):
    """Purchase days of MBG/NBD customers, who may leave before their first repeat as well."""
    rng = np.random.default_rng(seed)
    age = rng.integers(30, 400, customers) * 1.0
    rate, leaves = rng.gamma(r, 1 / alpha, customers), rng.beta(a, b, customers)
    x, t_x = np.zeros((2, customers))
    for one in range(customers):
        time = 0.0
        while rng.random() >= leaves[one]:
            time += rng.exponential(1 / rate[one])
            if time > age[one]:
                break
            day = min(np.ceil(time), age[one])
            if day > t_x[one]:
                x[one], t_x[one] = x[one] + 1, day
    return {"x": x, "t_x": t_x, "T": age}


@pytest.mark.parametrize(
    ("seed", "customers", "truth", "least", "one_time"),
    [
        (9, 500, (0.277, 17.1, 0.06, 0.642), -6717.449, 0.390),
        (16, 500, (0.277, 17.1, 0.06, 0.642), -7381.386, None),
        (15, 500, (0.483, 21.4, 0.0567, 0.293), -8255.742, 0.416),
        (26, 1000, (0.35, 10.0, 0.05, 0.5), -21403.293, 0.601),
    ],
)
def test_the_higher_of_two_maxima_is_found(seed, customers, truth, least, one_time):
    """The other one has a large b, and nearly all one-time buyers alive."""
    data = world(seed, customers, *truth)
    found = fit("mbg_nbd", data)
    assert found.status == "ok"
    assert found.log_likelihood >= least
    alive = mbg_nbd.probability_alive(found.parameters, data["x"], data["t_x"], data["T"])
    if one_time is not None:
        assert np.mean(alive[data["x"] == 0]) == pytest.approx(one_time, abs=0.002)
    # Also with the parameters of an earlier fit, which may be of the other maximum.
    earlier = {"r": 0.3, "alpha": 15.0, "a": 0.08, "b": 4.0}
    assert fit("mbg_nbd", data, start=earlier).log_likelihood >= least


def test_pooling_finds_the_higher_of_two_maxima_though_the_prior_is_by_the_other():
    data, model = world(26, 1000, 0.35, 10.0, 0.05, 0.5), MODELS["mbg_nbd"]
    centre = np.array(wide_prior({"r": 0.5, "alpha": 15.0, "a": 0.8, "b": 2.4}).centre)
    found = fit_pooled(model, data, None, Prior(tuple(centre), (2.0,) * 4))
    assert found.status == "ok"
    values = np.array([*found.parameters.values()])
    # By the other one (.332, 12.0, .050, 1.18) likelihood and prior are lower by .401.
    assert values.tolist() == pytest.approx([0.433, 13.7, 0.0394, 0.208], rel=0.01)
    distance = coordinates_of(model.parameters).forward(values) - centre
    assert found.log_likelihood - np.sum((distance / 2) ** 2) / 2 >= -21404.187


@pytest.mark.studies
@pytest.mark.parametrize("seed", [4, 10, 17, 69, 83])
def test_the_status_does_not_depend_on_the_unit_of_time(seed):
    truth = [(0.5, 20.0, 0.06, 0.3), (0.5, 20.0, 0.05, 1.0), (0.5, 10.0, 0.03, 0.5)]
    truth.append((1.0, 20.0, 0.05, 2.0))
    data = world(seed, 400, *truth[seed % 4])
    fits = [
        fit("pareto_nbd", {"x": data["x"], "t_x": data["t_x"] / unit, "T": data["T"] / unit})
        for unit in (1, 7, 365)
    ]
    assert len({one.status for one in fits}) == 1
