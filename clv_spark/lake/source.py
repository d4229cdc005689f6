"""Read the transaction source, and tell which version of it was read."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from clv_spark.config import TransactionsSource
from clv_spark.errors import ConfigError, InputError
from clv_spark.lake.spark_errors import SPARK_ERRORS, condition

# A source whose next state can't be told from this one: it is never "already done".
UNVERSIONED = "unversioned"
_LOSES_LINES = {
    ("ignorecorruptfiles", "true"),
    ("ignoremissingfiles", "true"),
    ("mode", "dropmalformed"),
}


def read_source(spark: SparkSession, config: TransactionsSource) -> DataFrame:
    """The source as a DataFrame, with the reader options of the configuration.

    Raises:
        InputError: the path or table does not exist, or Spark can't read it.
        ConfigError: an option of the reader would lose lines without a word.
    """
    where = config.table if config.format == "table" else config.path
    try:
        if config.format == "table":
            source = spark.table(str(config.table))
        else:
            reader = spark.read.format(config.format).options(**_options(config))
            with _times_stay_local(spark):
                source = reader.load(str(config.path))
    except SPARK_ERRORS as error:
        raise InputError(
            f"source.transactions: {config.format} {where} cannot be read "
            f"({condition(error)}). Check the path or name, the format and the access rights"
        ) from error
    if not source.columns:
        raise InputError(f"source.transactions: {config.format} {where} holds no column")
    return source


@contextmanager
def _times_stay_local(spark: SparkSession) -> Iterator[None]:
    """With ``inferSchema`` a time without offset is local time, not an instant in UTC."""
    before = str(spark.conf.get("spark.sql.timestampType"))
    spark.conf.set("spark.sql.timestampType", "TIMESTAMP_NTZ")
    try:
        yield
    finally:
        spark.conf.set("spark.sql.timestampType", before)


def _options(config: TransactionsSource) -> dict[str, str]:
    # A CSV whose lines do not fit must not lose them: unreadable values become NULL and are
    # refused with a reason by the quarantine.
    defaults = {"csv": {"header": "true"}}.get(config.format, {})
    for name, value in config.options.items():
        if (name.lower(), value.lower()) in _LOSES_LINES:
            raise ConfigError(
                f"source.transactions.options has {name}: {value}, which loses lines in silence; "
                "remove it, so that a line that can't be used is refused with its reason"
            )
    return {**defaults, **config.options}


def source_version(spark: SparkSession, config: TransactionsSource, source: DataFrame) -> str:
    """A text that changes when the source does: a Delta version, or a hash over its files.

    Files count with path, size and modification time. A source without files or versions (a view
    over a database, say) can't be told apart from its next state, so it has no stable version.
    """
    delta = _delta_table(spark, config)
    if delta is not None:
        version, table = delta.history(1).first(), delta.detail().select("id").first()
        # A table that is dropped and made again starts at 0 anew, under another id.
        return f"delta:{table[0] if table else ''}:{version['version'] if version else 0}"
    if config.format == "table" and _is_view(spark, str(config.table)):
        # Its text and whatever it joins may change while its files stay the same.
        return UNVERSIONED
    paths = sorted(_as_path(uri) for uri in source.inputFiles())
    if not paths:
        return UNVERSIONED
    # binaryFile lists size and time without opening the files.
    files = spark.read.format("binaryFile").load(paths)
    rows = files.select("path", "length", F.unix_micros("modificationTime")).collect()
    digest = hashlib.sha256(repr(sorted(tuple(row) for row in rows)).encode())
    return f"files:{digest.hexdigest()[:16]}"


def _is_view(spark: SparkSession, name: str) -> bool:
    return spark.catalog.getTable(name).tableType in ("VIEW", "TEMPORARY", "MATERIALIZED_VIEW")


def _as_path(uri: str) -> str:
    """The address of a file as Spark's reader takes it: decoded, and nothing read as a pattern."""
    return re.sub(r"([\[\]{}*?\\])", r"\\\1", unquote(uri))


def _delta_table(spark: SparkSession, config: TransactionsSource) -> DeltaTable | None:
    if config.format == "delta":
        return DeltaTable.forPath(spark, str(config.path))
    if config.format == "table":
        try:
            return DeltaTable.forName(spark, str(config.table))
        except SPARK_ERRORS:
            return None
    return None
