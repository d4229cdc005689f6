"""Odd input of the configuration: what cannot be, what is secret, and what differs in capitals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clv_spark.config import Config, load_config, masked
from clv_spark.config.strict_yaml import load_yaml
from clv_spark.errors import ClvError, ConfigError

COLUMNS = {"customer_id": "id", "event_time": "at", "amount": "price"}
NO_DAY = "day is out of range for month"


def with_columns(**more: str) -> str:
    return f"source.transactions={ {'path': 'x', 'columns': {**COLUMNS, **more}} }"


def load(*overrides: str, environ: dict[str, str] | None = None) -> Config:
    return load_config(overrides=overrides, environ=environ or {})


@pytest.mark.parametrize("key", ["fit.cohort_start", "source.transactions.first_date"])
def test_a_date_that_cannot_be_is_named_by_its_key(key: str) -> None:
    with pytest.raises(ConfigError, match=f"--set {key}: .*{NO_DAY}"):
        load(f"{key}=2011-02-29")
    variable = f"CLV_SPARK__{key.upper().replace('.', '__')}"
    with pytest.raises(ConfigError, match=f"{variable}: .*{NO_DAY}"):
        load(environ={variable: "2011-02-29"})


def test_a_date_that_cannot_be_is_named_by_its_file(tmp_path: Path) -> None:
    file = tmp_path / "run.yml"
    file.write_text("fit:\n  cohort_start: 2011-02-30\n")
    with pytest.raises(ConfigError, match=rf"run\.yml: .*{NO_DAY}"):
        load_config(file, environ={})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "fit: {min_losses: 1}\nvalue: {}\nfit: {min_customers: 9}\n",
            "key fit .*line 3, column 1",
        ),
        ("spark:\n  conf:\n    a.b: hunter2\n    c: 1\n    a.b: 3\n", "key a.b .*line 5, column 5"),
    ],
)
def test_of_a_key_that_stands_twice_neither_is_taken(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "run.yml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=rf"run\.yml .*{said}") as caught:
        load_config(file, environ={})
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ConfigError, match=r"--set value: .*key margin_rate stands twice"):
        load("value={margin_rate: 0.1, margin_rate: 0.2}")


def test_a_section_may_build_on_another(tmp_path: Path) -> None:
    file = tmp_path / "run.yml"
    few = "what_if:\n  less: &less {churn: 0.9, cac: 0.8}\n  more: {<<: *less, churn: 1.1}\n"
    file.write_text(few)
    scenarios = load_config(file, environ={}).what_if
    assert [(one.churn, one.cac) for one in scenarios.values()] == [(0.9, 0.8), (1.1, 0.8)]


def test_what_a_section_builds_on_may_itself_build_on_another() -> None:
    """The one in the middle is deeper than the last, which is put together before it."""
    text = "a: &a {k: 1, z: 0}\nbelow: {b: &b {<<: *a, k: 2}}\nc: {<<: *b, q: 3}\n"
    found = load_yaml(text)
    assert found["below"]["b"] == {"k": 2, "z": 0}
    assert found["c"] == {"k": 2, "z": 0, "q": 3}


def test_a_number_that_cannot_be_is_not_quoted() -> None:
    with pytest.raises(ConfigError, match="invalid literal for int") as caught:
        load("spark.conf.a.password=!!int hunter2")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "overrides",
    [
        ["segments=[country, Country]"],
        ["report_by=[plan, PLAN]"],
        ["contract_segments=[plan, Plan]"],
        [with_columns(country="c"), "segments=[country]", "report_by=[Country]"],
        [with_columns(country="c", Country="d"), "segments=[Country]"],
    ],
)
def test_keys_that_differ_in_capitals_alone_are_one(overrides: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"once|already|capitals"):
        load(*overrides)


@pytest.mark.parametrize(
    "key",
    [
        "retention.slice_days",
        "retention.history_days",
        "retention.deleted_file_days",
        "gates.max_source_age_days",
        "gates.max_late_days",
        "lifecycle.compare_days",
    ],
)
def test_days_stay_within_the_calendar(key: str) -> None:
    load("retention.history_days=36500", f"{key}=36500")
    with pytest.raises(ConfigError, match=f"{key}: .*36500"):
        load(f"{key}=36501")


SECRETS: dict[str, Any] = {
    "lake": {"path": "s3a://AK:hunter2@bucket/clv"},
    "source": {
        "transactions": {
            "path": "s3a://AK:hunt@er2@bucket/lines",
            "columns": COLUMNS,
            "options": {"url": "jdbc:sqlserver://h:1433;user=u;password=hunter2;x=y"},
        }
    },
    "spark": {
        "conf": {
            "javax.jdo.option.ConnectionURL": "jdbc:pg://h/db?user=u&password=hunter2&ssl=true",
            "spark.driver.extraJavaOptions": "-Xmx1g -Da.keyPassword='hunter2 hunter2' -Dx=1",
            "spark.executorEnv.DB_PWD": "hunter2",
            "spark.executorEnv.AWS_ACCESS_KEY_ID": "hunter2",
            "spark.snowflake.pem_private_key": "hunter2",
            "spark.x.api-key": "hunter2",
            "spark.x.connection": "Endpoint=e;SharedAccessKeyName=n;AccountKey=hunter2==",
        }
    },
}


def test_a_secret_in_a_value_is_masked_and_the_rest_is_shown() -> None:
    shown = masked(Config.model_validate(SECRETS))
    assert "hunter2" not in str(shown)
    assert "er2@" not in str(shown)
    assert shown["lake"]["path"] == "s3a://***@bucket/clv"
    conf = shown["spark"]["conf"]
    assert conf["javax.jdo.option.ConnectionURL"] == "jdbc:pg://h/db?user=u&password=***&ssl=true"
    assert conf["spark.driver.extraJavaOptions"] == "-Xmx1g -Da.keyPassword=*** -Dx=1"


@pytest.mark.parametrize(
    "plain", ["hdfs://name:8020/a/b@c", "abfss://box@account.dfs.core.windows.net/clv", "pwd here"]
)
def test_what_is_no_secret_is_shown(plain: str) -> None:
    assert masked(load(f"lake.path={plain}"))["lake"]["path"] == plain


def test_no_message_holds_the_login_of_an_address() -> None:
    path = SECRETS["lake"]["path"]
    assert str(ClvError(f"lake.path {path} cannot be used")) == (
        "lake.path s3a://***@bucket/clv cannot be used"
    )


def test_an_empty_lake_section_takes_what_is_set(tmp_path: Path) -> None:
    file = tmp_path / "run.yml"
    file.write_text("lake:\n")
    assert load_config(file, ["lake.path=x"], {}).lake.path == "x"
    file.write_text("lake: foo\n")
    with pytest.raises(ConfigError, match=r"lake: .*dictionary"):
        load_config(file, ["lake.path=x"], {})


def test_only_names_of_sections_and_their_keys_are_in_capitals() -> None:
    config = load(
        environ={
            "CLV_SPARK__VALUE__HORIZON_DAYS": "90",
            "CLV_SPARK__SPARK__CONF__A__b": "1",
            "CLV_SPARK__VALUE__MARGIN_RATE": "{default: .3, UK: .1}",
            "CLV_SPARK__VALUE__MARGIN_RATE__UK": "0.9",
            "CLV_SPARK__WHAT_IF__UP__CHURN": "0.5",
        },
    )
    assert (config.value.horizon_days, config.spark.conf) == (90, {"A.b": "1"})
    assert config.value.margin_rate == {"default": 0.3, "UK": 0.9}
    assert {name: one.churn for name, one in config.what_if.items()} == {"UP": 0.5}
