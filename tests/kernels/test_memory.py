"""A memory gives what was learned, asks once for each key, and grows."""

from __future__ import annotations

import numpy as np
import pytest

from clv_spark.kernels import memory as kernel
from clv_spark.kernels.memory import Memory


def taught(memory, asked):
    """A way to ask the memory that records which keys it had to learn."""

    def of(key):
        def learn(new):
            asked.extend(key[new].tolist())
            return np.stack([key[new] * 2.0, key[new] + 0.5])

        return memory.of(key, learn)

    return of


@pytest.mark.parametrize("spread", [int(kernel._SPREAD), 0])
def test_every_key_has_its_numbers_and_is_learned_once(spread, monkeypatch):
    # With a spread of 0 all keys want the same slot.
    monkeypatch.setattr(kernel, "_SPREAD", np.uint64(spread))
    memory, asked, rng = Memory(2), [], np.random.default_rng(4)
    of = taught(memory, asked)
    seen = set()
    for most in (1, 10, 400, 1 << 50, 700, 1 << 62):
        key = rng.integers(0, most, 600)
        seen |= set(key.tolist())
        found = of(key)
        assert np.array_equal(found, np.stack([key * 2.0, key + 0.5]))
    assert sorted(asked) == sorted(seen)
    assert memory.size == len(seen)


def test_nobody_asked_nothing_learned():
    memory = Memory(3)
    assert memory.of(np.empty(0, dtype=np.int64), lambda new: np.empty((3, 0))).shape == (3, 0)
    assert memory.size == 0
