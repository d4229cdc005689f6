"""The season of a segment: found where it is, not where it is not, and with honest doubt."""

from __future__ import annotations

import numpy as np
import pytest

from clv_spark.economics.season import (
    DAYS,
    SEASON_DRAWS,
    estimate_season,
    flat_season,
    season_days,
)
from clv_spark.errors import InputError

FLAT = flat_season("global")
WAVE = np.exp(0.3 * np.sin(np.arange(12) / 12 * 2 * np.pi))
TRUE = WAVE * 365 / (WAVE @ np.array(DAYS))


def history(season, *, months=36, noise=0.05, chance=1e-4, seed=0, trend=0.0, first=0):
    """Months, revenue and chance of a shop with this season."""
    random = np.random.default_rng(seed)
    number = 12 * 2015 + first + np.arange(months)
    starts = (number - 12 * 1970).astype("datetime64[M]")
    days = ((starts + 1).astype("datetime64[D]") - starts.astype("datetime64[D]")).astype(float)
    shock = noise * random.standard_normal(months)
    if chance > 0:
        shock += np.log(random.gamma(1 / chance, chance, months))
    level = np.exp(trend * np.arange(months) / 12 + shock)
    return number.tolist(), 1000 * days * season[number % 12] * level, np.full(months, chance)


def estimate(season, above=FLAT, name="uk", **how):
    return estimate_season(name, *history(season, **how), above)


def test_a_clear_season_is_found_whatever_the_trend():
    for trend in (0.0, 0.5, -0.3):
        found = estimate(TRUE, noise=0.005, trend=trend).index
        np.testing.assert_allclose(found, TRUE, rtol=0.03)


def test_noise_does_not_become_season():
    """Of what the means of months differ by for no reason less than a third is taken for season."""
    even = np.ones(12)
    found = [estimate(even, noise=0.15, seed=seed, months=24).index for seed in range(40)]
    plain = [history(even, noise=0.15, seed=seed, months=24)[1] for seed in range(40)]
    means = [np.log(revenue[:12] * revenue[12:] / np.array(DAYS) ** 2) / 2 for revenue in plain]
    raw = np.sqrt(np.mean([np.var(np.exp(mean - np.mean(mean))) for mean in means]))
    assert np.sqrt(np.mean((np.array(found) - 1) ** 2)) < raw / 3


def test_a_season_neither_adds_nor_removes_revenue():
    season = estimate(TRUE)
    assert season.draws.shape == (SEASON_DRAWS, 12)
    np.testing.assert_allclose(season.draws @ np.array(DAYS), 365, rtol=1e-12)
    year = season_days(season.index, np.datetime64("2023-01-01"), 365)
    assert year.sum() == pytest.approx(365, rel=1e-12)


@pytest.mark.studies
@pytest.mark.parametrize("months", [24, 36])
def test_draws_are_as_far_off_as_they_say(months):
    """80% of the true indices lie between the draws at 10% and at 90%."""
    inside = []
    for seed in range(40):
        effects = np.exp(0.2 * np.random.default_rng(900 + seed).standard_normal(12))
        true = effects * 365 / (effects @ np.array(DAYS))
        season = estimate(true, months=months, seed=seed, first=seed % 12, trend=0.1)
        low, high = np.quantile(season.draws, [0.1, 0.9], axis=0)
        inside.append((low <= true) & (true <= high))
    assert 0.75 < np.mean(inside) < 0.85


@pytest.mark.studies
def test_the_noise_is_found_and_the_chance_of_customers_is_not_noise():
    noise = [np.mean(estimate(TRUE, noise=0.1, seed=seed).noise) for seed in range(20)]
    assert np.mean(noise) == pytest.approx(0.1, rel=0.15)
    # As much scatter again, but known to be the chance of few customers.
    chance = [np.mean(estimate(TRUE, noise=0.0, chance=0.01, seed=s).noise) for s in range(20)]
    assert np.mean(chance) < 0.05


@pytest.mark.studies
def test_a_small_segment_has_the_season_of_the_one_above():
    above = estimate(TRUE, noise=0.02, name="global")
    few = [
        estimate(TRUE, above=above, noise=0.05, chance=0.5, seed=seed).index for seed in range(20)
    ]
    alone = [estimate(TRUE, noise=0.05, chance=0.5, seed=seed).index for seed in range(20)]

    def off(found):
        return np.sqrt(np.mean((np.array(found) / TRUE - 1) ** 2))

    assert off(few) < 0.1 < 0.15 < off(alone)


def test_a_segment_with_a_season_of_its_own_keeps_it():
    above = estimate(TRUE, noise=0.02, name="global")
    other = estimate(TRUE[::-1], above=above, noise=0.01)
    np.testing.assert_allclose(other.index, TRUE[::-1] * 365 / (TRUE[::-1] @ np.array(DAYS)), 0.05)


def test_growth_after_an_opening_is_no_season():
    """Without it the steep start takes the season with it; with it both are told apart."""
    number, revenue, chance = history(TRUE, months=30, noise=0.02)
    grown = np.log1p(2 * np.log1p(np.arange(30) / 3))
    revenue = revenue * np.exp(grown)
    known = estimate_season("uk", number, revenue, chance, FLAT, 0.7 * grown).index
    unknown = estimate_season("uk", number, revenue, chance, FLAT).index
    errors = [np.abs(found / TRUE - 1).mean() for found in (known, unknown)]
    assert errors[0] < 0.03 < errors[1]


def test_the_same_months_give_the_same_bits_and_another_name_other_draws():
    one, same, other = estimate(TRUE), estimate(TRUE), estimate(TRUE, name="fr")
    assert one.draws.tobytes() == same.draws.tobytes()
    assert one.noise.tobytes() == same.noise.tobytes()
    assert not np.array_equal(one.draws, other.draws)
    np.testing.assert_allclose(one.index, other.index, rtol=0.02)


def test_gaps_are_allowed_and_too_little_is_said():
    number, revenue, chance = history(TRUE, noise=0.005)
    kept = [at for at in range(36) if at not in (3, 17, 18)]
    found = estimate_season("uk", [number[at] for at in kept], revenue[kept], chance[kept], FLAT)
    np.testing.assert_allclose(found.index, TRUE, rtol=0.05)
    with pytest.raises(InputError, match="3 months"):
        estimate_season("uk", number[:3], revenue[:3], chance[:3], FLAT)
    with pytest.raises(InputError, match="revenue above zero"):
        estimate_season("uk", number, revenue * 0, chance, FLAT)
