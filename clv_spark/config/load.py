"""Read the configuration: base.yml < --conf file < CLV_SPARK__A__B in the environment < --set."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from clv_spark.config.mistakes import SECRET, mistakes
from clv_spark.config.model import Config
from clv_spark.config.strict_yaml import load_yaml
from clv_spark.errors import ConfigError, without_secrets

ENV_PREFIX = "CLV_SPARK__"


def load_config(
    path: str | Path | None = None,
    overrides: Iterable[str] = (),
    environ: Mapping[str, str] | None = None,
) -> Config:
    """Read and check the configuration, so that a wrong key stops a job before Spark starts.

    Args:
        path: YAML file of the run; a ``base.yml`` beside it is read first.
        overrides: ``a.b=value`` strings, as given to ``--set``; values are read as YAML.
        environ: environment to look for ``CLV_SPARK__A__B`` in; the process's own by default.

    Returns:
        The checked, immutable configuration.

    Raises:
        ConfigError: a file is missing or not YAML, a key is unknown, a value does not fit.

    Example:
        >>> load_config(overrides=["value.horizon_days=730"], environ={}).value.horizon_days
        730
    """
    values: dict[str, Any] = {}
    if path is not None:
        base = Path(path).with_name("base.yml")
        if base.exists() and base != Path(path):
            values = _merged(values, _read_yaml(base))
        values = _merged(values, _read_yaml(Path(path)))
    for keys, value in _from_environment(os.environ if environ is None else environ):
        _put(values, keys, value)
    for text in overrides:
        keys, value = _from_text(text)
        _put(values, keys, value)
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_explained(error, path, values)) from error


def masked(config: Config) -> dict[str, Any]:
    """The configuration as plain values with secrets replaced, fit for printing and logging."""
    return cast(dict[str, Any], _mask(config.model_dump(mode="json", by_alias=True)))


def _mask(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _mask(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [_mask(inner, key) for inner in value]
    if value is not None and SECRET.search(key):
        return "***"
    return without_secrets(value) if isinstance(value, str) else value


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = load_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"configuration file {path} cannot be read ({error.strerror}). "
            "Give an existing file, such as --conf conf/demo.yml"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"configuration file {path} is not YAML: {_fault(error)}") from error
    except ValueError as error:
        raise ConfigError(f"configuration file {path}: {_impossible(error)}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"configuration file {path} holds no keys; expected a YAML mapping")
    return content


def _fault(error: Exception) -> str:
    """What is wrong and where; the line itself may hold a secret."""
    mark = getattr(error, "problem_mark", None)
    said = getattr(error, "problem", None) or type(error).__name__
    return said if mark is None else f"{said}, line {mark.line + 1}, column {mark.column + 1}"


def _impossible(error: ValueError) -> str:
    """What YAML says of a date or number that can't be; after a colon it may quote the value."""
    said = str(error).partition(":")[0]
    return f"a value looks like a date or a number and is none ({said}). Correct it, or quote text"


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    out = dict(below)
    for key, value in above.items():
        if isinstance(value, dict) and isinstance(out.get(key), dict):
            out[key] = _merged(out[key], value)
        else:
            out[key] = value
    # A lake is one place: naming the other kind replaces it.
    if "lake" in above and isinstance(out.get("lake"), dict) and isinstance(above["lake"], dict):
        out["lake"] = dict(above["lake"])
    return out


def _from_environment(environ: Mapping[str, str]) -> list[tuple[list[str], Any]]:
    found = sorted(name for name in environ if name.startswith(ENV_PREFIX))
    return [
        (_keys(name.removeprefix(ENV_PREFIX)), _yaml_value(environ[name], name)) for name in found
    ]


def _keys(name: str) -> list[str]:
    """The keys in the name of a variable: sections and their keys in capitals, by custom.

    What a user has named, such as a segment or a setting of Spark, stays as it is written.
    """
    keys: list[str] = []
    model: type[BaseModel] | None = Config
    is_named_by_user = False
    for part in name.split("__"):
        if model is None or is_named_by_user:
            keys.append(part)
            is_named_by_user = False
            continue
        keys.append(part.lower())
        annotation = _annotations(model).get(keys[-1])
        is_named_by_user = get_origin(annotation) is dict
        model = _section_in(annotation)
    return keys


def _from_text(text: str) -> tuple[list[str], Any]:
    path, equals, value = text.partition("=")
    if not equals or not path.strip():
        raise ConfigError("--set needs a key and a value of the form a.b=value")
    return path.strip().split("."), _yaml_value(value, f"--set {path}")


def _yaml_value(text: str, where: str) -> Any:
    try:
        return load_yaml(text)
    except yaml.YAMLError as error:
        # The value itself may be a secret; only what is wrong with it is said.
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        raise ConfigError(f"{where}: the value is not YAML: {problem}. Quote it") from None
    except ValueError as error:
        raise ConfigError(f"{where}: {_impossible(error)}") from None


def _put(values: dict[str, Any], keys: list[str], value: Any) -> None:
    depth = _section_depth(keys)
    keys = [*keys[:depth], ".".join(keys[depth:])]
    if keys[0] == "lake" and keys[-1] in ("path", "schema") and value is not None:
        lake = values.get("lake") or {}
        if not isinstance(lake, dict):
            # What is no section is named as that when all is checked.
            return
        others = ("path",) if keys[-1] == "schema" else ("catalog", "schema")
        values["lake"] = {key: held for key, held in lake.items() if key not in others}
    for key in keys[:-1]:
        inner = values.get(key)
        values[key] = dict(inner) if isinstance(inner, dict) else {}
        values = values[key]
    values[keys[-1]] = value


def _section_depth(keys: list[str]) -> int:
    """How many leading keys are names of sections; the rest is one key of a free mapping.

    ``spark.conf.spark.sql.shuffle.partitions`` is section spark, mapping conf, one key.
    """
    model: type[BaseModel] = Config
    for position, key in enumerate(keys[:-1]):
        inner = _fields(model).get(key)
        if inner is None:
            return position + 1
        model = inner
    return len(keys) - 1


def _fields(model: type[BaseModel]) -> dict[str, type[BaseModel] | None]:
    """The keys of a section, each with its own section where it is one."""
    return {key: _section_in(annotation) for key, annotation in _annotations(model).items()}


def _annotations(model: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _section_in(annotation: Any) -> type[BaseModel] | None:
    for candidate in (annotation, *getattr(annotation, "__args__", ())):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _explained(error: ValidationError, path: str | Path | None, values: dict[str, Any]) -> str:
    lines = [f"the configuration{f' {path}' if path else ''} is wrong:"]
    for keys, wrong in mistakes(error, values):
        said = f"unknown key{_hint(keys)}" if wrong is None else wrong
        lines.append(f"  {'.'.join(keys) or '(whole)'}: {said}")
    lines.append("conf/base.yml lists every key with its unit and default.")
    return "\n".join(lines)


def _hint(keys: list[str]) -> str:
    model: type[BaseModel] = Config
    for key in keys[:-1]:
        model = _fields(model).get(key) or model
    known = list(_fields(model))
    close = difflib.get_close_matches(keys[-1], known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; known are {known}"
