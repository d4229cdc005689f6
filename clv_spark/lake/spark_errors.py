"""Errors of Spark and Delta, told apart and quoted without the values they may hold."""

from __future__ import annotations

import re

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

# What fails inside a task comes back as the raw Java error, the rest as PySpark's own.
SPARK_ERRORS = (PySparkException, Py4JJavaError)


def condition(error: Exception) -> str:
    """The name Spark gives an error, such as PATH_NOT_FOUND; its message may quote a row.

    Example:
        >>> condition(ValueError("[CAST_INVALID_INPUT] The value 'a' of the type ..."))
        'CAST_INVALID_INPUT'
    """
    found = re.search(r"\[([A-Z][A-Z0-9_.]+)\]", str(error))
    return found.group(1) if found else type(error).__name__


def is_conflict(error: Exception) -> bool:
    """Whether somebody else changed the table meanwhile, its rows, properties or schema.

    Example:
        >>> is_conflict(ValueError("[DELTA_METADATA_CHANGED] MetadataChangedException: The ..."))
        True
    """
    said = r"DELTA_(CONCURRENT|METADATA_CHANGED|PROTOCOL_CHANGED)"
    return bool(re.search(said, str(error))) or "Concurrent" in type(error).__name__


def violation(table: str, text: str) -> str:
    """What to say when a row breaks a constraint, from Delta's message.

    Delta goes on with the values of the row, which may hold a customer id.

    Example:
        >>> said = "[DELTA_NOT_NULL_CONSTRAINT] NOT NULL constraint violated for column: clv."
        >>> print(violation("clv_scores", said)[:54])
        clv_scores: a row breaks the table's constraint 'clv';
    """
    name = re.search(
        r"CHECK constraint (\w+)|NOT NULL constraint violated for column: ([\w.]*\w)", text
    )
    which = next((group for group in name.groups() if group), "unknown") if name else "unknown"
    if which == "EXPRESSION":  # how Delta calls the condition of replaceWhere
        which = "rows of the slice only"
    return (
        f"{table}: a row breaks the table's constraint {which!r}; nothing was written. "
        "This is a fault of the package or of a mapped expression: please report it"
    )
