"""Section what_if: scenarios by name, and mistakes in them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from clv_spark.config import Scenario, load_config
from clv_spark.errors import ConfigError

BASE = Path(__file__).parents[2] / "conf" / "base.yml"


def test_base_shows_a_scenario_in_comments_that_changes_nothing() -> None:
    lines = BASE.read_text(encoding="utf-8").splitlines()
    start = lines.index("# what_if:")
    shown = []
    for line in lines[start:]:
        if not line.startswith("# "):
            break
        assert "#" in line[2:] or line.endswith(":"), f"no unit or meaning: {line}"
        shown.append(line.removeprefix("# "))
    (scenario,) = yaml.safe_load("\n".join(shown))["what_if"].values()
    assert set(scenario) == set(Scenario.model_fields)
    assert Scenario.model_validate(scenario) == Scenario()


def test_scenarios_come_from_a_file_and_from_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "run.yml"
    path.write_text("what_if: {dearer: {price: 1.03}}", encoding="utf-8")
    overrides = ["what_if.dearer.cac=0.8", "what_if.fewer leave.churn=0.9"]
    assert load_config(path, overrides, {}).what_if == {
        "dearer": Scenario(price=1.03, cac=0.8),
        "fewer leave": Scenario(churn=0.9),
    }
    assert load_config(environ={}).what_if == {}


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("what_if={base: {price: 1.1}}", ["what_if", "'base'", "another name"]),
        ("what_if.dearer.prise=1.1", ["what_if.dearer.prise", "did you mean price"]),
        ("what_if.dearer.price=0", ["what_if.dearer.price", "greater than 0"]),
        ("what_if.more.churn=-1", ["what_if.more.churn"]),
        ("what_if.more.margin_rate=2", ["what_if.more.margin_rate"]),
        ("what_if.more.service_cost=-0.1", ["what_if.more.service_cost"]),
        (
            "what_if.more.service_cost_by_kind={call: 2}",
            ["what_if.more.service_cost_by_kind", "'call'", "costs.service.kinds"],
        ),
        ("what_if.more.service_cost_by_kind={call: -1}", ["what_if.more.service_cost_by_kind"]),
        ("what_if.more.price=.inf", ["what_if.more.price"]),
        ("what_if.more.service_cost_per_purchase=.nan", ["service_cost_per_purchase"]),
    ],
)
def test_mistakes_are_named(override: str, says: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(overrides=[override], environ={})
    for words in says:
        assert words in str(caught.value)
