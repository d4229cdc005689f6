"""What to say of a configuration that does not fit: which key, what was found and expected."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from clv_spark.errors import SECRET_NAME, without_secrets

SECRET = re.compile(SECRET_NAME, re.I)
# Their own words say what was found, or there is nothing to show.
_SAID = ("missing", "value_error")
_SECTIONS = ("dict_type", "model_type")
_LONGEST = 60
_PLAIN = (str, int, float, dt.date, type(None))
_QUOTE = (
    "is no text: YAML reads NO, OFF, YES and ON as true or false, and 12 as a number; "
    "write it in quotes"
)


def mistakes(
    error: ValidationError, values: Mapping[str, Any]
) -> Iterator[tuple[list[str], str | None]]:
    """The keys that lead to each mistake, and what is wrong there; None where the key is unknown.

    Args:
        error: what pydantic found.
        values: what it was given.
    """
    items = error.errors(include_url=False, include_context=False)
    for item in items:
        keys, is_alternative = _keys(item["loc"], values, item["type"])
        if is_alternative and _is_of_other_kind(item) and len(items) > 1:
            # Of a number or a mapping both are tried; what was not meant need not be mended.
            continue
        yield keys, None if item["type"] == "extra_forbidden" else _wrong(item, keys)


def _keys(loc: tuple[str | int, ...], values: Any, kind: str) -> tuple[list[str], bool]:
    """The keys as they are written, without pydantic's names for alternatives, and if it has one.

    A key that is no text, which pydantic gives as a number, is left to the message.
    """
    path = loc[:-2] if loc[-1:] == ("[key]",) else loc
    keys, is_alternative, held = [], False, values
    for number, part in enumerate(path):
        is_list = isinstance(held, list | tuple)
        if isinstance(part, int) if is_list else isinstance(held, Mapping) and part in held:
            held = held[part]
        elif kind != "missing" or number < len(path) - 1:
            is_alternative = True
            continue
        keys.append(str(part))
    return keys, is_alternative


def _is_of_other_kind(item: Mapping[str, Any]) -> bool:
    given = isinstance(item["input"], dict)
    return str(item["type"]) in (("float_type", "string_type") if given else ("dict_type",))


def _wrong(item: Mapping[str, Any], keys: list[str]) -> str:
    kind, found = item["type"], item["input"]
    if item["loc"][-1:] == ("[key]",):
        return f"the key {found!r} {_QUOTE}"
    said = str(item["msg"]).removeprefix("Value error, ")
    if kind.startswith("date"):
        said = "Input should be a date YYYY-MM-DD"
    elif kind == "tuple_type":
        said = "Input should be a list, such as [a, b]"
    if kind in _SAID or any(SECRET.search(key) for key in keys):
        return said
    return f"{said}; found {_shown(found, is_kind_enough=kind in _SECTIONS)}"


def _shown(value: Any, *, is_kind_enough: bool) -> str:
    """A single value; of what should be a section, or is one, the kind: it may hold secrets."""
    if isinstance(value, dict | list | tuple):
        return "a mapping" if isinstance(value, dict) else "a list"
    if is_kind_enough or not isinstance(value, _PLAIN):
        return "nothing" if value is None else "a single value"
    text = str(value) if isinstance(value, dt.date) else repr(value)
    return "nothing" if value is None else without_secrets(text)[:_LONGEST]
