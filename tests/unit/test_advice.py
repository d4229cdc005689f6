"""check-source has something to say on every reason of ours for which a line is refused."""

from __future__ import annotations

import pytest

from clv_spark.config.contracts import CONTRACT_REASONS
from clv_spark.config.costs import EVENT_REASONS
from clv_spark.config.transactions import BUILT_IN_REASONS
from clv_spark.pipelines.check_source import ADVICE


@pytest.mark.parametrize("reason", sorted({*BUILT_IN_REASONS, *CONTRACT_REASONS, *EVENT_REASONS}))
def test_every_reason_of_ours_has_its_advice(reason: str) -> None:
    assert ADVICE[reason]


def test_a_missing_margin_is_refused_with_what_to_map_instead() -> None:
    assert "coalesce(margin, 0.3 * amount)" in ADVICE["invalid_margin"]
