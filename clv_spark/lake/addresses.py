"""Addresses of files: as Spark writes them, and as its readers take them."""

from __future__ import annotations

import re
from urllib.parse import unquote

from pyspark.sql import DataFrame


def addresses(rows: DataFrame) -> list[str]:
    """The files behind some rows, as ``_metadata.file_path`` spells them."""
    return [re.sub("^file:/+", "file:/", uri) for uri in rows.inputFiles()]


def as_path(address: str) -> str:
    r"""The address as a reader takes it: decoded, and nothing in it read as a pattern.

    Example:
        >>> print(as_path("file:/a%20b/c*.csv"))
        file:/a b/c\*.csv
    """
    return literal(unquote(address))


def literal(path: str) -> str:
    r"""The path as a reader takes it: nothing in it read as a pattern.

    Example:
        >>> print(literal("out[1]/50%20"))
        out\[1\]/50%20
    """
    return re.sub(r"([\[\]{}*?\\])", r"\\\1", path)
