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
    return re.sub(r"([\[\]{}*?\\])", r"\\\1", unquote(address))
