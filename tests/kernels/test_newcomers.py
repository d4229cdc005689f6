"""Segments that came after the fit: parameters from above, and how unsure they are here."""

from __future__ import annotations

import numpy as np
import pytest

from clv_spark.config import Config
from clv_spark.kernels.newcomers import newcomer_rows
from clv_spark.kernels.segment_parameters import parameters_by_segment
from clv_spark.models.draws import own_root
from tests.kernels.test_shared_errors import LETTERS, LOADINGS, VALUES, chosen, row

SHARED = LOADINGS.ravel().tolist()
FAR = {"status": "too_small", "parameters": None, "from_parent": (0.3,) * 4}
SIBLINGS = {"uk": 1.2, "fr": 0.8, "de": 1.5}


def shop(**more):
    """Countries of their own pace, one that was too small, and whatever else."""
    rows = [row("global", None)]
    for name, factor in SIBLINGS.items():
        values = dict(zip(LETTERS, VALUES * np.array([1, factor, 1, 1]), strict=True))
        rows.append(row(name, "global", parameters=values, sibling_loadings=SHARED))
    rows += [row("malta", "global", **FAR)]
    return [{"time_unit": "week", **one} for one in chosen(*rows, *more.values()).values()]


def entries(names, known, *, nested=False):
    new = newcomer_rows(names, known, nested=nested)
    return parameters_by_segment(known, Config(), new)


def test_a_newcomer_is_as_unsure_as_segments_differ():
    found = entries(["malta", "chile", "peru"], shop())
    assert list(found) == ["global", *SIBLINGS, "malta", "chile", "peru"]
    chile, root = found["chile"], found["global"]
    assert (chile.purchases, chile.purchases_segment) == (root.purchases, "global")
    gain = np.array(chile.purchases_covariance) - np.array(root.purchases_covariance)
    assert np.linalg.eigvalsh(gain).min() > -1e-12
    # Nobody differs in r, but each sibling has an error, and .3 is usual: of alpha it is more.
    assert gain[0, 0] > 2 / 5 * 0.09
    assert gain[1, 1] > gain[0, 0]


def test_who_takes_parameters_says_nothing_of_how_far_segments_are():
    more = shop(fiji=row("fiji", "global", **FAR))
    assert entries(["chile"], more)["chile"] == entries(["chile"], shop())["chile"]


def test_newcomers_share_the_error_of_where_they_come_from():
    found = entries(["chile", "peru"], shop())
    chile, peru = found["chile"], found["peru"]
    assert chile.purchases_shared == peru.purchases_shared
    assert [one.stream for one in chile.purchases_shared] == ["bg_nbd global"]
    own = own_root(chile.purchases_covariance, chile.purchases_shared)
    root = np.array(found["global"].purchases_covariance)
    assert own @ own.T == pytest.approx(np.array(chile.purchases_covariance) - root, abs=1e-12)
    # Draws go together as far as they come from above, and each has a distance of its own.
    one, other = (np.log(entry.purchase_draws(64)["alpha"][1:]) for entry in (chile, peru))
    assert 0 < np.corrcoef(one, other)[0, 1] < 0.99


def test_what_takes_its_parameters_itself_hands_them_on_as_they_are():
    known = shop(asia=row("Asia", "global", **FAR))
    found = entries(["Asia/Laos"], known, nested=True)
    laos, asia = found["Asia/Laos"], found["Asia"]
    assert laos.purchases_segment == asia.purchases_segment == "global"
    wider = np.array(laos.purchases_covariance) - np.array(asia.purchases_covariance)
    assert np.diag(wider).min() > 0
    assert [one.stream for one in laos.purchases_shared] == ["bg_nbd global", "bg_nbd Asia"]


def test_a_newcomer_leaves_an_only_child_with_what_it_is_drawn_to():
    known = shop(
        asia=row("Asia", "global", sibling_loadings=SHARED),
        japan=row("Asia/Japan", "Asia", sibling_loadings=SHARED),
    )
    found = entries(["Asia/Laos"], known, nested=True)
    assert [one.stream for one in found["Asia/Japan"].purchases_shared] == ["bg_nbd below global"]


def test_nothing_above_gives_nothing():
    nobody = row("global", None, status="failed", parameters=None, covariance=None)
    (one,) = chosen(nobody).values()
    (new,) = newcomer_rows(["chile"], [one], nested=False)
    assert (new["parameters"], new["parameters_segment"]) == (None, None)
