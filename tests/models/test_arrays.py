"""Long columns are ranked and merged by tables; the outcome is that of sorting."""

from __future__ import annotations

import numpy as np
import pytest

from clv_spark.models.arrays import TABLE, distinct, merge_equal_rows, ranked

ROWS = TABLE + 5_000
RANDOM = np.random.default_rng(4)
# In weeks, so that values are no whole numbers; few, many and all too many distinct rows.
DAYS = RANDOM.integers(0, 1096, ROWS) / 7
COLUMNS = {
    "few": {"x": RANDOM.integers(0, 9, ROWS) * 1.0, "T": RANDOM.integers(0, 300, ROWS) / 7},
    "many": {"x": RANDOM.integers(0, 300, ROWS) * 1.0, "t_x": DAYS / 2, "T": DAYS},
    "real": {"x": RANDOM.integers(0, 9, ROWS) * 1.0, "m_x": RANDOM.gamma(2.0, 9.0, ROWS)},
    "too many keys": {f"c{n}": RANDOM.permutation(ROWS) % 60_000 * 0.3 for n in range(5)},
}


def sorted_and_counted(columns, weights):
    """By numpy's sort of whole rows."""
    rows, inverse = np.unique(np.stack(list(columns.values()), axis=1), axis=0, return_inverse=True)
    return rows, np.bincount(inverse.ravel(), weights)


@pytest.mark.parametrize("name", COLUMNS)
def test_merged_rows_are_those_of_a_sort_in_whatever_order_they_come(name):
    columns, weights = COLUMNS[name], RANDOM.integers(0, 4, ROWS) * 1.0
    merged, counts = merge_equal_rows(columns, weights)
    kept = {n: column[weights > 0] for n, column in columns.items()}
    rows, expected = sorted_and_counted(kept, weights[weights > 0])
    np.testing.assert_array_equal(np.stack(list(merged.values()), axis=1), rows)
    np.testing.assert_array_equal(counts, expected)
    order = RANDOM.permutation(ROWS)
    again, recounted = merge_equal_rows(
        {n: column[order] for n, column in columns.items()}, weights[order]
    )
    assert recounted.tobytes() == counts.tobytes()
    assert all(again[n].tobytes() == merged[n].tobytes() for n in columns)


def test_sums_of_broken_weights_do_not_depend_on_the_order_of_the_rows():
    columns, weights = COLUMNS["few"], RANDOM.random(ROWS)
    _, counts = merge_equal_rows(columns, weights)
    order = RANDOM.permutation(ROWS)
    shuffled = {name: column[order] for name, column in columns.items()}
    assert merge_equal_rows(shuffled, weights[order])[1].tobytes() == counts.tobytes()
    assert np.sum(counts) == pytest.approx(np.sum(weights))


def test_rows_that_come_merged_stay_as_they_are():
    merged, counts = merge_equal_rows(COLUMNS["many"], np.ones(ROWS))
    again, recounted = merge_equal_rows(merged, counts)
    assert again is merged
    assert recounted is counts
    # One pair out of order, or equal, at a border of a block.
    for row in (1, 8_192, counts.size - 1):
        swapped = {name: column.copy() for name, column in merged.items()}
        for column in swapped.values():
            column[[row - 1, row]] = column[[row, row - 1]]
        assert merge_equal_rows(swapped, counts)[0]["T"].tobytes() == merged["T"].tobytes()
        equal = {name: column.copy() for name, column in merged.items()}
        for column in equal.values():
            column[row] = column[row - 1]
        assert merge_equal_rows(equal, counts)[1].size == counts.size - 1


@pytest.mark.parametrize("name", COLUMNS)
def test_distinct_rows_have_a_representative_each_and_are_in_order(name):
    columns = list(COLUMNS[name].values())
    chosen, inverse = distinct(columns)
    rows = np.unique(np.stack(columns, axis=1), axis=0)
    np.testing.assert_array_equal(np.stack([column[chosen] for column in columns], axis=1), rows)
    for column in columns:
        np.testing.assert_array_equal(column[chosen][inverse], column)


@pytest.mark.parametrize(
    "column",
    [
        DAYS,
        np.where(np.arange(ROWS) % 2 == 0, 1.0, 1.0 + 1e-9) + (np.arange(ROWS) % 7),
        np.append(np.zeros(8 * 8_192), np.append(np.full(ROWS - 8 * 8_192 - 1, 1e-9), 1.0)),
        RANDOM.random(ROWS),
        np.full(ROWS, 3.0),
        np.array([-1e308, 1e308])[np.arange(ROWS) % 2],
        np.array([5.0, 2.0, 5.0]),
        np.empty(0),
    ],
    ids=["days", "too near", "near late", "real", "one", "far apart", "short", "none"],
)
def test_ranks_are_those_of_a_sort(column):
    values, ranks = ranked(column)
    expected, inverse = np.unique(column, return_inverse=True)
    np.testing.assert_array_equal(values, expected)
    np.testing.assert_array_equal(ranks, inverse)
