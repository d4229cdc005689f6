"""The BG/NBD in worlds of the Pareto/NBD, as in Fader, Hardie and Lee (2005), section 6."""

from __future__ import annotations

from itertools import product

import numpy as np

from clv_spark.models import bg_nbd, fit

SHAPES, SCALES = (0.25, 0.5, 0.75), (5.0, 10.0, 15.0)
CUSTOMERS, FITTED_WEEKS, WEEKS = 4000, 52.0, 104.0


def error(world: int, r: float, alpha: float, s: float, beta: float) -> float:
    """Mean absolute error of the purchases so far in each week of the second year, as a share."""
    random = np.random.default_rng(world)
    buying = random.gamma(r, 1 / alpha, CUSTOMERS)
    # A rate of leaving may be as good as zero.
    leaving = np.maximum(random.gamma(s, 1 / beta, CUSTOMERS), 1e-300)
    life = np.minimum(random.exponential(1.0, CUSTOMERS) / leaving, WEEKS)
    counts = random.poisson(buying * life)
    owner = np.repeat(np.arange(CUSTOMERS), counts)
    time = life[owner] * random.random(owner.size)
    seen = time <= FITTED_WEEKS
    x = np.bincount(owner[seen], minlength=CUSTOMERS).astype(np.float64)
    t_x = np.zeros(CUSTOMERS)
    np.maximum.at(t_x, owner[seen], time[seen])
    found = fit("bg_nbd", {"x": x, "t_x": t_x, "T": np.full(CUSTOMERS, FITTED_WEEKS)})
    assert found.status == "ok"
    weeks = np.arange(FITTED_WEEKS + 1, WEEKS + 1)
    actual = np.searchsorted(np.sort(time), weeks, side="right")
    expected = CUSTOMERS * bg_nbd.expected_purchases_new(found.parameters, weeks)
    return float(np.mean(np.abs(expected / actual - 1)))


def test_forecasts_of_81_worlds_err_no_more_than_those_of_fader_hardie_lee_2005_section_6() -> None:
    """They had 2.68% on average and 6.97% at most.

    The mean hardly hangs on the draw, the largest does: 5.6 to 9.6% in four of them.
    """
    worlds = enumerate(product(SHAPES, SCALES, SHAPES, SCALES))
    errors = [error(number, *world) for number, world in worlds]
    assert len(errors) == 81
    assert np.mean(errors) < 0.0268
    assert np.max(errors) < 0.0697
