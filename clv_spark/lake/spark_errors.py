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
