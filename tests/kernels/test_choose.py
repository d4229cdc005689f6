"""Which purchase model each segment is scored with."""

from __future__ import annotations

import pytest

from clv_spark.kernels.choose import choose_models, comparable_bic
from clv_spark.models import bg_nbd, fit

CANDIDATES = ("bg_nbd", "mbg_nbd", "pareto_nbd")


def rows_of(segment, parent, **scores):
    """One row per model; a score of None stands for a fit that can't be used."""
    return [
        {
            "model": model,
            "segment": segment,
            "parent_segment": parent,
            "status": "ok" if score is not None else "not_identified",
            "comparable_bic": score if score is not None else 1.0,
        }
        for model, score in scores.items()
    ]


ROOT = rows_of("global", None, bg_nbd=1000.0, mbg_nbd=990.0, pareto_nbd=995.0)


def test_the_lowest_criterion_wins():
    assert choose_models(ROOT, CANDIDATES, {}, 10) == {"global": "mbg_nbd"}


def test_the_first_candidate_wins_between_equals_whatever_the_order_of_the_rows():
    rows = rows_of("global", None, pareto_nbd=5.0, mbg_nbd=5.0, bg_nbd=5.0)
    assert choose_models(rows, CANDIDATES, {}, 10)["global"] == "bg_nbd"
    assert choose_models(rows[::-1], CANDIDATES[::-1], {}, 10)["global"] == "pareto_nbd"


@pytest.mark.parametrize(
    ("margin", "chosen"), [(0.0, "mbg_nbd"), (9.99, "mbg_nbd"), (10.0, "bg_nbd"), (50, "bg_nbd")]
)
def test_the_last_choice_stays_unless_another_is_better_by_more_than_the_margin(margin, chosen):
    assert choose_models(ROOT, CANDIDATES, {"global": "bg_nbd"}, margin)["global"] == chosen


def test_who_leaves_the_last_choice_goes_to_the_best_not_to_the_next():
    assert choose_models(ROOT, CANDIDATES, {"global": "bg_nbd"}, 4)["global"] == "mbg_nbd"


def test_a_last_choice_that_is_not_identified_or_no_candidate_is_left():
    rows = rows_of("global", None, bg_nbd=1000.0, mbg_nbd=None)
    assert choose_models(rows, CANDIDATES, {"global": "mbg_nbd"}, 1e9)["global"] == "bg_nbd"
    assert choose_models(ROOT, CANDIDATES, {"global": "bg_bb"}, 1e9)["global"] == "mbg_nbd"


def test_a_model_that_is_no_candidate_and_the_model_of_spend_do_not_count():
    rows = ROOT + rows_of("global", None, bg_bb=1.0, gamma_gamma=0.0)
    assert choose_models(rows, CANDIDATES, {}, 10) == {"global": "mbg_nbd"}


def test_a_fit_beside_the_assumption_on_spend_can_be_used():
    rows = [{**row, "status": "spend_depends_on_frequency"} for row in ROOT]
    assert choose_models(rows, CANDIDATES, {}, 10) == {"global": "mbg_nbd"}


def test_a_segment_without_a_fit_goes_with_the_nearest_level_above_that_has_one():
    nothing = dict.fromkeys(CANDIDATES)
    rows = [
        *ROOT,
        *rows_of("Europe", "global", bg_nbd=10.0, mbg_nbd=None, pareto_nbd=40.0),
        *rows_of("Asia", "global", **nothing),
        *rows_of("Europe/France", "Europe", **nothing),
        *rows_of("Europe/Spain", "Europe", bg_nbd=9.0, mbg_nbd=1.0, pareto_nbd=7.0),
        *rows_of("Asia/Japan", "Asia", **nothing),
    ]
    # What a segment without a fit was scored with before does not matter.
    chosen = choose_models(rows, CANDIDATES, {"Europe/France": "pareto_nbd"}, 10)
    assert chosen == {
        "global": "mbg_nbd",
        "Europe": "bg_nbd",
        "Asia": "mbg_nbd",
        "Europe/France": "bg_nbd",
        "Europe/Spain": "mbg_nbd",
        "Asia/Japan": "mbg_nbd",
    }


def test_without_any_fit_the_first_candidate_is_chosen():
    rows = rows_of("global", None, **dict.fromkeys(CANDIDATES))
    assert choose_models(rows, ("mbg_nbd", "bg_nbd"), {}, 10) == {"global": "mbg_nbd"}


def test_a_criterion_is_the_same_in_any_unit_of_time():
    x, t_x, T = [0, 1, 2, 1, 5, 9], [0, 70, 140, 14, 56, 210], [210, 210, 280, 280, 245, 231]
    customers = [60, 10, 5, 9, 4, 3]
    purchases = sum(n * count for n, count in zip(x, customers, strict=True))

    def criterion(unit):
        data = {"x": x, "t_x": [t / unit for t in t_x], "T": [t / unit for t in T]}
        result = fit("bg_nbd", data, customers)
        assert list(result.parameters) == list(bg_nbd.MODEL.parameters)
        return comparable_bic(-2 * result.log_likelihood, purchases, unit)

    assert criterion(7) == pytest.approx(criterion(1), abs=1e-6)
    assert criterion(365) == pytest.approx(criterion(1), abs=1e-6)
