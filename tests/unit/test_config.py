"""The configuration: every key documented, authority in order, mistakes named early."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from clv_spark.config import Config, ContractsSource, TransactionsSource, load_config, masked
from clv_spark.config.contracts import (
    COMMON_COLUMNS,
    OPTIONAL_CONTRACT_COLUMNS,
    SHAPE_COLUMNS,
)
from clv_spark.config.transactions import OPTIONAL_COLUMNS, REQUIRED_COLUMNS, RESERVED_NAMES
from clv_spark.errors import ConfigError
from clv_spark.schemas import CUSTOMER_DAYS, CUSTOMER_FEATURES, PRODUCT_DAYS
from clv_spark.schemas.spec import SEGMENT_KEYS

CONF = Path(__file__).parents[2] / "conf"
COLUMNS = {"customer_id": "id", "event_time": "at", "amount": "price"}


def config_file(folder: Path, text: str, base: str | None = None) -> Path:
    if base is not None:
        (folder / "base.yml").write_text(base, encoding="utf-8")
    path = folder / "run.yml"
    path.write_text(text, encoding="utf-8")
    return path


def keys_of(model: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


def sections() -> dict[str, type[BaseModel]]:
    found = {}
    for name, field in Config.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found[name] = field.annotation
    return found


def test_base_is_the_defaults() -> None:
    assert load_config(CONF / "base.yml", environ={}) == Config()


def test_base_has_every_key() -> None:
    base = yaml.safe_load((CONF / "base.yml").read_text(encoding="utf-8"))
    assert set(base) == keys_of(Config)
    assert sections().keys() >= {"lake", "source", "models", "fit", "value", "gates", "retention"}
    for name, model in sections().items():
        assert set(base[name]) == keys_of(model), name


def test_base_shows_the_source_in_comments() -> None:
    """The one section that has no default is shown commented out: every key, and a valid one."""
    lines = (CONF / "base.yml").read_text(encoding="utf-8").splitlines()
    shown = [line.replace("  # ", "  ", 1) for line in lines if line.startswith("  # ")]
    both = yaml.safe_load("\n".join(shown))
    source, contracts = both["transactions"], both["contracts"]
    held = {"path": "rows", "columns": contracts["columns"]}
    assert set(contracts) == keys_of(ContractsSource)
    assert ContractsSource.model_validate({**contracts, **held}) == ContractsSource(**held)
    assert set(contracts["columns"]) == {
        *COMMON_COLUMNS,
        *SHAPE_COLUMNS["rows"],
        *OPTIONAL_CONTRACT_COLUMNS,
    }
    assert set(source) == keys_of(TransactionsSource)
    assert set(source["columns"]) == {*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS}
    defaults = {**source, "path": "lines"}
    shown_config = TransactionsSource.model_validate(defaults)
    least = TransactionsSource.model_validate({"path": "lines", "columns": source["columns"]})
    assert shown_config == least


def test_every_key_of_base_has_a_comment() -> None:
    for line in (CONF / "base.yml").read_text(encoding="utf-8").splitlines():
        stripped = line.strip()
        # A rule of actions is explained where it begins.
        is_section = stripped.endswith(":") or stripped.startswith(("when: ", "reason: "))
        if stripped and not stripped.startswith("#") and not is_section:
            assert "#" in stripped, f"no unit or meaning: {line}"


@pytest.mark.parametrize("name", ["demo.yml", "prod.yml"])
def test_the_bundled_files_load(name: str) -> None:
    config = load_config(CONF / name, environ={})
    assert config.source.transactions is not None
    assert config.source.transactions.timezone == "Europe/London"
    assert (config.currency, config.segments) == ("GBP", ("country",))


def test_order_of_authority(tmp_path: Path) -> None:
    path = config_file(
        tmp_path,
        "value: {horizon_days: 2, margin_rate: 0.2, new_customer_days: 2}",
        base="value: {horizon_days: 1, margin_rate: 0.1, new_customer_days: 1, "
        "annual_discount_rate: 0.01}",
    )
    environ = {
        "CLV_SPARK__VALUE__HORIZON_DAYS": "3",
        "CLV_SPARK__VALUE__NEW_CUSTOMER_DAYS": "3",
        "HOME": "/",
    }
    value = load_config(path, ["value.horizon_days=4"], environ).value
    assert value.horizon_days == 4
    assert value.new_customer_days == 3
    assert value.margin_rate == 0.2
    assert value.annual_discount_rate == 0.01


def test_the_environment_is_the_process_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLV_SPARK__FIT__COHORT_START", "2010-06-01")
    assert load_config().fit.cohort_start == dt.date(2010, 6, 1)


def test_a_spark_setting_is_one_key_and_text() -> None:
    config = load_config(
        overrides=["spark.conf.spark.sql.shuffle.partitions=64", "spark.conf.spark.x.y=true"],
        environ={"CLV_SPARK__SPARK__MASTER": "local[1]"},
    )
    assert config.spark.conf == {"spark.sql.shuffle.partitions": "64", "spark.x.y": "true"}
    assert config.spark.master == "local[1]"


def test_a_free_key_in_the_environment_keeps_its_case() -> None:
    config = load_config(
        environ={"CLV_SPARK__SPARK__CONF__spark__sql__caseSensitive": "true"},
    )
    assert config.spark.conf == {"spark.sql.caseSensitive": "true"}


def test_a_mapped_column_can_be_overridden(tmp_path: Path) -> None:
    path = config_file(
        tmp_path, yaml.safe_dump({"source": {"transactions": {"path": "a", "columns": COLUMNS}}})
    )
    config = load_config(
        path, ["source.transactions.columns.amount=quantity * price / 100"], environ={}
    )
    assert config.source.transactions is not None
    assert config.source.transactions.columns == {**COLUMNS, "amount": "quantity * price / 100"}


@pytest.mark.parametrize(
    ("overrides", "place"),
    [
        (["lake.schema=clv"], (None, None, "clv")),
        (["lake.catalog=main", "lake.schema=clv"], (None, "main", "clv")),
        (["lake.schema=clv", "lake.path=s3a://bucket/clv"], ("s3a://bucket/clv", None, None)),
        ([], ("lake", None, None)),
    ],
)
def test_a_lake_is_one_place(overrides: list[str], place: tuple[str | None, ...]) -> None:
    lake = load_config(CONF / "base.yml", overrides, environ={}).lake
    assert (lake.path, lake.catalog, lake.schema_) == place


def test_the_lake_of_a_file_replaces_that_of_base(tmp_path: Path) -> None:
    path = config_file(tmp_path, "lake: {schema: clv}", base="lake: {path: lake}")
    lake = load_config(path, environ={}).lake
    assert (lake.path, lake.schema_) == (None, "clv")


def test_segments_may_have_several_keys_outermost_first(tmp_path: Path) -> None:
    columns = {**COLUMNS, "region": "r", "country": "c"}
    path = config_file(tmp_path, "segments: [region, country]\n" + with_source(columns=columns))
    assert load_config(path, environ={}).segments == ("region", "country")


@pytest.mark.parametrize(
    ("overrides", "fitted"),
    [
        ([], ("bg_nbd", "mbg_nbd", "pareto_nbd")),
        (["models.candidates=[bg_bb, bg_nbd]"], ("bg_bb", "bg_nbd")),
        (["models.transactions=pareto_nbd"], ("pareto_nbd",)),
        (["models.transactions=bg_bb", "models.candidates=[bg_nbd]"], ("bg_bb",)),
    ],
)
def test_auto_fits_its_candidates_and_a_named_model_is_fitted_alone(
    overrides: list[str], fitted: tuple[str, ...]
) -> None:
    assert load_config(overrides=overrides, environ={}).models.purchases == fitted


def test_an_opportunity_of_bg_bb_is_a_day_whatever_the_unit_of_time() -> None:
    models = load_config(overrides=["models.time_unit=year"], environ={}).models
    units = {name: models.unit(name) for name in ("bg_nbd", "mbg_nbd", "pareto_nbd", "bg_bb")}
    assert units == {"bg_nbd": "year", "mbg_nbd": "year", "pareto_nbd": "year", "bg_bb": "day"}


def test_choice_of_model_and_spend_can_be_set() -> None:
    models = load_config(
        overrides=["models.switch_margin=0", "models.spend_basis=repeat"], environ={}
    ).models
    assert (models.switch_margin, models.spend_basis) == (0.0, "repeat")


def test_secrets_are_masked() -> None:
    config = load_config(
        overrides=[
            "spark.conf.spark.hadoop.fs.s3a.secret.key=hunter2",
            "spark.conf.fs.azure.account.key.x.dfs.core.windows.net=hunter2",
            "spark.conf.spark.hadoop.fs.s3a.access.key=hunter2",
            "spark.conf.spark.app.name=shown",
        ],
        environ={"CLV_SPARK__SPARK__CONF": "{}"},
    )
    shown = masked(config)
    assert "hunter2" not in str(shown)
    assert shown["spark"]["conf"]["spark.app.name"] == "shown"
    assert shown["lake"] == {"path": "lake", "catalog": None, "schema": None}


def with_source(**changes: Any) -> str:
    source = {"path": "lines", "columns": COLUMNS, **changes}
    return yaml.safe_dump({"source": {"transactions": source}})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("value: {horizon_dais: 3}", ["value.horizon_dais", "did you mean horizon_days"]),
        ("vallue: {}", ["vallue", "did you mean value"]),
        ("fit: {xyz: 3}", ["fit.xyz", "known are", "min_customers"]),
        (with_source(pth="x"), ["source.transactions.pth", "did you mean path"]),
        ("value: {horizon_days: 0}", ["value.horizon_days"]),
        ("value: {horizon_days: soon}", ["value.horizon_days"]),
        ("value: {annual_discount_rate: -0.1}", ["value.annual_discount_rate"]),
        ("value: {margin_rate: 30}", ["value.margin_rate"]),
        ("fit: {max_failed_share: 2}", ["fit.max_failed_share"]),
        ("fit: {cohort_start: June}", ["fit.cohort_start"]),
        ("models: {transactions: pareto}", ["models.transactions", "auto", "bg_nbd"]),
        ("models: {candidates: []}", ["models.candidates", "each model once"]),
        ("models: {candidates: [bg_nbd, bg_nbd]}", ["models.candidates", "each model once"]),
        ("models: {candidates: [bg_nbd, auto]}", ["models.candidates", "pareto_nbd"]),
        ("models: {switch_margin: -1}", ["models.switch_margin"]),
        ("models: {spend_basis: first}", ["models.spend_basis", "repeat"]),
        ("fit: {max_frequency_spend_correlation: 1.5}", ["fit.max_frequency_spend_correlation"]),
        ("models: {time_unit: month}", ["models.time_unit", "week"]),
        ("refunds: sometimes", ["refunds", "rate"]),
        ("lake: {path: null}", ["lake"]),
        ("lake: {path: a, schema: b}", ["lake", "keep one"]),
        ("lake: {catalog: main}", ["lake.schema"]),
        ("segments: [a, a]", ["segments", "name each key once"]),
        ("segments: [country]\n" + with_source(), ["does not map"]),
        ("segment_assignment: {country: latest}", ["segment_assignment"]),
        (with_source(timezone="Mars/Olympus"), ["Mars/Olympus", "Europe/London"]),
        (with_source(timezone={"Japan": "Asia/Tokyo"}), ["default"]),
        (with_source(timezone={"default": "UTC"}), ["columns.country"]),
        (with_source(columns={"customer_id": "id"}), ["event_time", "amount"]),
        (with_source(columns={**COLUMNS, "colour": "c"}), ["colour", "segments"]),
        (with_source(columns={**COLUMNS, "currency": "c"}), ["currency"]),
        (with_source(deduplicate="line_id"), ["columns.line_id"]),
        (with_source(format="table"), ["source.transactions.table"]),
        (with_source(format="excel"), ["source.transactions.format", "parquet"]),
        (with_source(path=None), ["source.transactions.path"]),
        (with_source(first_date="2012-01-01", last_date="2011-01-01"), ["is after"]),
        ("products: {enabled: true}", ["products.enabled", "columns.category"]),
        (with_source() + "products: {enabled: true}", ["products.enabled", "columns.category"]),
        (
            with_source(columns={**COLUMNS, "category": "c"})
            + "products: {enabled: true, best_tiers: [Gold, Best]}",
            ["products.best_tiers is ['Gold', 'Best']", "Platinum"],
        ),
        ("products: {min_lift: 0.5}", ["products.min_lift"]),
        (
            "costs: {service: {kinds: {email: {unit_cost: 0.004}}}}",
            ["costs.service.kinds.email.unit_cost", "0.004", "whole cents", "amount"],
        ),
        ("costs: {acquisition: {target_payback_days: 4000}}", ["target_payback_days", "3650"]),
        ("export: {columns: [clv, clv]}", ["export.columns", "each column once"]),
        ("export: {order_by: [clv down]}", ["export.order_by", "clv desc"]),
        ("export: {format: xlsx}", ["export.format", "parquet"]),
        ("retention: {history_days: 3}", ["retention.history_days is 3", "deleted_file_days 7"]),
        ("segments: [store.region]", ["segments holds ['store.region']", "column"]),
        ("segments: ['sub region']", ["segments holds ['sub region']"]),
        (
            with_source(format="table", path=None, table="a.b", options={"versionAsOf": 1}),
            ["source.transactions.options are for files"],
        ),
        ("value: {annual_discount_rate: 1e-5}", ["annual_discount_rate is 1e-05", "0.001"]),
        (
            with_source(columns={**COLUMNS, "country": "c"})
            + "segments: [country]\nreport_by: [country]",
            ["report_by names ['country'], which segments holds already"],
        ),
        ("segments: [gross]", ["segments names ['gross']", "something else"]),
        ('spark: {conf: {"a.password": "hunter2}}', ["is not YAML", "line 1, column"]),
        ("- a list", ["YAML mapping"]),
        ("a: [", ["is not YAML"]),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, says: list[str]) -> None:
    path = config_file(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_config(path, environ={})
    assert caught.value.exit_code == 2
    for words in says:
        assert words in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("override", ["value.horizon_days", "=3", "value.horizon_days=[", "x=1"])
def test_a_wrong_override_is_refused(override: str) -> None:
    with pytest.raises(ConfigError):
        load_config(overrides=[override], environ={})


def test_a_wrong_environment_variable_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"value\.horizon"):
        load_config(environ={"CLV_SPARK__VALUE__HORIZON": "3"})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yml"):
        load_config(tmp_path / "nowhere.yml")


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    assert load_config(config_file(tmp_path, "# nothing yet\n"), environ={}) == Config()


@pytest.mark.parametrize(
    "override",
    [
        "lake.path",
        "source",
        "lake.path.deeper=1",
        "value=3",
        "value.horizon_days.x=3",
        "segments.0=country",
    ],
)
def test_a_section_is_not_a_value(override: str) -> None:
    with pytest.raises(ConfigError):
        load_config(overrides=[override], environ={})


def test_a_segment_key_cannot_take_the_name_of_a_column() -> None:
    columns = {"customer_id": "c", "event_time": "t", "amount": "a", "reason": "r"}
    with pytest.raises(ConfigError, match="segments names"):
        load_config(
            overrides=[
                f"source.transactions={{path: x, columns: {columns}}}",
                "segments=[reason]",
            ],
            environ={},
        )


def test_every_column_of_the_silver_tables_is_reserved() -> None:
    names = {
        column.name.lower()
        for spec in (CUSTOMER_DAYS, CUSTOMER_FEATURES, PRODUCT_DAYS)
        for column in spec.columns
        if column.name != SEGMENT_KEYS
    }
    assert names <= RESERVED_NAMES


def test_a_rule_cannot_take_the_name_of_a_built_in_reason() -> None:
    columns = {"customer_id": "c", "event_time": "t", "amount": "a"}
    with pytest.raises(ConfigError, match="quarantine uses itself"):
        load_config(
            overrides=[
                f"source.transactions={{path: x, columns: {columns}}}",
                "source.transactions.reject={duplicate: 'a > 1'}",
            ],
            environ={},
        )


def test_a_rate_for_a_segment_that_nobody_is_in_is_found() -> None:
    config = Config.model_validate(
        {
            "value": {"margin_rate": {"default": 0.3, "Frnace": 0.2}},
            "costs": {
                "service": {"per_year_early": {"default": 1, "Europe": 2, "O'Brien": 3}},
                "acquisition": {"per_customer": {"default": 9, "Peru": 8}},
            },
        }
    )
    assert config.strays({"global", "Europe", "Europe/France"}) == ["Frnace", "O'Brien", "Peru"]
    # A channel that customers are reported by has a cost of winning them, and no other rate.
    assert config.strays({"Frnace", "O'Brien"}, {"Peru", "Europe"}) == ["Europe"]
    assert Config().strays(set()) == []
