"""A message about the configuration names the key as it is written, and what was found there."""

from __future__ import annotations

import pytest

from clv_spark.config import load_config
from clv_spark.errors import ConfigError

LINES = (
    "source.transactions={path: x, columns: "
    "{customer_id: who, event_time: day, amount: paid, country: land}}"
)


def said_of(override: str) -> list[str]:
    """The lines between the first, which names the file, and the last, which names base.yml."""
    with pytest.raises(ConfigError) as caught:
        load_config(overrides=[LINES, override], environ={})
    return [line.strip() for line in str(caught.value).splitlines()[1:-1]]


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("value.horizon_days=soon", "value.horizon_days: Input should be a valid integer, *'soon'"),
        ("refunds=maybe", "refunds: Input should be 'rate' or 'ignore'; found 'maybe'"),
        (
            "fit.cohort_start=2011",
            "fit.cohort_start: Input should be a date YYYY-MM-DD; found 2011",
        ),
        ("segments=country", "segments: Input should be a list, such as [a, b]; found 'country'"),
        ("spark.conf={a: null}", "spark.conf.a: Input should be a valid string; found nothing"),
        ("lake.path=' '", "(whole): lake needs a path"),
        ("actions=[{action: keep, when: 'true', reason: x}]", "actions.0.action: *; found 'keep'"),
        # A number or a mapping: one line for what was meant, without pydantic's names.
        ("value.margin_rate=-1", "value.margin_rate: *greater than or equal to 0; found -1"),
        ("value.margin_rate={default: 1, UK: x}", "value.margin_rate.UK: *valid number*found 'x'"),
        ("costs.service.per_year=[1]", "costs.service.per_year: *valid number; found a list"),
    ],
)
def test_a_mistake_says_what_was_found(override: str, line: str) -> None:
    (said,) = said_of(override)
    first, *others = line.split("*")
    assert said.startswith(first)
    for words in others:
        assert words in said


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("value.margin_rate={default: 0.3, NO: 0.2}", "value.margin_rate: the key False"),
        ("source.transactions.timezone={default: UTC, NO: Europe/Oslo}", "timezone: the key False"),
        ("source.transactions.reject={12: a > 1}", "source.transactions.reject: the key 12"),
        ("what_if={ON: {churn: 0.9}}", "what_if: the key True"),
    ],
)
def test_norway_is_to_be_quoted(override: str, key: str) -> None:
    (said,) = said_of(override)
    assert key in said
    assert "in quotes" in said


def test_what_may_be_a_secret_is_not_shown() -> None:
    for override in (
        "spark.conf={a.password: [hunter2]}",
        "spark.conf=hunter2",
        "spark=hunter2",
        "spark.conf.a.secret.key={b: hunter2}",
    ):
        (said,) = said_of(override)
        assert "hunter2" not in said
