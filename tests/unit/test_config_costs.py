"""The section of service events: shown in base.yml, and a day that is none is refused."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
import yaml

from clv_spark.config import ServiceEvents, SourceSection, load_config
from clv_spark.errors import ConfigError

BASE = Path(__file__).parents[2] / "conf" / "base.yml"
COLUMNS = {"customer_id": "who", "event_date": "day", "kind": "kind"}


def costs(**events: Any) -> dict[str, Any]:
    given = {"path": "log", "columns": COLUMNS, **events}
    return {"costs": {"service": {"events": given, "kinds": {"call": {"unit_cost": 4.5}}}}}


def test_base_shows_the_events_in_comments() -> None:
    lines = BASE.read_text(encoding="utf-8").splitlines()
    shown = [line.replace("    # ", "    ", 1) for line in lines if line.startswith("    # ")]
    events = yaml.safe_load("\n".join(shown))["events"]
    own = ServiceEvents.model_fields.keys() - SourceSection.model_fields.keys()
    assert own == {"since"}
    assert own <= events.keys()
    least = {"path": "log", "columns": events["columns"]}
    assert ServiceEvents.model_validate({**events, **least}) == ServiceEvents.model_validate(least)


def test_events_begin_on_a_day_or_with_the_first(tmp_path: Path) -> None:
    path = tmp_path / "run.yml"
    for given, since in ({}, None), ({"since": dt.date(2024, 2, 29)}, dt.date(2024, 2, 29)):
        path.write_text(yaml.safe_dump(costs(**given)), encoding="utf-8")
        events = load_config(path, environ={}).costs.service.events
        assert events is not None
        assert events.since == since
    path.write_text(yaml.safe_dump(costs(since="2023-02-29")), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"costs\.service\.events\.since.*date"):
        load_config(path, environ={})
