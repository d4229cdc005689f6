"""Addresses of files: as Spark writes them, and as its readers take them."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from pyspark.sql import DataFrame

# What Java's URI escapes in a path, spaces of all scripts among it.
_NOT_IN_ADDRESSES = re.compile(
    r"[\x00-\x20\x7f-\xa0\"#%<>?\[\\\]^`{|}"
    r"\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
)


def addresses(rows: DataFrame) -> list[str]:
    """The files behind some rows, as ``_metadata.file_path`` spells them."""
    return [one_slash(uri) for uri in rows.inputFiles()]


def one_slash(uri: str) -> str:
    """The address of a local file with one slash, as of ``file:///a``; others as they are.

    Example:
        >>> print(one_slash("file:///a/b.csv"))
        file:/a/b.csv
    """
    return re.sub("^file:/+", "file:/", uri)


def as_path(address: str) -> str:
    r"""The address as a reader takes it: decoded, and nothing in it read as a pattern.

    Example:
        >>> print(as_path("file:/a%20b/c*.csv"))
        file:/a b/c\*.csv
    """
    return literal(unquote(address))


def as_address(path: str) -> str:
    """A path as it is called, as it stands in an address.

    Example:
        >>> print(as_address("file:/a b/c=50%25/d'é.parquet"))
        file:/a%20b/c=50%2525/d'é.parquet
    """
    return _NOT_IN_ADDRESSES.sub(lambda found: quote(found[0]), path)


def literal(path: str) -> str:
    r"""The path as a reader takes it: nothing in it read as a pattern.

    Example:
        >>> print(literal("out[1]/50%20"))
        out\[1\]/50%20
    """
    return re.sub(r"([\[\]{}*?\\])", r"\\\1", path)
